//! What controllers promise: order, and that everything is written down.

use cutover_rollout::{Act, Body, Change, Cursor, Does, Effect, End, Event, Why, step};

use super::{Promise, SoFar};
use crate::fake::log::{Entry, What};

/// Until blue is being torn down, a rollback is accepted and begins with a routing write, or with standing up what was
/// parked.
#[derive(Debug, Default)]
pub(super) struct TheWayBackIsOpen {
    last: Option<(Cursor, bool, bool, bool, Option<End>)>,
}

impl Promise for TheWayBackIsOpen {
    fn name(&self) -> &'static str {
        "a rollback is accepted until blue is being torn down"
    }

    fn see(&mut self, entry: &Entry, so_far: &SoFar) -> Option<String> {
        let state = so_far.state()?;
        let over = !matches!(state.ended, None | Some(End::Done { standby: true }));
        if over || state.going_back() || state.retiring || (state.plan.blue.is_none() && state.promoted) {
            return None;
        }
        let place = (
            state.cursor,
            state.pending.is_some(),
            state.held.is_some(),
            state.paused.is_some(),
            state.ended.clone(),
        );
        if self.last.replace(place.clone()) == Some(place) {
            return None;
        }
        let event = Event::Rollback { by: "checker".to_owned(), reason: None, now: None };
        match step(Some(state), &event, entry.at) {
            Err(refused) => Some(format!("refused in {:?}: {refused}", state.situation())),
            Ok(next) => next.effects.iter().find_map(|effect| match effect {
                Effect::Do { act: Act::Prepare { release }, .. } if Some(*release) == state.plan.blue => {
                    (!state.parked).then(|| "blue is stood up though it never was parked".to_owned())
                }
                Effect::Do { act: Act::Route(_) | Act::Park { .. }, .. } => None,
                Effect::Cancel { .. } | Effect::Observe { .. } => None,
                effect @ Effect::Do { .. } => Some(format!("it begins with {effect:?}")),
            }),
        }
    }
}

/// Once a newer controller has changed something, nothing of an older one takes effect; the journal takes no record of
/// an older one either.
#[derive(Debug, Default)]
pub(super) struct TheDeposedChangeNothing {
    journal: u64,
    sides: [u64; 2],
}

impl Promise for TheDeposedChangeNothing {
    fn name(&self) -> &'static str {
        "a deposed controller changes nothing"
    }

    fn see(&mut self, entry: &Entry, _: &SoFar) -> Option<String> {
        match &entry.what {
            What::Appended { epoch, .. } if *epoch < self.journal => {
                Some(format!("epoch {epoch} wrote after epoch {}", self.journal))
            }
            What::Appended { epoch, .. } => {
                self.journal = *epoch;
                None
            }
            What::Landed { act, fence, changed, .. } => {
                let side = &mut self.sides[usize::from(matches!(act, Act::Route(_)))];
                if fence.epoch < *side && *changed {
                    return Some(format!("epoch {} changed something after epoch {side}", fence.epoch));
                }
                *side = (*side).max(fence.epoch);
                None
            }
            _ => None,
        }
    }
}

/// A call that was overtaken by a later one changes nothing any more.
#[derive(Debug, Default)]
pub(super) struct CallsTakeEffectInOrder {
    last: [Option<u64>; 2],
}

impl Promise for CallsTakeEffectInOrder {
    fn name(&self) -> &'static str {
        "calls change something in the order they were sent, or not at all"
    }

    fn see(&mut self, entry: &Entry, _: &SoFar) -> Option<String> {
        let What::Landed { call, act, changed, .. } = &entry.what else { return None };
        let last = &mut self.last[usize::from(matches!(act, Act::Route(_)))];
        let overtaken = last.filter(|last| last > call && *changed);
        *last = (*last).max(Some(*call));
        overtaken.map(|last| format!("call {call} changed something after call {last}"))
    }
}

/// A share rises along the plan or falls to nothing.
#[derive(Debug)]
pub(super) struct SharesMoveAlongThePlan;

impl Promise for SharesMoveAlongThePlan {
    fn name(&self) -> &'static str {
        "shares rise along the plan or go back at once"
    }

    fn see(&mut self, entry: &Entry, so_far: &SoFar) -> Option<String> {
        let What::Landed { act: Act::Route(change), table, changed: true, .. } = &entry.what else {
            return None;
        };
        let shares =
            |release| (crate::fake::share(&so_far.table, release), crate::fake::share(table, release));
        match change {
            Change::Share { release, width } => {
                let (before, after) = shares(release);
                let planned = so_far.states.values().any(|state| {
                    state.plan.steps.iter().any(|step| step.does == Does::Act(Act::Route(change.clone())))
                });
                (after < before || !planned)
                    .then(|| format!("{release} went from {before} to {after}, {width} planned: {planned}"))
            }
            Change::Promote { release } | Change::Audience { release, .. } => {
                let (before, after) = shares(release);
                (after < before).then(|| format!("{release} went from {before} to {after}"))
            }
            Change::Rollback { to, .. } => {
                let backed = so_far.states.values().any(|state| state.going_back());
                let (_, after) = shares(to);
                (after != 10_000 || !backed).then(|| format!("{to} has {after}; a way back: {backed}"))
            }
            Change::Candidate { .. } | Change::Close { .. } => None,
        }
    }
}

/// Before a call there is its intent in the journal, and it is what the rollout waits for.
#[derive(Debug)]
pub(super) struct NothingIsDoneThatIsNotWrittenDown;

impl Promise for NothingIsDoneThatIsNotWrittenDown {
    fn name(&self) -> &'static str {
        "nothing is done that is not in the journal"
    }

    fn see(&mut self, entry: &Entry, so_far: &SoFar) -> Option<String> {
        let What::Called { act, .. } = &entry.what else { return None };
        // A deposed controller may still ask; it is turned away.
        let intended = so_far
            .states
            .values()
            .any(|state| state.pending.as_ref().is_some_and(|pending| pending.act == *act));
        (!intended).then(|| format!("{act:?} was asked for"))
    }
}

/// What was decided on what was seen says what that was.
#[derive(Debug)]
pub(super) struct DecisionsCarryTheirFacts;

impl Promise for DecisionsCarryTheirFacts {
    fn name(&self) -> &'static str {
        "decisions carry the facts they rested on"
    }

    fn see(&mut self, entry: &Entry, so_far: &SoFar) -> Option<String> {
        let What::Appended { rollout, records, .. } = &entry.what else { return None };
        let mut state = so_far.states.get(rollout).cloned();
        for record in records {
            let waited = state.as_ref().and_then(|state| state.step()).is_some_and(|step| match &step.does {
                Does::Converge | Does::Quiet { .. } => true,
                Does::Hold { watch, .. } => !watch.is_empty(),
                Does::Act(_) => false,
            });
            let empty = match &record.body {
                Body::Advanced { why: Why::Done | Why::Limit, facts, .. }
                | Body::UndoAdvanced { why: Why::Done | Why::Limit, facts, .. } => facts.is_empty(),
                _ => false,
            };
            let resumed = records.iter().any(|record| matches!(record.body, Body::Resumed { .. }));
            if waited && empty && !resumed {
                return Some(format!("record {} of {rollout} has no facts", record.seq));
            }
            state = cutover_rollout::apply(state, record).ok();
        }
        None
    }
}
