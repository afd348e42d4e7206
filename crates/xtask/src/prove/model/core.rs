//! The real machine and the real routing edits, numbered: each state, table and effect that occurs gets a number, and
//! what follows from which is worked out once.
//!
//! Time is left out: every moment that a state remembers is put back to one and the same, and whatever happens, happens
//! one pace later. So waits end, retries come due, and a rollout that has seen the same is in the same state.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use cutover_rollout::{
    Act, Change, Does, Effect, EffectId, Event, Facts, Health, Outcome, Plan, Refused, Seen, Situation,
    State, Traffic, apply, judge::Verdict, step,
};
use cutover_routing::{EditRefused, ReleaseId, Table, edit};

/// The moment at which everything that is remembered happened.
const THEN: u64 = 1_800_000_000_000;

/// Number of a machine state.
pub(super) type StateNo = u32;
/// Number of a routing table.
pub(super) type TableNo = u32;
/// Number of an attempt at an effect.
pub(super) type EffectNo = u16;

/// What happens to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Happens {
    /// A controller has taken over.
    Restarted,
    /// A person wants to go back.
    Rollback {
        /// Closing green at once.
        close: bool,
    },
    /// An effect is in place; of a routing write with its generation.
    Done(EffectNo, Option<u64>),
    /// An effect is not in place.
    Failed(EffectNo),
    /// A gate has passed.
    Passed(EffectNo),
    /// No answer came.
    Unknown(EffectNo),
    /// It was seen to be in place.
    InPlace(EffectNo, Option<u64>),
    /// It was seen not to be.
    Absent(EffectNo),
    /// The world was looked at.
    Looked(Look),
}

/// What a look shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Look {
    /// The generation that the edge runs.
    pub(super) converged: u64,
    /// Whether green answers.
    pub(super) healthy: bool,
    /// Whether somebody is on blue, on green.
    pub(super) busy: [bool; 2],
}

/// What a controller then has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Todo {
    /// Bring an effect about.
    Do(EffectNo),
    /// Look whether it is in place.
    Observe(EffectNo),
}

/// What follows from something that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Follows {
    /// How many records are appended first.
    pub(super) records: usize,
    /// The state with them.
    pub(super) state: StateNo,
    /// What is done then.
    pub(super) todo: Vec<Todo>,
}

/// What the machine says to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Go on so.
    Next(Follows),
    /// It is so already, or nobody waits for it.
    Nothing,
    /// A rollback that cannot be had.
    NoWayBack,
    /// The machine contradicts itself.
    Defect(String),
}

/// What a routing change comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edited {
    /// Another table.
    Table(TableNo),
    /// It is in place.
    InPlace,
    /// The table does not allow it.
    Refused,
}

/// The plan and everything numbered.
pub(super) struct Core {
    pub(super) plan: Plan,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    states: Vec<State>,
    state_numbers: HashMap<String, StateNo>,
    answers: HashMap<(StateNo, Happens), Answer>,
    tables: Vec<Table>,
    table_numbers: HashMap<String, TableNo>,
    edits: HashMap<(TableNo, EffectNo), Edited>,
    effects: Vec<(EffectId, Act)>,
    effect_numbers: HashMap<String, EffectNo>,
}

impl Core {
    pub(super) fn new(plan: Plan) -> Core {
        Core { plan, inner: Mutex::default() }
    }

    /// The rollout as it opens, and what is to be done first.
    pub(super) fn open(&self) -> Follows {
        let event = Event::Open { plan: Box::new(self.plan.clone()), by: "ann".to_owned() };
        let mut inner = self.inner();
        match step(None, &event, THEN) {
            Ok(next) => Follows {
                records: next.records.len(),
                todo: inner.todo(&next.effects),
                state: inner.state(next.state),
            },
            // A plan that was just made opens.
            Err(refused) => unreachable!("{refused}"),
        }
    }

    /// What the real machine makes of it, with its records checked by the real `apply`.
    pub(super) fn happen(&self, state: StateNo, what: Happens) -> Answer {
        let mut inner = self.inner();
        if let Some(known) = inner.answers.get(&(state, what)) {
            return known.clone();
        }
        let answer = self.work_out(&mut inner, state, what);
        inner.answers.insert((state, what), answer.clone());
        answer
    }

