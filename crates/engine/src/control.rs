//! The operations on an app and its releases, as data: what the control API carries, the command line shows, and an
//! implementation such as the embedded one provides.

use std::{collections::BTreeMap, future::Future, path::PathBuf};

use cutover_routing::{ReleaseId, ReleaseState, Slot, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;

mod rollouts;

pub use rollouts::*;

/// Result of an operation.
pub type Result<T> = std::result::Result<T, Error>;

/// The operations. Every one is idempotent: asked again for what already is, it says so and succeeds.
///
/// `who` is the person or machine that asks, for the history.
pub trait Control: Send + Sync + 'static {
    /// Builds a release from an app description: copies, digests, compresses, starts its services, waits for health.
    /// The release ends up `staged`: reachable by preview token only. Progress is reported line by line.
    fn stage(
        &self,
        who: &str,
        request: StageRequest,
        progress: Progress,
    ) -> impl Future<Output = Result<StageReport>> + Send;
    /// Stages, runs the required gates, and promotes at once.
    fn deploy(
        &self,
        who: &str,
        request: StageRequest,
        progress: Progress,
    ) -> impl Future<Output = Result<DeployReport>> + Send;
    /// Makes a release the default; without an id the newest staged or candidate release.
    fn promote(
        &self,
        who: &str,
        request: PromoteRequest,
        progress: Progress,
    ) -> impl Future<Output = Result<SwitchReport>> + Send;
    /// Goes back to the release that was active before the last promotion.
    fn rollback(
        &self,
        who: &str,
        request: RollbackRequest,
    ) -> impl Future<Output = Result<SwitchReport>> + Send;
    /// Closes a release for everybody and bars it from promotion; of the active one together with a rollback.
    fn withdraw(
        &self,
        who: &str,
        release: &str,
        request: WithdrawRequest,
    ) -> impl Future<Output = Result<SwitchReport>> + Send;
    /// Ends a release's services and removes what only it needs. The point of no return.
    fn retire(
        &self,
        who: &str,
        release: &str,
        request: RetireRequest,
    ) -> impl Future<Output = Result<RetireReport>> + Send;
    /// Makes a link that shows one retained release on the real host.
    fn preview(
        &self,
        who: &str,
        release: &str,
        request: PreviewRequest,
    ) -> impl Future<Output = Result<PreviewReport>> + Send;
    /// What is going on now.
    fn status(&self) -> impl Future<Output = Result<Status>> + Send;
    /// All releases that were ever staged and not yet forgotten, newest first.
    fn releases(&self) -> impl Future<Output = Result<Vec<Release>>> + Send;
    /// What happened, newest first.
    fn history(&self, limit: u32) -> impl Future<Output = Result<Vec<HistoryEntry>>> + Send;
    /// The table as published.
    fn table(&self) -> impl Future<Output = Result<Table>> + Send;
    /// Runs the decision on a described request and says which rule chose.
    fn explain_request(&self, request: ExplainRequest) -> impl Future<Output = Result<ExplainReport>> + Send;
    /// Prometheus text of the data plane and the controller.
    fn metrics(&self) -> impl Future<Output = String> + Send;
    /// Stops the open rollout where it is until it is resumed; what protects visitors still happens.
    fn pause(&self, who: &str, request: PauseRequest) -> impl Future<Output = Result<RolloutReport>> + Send;
    /// Lets the open rollout go on: ends a pause, and gives what is held another try.
    fn resume(&self, who: &str, request: PauseRequest) -> impl Future<Output = Result<RolloutReport>> + Send;
    /// Answers a gate that asks a person.
    fn approve(
        &self,
        who: &str,
        request: ApproveRequest,
    ) -> impl Future<Output = Result<RolloutReport>> + Send;
    /// What a deployment would do, step by step. Changes nothing.
    fn plan(&self, request: PlanRequest) -> impl Future<Output = Result<PlanReport>> + Send;
    /// The newest rollouts, newest first.
    fn rollouts(&self, limit: u32) -> impl Future<Output = Result<Vec<RolloutView>>> + Send;
    /// Everything about one rollout, by its id or by its green release.
    fn explain_rollout(&self, rollout: &str) -> impl Future<Output = Result<RolloutStory>> + Send;
    /// A stream of history entries from now on (the receiver lags, it never blocks).
    fn events(&self) -> tokio::sync::broadcast::Receiver<HistoryEntry>;
}

