//! What runs the gates that are run once: requests, commands, load, approvals.

use std::future::Future;

use cutover_rollout::{EffectId, Plan, Watched, judge::Verdict};

/// Runs gates. The plan says between which releases, `id` at which step.
///
/// Dropping the future ends what the gate has started.
pub trait Examiner: Send + Sync {
    /// Runs a gate. Never fails: trouble with the check itself is [`Verdict::Error`].
    fn examine(&self, plan: &Plan, id: &EffectId, gate: &Watched) -> impl Future<Output = Examined> + Send;
}

/// What a gate has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// Its verdict.
    pub verdict: Verdict,
    /// Why, for people.
    pub why: String,
}