    fn work_out(&self, inner: &mut Inner, number: StateNo, what: Happens) -> Answer {
        let Some(state) = inner.states.get(number as usize).cloned() else { return Answer::Nothing };
        let event = self.event(inner, what);
        let next = match step(Some(&state), &event, THEN + self.plan.pace.0) {
            Ok(next) => next,
            Err(Refused::Defect(illegal)) => return Answer::Defect(illegal.to_string()),
            Err(refused) if refused.is_already_so() || matches!(refused, Refused::Stale(_)) => {
                return Answer::Nothing;
            }
            Err(_) if matches!(what, Happens::Rollback { .. }) => return Answer::NoWayBack,
            Err(_) => return Answer::Nothing,
        };
        let read = next.records.iter().try_fold(state, |state, record| apply(Some(state), record));
        if read.as_ref() != Ok(&next.state) {
            return Answer::Defect("what is read back is not what was written".to_owned());
        }
        Answer::Next(Follows {
            records: next.records.len(),
            todo: inner.todo(&next.effects),
            state: inner.state(next.state),
        })
    }

    fn event(&self, inner: &Inner, what: Happens) -> Event {
        let id = |effect: EffectNo| inner.effects[usize::from(effect)].0.clone();
        let outcome = |effect, outcome| Event::Outcome { id: id(effect), outcome };
        let why = || "so the model says".to_owned();
        match what {
            Happens::Restarted => Event::Restarted,
            Happens::Rollback { close } => {
                Event::Rollback { by: "ann".to_owned(), reason: None, now: Some(close) }
            }
            Happens::Done(effect, generation) => outcome(effect, Outcome::Done { generation }),
            Happens::Failed(effect) => outcome(effect, Outcome::Failed { why: why(), lasting: false }),
            Happens::Passed(effect) => {
                outcome(effect, Outcome::Judged { verdict: Verdict::Pass, why: why() })
            }
            Happens::Unknown(effect) => outcome(effect, Outcome::Unknown { why: why() }),
            Happens::InPlace(effect, generation) => {
                Event::Observed { id: id(effect), seen: Seen::InPlace { generation } }
            }
            Happens::Absent(effect) => Event::Observed { id: id(effect), seen: Seen::Absent },
            Happens::Looked(look) => Event::Looked(self.facts(look)),
        }
    }

    fn facts(&self, look: Look) -> Facts {
        let traffic = |busy: bool| Traffic {
            in_flight: u64::from(busy),
            streams: 0,
            last_request: None,
            watched_since: None,
        };
        let releases = [self.plan.blue, Some(self.plan.green)];
        Facts {
            converged: Some(look.converged),
            green: match look.healthy {
                true => Health::Healthy,
                false => Health::Unhealthy("no answer".to_owned()),
            },
            readings: Vec::new(),
            traffic: releases
                .into_iter()
                .zip(look.busy)
                .filter_map(|(release, busy)| Some((release?, traffic(busy))))
                .collect(),
        }
    }

    /// The first routing table.
    pub(super) fn first_table(&self, table: Table) -> TableNo {
        self.inner().table(table)
    }

    /// A real edit of a table, with the next generation.
    pub(super) fn edit(&self, table: TableNo, effect: EffectNo) -> Edited {
        let mut inner = self.inner();
        if let Some(known) = inner.edits.get(&(table, effect)) {
            return *known;
        }
        let (before, act) = (&inner.tables[table as usize], &inner.effects[usize::from(effect)].1);
        let Act::Route(change) = act else { return Edited::Refused };
        let edited = match edit(before, &change.edit(), before.generation + 1) {
            Ok(next) => Edited::Table(inner.table(next)),
            Err(EditRefused::NoChange(_)) => Edited::InPlace,
            Err(_) => Edited::Refused,
        };
        inner.edits.insert((table, effect), edited);
        edited
    }

    pub(super) fn act(&self, effect: EffectNo) -> Act {
        self.inner().effects[usize::from(effect)].1.clone()
    }

    pub(super) fn name(&self, effect: EffectNo) -> String {
        let inner = self.inner();
        let (id, act) = &inner.effects[usize::from(effect)];
        format!("{} {}", id.step, words(act))
    }

