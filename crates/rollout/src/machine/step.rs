//! What happens next. The only place where a decision about a rollout is made.

use super::{
    Body, Cause, Cursor, Effect, EffectId, End, Event, Fact, Facts, Health, HeldFor, Outcome, RECORD_VERSION,
    Record, Refused, Seen, State, Why, apply, watch,
};
use crate::{Act, Does, RolloutId, Stage, judge::Verdict};

/// After so many attempts without success an effect is given up, where giving up is possible.
pub const MAX_ATTEMPTS: u32 = 5;
/// How long to wait before looking again at what could not be seen.
const LOOK_AGAIN: u64 = 5_000;

/// What happens next.
#[derive(Debug, Clone, PartialEq)]
pub struct Next {
    /// Appended first, all or none.
    pub records: Vec<Record>,
    /// Performed then.
    pub effects: Vec<Effect>,
    /// The state with the records in it.
    pub state: State,
}

/// Milliseconds between an attempt that failed and the next: 1 s, 2 s, 4 s, up to a minute.
pub(super) fn pause_after(tries: u32) -> u64 {
    (1_000_u64 << tries.saturating_sub(1).min(6)).min(60_000)
}

/// Decides what an event means in a state; `now` in Unix milliseconds.
///
/// # Errors
/// Where the event has no place in the state; see [`Refused::is_already_so`]. Nothing is to be recorded or done then.
pub fn step(state: Option<&State>, event: &Event, now: u64) -> Result<Next, Refused> {
    let Some(state) = state else { return open(event, now) };
    let mut work =
        Work { state: state.clone(), records: Vec::new(), effects: Vec::new(), facts: Vec::new(), now };
    match event {
        Event::Open { .. } => {
            let over = state.ended.clone().map(Refused::Ended);
            return Err(over.unwrap_or_else(|| Refused::AlreadyOpen(state.plan.rollout.clone())));
        }
        Event::Restarted if state.ended.is_some() => {}
        Event::Restarted => work.put(Body::Restarted)?,
        Event::Looked(_) if state.ended.is_some() => {}
        Event::Looked(facts) => work.looked(facts)?,
        Event::Outcome { id, outcome } => work.answered(id, outcome)?,
        Event::Observed { id, seen } => work.observed(id, seen)?,
        Event::Promote { by, reason, full } => work.promote(by, reason.as_deref(), *full)?,
        Event::Pause { by, reason } => work.pause(by, reason.clone())?,
        Event::Resume { by } => work.resume(by)?,
        Event::Rollback { by, reason, now } => {
            let close = now.unwrap_or_else(|| work.gate_failed());
            work.back(by, reason.clone(), close, false)?;
        }
        Event::Withdraw { by, reason } => work.back(by, reason.clone(), true, true)?,
        Event::Supersede { by } => work.supersede(by)?,
    }
    work.drive()?;
    Ok(Next { records: work.records, effects: work.effects, state: work.state })
}

fn open(event: &Event, now: u64) -> Result<Next, Refused> {
    let Event::Open { plan, by } = event else { return Err(Refused::NotOpen) };
    let body = Body::Opened { plan: plan.clone(), by: by.clone() };
    let record = Record { v: RECORD_VERSION, seq: 0, at: now, body };
    let state = apply(None, &record).map_err(|_| Refused::BadPlan(plan.rollout.clone()))?;
    let mut work = Work { state, records: vec![record], effects: Vec::new(), facts: Vec::new(), now };
    work.drive()?;
    Ok(Next { records: work.records, effects: work.effects, state: work.state })
}

/// A decision being made.
pub(super) struct Work {
    pub(super) state: State,
    records: Vec<Record>,
    pub(super) effects: Vec<Effect>,
    /// What is known at this moment, for the records of decisions.
    pub(super) facts: Vec<Fact>,
    pub(super) now: u64,
}

