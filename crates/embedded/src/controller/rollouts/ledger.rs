//! The newest rollout as the journal has it, kept at hand: who opened it, what it owns, why it went back.

use std::sync::{Mutex, PoisonError};

use cutover_engine::rollout::{Act, Body, Cause, Does, End, Record, State, Why, apply, fold};
use cutover_routing::ReleaseId;

/// The newest rollout.
#[derive(Debug, Default)]
pub(in super::super) struct Ledger(Mutex<Option<Known>>);

/// A rollout with what its records say beside its state.
#[derive(Debug, Clone)]
pub(in super::super) struct Known {
    pub(in super::super) state: State,
    pub(in super::super) opened_by: String,
    /// Who last did not want to wait, and why.
    pub(in super::super) forced: Option<(String, Option<String>)>,
}

impl Ledger {
    /// The newest rollout, open or over.
    pub(in super::super) fn known(&self) -> Option<Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes in all records of the newest rollout. What does not add up is none: the driver says why.
    pub(in super::super) fn read(&self, records: &[Record]) {
        let Ok(Some(state)) = fold(records) else { return };
        let mut known = Known { state, opened_by: String::new(), forced: None };
        records.iter().for_each(|record| known.hear(record));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    /// The rollout as it would be with these records too.
    pub(super) fn with(&self, records: &[Record]) -> Option<Known> {
        let mut known = self.known();
        for record in records {
            if let Body::Opened { by, .. } = &record.body {
                let state = apply(None, record).ok()?;
                known = Some(Known { state, opened_by: by.clone(), forced: None });
                continue;
            }
            let mut next = known?;
            next.state = apply(Some(next.state), record).ok()?;
            next.hear(record);
            known = Some(next);
        }
        known
    }

    pub(super) fn set(&self, known: Option<Known>) {
        if known.is_some() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
        }
    }

    /// The releases of a rollout that is not over: nobody else drains, closes, ends or removes them.
    pub(in super::super) fn owned(&self) -> Vec<ReleaseId> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = guard.as_ref().filter(|known| known.state.ended.is_none()) else {
            return Vec::new();
        };
        known.state.plan.blue.into_iter().chain([known.state.plan.green]).collect()
    }

    /// The release that a rollout has given its rest: nothing of it is to run until somebody goes back to it.
    pub(in super::super) fn parked(&self) -> Option<ReleaseId> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &guard.as_ref()?.state;
        let rests = state.parked && !state.going_back();
        state.plan.blue.filter(|_| rests)
    }
}

impl Known {
    fn hear(&mut self, record: &Record) {
        match &record.body {
            Body::Opened { by, .. } => self.opened_by.clone_from(by),
            Body::Advanced { why: Why::Forced { by, reason }, .. } => {
                self.forced = Some((by.clone(), reason.clone()));
            }
            _ => {}
        }
    }

    /// Why it goes back.
    pub(in super::super) fn cause(&self) -> Option<&Cause> {
        self.state.undo.as_ref().map(|undo| &undo.cause)
    }

    /// Whether what it leaves is to stay warm.
    pub(super) fn keeps_warm(&self) -> bool {
        matches!(self.state.plan.steps.last().map(|step| &step.does), Some(Does::Act(Act::Standby { .. })))
    }

    /// Whether `Event::Rollback` has a place: it is open, or over with blue within reach.
    pub(in super::super) fn can_go_back(&self) -> bool {
        matches!(self.state.ended, None | Some(End::Done { standby: true }))
    }
}

/// Why visitors go back, for a person.
pub(in super::super) fn why_back(cause: &Cause) -> String {
    match cause {
        Cause::Gate { gate, why } => format!("gate {gate} failed: {why}"),
        Cause::Unhealthy { why } => format!("the release is unhealthy: {why}"),
        Cause::Effect { why, .. } => why.clone(),
        Cause::Operator { withdraw: true, .. } => "the release is withdrawn".to_owned(),
        Cause::Operator { .. } => "somebody said so".to_owned(),
        Cause::Superseded { by } => format!("rollout {by} takes over"),
    }
}
