//! The controller's picture of what the journal says. It changes only after the journal did.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use cutover_engine::rollout::{End, State};
use cutover_routing::{ReleaseId, ReleaseState, Table};

use super::keys::Keys;
use crate::journal::{LastSwitch, ReleaseRow};

/// Table, releases and what a rollback goes by.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) table: Arc<Table>,
    pub(super) rows: BTreeMap<ReleaseId, ReleaseRow>,
    pub(super) last_switch: Option<LastSwitch>,
    pub(super) keys: Keys,
}

/// Where a rollback leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Back {
    /// From the default to this release.
    To {
        /// The default.
        from: ReleaseId,
        /// The release before the last promotion.
        to: ReleaseId,
    },
    /// There already: the last change of the default was a rollback, or a candidate has not been promoted.
    Already {
        /// The default.
        on: ReleaseId,
        /// Candidates that are given up, and what the last rollback left.
        left: Vec<ReleaseId>,
    },
    /// There is no release to go back to, and why.
    Nowhere(String),
}

impl World {
    /// Where a rollback leads now.
    pub(super) fn back(&self) -> Back {
        let Some(on) = self.table.default else {
            return Back::Nowhere("no release has been promoted yet".to_owned());
        };
        let candidates = self.in_state(ReleaseState::Candidate);
        if !candidates.is_empty() {
            return Back::Already { on, left: candidates };
        }
        let Some(last) = self.last_switch.as_ref().filter(|last| last.to == on) else {
            return Back::Nowhere(format!("it is not known which release was active before {on}"));
        };
        if !last.promotion {
            let left = last.from.filter(|left| self.table.state(left) == Some(ReleaseState::Draining));
            return Back::Already { on, left: left.into_iter().collect() };
        }
        let Some(to) = last.from else {
            return Back::Nowhere(format!("{on} is the first release"));
        };
        match self.table.state(&to) {
            None => Back::Nowhere(format!("{to}, which was active before {on}, is retired")),
            Some(_) if self.rows.get(&to).is_some_and(|row| row.barred.is_some()) => {
                Back::Nowhere(format!("{to}, which was active before {on}, is withdrawn"))
            }
            Some(_) => Back::To { from: on, to },
        }
    }

    /// Where a rollback leads now that the newest rollout is known. Giving up a green that was never promoted leaves no
    /// mark on the default: what came before that is one release too far.
    pub(super) fn back_after(&self, newest: Option<&State>) -> Back {
        let given_up = newest.filter(|state| gave_up(state) && state.plan.blue == self.table.default);
        match given_up.and_then(|state| Some((state.plan.blue?, state.plan.green))) {
            Some((on, green)) => {
                let remains = [ReleaseState::Candidate, ReleaseState::Draining];
                let left = self.table.state(&green).is_some_and(|state| remains.contains(&state));
                Back::Already { on, left: left.then_some(green).into_iter().collect() }
            }
            None => self.back(),
        }
    }

    /// The release that came before the default, where a rollback from it is possible.
    pub(super) fn rollback_to(&self) -> Option<ReleaseId> {
        match self.back() {
            Back::To { to, .. } => Some(to),
            Back::Already { .. } | Back::Nowhere(_) => None,
        }
    }

    /// Releases in a state, in the order of their ids.
    pub(super) fn in_state(&self, state: ReleaseState) -> Vec<ReleaseId> {
        self.table.releases.iter().filter(|(_, entry)| entry.state == state).map(|(id, _)| *id).collect()
    }

    /// The releases that may wait for their promotion: candidates, then staged ones, each the newest first.
    pub(super) fn greens(&self) -> Vec<ReleaseId> {
        let newest_first = |state| {
            let mut waiting = self.in_state(state);
            waiting.sort_by_key(|id| Reverse(self.rows.get(id).map_or(0, |row| row.staged_at)));
            waiting
        };
        let mut greens = newest_first(ReleaseState::Candidate);
        greens.extend(newest_first(ReleaseState::Staged));
        greens
    }