/// Where long operations report what they do, one line a step.
#[derive(Clone)]
pub struct Progress(std::sync::Arc<dyn Fn(String) + Send + Sync>);

impl Progress {
    /// Reports to a function.
    pub fn new(report: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self(std::sync::Arc::new(report))
    }

    /// Reports to nobody.
    pub fn none() -> Self {
        Self::new(|_| {})
    }

    /// Reports one step.
    pub fn say(&self, line: impl Into<String>) {
        (self.0)(line.into());
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}

/// What to stage.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageRequest {
    /// Absolute path of the app description on the controller's machine.
    pub config: PathBuf,
    /// A label people use, e.g. a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The commit it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Close and retire the oldest retained release where all places are taken.
    #[serde(default)]
    pub close_oldest: bool,
    /// Why the required gates are skipped (deploy only); recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_gates: Option<String>,
    /// Another strategy than the description's (deploy only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
}

/// What staging did.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StageReport {
    /// The release.
    pub release: Release,
    /// False where the same content was already staged: nothing was done.
    pub created: bool,
    /// Milliseconds from start to healthy.
    pub took_ms: u64,
}

/// What a whole deployment did.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DeployReport {
    /// The staging half.
    pub stage: StageReport,
    /// The gates that were run before visitors came.
    pub gates: Vec<GateResult>,
    /// The switch; none where visitors have moved only in part, or went back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<SwitchReport>,
    /// The rollout as it was when this was answered; none where the release was active already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutView>,
}

/// Which release to promote.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoteRequest {
    /// Id, unambiguous start of an id, or name; none: the newest staged or candidate release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Why it is promoted over failed or skipped gates; recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How to roll back.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// Close the release that is left: its pins are void at once, open pages' requests move too.
    #[serde(default)]
    pub now: bool,
    /// Recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How to withdraw.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawRequest {
    /// Remove its files and processes too, at once.
    #[serde(default)]
    pub purge: bool,
    /// Lift an earlier withdrawal instead.
    #[serde(default)]
    pub pardon: bool,
    /// Recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How to retire.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetireRequest {
    /// Retire although requests still reach it; needs a reason.
    #[serde(default)]
    pub force: bool,
    /// Recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What retiring did.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RetireReport {
    /// The release.
    pub release: ReleaseId,
    /// False where it was already retired.
    pub changed: bool,
    /// Bytes given back to the disk.
    pub freed_bytes: u64,
}

/// How long a preview lasts.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewRequest {
    /// Seconds the preview lasts once entered, at most 86400; none: 86400. The link itself lasts at most 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<u64>,
    /// Path to open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// A preview link.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PreviewReport {
    /// The release it shows.
    pub release: ReleaseId,
    /// The address to open.
    pub url: String,
    /// Unix seconds until which the link can be entered.
    pub link_expires: u64,
    /// A preview cookie ready for scripts: `name=value`.
    pub cookie: String,
    /// Unix seconds until which the cookie is honoured.
    pub cookie_expires: u64,
}

/// What one routing write did.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SwitchReport {
    /// `promote`, `rollback` or `withdraw`.
    pub verb: String,
    /// The default before.
    pub from: Option<ReleaseId>,
    /// The default after.
    pub to: Option<ReleaseId>,
    /// False where nothing had to be done.
    pub changed: bool,
    /// The table's generation after.
    pub generation: u64,
    /// Microseconds from accepting the command until every worker of the edge runs the new table.
    pub took_us: u64,
    /// One sentence for a person.
    pub message: String,
}

/// A release and where it stands.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Release {
    /// Content id.
    pub id: ReleaseId,
    /// Label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// State in the table; none outside it.
    pub state: Option<ReleaseState>,
    /// State outside the table: `withdrawn`, `standby` or `retired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<Outside>,
    /// The place it occupies.
    pub slot: Option<Slot>,
    /// Unix milliseconds of staging.
    pub staged_at: u64,
    /// Who staged it.
    pub staged_by: String,
    /// Number and bytes of its files.
    pub files: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Its components and how they are.
    pub components: Vec<Component>,
    /// Gate results for exactly this content.
    #[serde(default)]
    pub gates: Vec<GateResult>,
    /// What reaches it.
    pub usage: ReleaseUsage,
}