impl Work {
    /// Adds a record, through the same function that reads it back.
    pub(super) fn put(&mut self, body: Body) -> Result<(), Refused> {
        let record = Record { v: RECORD_VERSION, seq: self.state.seq, at: self.now, body };
        self.state = apply(Some(self.state.clone()), &record).map_err(Refused::Defect)?;
        self.records.push(record);
        Ok(())
    }

    pub(super) fn does(&self) -> Option<&Does> {
        self.state.step().map(|step| &step.does)
    }

    fn gate_failed(&self) -> bool {
        self.state.watch.verdicts.values().any(|verdict| *verdict == Verdict::Fail)
    }

    fn looked(&mut self, seen: &Facts) -> Result<(), Refused> {
        let stage = self.state.step().map(|step| step.stage.clone());
        let visited = matches!(stage, Some(Stage::Shift { .. } | Stage::Promote | Stage::Bake));
        if let (true, Health::Unhealthy(why)) = (visited && !self.state.going_back(), &seen.green) {
            self.facts = vec![Fact { what: "health of green".to_owned(), says: why.clone(), age: 0 }];
            if self.state.way_back().is_ok() {
                return self.undo(Cause::Unhealthy { why: why.clone() }, true);
            }
            if self.state.held.is_none() && self.state.pending.is_none() {
                self.put(Body::Held { why: HeldFor::Unhealthy { why: why.clone() } })?;
            }
        }
        watch::look(self, seen)
    }

    fn awaited(&self, id: &EffectId) -> Result<&super::Pending, Refused> {
        let pending = self.state.pending.as_ref().filter(|pending| pending.id == *id);
        pending.ok_or_else(|| Refused::Stale(id.clone()))
    }

    fn answered(&mut self, id: &EffectId, outcome: &Outcome) -> Result<(), Refused> {
        let act = self.awaited(id)?.act.clone();
        let gate = matches!(act, Act::Gate(_));
        let outcome = match outcome {
            Outcome::Unknown { why } => {
                return self.put(Body::InDoubt { id: id.clone(), why: why.clone(), again: self.now });
            }
            // A gate that could not be run has said nothing.
            Outcome::Failed { why, .. } if gate => {
                Outcome::Judged { verdict: Verdict::Error, why: why.clone() }
            }
            Outcome::Done { generation } if !gate && generation.is_some() == matches!(act, Act::Route(_)) => {
                outcome.clone()
            }
            Outcome::Judged { .. } if gate => outcome.clone(),
            Outcome::Failed { .. } => outcome.clone(),
            Outcome::Done { .. } | Outcome::Judged { .. } | Outcome::Abandoned => {
                return Err(Refused::WrongAnswer(id.clone()));
            }
        };
        self.put(Body::Outcome { id: id.clone(), outcome })
    }

    fn observed(&mut self, id: &EffectId, seen: &Seen) -> Result<(), Refused> {
        let pending = self.awaited(id)?;
        if !pending.asked {
            return Err(Refused::Stale(id.clone()));
        }
        let gate = matches!(pending.act, Act::Gate(_));
        let gone = || Outcome::Failed { why: "it is not in place".to_owned(), lasting: false };
        match seen {
            Seen::Unknown { why } => {
                let again = self.now.saturating_add(LOOK_AGAIN);
                self.put(Body::InDoubt { id: id.clone(), why: why.clone(), again })
            }
            // What a gate would have said cannot be seen: it is run again.
            Seen::Absent | Seen::InPlace { .. } if gate => {
                let why = "its answer was lost".to_owned();
                self.put(Body::Outcome {
                    id: id.clone(),
                    outcome: Outcome::Judged { verdict: Verdict::Error, why },
                })
            }
            Seen::Absent => self.put(Body::Outcome { id: id.clone(), outcome: gone() }),
            Seen::InPlace { generation } => self.answered(id, &Outcome::Done { generation: *generation }),
        }
    }

