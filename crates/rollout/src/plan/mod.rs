//! What is going to happen, step by step, with the checks that guard each step.
//!
//! A plan is written into the journal when a rollout opens and is what is resumed after a crash, so it holds the steps
//! themselves and not the means to work them out again: a later version of this crate that plans differently still
//! finishes what was planned before. Its digest makes an altered plan visible.

mod build;
mod digest;
mod id;

use serde::{Deserialize, Serialize};

use cutover_routing::{Edit, ReleaseId};

use crate::{Millis, To};

pub use build::{At, Gate, PlanError, PlanInput};
pub use id::{RolloutId, RolloutIdError};

/// The version of the plan's form.
pub(crate) const VERSION: u16 = 1;

/// What is going to happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Of this form: 1.
    pub version: u16,
    /// Which rollout.
    pub rollout: RolloutId,
    /// The release that visitors are on; none for the first release ever.
    pub blue: Option<ReleaseId>,
    /// The release that they move to.
    pub green: ReleaseId,
    /// How long a release must be without traffic before it may be closed or torn down.
    pub quiet: Millis,
    /// How long draining may last before the release is closed all the same.
    pub drain_at_most: Millis,
    /// How often the world is looked at while waiting; longer gaps are not counted as time watched.
    pub pace: Millis,
    /// The steps, in order. A rollout is at exactly one of them.
    pub steps: Vec<Step>,
    /// Over everything above; see [`Plan::sealed`].
    pub digest: String,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The part of the rollout it belongs to.
    pub stage: Stage,
    /// What is done or waited for.
    pub does: Does,
}

/// The parts of a rollout as people know them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Green is stood up. No visitor.
    Prepare,
    /// The gates on green before visitors come.
    Test,
    /// Visitors move.
    Shift {
        /// Which of the moves, from 1.
        number: u16,
        /// Out of how many.
        of: u16,
        /// Who moves.
        to: To,
    },
    /// Green becomes the default.
    Promote,
    /// Both are watched, blue warm.
    Bake,
    /// The release that was left ends its visits.
    Drain,
    /// The release that was left is closed.
    Close,
    /// It is kept warm or torn down.
    Settle,
    /// Visitors are sent back.
    Return,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Does {
    /// One effect on the world, tried until it is known to be in place.
    Act(Act),
    /// Waits until every edge runs the routing table that was written last.
    Converge,
    /// Waits until so much time has been watched and found good.
    Hold {
        /// How much. Zero: passes at once if the gates have.
        length: Millis,
        /// The gates that are judged all the while.
        watch: Vec<Watched>,
    },
    /// Waits until a release has had no traffic for the plan's quiet time.
    Quiet {
        /// Which release.
        release: ReleaseId,
        /// Whether this wait comes after closing. It then asks for the whole quiet time only if draining was cut short,
        /// and has no limit.
        closed: bool,
    },
}

/// An effect on the world. Each is idempotent: done twice is as good as once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Stands a release up and warms it.
    Prepare {
        /// Which.
        release: ReleaseId,
    },
    /// Runs a gate once.
    Gate(Watched),
    /// Writes the routing table.
    Route(Change),
    /// Keeps a closed release warm.
    Standby {
        /// Which.
        release: ReleaseId,
    },
    /// Gives back what a left release needs beyond its files, so that it can be looked at but costs nothing.
    Park {
        /// Which.
        release: ReleaseId,
    },
    /// Tears a release down for good: the point of no return.
    Retire {
        /// Which.
        release: ReleaseId,
    },
}

/// A gate as a step knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Its name.
    pub gate: String,
    /// Whether anything depends on it.
    pub required: bool,
    /// What to do where there is too little traffic to judge.
    #[serde(default)]
    pub insufficient: Insufficient,
}

/// What to do where the evidence does not suffice when the hold is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Insufficient {
    /// Wait for a person at once.
    Ask,
    /// Wait so much longer, then for a person.
    Extend(Millis),
    /// Wait until there is evidence.
    #[default]
    Hold,
}

/// What becomes of the release that was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// It is torn down.
    Retire,
    /// It is kept warm.
    Standby,
    /// It gives back what it needed beyond its files, and can be stood up again from them.
    Park,
}

/// One write of the routing table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The release may hold a share from now on.
    Candidate {
        /// Which.
        release: ReleaseId,
    },
    /// An audience goes to a release.
    Audience {
        /// Which audience.
        name: String,
        /// Which release.
        release: ReleaseId,
    },
    /// So many visitors out of 10 000 go to a release.
    Share {
        /// Which release.
        release: ReleaseId,
        /// How many, in all.
        width: u16,
    },
    /// The release becomes the default.
    Promote {
        /// Which.
        release: ReleaseId,
    },
    /// Back to a release; whatever else has visitors is left.
    Rollback {
        /// Back to which.
        to: ReleaseId,
        /// Whether what is left is closed at once.
        close: bool,
    },
    /// The release serves nobody any more.
    Close {
        /// Which.
        release: ReleaseId,
    },
}

impl Change {
    /// The edit of the routing table. Where it answers [`cutover_routing::EditRefused::NoChange`], the change is already
    /// in place: that is success.
    pub fn edit(&self) -> Edit {
        match self {
            Change::Candidate { release } => Edit::MakeCandidate { release: *release },
            Change::Audience { name, release } => {
                Edit::SetAudience { name: name.clone(), release: Some(*release) }
            }
            Change::Share { release, width } => Edit::SetShare { release: *release, width: *width },
            Change::Promote { release } => Edit::Promote { release: *release },
            Change::Rollback { to, close } => Edit::Rollback { to: *to, close: *close },
            Change::Close { release } => Edit::Close { release: *release },
        }
    }
}

impl Plan {
    /// Whether the plan is as it was when it was made.
    pub fn sealed(&self) -> bool {
        self.version == VERSION && self.digest == digest::of(self)
    }

    /// The moves, in order, with the place of each in `steps`.
    pub fn moves(&self) -> impl Iterator<Item = (usize, &To)> {
        self.steps.iter().enumerate().filter_map(|(at, step)| match (&step.stage, &step.does) {
            (Stage::Shift { to, .. }, Does::Act(Act::Route(_))) => Some((at, to)),
            _ => None,
        })
    }

    /// The least time the plan takes, were everything well at once; draining apart.
    pub fn shortest(&self) -> Millis {
        Millis(
            self.steps
                .iter()
                .map(|step| match step.does {
                    Does::Hold { length, .. } => length.0,
                    _ => 0,
                })
                .sum(),
        )
    }

    /// Where green is made the default.
    pub fn promotion(&self) -> Option<usize> {
        self.steps.iter().position(|step| matches!(step.does, Does::Act(Act::Route(Change::Promote { .. }))))
    }

    /// Where green may first get visitors: after the gates before traffic.
    pub fn first_visitors(&self) -> Option<usize> {
        self.steps.iter().position(|step| matches!(step.does, Does::Act(Act::Route(_))))
    }
}

impl Stage {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Stage::Prepare => "prepare",
            Stage::Test => "test",
            Stage::Shift { .. } => "shift",
            Stage::Promote => "promote",
            Stage::Bake => "bake",
            Stage::Drain => "drain",
            Stage::Close => "close",
            Stage::Settle => "settle",
            Stage::Return => "return",
        }
    }
}
