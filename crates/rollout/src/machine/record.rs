//! What is written down. Records are the truth: the state is nothing but their sum.

use serde::{Deserialize, Serialize};

use super::{EffectId, Outcome};
use crate::{Act, Plan, RolloutId, Step, judge::Verdict};

/// The version of the form of records. A journal with a higher one is refused, never guessed at.
pub const RECORD_VERSION: u16 = 1;

/// One line of a rollout's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Of this form.
    pub v: u16,
    /// Which record of the rollout, from 0, without gaps.
    pub seq: u64,
    /// When, Unix milliseconds.
    pub at: u64,
    /// What.
    pub body: Body,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// The rollout began, with its whole plan.
    Opened {
        /// The plan.
        plan: Box<Plan>,
        /// By whom.
        by: String,
    },
    /// An effect is about to be performed.
    Intent {
        /// Which attempt.
        id: EffectId,
        /// What.
        act: Act,
    },
    /// What became of it.
    Outcome {
        /// Which attempt.
        id: EffectId,
        /// What.
        outcome: Outcome,
    },
    /// Nobody knows what became of it; it is looked at, not before `again`.
    InDoubt {
        /// Which attempt.
        id: EffectId,
        /// Why nobody knows.
        why: String,
        /// When to look, Unix milliseconds.
        again: u64,
    },
    /// The world is being asked about it.
    Observing {
        /// Which attempt.
        id: EffectId,
    },
    /// Every edge runs the table that was written.
    Converged {
        /// Its generation.
        generation: u64,
    },
    /// A watched gate changed its mind.
    Judged {
        /// Which gate.
        gate: String,
        /// What it says now.
        verdict: Verdict,
        /// Why.
        why: String,
        /// How old the evidence was, in milliseconds.
        age: u64,
    },
    /// Time passed under watch.
    Watched {
        /// How much of it counts so far, in milliseconds: as hold, as quiet.
        counted: u64,
        /// How much has passed so far at this step.
        waited: u64,
        /// Whether all was well at this moment.
        good: bool,
    },
    /// A person is needed.
    Held {
        /// Why.
        why: HeldFor,
    },
    /// Somebody paused the rollout.
    Paused {
        /// Who.
        by: String,
        /// Why.
        reason: Option<String>,
    },
    /// Somebody let it go on.
    Resumed {
        /// Who.
        by: String,
    },
    /// To another step of the plan.
    Advanced {
        /// From here.
        from: usize,
        /// To there.
        to: usize,
        /// Why.
        why: Why,
        /// What was known, and how old it was.
        facts: Vec<Fact>,
    },
    /// The way back began. Its steps are written here, as the plan's are in `opened`.
    UndoStarted {
        /// Which way back, from 1.
        round: u32,
        /// Why.
        cause: Cause,
        /// Whether green is closed at once.
        close: bool,
        /// The steps.
        steps: Vec<Step>,
        /// What was known, and how old it was.
        facts: Vec<Fact>,
    },
    /// To the next step of the way back.
    UndoAdvanced {
        /// From here.
        from: usize,
        /// To there.
        to: usize,
        /// Why.
        why: Why,
        /// What was known, and how old it was.
        facts: Vec<Fact>,
    },
    /// A newer rollout waits for this one to get out of its way.
    SupersedeAsked {
        /// Which.
        by: RolloutId,
    },
    /// The controller came up.
    Restarted,
    /// The rollout is over.
    Ended {
        /// How.
        how: End,
    },
}

/// Why a step was left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It was done.
    Done,
    /// Draining took as long as it may.
    Limit,
    /// Somebody did not want to wait.
    Forced {
        /// Who.
        by: String,
        /// Why.
        reason: Option<String>,
    },
}

/// Why there is a way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A required gate failed.
    Gate {
        /// Which.
        gate: String,
        /// What it said.
        why: String,
    },
    /// Green does not answer.
    Unhealthy {
        /// What is known.
        why: String,
    },
    /// An effect could not be brought about.
    Effect {
        /// Which attempt was the last.
        id: EffectId,
        /// Why.
        why: String,
    },
    /// A person said so.
    Operator {
        /// Who.
        by: String,
        /// Why.
        reason: Option<String>,
        /// Whether green is barred from now on.
        withdraw: bool,
    },
    /// A newer rollout took over.
    Superseded {
        /// Which.
        by: RolloutId,
    },
}

/// Why a person is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldFor {
    /// A gate did not come to pass in its time.
    Gate {
        /// Which.
        gate: String,
        /// What it says.
        verdict: Verdict,
    },
    /// After promotion, an effect could not be brought about; going back would not help.
    Effect {
        /// Why.
        why: String,
    },
    /// The edges do not run the table that was written.
    NotConverging {
        /// Its generation.
        generation: u64,
    },
    /// Green is ill and there is nothing to go back to.
    Unhealthy {
        /// What is known.
        why: String,
    },
}

/// How a rollout ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Green is the default.
    Done {
        /// Whether blue is kept warm, so that a rollback is still possible.
        standby: bool,
    },
    /// Visitors are back on blue.
    RolledBack,
    /// A newer rollout took over.
    Superseded {
        /// Which.
        by: RolloutId,
        /// Whether green had become the default.
        promoted: bool,
    },
}

/// Something a decision rested on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is about.
    pub what: String,
    /// What it says.
    pub says: String,
    /// How old it was, in milliseconds.
    pub age: u64,
}