/// States that the table does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outside {
    /// Closed and barred from promotion until pardoned.
    Withdrawn,
    /// Closed, kept warm.
    Standby,
    /// Gone.
    Retired,
}

/// One part of a release.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Component {
    /// `site` or the service's name.
    pub name: String,
    /// What it is.
    pub kind: ComponentKind,
    /// Whether it can serve now.
    pub health: Health,
    /// Where it runs: an address, or nothing for a site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Process id of a supervised service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Times it was started again.
    #[serde(default)]
    pub restarts: u32,
    /// Its log file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
    /// Why it is not healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What sort of part it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentKind {
    /// Static files.
    Site,
    /// A process run by Cutover.
    Process,
    /// An address somebody else runs.
    Upstream,
}

/// Whether a component can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It answered its last checks.
    Healthy,
    /// It did not.
    Unhealthy,
    /// It is being started.
    Starting,
    /// It is not meant to run.
    Stopped,
    /// Nothing is known.
    Unknown,
}

/// What reaches a release.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseUsage {
    /// Requests being answered now.
    pub in_flight: u64,
    /// WebSockets and event streams open now.
    pub open_streams: u64,
    /// Requests answered since the edge started, previews apart.
    pub requests: u64,
    /// Answers with status 5xx among them.
    pub server_errors: u64,
    /// Unix milliseconds of the last request; none: never since the edge started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_request_at: Option<u64>,
}

/// What a gate found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GateResult {
    /// The gate's name.
    pub name: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// The facts, for a person.
    pub detail: String,
    /// Unix milliseconds when it was done.
    pub at: u64,
    /// Milliseconds it took.
    pub took_ms: u64,
}

/// Only `pass` moves a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The check holds.
    Pass,
    /// It does not hold.
    Fail,
    /// There is not enough evidence.
    Insufficient,
    /// The check itself did not work.
    Error,
}

/// The picture of now.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The app.
    pub app: String,
    /// Its host.
    pub host: String,
    /// Address visitors use, e.g. `http://127.0.0.1:8080/`.
    pub url: String,
    /// Generation of the table in force.
    pub generation: u64,
    /// The release that serves by default (blue).
    pub active: Option<ReleaseId>,
    /// The candidate, if any (green).
    pub candidate: Option<ReleaseId>,
    /// The release a rollback would go to.
    pub rollback_to: Option<ReleaseId>,
    /// Share of new visitors per release, of 10000.
    pub shares: BTreeMap<ReleaseId, u16>,
    /// Every retained release.
    pub releases: Vec<Release>,
    /// Settings that differ between blue and green: name, blue's value, green's value.
    pub parity: Vec<ParityDifference>,
    /// Trouble a person should know of.
    pub warnings: Vec<String>,
    /// The newest rollout, open or over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutView>,
    /// Whether a rollback would work now.
    #[serde(default)]
    pub readiness: Readiness,
}

/// One setting that differs between blue and green.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParityDifference {
    /// Dotted name, e.g. `service.api.run`.
    pub setting: String,
    /// Blue's value; none: absent.
    pub blue: Option<String>,
    /// Green's value; none: absent.
    pub green: Option<String>,
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct HistoryEntry {
    /// Position in the journal, from 1, without gaps.
    pub seq: u64,
    /// Unix milliseconds.
    pub at: u64,
    /// Who asked.
    pub who: String,
    /// What was done, a verb of the command line.
    pub verb: String,
    /// The release concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    /// One sentence for a person.
    pub message: String,
    /// Why, where somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The table's generation after it, where it wrote one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

/// A request to explain.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// Method; empty: `GET`.
    #[serde(default)]
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Header name and value.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The visitor's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<std::net::IpAddr>,
}

/// Why a request goes where it goes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ExplainReport {
    /// The release, if one is chosen.
    pub release: Option<ReleaseId>,
    /// The reason word of `x-cutover-reason`.
    pub reason: String,
    /// The rules in the order they were tried, the last one decided.
    pub steps: Vec<String>,
    /// The component that would answer: `site`, a service's name, or a built-in answer.
    pub component: String,
}
