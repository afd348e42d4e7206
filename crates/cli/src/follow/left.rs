//! What became of a release, by its state and the history: where no rollout tells.

use cutover_engine::control::{HistoryEntry, Outside, Release};
use cutover_routing::{ReleaseId, ReleaseState};

use crate::view::rollout::end::Outcome;

/// Where a release is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Active,
    Pending,
    Withdrawn,
    Left,
}

pub(super) fn state(release: &Release) -> State {
    match (release.outside, release.state) {
        (Some(Outside::Withdrawn), _) => State::Withdrawn,
        (None, Some(ReleaseState::Active)) => State::Active,
        (None, Some(ReleaseState::Staged | ReleaseState::Candidate)) => State::Pending,
        _ => State::Left,
    }
}

/// Tells a rollback from a later release: by the first switch after the last one that made this release active.
/// `history` is newest first.
pub(super) fn how(history: &[HistoryEntry], id: ReleaseId) -> Outcome {
    let mut after = None;
    for entry in history {
        match entry.verb.as_str() {
            "promote" | "deploy" if entry.release == Some(id) => break,
            "promote" | "deploy" => after = Some(Outcome::Superseded),
            "rollback" | "withdraw" => after = Some(Outcome::RolledBack),
            _ => {}
        }
    }
    after.unwrap_or(Outcome::Superseded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(verb: &str, release: ReleaseId) -> HistoryEntry {
        HistoryEntry {
            seq: 1,
            at: 0,
            who: String::new(),
            verb: verb.to_owned(),
            release: Some(release),
            message: String::new(),
            reason: None,
            generation: None,
        }
    }

    #[test]
    fn the_switch_right_after_the_last_promotion_decides() {
        let (a, b): (ReleaseId, ReleaseId) = ("aaaaaaaa".parse().unwrap(), "bbbbbbbb".parse().unwrap());
        let newest_first = |entries: &[HistoryEntry]| how(entries, a);
        assert_eq!(newest_first(&[entry("rollback", b), entry("promote", a)]), Outcome::RolledBack);
        assert_eq!(newest_first(&[entry("promote", b), entry("promote", a)]), Outcome::Superseded);
        assert_eq!(
            newest_first(&[entry("rollback", b), entry("promote", b), entry("stage", b), entry("deploy", a)]),
            Outcome::Superseded
        );
        assert_eq!(newest_first(&[]), Outcome::Superseded);
    }
}
