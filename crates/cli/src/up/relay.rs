//! The controller as the control API sees it: there, or not there and why.
//!
//! Visitors need no controller. Where it cannot be opened while the edge has something to serve, the API answers every
//! command with the reason, and the controller takes its place as soon as it can be opened.

use std::sync::{Arc, PoisonError, RwLock};

use cutover_edge::Edge;
use cutover_embedded::Embedded;
use cutover_engine::{
    Control, Error, ErrorKind,
    control::{
        ApproveRequest, DeployReport, ExplainReport, ExplainRequest, HistoryEntry, PauseRequest, PlanReport,
        PlanRequest, PreviewReport, PreviewRequest, Progress, PromoteRequest, Release, Result, RetireReport,
        RetireRequest, RollbackRequest, RolloutReport, RolloutStory, RolloutView, StageReport, StageRequest,
        Status, SwitchReport, WithdrawRequest,
    },
};
use cutover_routing::Table;
use tokio::sync::broadcast;

/// Hands commands to the controller, if it is there.
pub(super) struct Relay {
    edge: Edge,
    to: RwLock<To>,
}

enum To {
    There(Arc<Embedded>),
    /// The sender never sends; when it goes, listeners come again and find the controller.
    Absent {
        problem: Error,
        silence: broadcast::Sender<HistoryEntry>,
    },
}

impl Relay {
    /// A relay to a controller, or with the reason why there is none.
    pub(super) fn new(edge: Edge, opened: std::result::Result<Arc<Embedded>, Error>) -> Arc<Self> {
        let to = match opened {
            Ok(controller) => To::There(controller),
            Err(problem) => To::Absent { problem: explained(&problem), silence: broadcast::channel(1).0 },
        };
        Arc::new(Self { edge, to: RwLock::new(to) })
    }

    /// From now on there is a controller.
    pub(super) fn found(&self, controller: Arc<Embedded>) {
        *self.to.write().unwrap_or_else(PoisonError::into_inner) = To::There(controller);
    }

    /// There is still none, perhaps for another reason.
    pub(super) fn still_absent(&self, why: &Error) {
        if let To::Absent { problem, .. } = &mut *self.to.write().unwrap_or_else(PoisonError::into_inner) {
            *problem = explained(why);
        }
    }

    /// The controller.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn controller(&self) -> Result<Arc<Embedded>> {
        match &*self.to.read().unwrap_or_else(PoisonError::into_inner) {
            To::There(controller) => Ok(Arc::clone(controller)),
            To::Absent { problem, .. } => Err(problem.clone()),
        }
    }
}

/// What commands are told while there is no controller.
fn explained(problem: &Error) -> Error {
    let mut told = Error::new(
        ErrorKind::Unavailable,
        "CUT0933",
        "cutover up serves without its controller: visitors get the sites served last, services do not run, and no \
         command can be carried out",
    )
    .because(format!("{} [{}]", problem.message, problem.code));
    told.causes.extend(problem.causes.iter().cloned());
    told.hints.clone_from(&problem.hints);
    told.hint("cutover up opens the controller by itself when the cause is gone; its log says when")
}

impl Control for Relay {
    async fn stage(&self, who: &str, request: StageRequest, progress: Progress) -> Result<StageReport> {
        self.controller()?.stage(who, request, progress).await
    }

    async fn deploy(&self, who: &str, request: StageRequest, progress: Progress) -> Result<DeployReport> {
        self.controller()?.deploy(who, request, progress).await
    }

    async fn promote(&self, who: &str, request: PromoteRequest, progress: Progress) -> Result<SwitchReport> {
        self.controller()?.promote(who, request, progress).await
    }

    async fn rollback(&self, who: &str, request: RollbackRequest) -> Result<SwitchReport> {
        self.controller()?.rollback(who, request).await
    }

    async fn withdraw(&self, who: &str, release: &str, request: WithdrawRequest) -> Result<SwitchReport> {
        self.controller()?.withdraw(who, release, request).await
    }

    async fn retire(&self, who: &str, release: &str, request: RetireRequest) -> Result<RetireReport> {
        self.controller()?.retire(who, release, request).await
    }

    async fn pause(&self, who: &str, request: PauseRequest) -> Result<RolloutReport> {
        self.controller()?.pause(who, request).await
    }

    async fn resume(&self, who: &str, request: PauseRequest) -> Result<RolloutReport> {
        self.controller()?.resume(who, request).await
    }

    async fn approve(&self, who: &str, request: ApproveRequest) -> Result<RolloutReport> {
        self.controller()?.approve(who, request).await
    }

    async fn plan(&self, request: PlanRequest) -> Result<PlanReport> {
        self.controller()?.plan(request).await
    }

    async fn rollouts(&self, limit: u32) -> Result<Vec<RolloutView>> {
        self.controller()?.rollouts(limit).await
    }

    async fn explain_rollout(&self, rollout: &str) -> Result<RolloutStory> {
        self.controller()?.explain_rollout(rollout).await
    }

    async fn preview(&self, who: &str, release: &str, request: PreviewRequest) -> Result<PreviewReport> {
        self.controller()?.preview(who, release, request).await
    }

    async fn status(&self) -> Result<Status> {
        self.controller()?.status().await
    }

    async fn releases(&self) -> Result<Vec<Release>> {
        self.controller()?.releases().await
    }

    async fn history(&self, limit: u32) -> Result<Vec<HistoryEntry>> {
        self.controller()?.history(limit).await
    }

    async fn table(&self) -> Result<Table> {
        self.controller()?.table().await
    }

    async fn explain_request(&self, request: ExplainRequest) -> Result<ExplainReport> {
        self.controller()?.explain_request(request).await
    }

    async fn metrics(&self) -> String {
        match self.controller() {
            Ok(controller) => controller.metrics().await,
            Err(_) => self.edge.metrics(),
        }
    }

    fn events(&self) -> broadcast::Receiver<HistoryEntry> {
        match &*self.to.read().unwrap_or_else(PoisonError::into_inner) {
            To::There(controller) => controller.events(),
            To::Absent { silence, .. } => silence.subscribe(),
        }
    }
}
