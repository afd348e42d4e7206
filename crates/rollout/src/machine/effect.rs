//! What the shell is asked to do, and what it answers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Act, RolloutId, judge::Verdict};

/// Where a rollout is. The only cursor there is: with the attempt it names every effect that was ever tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cursor {
    /// At a step of the plan.
    Forward(usize),
    /// At a step of the way back.
    Undo {
        /// Which way back: a rollback that is hardened (closing instead of draining) starts another.
        round: u32,
        /// Which of its steps.
        step: usize,
    },
}

/// Names one attempt at one effect.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EffectId {
    /// Of which rollout.
    pub rollout: RolloutId,
    /// At which step.
    pub step: Cursor,
    /// Which attempt, from 1.
    pub attempt: u32,
}

/// What the shell has to do once the records are appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Perform it, within a deadline, and answer with [`super::Event::Outcome`].
    Do {
        /// Which attempt.
        id: EffectId,
        /// What.
        act: Act,
    },
    /// Look whether it is in place, change nothing, and answer with [`super::Event::Observed`].
    Observe {
        /// Which attempt.
        id: EffectId,
        /// What.
        act: Act,
    },
    /// Stop it if it still runs. A gate that is stopped needs no answer; of anything else the outcome is still awaited.
    Cancel {
        /// Which attempt.
        id: EffectId,
    },
}

/// What became of an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is in place, read back.
    Done {
        /// Of a routing write: the generation that has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        generation: Option<u64>,
    },
    /// A gate has spoken.
    Judged {
        /// What it said.
        verdict: Verdict,
        /// Why, for people.
        why: String,
    },
    /// It is surely not in place.
    Failed {
        /// Why.
        why: String,
        /// Whether another attempt would fail in the same way.
        lasting: bool,
    },
    /// A gate was stopped because nobody needs its answer any more.
    Abandoned,
    /// Nobody knows: no answer, a deadline, a broken connection. It is looked at before anything else is done.
    Unknown {
        /// Why nobody knows.
        why: String,
    },
}

/// What was seen of an effect in the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is in place.
    InPlace {
        /// Of a routing write: the generation that has it.
        generation: Option<u64>,
    },
    /// It is not.
    Absent,
    /// It cannot be seen at present.
    Unknown {
        /// Why.
        why: String,
    },
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cursor::Forward(step) => write!(f, "{step}"),
            Cursor::Undo { round, step } => write!(f, "undo{round}.{step}"),
        }
    }
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}#{}", self.rollout, self.step, self.attempt)
    }
}
