//! Which record may follow which state: one function for what is being written and for what is read back.

use super::{
    Body, Cursor, EffectId, End, Held, Outcome, Paused, Pending, RECORD_VERSION, Record, State, Undo, Watch,
    Why,
};
use crate::{Act, Change, Does, Plan, judge::Verdict};

/// A record that has no place where it stands. From a journal: it is damaged, or of another rollout or version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {seq} has no place here: {why}")]
pub struct Illegal {
    /// Which record.
    pub seq: u64,
    /// Why.
    pub why: &'static str,
}

/// The state after all records; none before the first.
///
/// # Errors
/// The first record that has no place.
pub fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Option<State>, Illegal> {
    let mut state = None;
    for record in records {
        state = Some(apply(state, record)?);
    }
    Ok(state)
}

/// The state after one more record.
///
/// # Errors
/// Where the record has no place after the state.
pub fn apply(state: Option<State>, record: &Record) -> Result<State, Illegal> {
    let illegal = |why| Illegal { seq: record.seq, why };
    if record.v != RECORD_VERSION {
        return Err(illegal("its form is of another version of Cutover"));
    }
    if record.seq != state.as_ref().map_or(0, |state| state.seq) {
        return Err(illegal("it is out of sequence"));
    }
    let mut state = match (state, &record.body) {
        (None, Body::Opened { plan, .. }) if plan.sealed() && !plan.steps.is_empty() => {
            return Ok(opened((**plan).clone(), record.at));
        }
        (None, Body::Opened { .. }) => return Err(illegal("the plan was altered")),
        (None, _) => return Err(illegal("there is no rollout yet")),
        (Some(_), Body::Opened { .. }) => return Err(illegal("the rollout is open")),
        (Some(state), _) => state,
    };
    change(&mut state, &record.body, record.at).map_err(illegal)?;
    state.seq += 1;
    Ok(state)
}

fn opened(plan: Plan, at: u64) -> State {
    State {
        plan,
        seq: 1,
        cursor: Cursor::Forward(0),
        reached: 0,
        entered: at,
        attempt: 0,
        tries: 0,
        not_before: 0,
        pending: None,
        done: false,
        failed: None,
        generation: 0,
        watch: Watch { mark: at, ..Watch::default() },
        held: None,
        paused: None,
        undo: None,
        superseded: None,
        routed: false,
        share: 0,
        promoted: false,
        retiring: false,
        parked: false,
        cut_short: false,
        ended: None,
    }
}

type Checked = Result<(), &'static str>;

fn check(holds: bool, why: &'static str) -> Checked {
    if holds { Ok(()) } else { Err(why) }
}

fn change(state: &mut State, body: &Body, at: u64) -> Checked {
    let standby = state.ended == Some(End::Done { standby: true });
    let reopens = standby
        && matches!(body, Body::UndoStarted { .. } | Body::Ended { .. } | Body::SupersedeAsked { .. });
    check(state.ended.is_none() || reopens, "the rollout is over")?;
    match body {
        Body::Opened { .. } => Err("the rollout is open"),
        Body::Intent { id, act } => intent(state, id, act),
        Body::Outcome { id, outcome } => settle(state, id, outcome, at),
        Body::InDoubt { id, again, .. } => {
            let pending = pending(state, id)?;
            (pending.look, pending.asked) = (Some(*again), false);
            Ok(())
        }
        Body::Observing { id } => {
            let pending = pending(state, id)?;
            (pending.look, pending.asked) = (Some(pending.look.unwrap_or(at)), true);
            Ok(())
        }
        Body::Converged { generation } => {
            check(matches!(does(state), Some(Does::Converge)), "nothing was to converge")?;
            check(*generation >= state.generation, "an older table is no convergence")?;
            state.done = true;
            Ok(())
        }
        Body::Judged { gate, verdict, .. } => {
            let watched = match does(state) {
                Some(Does::Hold { watch, .. }) => watch.iter().any(|watched| watched.gate == *gate),
                _ => false,
            };
            check(watched, "the gate is not watched here")?;
            state.watch.verdicts.insert(gate.clone(), *verdict);
            Ok(())
        }
        Body::Watched { counted, waited, good } => watched(state, *counted, *waited, *good, at),
        Body::Held { why } => {
            check(!state.going_back() && state.pending.is_none(), "nothing to hold")?;
            state.held = Some(Held { why: why.clone(), since: at });
            Ok(())
        }
        Body::Paused { by, reason } => {
            check(!state.going_back() && state.paused.is_none(), "nothing to pause")?;
            state.paused = Some(Paused { by: by.clone(), reason: reason.clone(), since: at });
            Ok(())
        }
        Body::Resumed { .. } => {
            check(state.paused.is_some() || state.held.is_some(), "nothing to resume")?;
            (state.paused, state.held) = (None, None);
            if state.pending.is_none() && !state.done {
                (state.tries, state.not_before, state.entered, state.failed) = (0, 0, at, None);
                (state.watch.mark, state.watch.waited, state.watch.good) = (at, 0, false);
            }
            Ok(())
        }
        Body::Advanced { from, to, why, .. } => advance(state, *from, *to, why, at),
        Body::UndoStarted { round, cause, close, steps, .. } => {
            let undo = Undo { round: *round, cause: cause.clone(), close: *close, steps: steps.clone() };
            begin_undo(state, undo, at)
        }
        Body::UndoAdvanced { from, to, why, .. } => {
            let round = state.undo.as_ref().map_or(0, |undo| undo.round);
            check(state.cursor == Cursor::Undo { round, step: *from } && *to == from + 1, "it is not there")?;
            leave(state, why)?;
            enter(state, Cursor::Undo { round, step: *to }, at);
            check(state.step().is_some(), "there is no such step")
        }
        Body::SupersedeAsked { by } => {
            check(state.superseded.is_none() && *by != state.plan.rollout, "it has a successor")?;
            state.superseded = Some(by.clone());
            Ok(())
        }
        Body::Restarted => {
            (state.watch.mark, state.watch.good) = (at, false);
            if let Some(pending) = &mut state.pending {
                (pending.look, pending.asked) = (Some(at), false);
            }
            Ok(())
        }
        Body::Ended { how } => end(state, how),
    }
}

