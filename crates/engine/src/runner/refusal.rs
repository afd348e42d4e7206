//! Why something that was said to a rollout did nothing.

use cutover_rollout::Refused;

use crate::{Error, ErrorKind};

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It has no place in the rollout's state.
    #[error(transparent)]
    Refused(Refused),
    /// It could not be written down.
    #[error(transparent)]
    Failed(Error),
}

impl Refusal {
    /// Whether what was asked is so already: for whoever asked, success.
    pub fn is_already_so(&self) -> bool {
        matches!(self, Refusal::Refused(refused) if refused.is_already_so())
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        match refusal {
            Refusal::Failed(error) => error,
            Refusal::Refused(refused) => explained(&refused),
        }
    }
}

fn explained(refused: &Refused) -> Error {
    let error = |kind, code| Error::new(kind, code, refused.to_string());
    match refused {
        Refused::NotOpen => error(ErrorKind::Refused, "CUT0530")
            .hint("`cutover deploy` begins one; `cutover promote RELEASE` promotes a release at once"),
        Refused::Ended(_) => error(ErrorKind::Refused, "CUT0530")
            .hint("`cutover history` tells how it ended; deploy or promote a release to begin another"),
        Refused::ReasonNeeded(_) => error(ErrorKind::Refused, "CUT0509")
            .hint("say why with --reason; it is recorded")
            .hint("or wait: it goes on by itself when they pass"),
        Refused::NowhereToGo | Refused::PointOfNoReturn(_) => error(ErrorKind::Refused, "CUT0518")
            .hint("promote another release: `cutover releases` lists those that are retained"),
        Refused::Busy(_) | Refused::Converging => {
            error(ErrorKind::Unavailable, "CUT0531").hint("`cutover status --watch` shows when it is done")
        }
        Refused::IsPaused => error(ErrorKind::Refused, "CUT0531").hint("`cutover resume`"),
        Refused::Defect(_) | Refused::Stale(_) | Refused::WrongAnswer(_) | Refused::BadPlan(_) => {
            error(ErrorKind::Internal, "CUT0534")
        }
        _ => error(ErrorKind::Refused, "CUT0531")
            .hint("`cutover status` shows where the rollout is, and what can be done"),
    }
}
