//! Rollback: one routing write that makes the release before the last promotion the default again.

use std::{sync::Arc, time::Instant};

use cutover_engine::{
    Error, ErrorKind,
    control::{Outside, RollbackRequest, SwitchReport},
    rollout::{End, Event, Outcome, State},
    runner::Now,
    story,
};
use cutover_routing::{Edit, ReleaseId, ReleaseState};

use super::{
    Inner,
    commit::{Change, Switch},
    locked, missing,
    operation::Operation,
    promote::{shown, unchanged},
    publish::NOT_PUBLISHED,
    rollouts::Known,
    unix_ms,
    world::Back,
};
use crate::journal::LastSwitch;

/// After so many attempts that failed a person is told.
const PATIENCE: u32 = 3;

impl Inner {
    pub(super) async fn rollback(
        self: Arc<Self>,
        who: String,
        request: RollbackRequest,
    ) -> Result<SwitchReport, Error> {
        let accepted = Instant::now();
        if let Some(known) = self.leads_back() {
            return self.roll_back(&known, &who, request, accepted).await;
        }
        // No rollout is responsible: the journal is from before there were any, or the last one gave way.
        let switch = self.switch.lock().await;
        match self.back() {
            Back::To { from, to } => {
                let begin = || {
                    let mut operation = Operation::new(&who, "rollback", Some(to), request.reason.clone())?;
                    operation.began = accepted;
                    Ok::<_, Error>(operation)
                };
                let mut operation = begin()?;
                let mut result = self.go_back(&switch, &operation, from, to, request.now).await;
                if !request.now && result.as_ref().is_err_and(|error| error.code == NOT_PUBLISHED) {
                    // What is left may be what the edge cannot serve, e.g. because its files are damaged. The way
                    // back is worth more than the pages that are open on it.
                    operation = begin()?;
                    result = self.go_back(&switch, &operation, from, to, true).await;
                }
                match result {
                    Ok(report) => Ok(report),
                    Err(error) => Err(self.fail(&operation, false, error).await),
                }
            }
            Back::Already { on, left } => {
                let mut operation = Operation::new(&who, "rollback", Some(on), request.reason)?;
                operation.began = accepted;
                self.stay(&switch, &operation, on, &left, request.now).await
            }
            Back::Nowhere(why) => Err(nowhere(&why)),
        }
    }

    /// Where a rollback leads now.
    pub(super) fn back(&self) -> Back {
        let known = self.rolling.ledger.known();
        self.with_world(|world| world.back_after(known.as_ref().map(|known| &known.state)))
    }

    /// The rollout that a rollback is said to.
    fn leads_back(&self) -> Option<Known> {
        let known = self.rolling.ledger.known().filter(Known::can_go_back)?;
        let state = &known.state;
        let before = !state.promoted || state.going_back();
        if state.ended.is_none() && before {
            return Some(known);
        }
        let to = state.plan.blue?;
        (self.with_world(super::World::back) == Back::To { from: state.plan.green, to }).then_some(known)
    }

    /// Says it to the rollout and waits until visitors are back.
    async fn roll_back(
        self: &Arc<Self>,
        known: &Known,
        who: &str,
        request: RollbackRequest,
        accepted: Instant,
    ) -> Result<SwitchReport, Error> {
        let (rollout, green) = (&known.state.plan.rollout, known.state.plan.green);
        self.rolling.accept(Some(accepted));
        *locked(&self.rolling.switched) = None;
        let runner = self.runner()?;
        let event =
            Event::Rollback { by: who.to_owned(), reason: request.reason, now: request.now.then_some(true) };
        let said = match runner.say(rollout, event).await {
            Ok(_) => true,
            Err(refusal) if refusal.is_already_so() => false,
            Err(refusal) => return Err(refusal.into()),
        };
        let closed = || {
            let state = self.current_table().state(&green);
            !matches!(state, Some(ReleaseState::Draining | ReleaseState::Candidate | ReleaseState::Active))
        };
        let back = |state: &State| state.visitors_are_back() && (!request.now || closed());
        // Who asks once more wants to know how it goes, not to wait as long as it takes.
        let fails = |state: &State| {
            given_up(state).is_some()
                || (!said && state.going_back() && (state.failed.is_some() || state.tries > 1))
        };
        let done = |now: &Now| now.state.ended.is_some() || back(&now.state) || fails(&now.state);
        let now = runner.until(rollout, done).await?;
        let state = &now.state;
        if !back(state) && state.ended != Some(End::RolledBack) {
            return Err(self.not_back(&now));
        }
        let report = locked(&self.rolling.switched).take().filter(|report| report.verb == "rollback");
        let table = self.current_table();
        let on = table.default.or(state.plan.blue);
        let Some(report) = report.filter(|_| said) else {
            let message = match (said, on) {
                (true, Some(on)) if request.now => format!("already on {on}; closed: {green}"),
                (true, Some(on)) => format!("already on {on}; given up: {green}"),
                (true, None) => format!("given up: {green}"),
                (false, Some(on)) => format!("already on {on}"),
                (false, None) => "nothing is active".to_owned(),
            };
            return Ok(SwitchReport {
                verb: "rollback".to_owned(),
                from: on,
                to: on,
                changed: said,
                generation: table.generation,
                took_us: u64::try_from(accepted.elapsed().as_micros()).unwrap_or(u64::MAX),
                message,
            });
        };
        Ok(report)
    }

