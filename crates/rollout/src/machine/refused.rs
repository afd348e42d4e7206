//! Why an event has no place in a state. Nothing is recorded and nothing happens.

use cutover_routing::ReleaseId;

use super::{EffectId, End, Illegal};
use crate::{Act, Change, RolloutId};

/// The refusal of an event.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refused {
    /// There is no rollout.
    #[error("no rollout is in progress")]
    NotOpen,
    /// There is one already.
    #[error("rollout {0} is in progress")]
    AlreadyOpen(RolloutId),
    /// The plan is not as it was made.
    #[error(
        "the plan of rollout {0} was altered after it was made, or is of a form this version does not know"
    )]
    BadPlan(RolloutId),
    /// It is over.
    #[error("the rollout is over: {}", ended(.0))]
    Ended(End),
    /// A repeated rollback: nothing to do.
    #[error("already on {0}")]
    AlreadyBack(ReleaseId),
    /// A repeated rollback: nothing more to do.
    #[error("the way back has begun")]
    AlreadyGoingBack,
    /// There is no release before this one.
    #[error("there is no release to go back to")]
    NowhereToGo,
    /// Blue is being torn down or is gone.
    #[error("release {0} is retired: there is no way back to it; deploy it again")]
    PointOfNoReturn(ReleaseId),
    /// Going back cannot be hurried, paused or turned round.
    #[error("visitors are being sent back; deploy again when that is done")]
    GoingBack,
    /// An effect is under way.
    #[error("{} is under way; try again when it has answered", doing(.0))]
    Busy(Box<Act>),
    /// The edges have not all followed yet.
    #[error("the edges are still taking over the last routing table")]
    Converging,
    /// There is no later step to hurry to.
    #[error("everybody has moved; what is left waits for visits to end")]
    NothingToPromote,
    /// Over a gate only with a reason.
    #[error("{} not passed; going on needs a reason", gates(.0))]
    ReasonNeeded(Vec<String>),
    /// What holds the rollout is no gate.
    #[error("an effect is being tried again; resume tries at once")]
    NotAGate,
    /// First things first.
    #[error("the rollout is paused; resume it first")]
    IsPaused,
    /// A repeated pause: nothing to do.
    #[error("the rollout is paused already")]
    AlreadyPaused,
    /// Nothing is paused or held: nothing to do.
    #[error("the rollout is neither paused nor held")]
    NotPaused,
    /// A rollout cannot be its own successor.
    #[error("rollout {0} cannot supersede itself")]
    Itself(RolloutId),
    /// A successor is known already.
    #[error("rollout {0} is taking over already")]
    AlreadySuperseded(RolloutId),
    /// An answer nobody waits for: late, or twice.
    #[error("nobody waits for {0}")]
    Stale(EffectId),
    /// An answer of the wrong sort.
    #[error("{0} cannot be answered so")]
    WrongAnswer(EffectId),
    /// A defect of this crate: the machine proposed what it does not allow.
    #[error("defect: {0}")]
    Defect(Illegal),
}

impl Refused {
    /// Whether what was asked is so already: for whoever asked, success.
    pub fn is_already_so(&self) -> bool {
        matches!(
            self,
            Refused::AlreadyBack(_)
                | Refused::AlreadyGoingBack
                | Refused::AlreadyPaused
                | Refused::NotPaused
                | Refused::AlreadySuperseded(_)
        )
    }
}

fn ended(how: &End) -> String {
    match how {
        End::Done { .. } => "done".to_owned(),
        End::RolledBack => "rolled back".to_owned(),
        End::Superseded { by, .. } => format!("superseded by {by}"),
    }
}

/// What is under way, as the subject of a sentence.
fn doing(act: &Act) -> String {
    match act {
        Act::Prepare { release } => format!("standing {release} up"),
        Act::Gate(gate) => format!("gate {}", gate.gate),
        Act::Route(change) => match change {
            Change::Candidate { release } => format!("letting {release} hold visitors"),
            Change::Audience { name, release } => format!("sending audience {name} to {release}"),
            Change::Share { release, .. } => format!("sending visitors to {release}"),
            Change::Promote { release } => format!("making {release} the default"),
            Change::Rollback { to, .. } => format!("sending visitors back to {to}"),
            Change::Close { release } => format!("closing {release}"),
        },
        Act::Standby { release } => format!("keeping {release} warm"),
        Act::Park { release } => format!("parking {release}"),
        Act::Retire { release } => format!("retiring {release}"),
    }
}

fn gates(names: &[String]) -> String {
    let verb = if names.len() == 1 { "has" } else { "have" };
    format!("{} {verb}", names.join(", "))
}
