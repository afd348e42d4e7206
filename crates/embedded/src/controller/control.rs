//! The operations, handed to those who carry them out.

use cutover_engine::control::{
    ApproveRequest, Control, DeployReport, ExplainReport, ExplainRequest, HistoryEntry, PauseRequest,
    PlanReport, PlanRequest, PreviewReport, PreviewRequest, Progress, PromoteRequest, Release, Result,
    RetireReport, RetireRequest, RollbackRequest, RolloutReport, RolloutStory, RolloutView, StageReport,
    StageRequest, Status, SwitchReport, WithdrawRequest,
};
use cutover_routing::Table;
use tokio::sync::broadcast;

use super::Embedded;

impl Control for Embedded {
    async fn stage(&self, who: &str, request: StageRequest, progress: Progress) -> Result<StageReport> {
        let who = who.to_owned();
        self.run(|inner| inner.stage(who, request, progress)).await
    }

    async fn deploy(&self, who: &str, request: StageRequest, progress: Progress) -> Result<DeployReport> {
        let who = who.to_owned();
        self.run(|inner| inner.deploy(who, request, progress)).await
    }

    async fn promote(&self, who: &str, request: PromoteRequest, progress: Progress) -> Result<SwitchReport> {
        let who = who.to_owned();
        self.run(|inner| inner.promote(who, request, progress)).await
    }

    async fn rollback(&self, who: &str, request: RollbackRequest) -> Result<SwitchReport> {
        let who = who.to_owned();
        self.run(|inner| inner.rollback(who, request)).await
    }

    async fn withdraw(&self, who: &str, release: &str, request: WithdrawRequest) -> Result<SwitchReport> {
        let (who, release) = (who.to_owned(), release.to_owned());
        self.run(|inner| inner.withdraw(who, release, request)).await
    }

    async fn retire(&self, who: &str, release: &str, request: RetireRequest) -> Result<RetireReport> {
        let (who, release) = (who.to_owned(), release.to_owned());
        self.run(|inner| inner.retire(who, release, request)).await
    }

    async fn preview(&self, who: &str, release: &str, request: PreviewRequest) -> Result<PreviewReport> {
        let (who, release) = (who.to_owned(), release.to_owned());
        self.run(|inner| inner.preview(who, release, request)).await
    }

    async fn status(&self) -> Result<Status> {
        Ok(self.inner.status_view().await)
    }

    async fn releases(&self) -> Result<Vec<Release>> {
        Ok(self.inner.releases_view().await)
    }

    async fn history(&self, limit: u32) -> Result<Vec<HistoryEntry>> {
        Ok(self.inner.journal.blocking(move |journal| journal.history(limit)).await?)
    }

    async fn table(&self) -> Result<Table> {
        Ok(Table::clone(&self.inner.current_table()))
    }

    async fn explain_request(&self, request: ExplainRequest) -> Result<ExplainReport> {
        self.inner.explain(request).await
    }

    async fn pause(&self, who: &str, request: PauseRequest) -> Result<RolloutReport> {
        let who = who.to_owned();
        self.run(|inner| inner.pause(who, request)).await
    }

    async fn resume(&self, who: &str, request: PauseRequest) -> Result<RolloutReport> {
        let who = who.to_owned();
        self.run(|inner| inner.resume(who, request)).await
    }

    async fn approve(&self, who: &str, request: ApproveRequest) -> Result<RolloutReport> {
        let who = who.to_owned();
        self.run(|inner| inner.approve(who, request)).await
    }

    async fn plan(&self, request: PlanRequest) -> Result<PlanReport> {
        self.run(|inner| inner.plan_view(request)).await
    }

    async fn rollouts(&self, limit: u32) -> Result<Vec<RolloutView>> {
        self.inner.rollouts_view(limit).await
    }

    async fn explain_rollout(&self, rollout: &str) -> Result<RolloutStory> {
        self.inner.explain_rollout(rollout).await
    }

    async fn metrics(&self) -> String {
        self.inner.metrics_text().await
    }

    fn events(&self) -> broadcast::Receiver<HistoryEntry> {
        self.inner.events.subscribe()
    }
}