    /// Why visitors are not back although somebody said so.
    pub(super) fn not_back(&self, now: &Now) -> Error {
        let (state, green) = (&now.state, now.state.plan.green);
        let failed = match &state.failed {
            Some(Outcome::Failed { why, .. }) => Some(why.clone()),
            _ => None,
        };
        let table = self.current_table();
        let to = state.plan.blue.map_or_else(|| "where they came from".to_owned(), |blue| blue.to_string());
        let known = state.plan.blue.and_then(|blue| locked(&self.rolling.unready).get(&blue).cloned());
        let what = if table.default == Some(green) {
            format!("visitors are not back on {to} yet: {green} is still the default")
        } else {
            format!("{green} is not left for good yet")
        };
        let error = match known {
            Some(known) => {
                let mut error = Error::new(known.kind, known.code.as_str(), what).because(known.message);
                error.causes.extend(known.causes);
                error.hints.extend(known.hints);
                error
            }
            None => Error::new(ErrorKind::Failed, NOT_PUBLISHED, what)
                .because(failed.unwrap_or_else(|| story::view(now).waiting)),
        };
        error.hint("it is tried again by itself; `cutover status` shows how that goes")
    }

    /// Refuses to promote what visitors are being sent back from.
    pub(super) fn not_being_left(&self, id: &ReleaseId) -> Result<(), Error> {
        let known = self.rolling.ledger.known().filter(|known| {
            known.state.plan.green == *id && known.state.ended.is_none() && known.state.going_back()
        });
        let Some(known) = known.filter(|_| self.current_table().default == Some(*id)) else { return Ok(()) };
        let rollout = &known.state.plan.rollout;
        let what = format!("rollout {rollout} is sending visitors back from {id}");
        let mut error = Error::new(ErrorKind::Refused, "CUT0531", what);
        if let Some(Outcome::Failed { why, .. }) = &known.state.failed {
            error = error.because(format!("it has not succeeded yet: {why}"));
        }
        Err(error
            .hint("that is not turned round: promote it again when visitors are back; `cutover status` shows how it goes")
            .hint("`cutover promote RELEASE` of another release takes over"))
    }

    async fn go_back(
        self: &Arc<Self>,
        held: &Switch<'_>,
        operation: &Operation,
        from: ReleaseId,
        to: ReleaseId,
        now: bool,
    ) -> Result<SwitchReport, Error> {
        let mut row = self.row(&to).ok_or_else(|| missing(&to))?;
        self.ready_again(&to, row.slot).await?;
        // Nobody is held on what has lost files.
        let close = now || self.is_damaged(&from).await;
        let at = unix_ms();
        row.outside = None;
        let change = Change {
            begin: true,
            edits: vec![Edit::Rollback { to, close }],
            rows: vec![row],
            last_switch: Some(LastSwitch { from: Some(from), to, promotion: false, at }),
            fence: None,
        };
        let generation = self.commit(held, operation, change).await?;
        let took_us = operation.took_us();
        let left = if close { "is closed" } else { "drains" };
        let message = format!("back on {to} in {}; {from} {left}", shown(took_us));
        self.end(operation, message.clone(), Some(generation)).await;
        Ok(SwitchReport {
            verb: "rollback".to_owned(),
            from: Some(from),
            to: Some(to),
            changed: true,
            generation,
            took_us,
            message,
        })
    }

    /// The default is right already. What was left may still have to go.
    async fn stay(
        &self,
        held: &Switch<'_>,
        operation: &Operation,
        on: ReleaseId,
        left: &[ReleaseId],
        now: bool,
    ) -> Result<SwitchReport, Error> {
        let table = self.current_table();
        let candidates = left.iter().any(|id| table.state(id) == Some(ReleaseState::Candidate));
        let edits: Vec<Edit> = if candidates {
            vec![Edit::Rollback { to: on, close: now }]
        } else if now {
            left.iter().map(|release| Edit::Close { release: *release }).collect()
        } else {
            Vec::new()
        };
        let mut report = unchanged("rollback", &table, on);
        if edits.is_empty() {
            return Ok(report);
        }
        let change = Change { begin: true, edits, ..Change::default() };
        let generation = match self.commit(held, operation, change).await {
            Ok(generation) => generation,
            Err(error) => return Err(self.fail(operation, false, error).await),
        };
        let names: Vec<String> = left.iter().map(ToString::to_string).collect();
        let done = if now { "closed" } else { "given up" };
        report.message = format!("already on {on}; {done}: {}", names.join(", "));
        report.changed = true;
        report.generation = generation;
        report.took_us = operation.took_us();
        self.end(operation, report.message.clone(), Some(generation)).await;
        Ok(report)
    }
}

/// Why whoever waits for the way back need not wait any longer, although it goes on.
pub(super) fn given_up(state: &State) -> Option<&str> {
    match state.failed.as_ref().filter(|_| state.going_back())? {
        Outcome::Failed { why, lasting } if *lasting || state.tries >= PATIENCE => Some(why),
        _ => None,
    }
}

pub(super) fn nowhere(why: &str) -> Error {
    Error::new(ErrorKind::Refused, "CUT0518", "there is nothing to roll back to")
        .because(why)
        .hint("promote another release: `cutover releases` lists those that are retained")
}

/// Kept warm although closed.
pub(super) fn on_standby(outside: Option<Outside>) -> bool {
    outside == Some(Outside::Standby)
}
