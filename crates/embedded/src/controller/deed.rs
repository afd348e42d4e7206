//! What ends a rollout without being one: a retirement, a withdrawal, room for another release.
//!
//! The records of a rollout that gives way name who takes over. Where that is no rollout, the name says what was done to
//! which release, so that it leads to the line of the history that has who did it and why.

use cutover_engine::{Error, ErrorKind, rollout::RolloutId};
use cutover_routing::ReleaseId;

/// What a rollout gives way to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// The release is retired.
    Retire,
    /// The release is withdrawn.
    Withdraw,
    /// The release needs the room of what the rollout holds.
    Room,
}

impl Deed {
    const ALL: [Self; 3] = [Self::Retire, Self::Withdraw, Self::Room];

    fn word(self) -> &'static str {
        match self {
            Self::Retire => "retire",
            Self::Withdraw => "withdraw",
            Self::Room => "room-for",
        }
    }

    /// The name in the records of the rollout that gives way: `ro-retire-<release>`.
    pub(super) fn name(self, release: &ReleaseId) -> Result<RolloutId, Error> {
        format!("ro-{}-{release}", self.word()).parse().map_err(
            |error: cutover_engine::rollout::RolloutIdError| {
                Error::new(ErrorKind::Internal, "CUT0599", "naming what a rollout gives way to")
                    .because(error)
            },
        )
    }

    /// What such a name stands for, for a person; none for a rollout's own.
    pub(super) fn told(name: &RolloutId) -> Option<String> {
        Self::ALL.into_iter().find_map(|deed| {
            let release: ReleaseId = name
                .as_str()
                .strip_prefix("ro-")?
                .strip_prefix(deed.word())?
                .strip_prefix('-')?
                .parse()
                .ok()?;
            let what = match deed {
                Self::Retire => format!("the retirement of {release}"),
                Self::Withdraw => format!("the withdrawal of {release}"),
                Self::Room => format!("the staging of {release}, which needed room,"),
            };
            Some(format!("{name} is no rollout: {what} ended one; `cutover history` has who and why"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_what_was_done_to_which_release() {
        let release: ReleaseId = "abcdefgh".parse().unwrap();
        for (deed, says) in [
            (Deed::Retire, "the retirement of abcdefgh"),
            (Deed::Withdraw, "the withdrawal of abcdefgh"),
            (Deed::Room, "the staging of abcdefgh"),
        ] {
            let told = Deed::told(&deed.name(&release).unwrap());
            assert!(told.as_ref().is_some_and(|told| told.contains(says)), "{told:?}");
        }
        assert_eq!(Deed::told(&"ro-12345678".parse().unwrap()), None);
    }
}
