//! What can happen to a rollout.

use std::collections::BTreeMap;

use cutover_routing::ReleaseId;

use super::{EffectId, Outcome, Seen};
use crate::{Plan, RolloutId, judge::Verdict};

/// Something that happened. Who did it is a name for the history.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A rollout is opened.
    Open {
        /// With this plan.
        plan: Box<Plan>,
        /// By whom.
        by: String,
    },
    /// The controller came up, or became the leader: what it last knew may be old.
    Restarted,
    /// The world was looked at. Comes at least every `plan.pace`.
    Looked(Facts),
    /// The answer to [`super::Effect::Do`].
    Outcome {
        /// To which attempt.
        id: EffectId,
        /// What.
        outcome: Outcome,
    },
    /// The answer to [`super::Effect::Observe`].
    Observed {
        /// To which attempt.
        id: EffectId,
        /// What.
        seen: Seen,
    },
    /// Go on without waiting any longer.
    Promote {
        /// Who says so.
        by: String,
        /// Why; needed where a required gate has not passed.
        reason: Option<String>,
        /// Not to the next step but to the promotion itself.
        full: bool,
    },
    /// Go no further until resumed. What protects visitors still happens.
    Pause {
        /// Who says so.
        by: String,
        /// Why.
        reason: Option<String>,
    },
    /// Go on: ends a pause, and gives what is held another try.
    Resume {
        /// Who says so.
        by: String,
    },
    /// Back to blue.
    Rollback {
        /// Who says so.
        by: String,
        /// Why.
        reason: Option<String>,
        /// Close green at once (its pins are void) instead of letting it drain. Not said: only where a gate failed.
        now: Option<bool>,
    },
    /// Back to blue, and green never again.
    Withdraw {
        /// Who says so.
        by: String,
        /// Why.
        reason: Option<String>,
    },
    /// A newer rollout takes over.
    Supersede {
        /// Which.
        by: RolloutId,
    },
}

/// What was seen when the world was looked at. What is missing is unknown, and unknown is never good.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// The lowest generation that any live edge runs.
    pub converged: Option<u64>,
    /// How green is.
    pub green: Health,
    /// What the watched gates say.
    pub readings: Vec<Reading>,
    /// What reaches each release.
    pub traffic: BTreeMap<ReleaseId, Traffic>,
}

/// How a release is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Health {
    /// It answers.
    Healthy,
    /// It does not.
    Unhealthy(String),
    /// It could not be asked.
    #[default]
    Unknown,
}

/// What a watched gate says.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Which gate.
    pub gate: String,
    /// What it says.
    pub verdict: Verdict,
    /// Why.
    pub why: String,
    /// How old its newest evidence is, in milliseconds.
    pub age: u64,
}

/// What reaches a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Requests under way.
    pub in_flight: u64,
    /// Open streams: WebSockets, event streams.
    pub streams: u64,
    /// When the last request came that was seen, Unix milliseconds; none: none was.
    pub last_request: Option<u64>,
    /// Since when a request would have been seen, Unix milliseconds; none: since ever.
    pub watched_since: Option<u64>,
}

impl Traffic {
    /// Whether nothing has reached the release since then. What could have come without being seen is not known not to
    /// have.
    pub fn idle_since(&self, then: u64) -> bool {
        let before = |time: Option<u64>| time.is_none_or(|time| time <= then);
        self.in_flight == 0 && self.streams == 0 && before(self.last_request) && before(self.watched_since)
    }
}
