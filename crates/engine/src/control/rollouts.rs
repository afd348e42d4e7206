//! Rollouts, as data: what the control API carries about a release that replaces another.

use cutover_routing::ReleaseId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HistoryEntry, Verdict};
use crate::ports::Call;

/// A rollout as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutView {
    /// Its id, `ro-...`.
    pub id: String,
    /// The release visitors come from; none for the first release ever.
    pub blue: Option<ReleaseId>,
    /// The release they move to.
    pub green: ReleaseId,
    /// Where it stands.
    pub phase: Phase,
    /// The step it is at, in the plan's or the way back's words, e.g. `shift 2 of 4: 25%`.
    pub step: String,
    /// What it is waiting for and why, one sentence.
    pub waiting: String,
    /// Green's share of visitors, of 10000.
    pub share: u16,
    /// Unix milliseconds.
    pub opened_at: u64,
    /// Who opened it.
    pub opened_by: String,
    /// Unix milliseconds since which it is at this step.
    pub entered_at: u64,
    /// The wait of this step, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// The gates of this step with what they say.
    #[serde(default)]
    pub gates: Vec<GateView>,
    /// Why a person is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Who paused it and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
    /// Why visitors are or were sent back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// The rollout that took over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<String>,
    /// Whether green is the default.
    pub promoted: bool,
    /// Whether green is the default and the bake is over: for who waits, it is done.
    pub baked: bool,
    /// Unix milliseconds of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
    /// Every step of the plan.
    pub plan: Vec<StepView>,
}

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Green is stood up.
    Preparing,
    /// Gates before visitors.
    Testing,
    /// Visitors move.
    Shifting,
    /// Green becomes the default.
    Promoting,
    /// Both are watched after promotion.
    Baking,
    /// Visits to blue end.
    Draining,
    /// Blue is closed and settled.
    Closing,
    /// A person is needed.
    Held,
    /// Somebody paused it.
    Paused,
    /// Visitors are being sent back.
    GoingBack,
    /// Green is the default, blue is gone, parked or warm.
    Done,
    /// Visitors are on blue.
    RolledBack,
    /// A newer rollout took over.
    Superseded,
}

impl Phase {
    /// Whether nothing happens any more by itself.
    pub fn is_over(self) -> bool {
        matches!(self, Phase::Done | Phase::RolledBack | Phase::Superseded)
    }
}

/// How far a wait is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// Milliseconds that count so far.
    pub counted_ms: u64,
    /// Milliseconds that are asked for.
    pub length_ms: u64,
    /// Whether time counts at present.
    pub counting: bool,
}

/// What a gate says in a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateView {
    /// Its name.
    pub gate: String,
    /// Whether anything depends on it.
    pub required: bool,
    /// What it says; none: nothing yet.
    pub verdict: Option<Verdict>,
    /// Why.
    pub why: String,
    /// Age of its newest evidence, milliseconds.
    pub age_ms: u64,
    /// Whether a person is asked by it.
    #[serde(default)]
    pub asks: bool,
    /// The numbers, where it compares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceView>,
}

/// What a comparison rests on so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceView {
    /// Visitor-windows on green.
    pub green_visitors: u64,
    /// Failed ones among them.
    pub green_failed: u64,
    /// Visitor-windows on blue.
    pub blue_visitors: u64,
    /// Failed ones among them.
    pub blue_failed: u64,
    /// Evidence that green is worse: at `fails_at` the verdict is fail.
    pub against: f64,
    /// See `against`.
    pub fails_at: f64,
    /// Evidence that green is good enough: at `passes_at` the verdict is pass.
    pub in_favour: f64,
    /// See `in_favour`.
    pub passes_at: f64,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// The part of the rollout it belongs to.
    pub stage: String,
    /// What is done or waited for, for a person.
    pub does: String,
    /// Whether it is done, being done, or to come: `done`, `now`, `next`.
    pub at: StepAt,
    /// Milliseconds it is held at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_ms: Option<u64>,
    /// The calls it takes (`plan` only).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
    /// How much traffic or time its comparisons are likely to need (`plan` only).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forecast: Vec<String>,
}

/// Where a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepAt {
    /// Behind.
    Done,
    /// Here.
    Now,
    /// Before.
    Next,
}

/// A plan that nobody has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanReport {
    /// The release visitors are on.
    pub blue: Option<ReleaseId>,
    /// The release they would move to, where it is staged.
    pub green: Option<ReleaseId>,
    /// In which steps, as written.
    pub strategy: String,
    /// The steps.
    pub steps: Vec<StepView>,
    /// The least milliseconds until the bake is over, were all well at once.
    pub shortest_ms: u64,
    /// Visitors per second that the forecasts rest on; none: no traffic has been seen.
    pub visitors_per_second: Option<f64>,
    /// What a person should know beforehand.
    pub warnings: Vec<String>,
}

/// What to plan.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// Absolute path of the app description on the controller's machine; none: that of `release`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<std::path::PathBuf>,
    /// A staged release; none: what is about to be staged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Another strategy than the description's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
}

/// Why a rollout is paused, resumed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// Recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A person's word on a gate that asks for it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// Which gate; none: the one that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// Say no instead: the gate fails.
    #[serde(default)]
    pub reject: bool,
    /// Recorded; needed to say no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a word to a rollout did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutReport {
    /// The rollout after it.
    pub rollout: RolloutView,
    /// False where it was so already.
    pub changed: bool,
    /// One sentence for a person.
    pub message: String,
}

/// Everything about one rollout.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RolloutStory {
    /// As it is now.
    pub rollout: RolloutView,
    /// What happened, oldest first.
    pub lines: Vec<StoryLine>,
    /// What people and the controller did to its releases meanwhile, oldest first.
    #[serde(default)]
    pub history: Vec<HistoryEntry>,
}

/// One thing that happened in a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StoryLine {
    /// Which record, from 0.
    pub seq: u64,
    /// Unix milliseconds.
    pub at: u64,
    /// Who, where it was somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// What, one sentence.
    pub says: String,
    /// The facts it rested on, with their age.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<FactView>,
}

/// A fact a decision rested on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FactView {
    /// What it is about.
    pub what: String,
    /// What it says.
    pub says: String,
    /// How old it was, milliseconds.
    pub age_ms: u64,
}

/// Whether a rollback would work now, and how quickly.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Readiness {
    /// Whether one command would bring visitors back.
    pub ready: bool,
    /// To which release.
    pub to: Option<ReleaseId>,
    /// Milliseconds it is expected to take, from the last ones measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_ms: Option<u64>,
    /// What was looked at: blue's health, room, files, the right to write.
    pub checks: Vec<ReadinessCheck>,
}

/// One thing a rollback needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadinessCheck {
    /// What.
    pub what: String,
    /// Whether it is there.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}
