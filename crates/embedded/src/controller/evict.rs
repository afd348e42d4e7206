//! Which releases make room for a new one where `keep` is reached.

use cutover_engine::{Error, ErrorKind};
use cutover_routing::{ReleaseId, ReleaseState};

/// What is known of a retained release when room is needed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retained {
    /// The release.
    pub id: ReleaseId,
    /// Its state in the table.
    pub state: ReleaseState,
    /// Barred from promotion.
    pub withdrawn: bool,
    /// What a rollback would go to.
    pub rollback_target: bool,
    /// No request and no stream for the quiet time.
    pub quiet: bool,
    /// An operation works on it.
    pub busy: bool,
    /// Unix milliseconds of staging.
    pub staged_at: u64,
}

/// Picks the releases to retire so that one more fits into `keep`. `close_oldest` allows one that is still in use.
pub(super) fn choose(
    retained: &[Retained],
    keep: usize,
    close_oldest: bool,
) -> Result<Vec<ReleaseId>, Error> {
    let surplus = (retained.len() + 1).saturating_sub(keep);
    let mut ranked: Vec<(u8, u64, ReleaseId)> =
        retained.iter().filter_map(|one| Some((rank(one, close_oldest)?, one.staged_at, one.id))).collect();
    ranked.sort();
    if ranked.len() < surplus {
        return Err(no_room(retained, keep, close_oldest));
    }
    Ok(ranked.into_iter().take(surplus).map(|(_, _, id)| id).collect())
}

/// The lower the sooner; none: never.
fn rank(one: &Retained, close_oldest: bool) -> Option<u8> {
    if one.busy {
        return None;
    }
    match one.state {
        ReleaseState::Closed if one.withdrawn => Some(0),
        ReleaseState::Closed if !one.rollback_target => Some(1),
        ReleaseState::Staged => Some(2),
        ReleaseState::Draining if one.quiet && !one.rollback_target => Some(3),
        // The way back goes last: afterwards a rollback needs a release that is staged again.
        ReleaseState::Closed => Some(4),
        ReleaseState::Draining if one.quiet => Some(5),
        ReleaseState::Draining if close_oldest && !one.rollback_target => Some(6),
        ReleaseState::Draining if close_oldest => Some(7),
        ReleaseState::Draining | ReleaseState::Candidate | ReleaseState::Active => None,
    }
}

fn no_room(retained: &[Retained], keep: usize, close_oldest: bool) -> Error {
    let mut error = Error::new(
        ErrorKind::Refused,
        "CUT0503",
        format!("there is no room for another release: {} are retained and `keep` is {keep}", retained.len()),
    );
    for one in retained {
        let use_of_it = match one.state {
            ReleaseState::Active => "serves the visitors",
            ReleaseState::Draining if !one.quiet => "still serves visitors that came before the last switch",
            _ if one.busy => "is being worked on",
            _ => "may hold a share of the visitors",
        };
        error = error.because(format!("{} is {} and {use_of_it}", one.id, one.state));
    }
    error = error.hint("wait until the draining release is quiet, or raise `keep`");
    if close_oldest {
        error
    } else {
        error.hint("`--close-oldest` closes it now: its open pages move to the active release")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: &str, state: ReleaseState, staged_at: u64) -> Retained {
        Retained {
            id: id.parse().unwrap(),
            state,
            withdrawn: false,
            rollback_target: false,
            quiet: false,
            busy: false,
            staged_at,
        }
    }

    fn chosen(retained: &[Retained], keep: usize, close_oldest: bool) -> Vec<String> {
        choose(retained, keep, close_oldest).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nobody_goes_while_there_is_room() {
        let retained = [one("aaaaaaaa", ReleaseState::Active, 1), one("bbbbbbbb", ReleaseState::Staged, 2)];
        assert!(chosen(&retained, 3, true).is_empty());
    }

    #[test]
    fn the_least_useful_goes_first_and_the_way_back_last() {
        let mut retained = vec![
            Retained { quiet: true, rollback_target: true, ..one("aaaaaaaa", ReleaseState::Draining, 1) },
            Retained { quiet: true, ..one("bbbbbbbb", ReleaseState::Draining, 2) },
            one("cccccccc", ReleaseState::Staged, 3),
            one("dddddddd", ReleaseState::Staged, 4),
            one("eeeeeeee", ReleaseState::Closed, 5),
            Retained { withdrawn: true, ..one("ffffffff", ReleaseState::Closed, 6) },
            one("gggggggg", ReleaseState::Active, 0),
        ];
        let mut order = Vec::new();
        while retained.len() > 1 {
            let first = chosen(&retained, retained.len(), false).remove(0);
            retained.retain(|one| one.id.as_str() != first);
            order.push(first[..1].to_owned());
        }
        assert_eq!(order.concat(), "fecdba");
    }

    #[test]
    fn a_release_in_use_goes_only_when_told_so() {
        let retained = [one("aaaaaaaa", ReleaseState::Draining, 1), one("bbbbbbbb", ReleaseState::Active, 2)];
        let refused = choose(&retained, 2, false).unwrap_err();
        assert_eq!(refused.code, "CUT0503");
        assert!(refused.hints.iter().any(|hint| hint.contains("--close-oldest")), "{refused:?}");
        assert_eq!(chosen(&retained, 2, true), ["aaaaaaaa"]);
    }

    #[test]
    fn the_active_the_candidate_and_the_busy_never_go() {
        let retained = [
            one("aaaaaaaa", ReleaseState::Active, 1),
            one("bbbbbbbb", ReleaseState::Candidate, 2),
            Retained { busy: true, quiet: true, ..one("cccccccc", ReleaseState::Draining, 3) },
            Retained { busy: true, ..one("dddddddd", ReleaseState::Closed, 4) },
        ];
        assert!(choose(&retained, 2, true).is_err());
    }
}