    pub(super) fn with_state<T>(&self, state: StateNo, look: impl FnOnce(&State) -> T) -> T {
        look(&self.inner().states[state as usize])
    }

    pub(super) fn with_table<T>(&self, table: TableNo, look: impl FnOnce(&Table) -> T) -> T {
        look(&self.inner().tables[table as usize])
    }

    pub(super) fn situation(&self, state: StateNo) -> Situation {
        self.with_state(state, State::situation)
    }

    /// How many states of the machine have occurred.
    pub(super) fn machine_states(&self) -> usize {
        self.inner().states.len()
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn state(&mut self, state: State) -> StateNo {
        let state = timeless(state);
        let key = format!(
            "{:?}",
            (
                (state.seq, state.cursor, state.attempt, state.tries, state.not_before, &state.pending),
                (state.done, &state.failed, state.generation, &state.watch, &state.held, &state.paused),
                (&state.undo, &state.superseded, state.routed, state.promoted, state.retiring),
                (state.parked, state.cut_short, &state.ended),
            )
        );
        if let Some(number) = self.state_numbers.get(&key) {
            return *number;
        }
        let number = StateNo::try_from(self.states.len()).unwrap_or(StateNo::MAX);
        self.states.push(state);
        self.state_numbers.insert(key, number);
        number
    }

    fn table(&mut self, table: Table) -> TableNo {
        let key = table.to_compact();
        if let Some(number) = self.table_numbers.get(&key) {
            return *number;
        }
        let number = TableNo::try_from(self.tables.len()).unwrap_or(TableNo::MAX);
        self.tables.push(table);
        self.table_numbers.insert(key, number);
        number
    }

    fn effect(&mut self, id: &EffectId, act: &Act) -> EffectNo {
        // The way back has other steps when it closes: one id, two acts, though never in the same run.
        let key = format!("{id} {act:?}");
        if let Some(number) = self.effect_numbers.get(&key) {
            return *number;
        }
        let number = EffectNo::try_from(self.effects.len()).unwrap_or(EffectNo::MAX);
        self.effects.push((id.clone(), act.clone()));
        self.effect_numbers.insert(key, number);
        number
    }

    fn todo(&mut self, effects: &[Effect]) -> Vec<Todo> {
        let todo = |effect: &Effect| match effect {
            Effect::Do { id, act } => Some(Todo::Do(self.effect(id, act))),
            Effect::Observe { id, act } => Some(Todo::Observe(self.effect(id, act))),
            Effect::Cancel { .. } => None,
        };
        effects.iter().filter_map(todo).collect()
    }
}

/// Every moment put back to one; time waited is kept where something depends on it.
fn timeless(mut state: State) -> State {
    let draining = matches!(state.step().map(|step| &step.does), Some(Does::Quiet { .. }));
    state.entered = THEN;
    state.not_before = state.not_before.min(THEN);
    state.watch.mark = THEN;
    state.watch.waited = if draining { state.watch.waited } else { 0 };
    state.pending.iter_mut().for_each(|pending| pending.look = pending.look.map(|_| THEN));
    state.held.iter_mut().for_each(|held| held.since = THEN);
    state.paused.iter_mut().for_each(|paused| paused.since = THEN);
    state
}

/// An act in few words.
fn words(act: &Act) -> String {
    let release =
        |release: &ReleaseId| release.as_str().trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
    match act {
        Act::Prepare { release: of } => format!("prepare {}", release(of)),
        Act::Gate(gate) => format!("gate {}", gate.gate),
        Act::Standby { release: of } => format!("keep {} warm", release(of)),
        Act::Park { release: of } => format!("park {}", release(of)),
        Act::Retire { release: of } => format!("retire {}", release(of)),
        Act::Route(change) => match change {
            Change::Candidate { release: of } => format!("candidate {}", release(of)),
            Change::Audience { name, release: of } => format!("audience {name} to {}", release(of)),
            Change::Share { release: of, width } => format!("share {width} to {}", release(of)),
            Change::Promote { release: of } => format!("promote {}", release(of)),
            Change::Rollback { to, close } => {
                format!("roll back to {}{}", release(to), if *close { ", closing" } else { "" })
            }
            Change::Close { release: of } => format!("close {}", release(of)),
        },
    }
}