    /// The newest release that waits for its promotion: the candidate, else the newest staged one.
    pub(super) fn green(&self) -> Option<ReleaseId> {
        self.greens().into_iter().next()
    }
}

/// Whether a rollout has been given up before or after its promotion, or is being given up.
pub(super) fn gave_up(state: &State) -> bool {
    match &state.ended {
        None => state.going_back(),
        Some(End::RolledBack | End::Superseded { promoted: false, .. }) => true,
        Some(End::Done { .. } | End::Superseded { .. }) => false,
    }
}

#[cfg(test)]
mod tests {
    use cutover_routing::Entry;

    use super::*;
    use crate::controller::testing::row;

    fn id(text: &str) -> ReleaseId {
        text.parse().unwrap()
    }

    fn world(releases: &[(&str, ReleaseState)], last: Option<(Option<&str>, &str, bool)>) -> World {
        let mut table = Table::empty();
        for (text, state) in releases {
            table.releases.insert(id(text), Entry { state: *state, slot: None });
            if *state == ReleaseState::Active {
                table.default = Some(id(text));
            }
        }
        World {
            table: Arc::new(table),
            rows: releases.iter().map(|(text, _)| (id(text), row(text))).collect(),
            last_switch: last.map(|(from, to, promotion)| LastSwitch {
                from: from.map(id),
                to: id(to),
                promotion,
                at: 0,
            }),
            keys: Keys::fresh(1).unwrap(),
        }
    }

    #[test]
    fn after_a_promotion_it_leads_to_the_release_before() {
        for state in [ReleaseState::Draining, ReleaseState::Closed] {
            let world = world(
                &[("aaaaaaaa", state), ("bbbbbbbb", ReleaseState::Active)],
                Some((Some("aaaaaaaa"), "bbbbbbbb", true)),
            );
            assert_eq!(world.back(), Back::To { from: id("bbbbbbbb"), to: id("aaaaaaaa") });
        }
    }

    #[test]
    fn after_a_rollback_it_is_there_already_and_knows_what_was_left() {
        let world = world(
            &[("aaaaaaaa", ReleaseState::Active), ("bbbbbbbb", ReleaseState::Draining)],
            Some((Some("bbbbbbbb"), "aaaaaaaa", false)),
        );
        assert_eq!(world.back(), Back::Already { on: id("aaaaaaaa"), left: vec![id("bbbbbbbb")] });
    }

    #[test]
    fn before_promotion_it_gives_the_candidate_up_and_stays() {
        let world = world(
            &[
                ("aaaaaaaa", ReleaseState::Draining),
                ("bbbbbbbb", ReleaseState::Active),
                ("cccccccc", ReleaseState::Candidate),
            ],
            Some((Some("aaaaaaaa"), "bbbbbbbb", true)),
        );
        assert_eq!(world.back(), Back::Already { on: id("bbbbbbbb"), left: vec![id("cccccccc")] });
    }

    #[test]
    fn it_leads_nowhere_from_the_first_release_and_to_one_that_is_gone_or_withdrawn() {
        let first = world(&[("aaaaaaaa", ReleaseState::Active)], Some((None, "aaaaaaaa", true)));
        let gone = world(&[("bbbbbbbb", ReleaseState::Active)], Some((Some("aaaaaaaa"), "bbbbbbbb", true)));
        let mut withdrawn = world(
            &[("aaaaaaaa", ReleaseState::Closed), ("bbbbbbbb", ReleaseState::Active)],
            Some((Some("aaaaaaaa"), "bbbbbbbb", true)),
        );
        withdrawn.rows.get_mut(&id("aaaaaaaa")).unwrap().barred = Some("wrong prices".into());
        for (world, word) in
            [(world(&[], None), "yet"), (first, "first"), (gone, "retired"), (withdrawn, "withdrawn")]
        {
            assert!(matches!(world.back(), Back::Nowhere(why) if why.contains(word)), "{word}");
            assert_eq!(world.rollback_to(), None);
        }
    }
}