    fn promote(&mut self, by: &str, reason: Option<&str>, full: bool) -> Result<(), Refused> {
        self.must_be_forward()?;
        if self.state.paused.is_some() {
            return Err(Refused::IsPaused);
        }
        if let Some(pending) = &self.state.pending
            && !matches!(pending.act, Act::Gate(_))
        {
            return Err(Refused::Busy(Box::new(pending.act.clone())));
        }
        match self.does() {
            Some(Does::Converge) => return Err(Refused::Converging),
            Some(Does::Quiet { .. }) => return Err(Refused::NothingToPromote),
            Some(Does::Hold { .. } | Does::Act(Act::Gate(_))) => {}
            Some(Does::Act(_)) | None => return Err(Refused::NotAGate),
        }
        let Cursor::Forward(from) = self.state.cursor else { return Err(Refused::GoingBack) };
        let plan = &self.state.plan;
        // Where green is not fit for visitors yet, full means: past all gates before traffic.
        let targets = [plan.first_visitors(), plan.promotion()];
        let far = targets.into_iter().flatten().find(|target| *target > from).filter(|_| full);
        let to = far.unwrap_or(from + 1);
        let open: Vec<String> =
            plan.steps[from..to].iter().flat_map(|step| self.state.open_gates(step)).collect();
        let reason = reason.filter(|reason| !reason.trim().is_empty());
        if !open.is_empty() && reason.is_none() {
            let mut names = open;
            names.dedup();
            return Err(Refused::ReasonNeeded(names));
        }
        if let Some(pending) = self.state.pending.clone() {
            self.abandon(pending)?;
        }
        let why = Why::Forced { by: by.to_owned(), reason: reason.map(str::to_owned) };
        let facts = open
            .iter()
            .map(|gate| Fact { what: gate.clone(), says: "not passed".to_owned(), age: 0 })
            .collect();
        self.put(Body::Advanced { from, to, why, facts })
    }

    fn must_be_forward(&self) -> Result<(), Refused> {
        match &self.state.ended {
            Some(how) => Err(Refused::Ended(how.clone())),
            None if self.state.going_back() => Err(Refused::GoingBack),
            None => Ok(()),
        }
    }

    fn pause(&mut self, by: &str, reason: Option<String>) -> Result<(), Refused> {
        self.must_be_forward()?;
        if self.state.paused.is_some() {
            return Err(Refused::AlreadyPaused);
        }
        self.put(Body::Paused { by: by.to_owned(), reason })
    }

    fn resume(&mut self, by: &str) -> Result<(), Refused> {
        self.must_be_forward()?;
        if self.state.paused.is_none() && self.state.held.is_none() {
            return Err(Refused::NotPaused);
        }
        self.put(Body::Resumed { by: by.to_owned() })
    }

    fn back(&mut self, by: &str, reason: Option<String>, close: bool, withdraw: bool) -> Result<(), Refused> {
        let already = self.state.plan.blue.map_or(Refused::AlreadyGoingBack, Refused::AlreadyBack);
        match &self.state.ended {
            Some(End::RolledBack) => return Err(already),
            Some(how @ End::Superseded { .. }) => return Err(Refused::Ended(how.clone())),
            _ => self.state.way_back()?,
        }
        if let Some(undo) = self.state.undo.as_ref().filter(|undo| undo.close || !close) {
            let back = self.state.visitors_are_back() && !undo.steps.is_empty();
            return Err(if back { already } else { Refused::AlreadyGoingBack });
        }
        self.undo(Cause::Operator { by: by.to_owned(), reason, withdraw }, close)
    }

    fn supersede(&mut self, by: &RolloutId) -> Result<(), Refused> {
        if *by == self.state.plan.rollout {
            return Err(Refused::Itself(by.clone()));
        }
        match &self.state.ended {
            None | Some(End::Done { standby: true }) => {}
            Some(how) => return Err(Refused::Ended(how.clone())),
        }
        if let Some(first) = &self.state.superseded {
            return Err(Refused::AlreadySuperseded(first.clone()));
        }
        if let Some(pending) = self.state.pending.as_ref().filter(|_| self.state.retiring) {
            return Err(Refused::Busy(Box::new(pending.act.clone())));
        }
        self.put(Body::SupersedeAsked { by: by.clone() })
    }
}