fn does(state: &State) -> Option<&Does> {
    state.step().map(|step| &step.does)
}

fn pending<'a>(state: &'a mut State, id: &EffectId) -> Result<&'a mut Pending, &'static str> {
    state.pending.as_mut().filter(|pending| pending.id == *id).ok_or("nobody waits for that effect")
}

fn enter(state: &mut State, cursor: Cursor, at: u64) {
    if let Cursor::Forward(step) = cursor {
        state.reached = step;
    }
    state.cursor = cursor;
    state.entered = at;
    (state.attempt, state.tries, state.not_before) = (0, 0, 0);
    (state.done, state.failed) = (false, None);
    state.watch = Watch { mark: at, ..Watch::default() };
}

fn intent(state: &mut State, id: &EffectId, act: &Act) -> Checked {
    check(id.rollout == state.plan.rollout && id.step == state.cursor, "the effect is of another step")?;
    check(id.attempt == state.attempt + 1, "the attempt is out of turn")?;
    check(state.pending.is_none() && !state.done, "another effect is under way, or this one is done")?;
    check(does(state) == Some(&Does::Act(act.clone())), "the effect is not in the plan")?;
    let still = state.paused.is_some() || state.held.is_some();
    check(state.going_back() || !still, "the rollout stands still")?;
    state.attempt = id.attempt;
    state.tries += 1;
    state.failed = None;
    state.routed |= matches!(act, Act::Route(_)) && !state.going_back();
    state.retiring |= matches!(act, Act::Retire { .. });
    state.parked |= matches!(act, Act::Park { release } if state.plan.blue == Some(*release));
    state.pending = Some(Pending { id: id.clone(), act: act.clone(), look: None, asked: false });
    Ok(())
}

/// Green's share once a change is in place.
fn share_after(state: &State, change: &Change) -> u16 {
    let green = state.plan.green;
    match change {
        Change::Share { release, width } if *release == green => *width,
        Change::Promote { release } if *release == green => 10_000,
        Change::Rollback { .. } => 0,
        Change::Close { release } if *release == green => 0,
        _ => state.share,
    }
}

fn settle(state: &mut State, id: &EffectId, outcome: &Outcome, at: u64) -> Checked {
    let act = pending(state, id)?.act.clone();
    let gate = match &act {
        Act::Gate(gate) => Some(gate),
        _ => None,
    };
    let fits = match outcome {
        Outcome::Done { generation } => {
            gate.is_none() && generation.is_some() == matches!(act, Act::Route(_))
        }
        Outcome::Judged { .. } | Outcome::Abandoned => gate.is_some(),
        Outcome::Failed { .. } => true,
        Outcome::Unknown { .. } => false,
    };
    check(fits, "the effect cannot end so")?;
    state.pending = None;
    if let Outcome::Done { generation } = outcome {
        state.generation = state.generation.max(generation.unwrap_or(0));
        state.promoted |= matches!(act, Act::Route(Change::Promote { .. }));
        if let Act::Route(change) = &act {
            state.share = share_after(state, change);
        }
    }
    // Of an effect from before the way back began, only that it has ended matters.
    if id.step != state.cursor {
        return Ok(());
    }
    state.done = match outcome {
        Outcome::Done { .. } => true,
        Outcome::Judged { verdict, .. } => {
            state.watch.verdicts.extend(gate.map(|gate| (gate.gate.clone(), *verdict)));
            *verdict == Verdict::Pass || gate.is_some_and(|gate| !gate.required)
        }
        _ => false,
    };
    state.not_before = if state.done { 0 } else { at.saturating_add(super::step::pause_after(state.tries)) };
    state.failed = (!state.done).then(|| outcome.clone());
    Ok(())
}

fn begin_undo(state: &mut State, undo: Undo, at: u64) -> Checked {
    check(state.way_back().is_ok(), "there is no way back")?;
    let before = state.undo.as_ref();
    check(undo.round == before.map_or(0, |before| before.round) + 1, "the way back is out of turn")?;
    check(!undo.steps.is_empty(), "the way back has no steps")?;
    check(before.is_none_or(|before| undo.close && !before.close), "the way back has begun")?;
    let gate = matches!(&state.pending, Some(Pending { act: Act::Gate(_), .. }));
    check(!gate, "a gate still runs")?;
    if !state.going_back() {
        state.reached += usize::from(state.complete());
    }
    (state.held, state.paused, state.ended) = (None, None, None);
    state.cut_short = false;
    enter(state, Cursor::Undo { round: undo.round, step: 0 }, at);
    state.undo = Some(undo);
    Ok(())
}

fn watched(state: &mut State, counted: u64, waited: u64, good: bool, at: u64) -> Checked {
    check(!matches!(does(state), Some(Does::Act(_)) | None), "nothing is waited for here")?;
    let watch = &mut state.watch;
    let passed = at.saturating_sub(watch.mark);
    check(counted <= watch.counted + passed, "more time counted than passed")?;
    check(waited <= watch.waited + passed, "more time waited than passed")?;
    (watch.mark, watch.counted, watch.waited, watch.good) = (at, counted, waited, good);
    Ok(())
}

/// Whether the step may be left for this reason.
fn leave(state: &mut State, why: &Why) -> Checked {
    check(state.pending.is_none(), "an effect is under way")?;
    match why {
        Why::Done => check(state.complete(), "the step is not done"),
        Why::Limit => {
            check(state.out_of_time(), "there is time left")?;
            state.cut_short = true;
            Ok(())
        }
        Why::Forced { .. } => Ok(()),
    }
}

fn advance(state: &mut State, from: usize, to: usize, why: &Why, at: u64) -> Checked {
    check(state.cursor == Cursor::Forward(from) && !state.going_back(), "it is not there")?;
    check(to > from && to < state.plan.steps.len(), "there is no such step")?;
    check(state.paused.is_none(), "the rollout is paused")?;
    let forced = matches!(why, Why::Forced { .. });
    check(forced || (to == from + 1 && state.held.is_none()), "steps are taken one by one")?;
    if forced {
        // Over waits and gates, and over moves on the way to the promotion; never over what makes green fit for
        // visitors, the promotion, or the end of blue's visits.
        let skippable = |step: usize| match &state.plan.steps[step].does {
            Does::Hold { .. } | Does::Act(Act::Gate(_)) => true,
            Does::Converge | Does::Act(Act::Route(Change::Share { .. } | Change::Audience { .. })) => {
                step > from
            }
            _ => false,
        };
        check((from..to).all(skippable), "that cannot be left out")?;
    }
    leave(state, why)?;
    state.held = None;
    enter(state, Cursor::Forward(to), at);
    Ok(())
}

fn end(state: &mut State, how: &End) -> Checked {
    check(state.pending.is_none(), "an effect is under way")?;
    let last = match state.cursor {
        Cursor::Forward(at) => at + 1 == state.plan.steps.len(),
        Cursor::Undo { step, .. } => state.undo.as_ref().is_some_and(|undo| step + 1 == undo.steps.len()),
    };
    let complete = last && state.complete();
    let holds = match how {
        End::Done { standby } => {
            let warm = matches!(does(state), Some(Does::Act(Act::Standby { .. } | Act::Park { .. })));
            complete && !state.going_back() && state.ended.is_none() && *standby == warm
        }
        End::RolledBack => complete && state.going_back(),
        End::Superseded { by, promoted } => {
            let aside = match state.going_back() {
                true => {
                    (!promoted && (state.visitors_are_back() || complete))
                        || (state.stuck() && *promoted == state.promoted)
                }
                false => *promoted && state.promoted,
            };
            state.superseded.as_ref() == Some(by) && aside
        }
    };
    check(holds, "it cannot end so")?;
    state.ended = Some(how.clone());
    Ok(())
}
