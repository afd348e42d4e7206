//! Withdrawing: a release that must not be served any more, and may not come back by mistake.

use std::{sync::Arc, time::Instant};

use cutover_engine::{
    Error, ErrorKind,
    control::{Outside, SwitchReport, WithdrawRequest},
    rollout::Event,
    runner::Now,
};
use cutover_routing::{Edit, ReleaseId, ReleaseState, Table};

use super::{
    Inner,
    commit::Change,
    deed::Deed,
    locked, missing,
    operation::Operation,
    promote::shown,
    rollback::{given_up, nowhere},
    rollouts::Known,
    stage::is_gone,
    unix_ms,
    world::Back,
};
use crate::journal::{LastSwitch, RecordKind, ReleaseRow, Write};

impl Inner {
    pub(super) async fn withdraw(
        self: Arc<Self>,
        who: String,
        reference: String,
        request: WithdrawRequest,
    ) -> Result<SwitchReport, Error> {
        let accepted = Instant::now();
        let row = self.resolve(&reference)?;
        let id = row.id;
        let mut operation = Operation::new(&who, "withdraw", Some(id), request.reason.clone())?;
        operation.began = accepted;
        if request.pardon {
            if request.purge {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    "CUT0511",
                    "--purge and --pardon exclude each other",
                ));
            }
            return self.pardon(&operation, &id).await;
        }
        let barred = match self.withdraw_green(&operation, &id).await {
            Ok(Some(report)) if request.purge => self.purge(&operation, &id, report).await,
            Ok(Some(report)) => Ok(report),
            Ok(None) => self.bar(&operation, &id, request.purge).await,
            Err(error) => Err(error),
        };
        match barred {
            Ok(report) => {
                if request.purge && report.changed {
                    let held = self.prepare.lock().await;
                    self.clear_away(&held, &who, &id, format!("removed the files of {id}")).await;
                }
                Ok(report)
            }
            Err(error) => Err(self.fail(&operation, false, error).await),
        }
    }

    /// Withdraws what a rollout is about, by sending its visitors back; none where no rollout is responsible.
    async fn withdraw_green(
        self: &Arc<Self>,
        operation: &Operation,
        id: &ReleaseId,
    ) -> Result<Option<SwitchReport>, Error> {
        let Some(known) = self.rolling.ledger.known().filter(Known::can_go_back) else { return Ok(None) };
        let state = &known.state;
        if state.plan.green != *id {
            return self.free_from(&known, id).await.map(|()| None);
        }
        let before = self.current_table();
        let over = state.ended.is_some() && before.default != Some(*id);
        let alone = state.plan.blue.is_none() && before.default == Some(*id);
        if over || alone || self.row(id).is_some_and(|row| row.barred.is_some()) {
            return Ok(None);
        }
        self.rolling.accept(Some(operation.began));
        *locked(&self.rolling.switched) = None;
        let event = Event::Withdraw { by: operation.who.clone(), reason: operation.reason.clone() };
        let (rollout, runner) = (&state.plan.rollout, self.runner()?);
        match runner.say(rollout, event).await {
            Ok(_) => {}
            // It is left and closed already: what is missing is the bar.
            Err(refusal) if refusal.is_already_so() => {
                self.give_way(Deed::Withdraw, id).await?;
                return Ok(None);
            }
            Err(refusal) => return Err(refusal.into()),
        }
        let closed = || matches!(self.current_table().state(id), None | Some(ReleaseState::Closed));
        let done = |now: &Now| {
            let back = now.state.visitors_are_back() && closed();
            now.state.ended.is_some() || back || given_up(&now.state).is_some()
        };
        let now = runner.until(rollout, done).await?;
        if let (Some(why), false) = (given_up(&now.state), closed()) {
            return Err(Error::new(ErrorKind::Failed, "CUT0506", format!("withdrawing {id}"))
                .because(why)
                .hint("it is tried again by itself; `cutover status` shows how that goes"));
        }
        if self.row(id).is_some_and(|row| row.barred.is_none()) {
            // It was closed by something else meanwhile.
            self.give_way(Deed::Withdraw, id).await?;
            return Ok(None);
        }
        let told = locked(&self.rolling.switched).take().filter(|told| told.verb == "withdraw");
        let message = format!("withdrew {id}: nobody is sent to it any more");
        Ok(Some(told.unwrap_or_else(|| SwitchReport {
            took_us: operation.took_us(),
            ..report(&self.current_table(), true, message)
        })))
    }

    /// Ends the rollout that still needs a release which it is not about.
    async fn free_from(self: &Arc<Self>, known: &Known, id: &ReleaseId) -> Result<(), Error> {
        let state = &known.state;
        if state.ended.is_some() || state.plan.blue != Some(*id) {
            return Ok(());
        }
        if !state.promoted {
            return Err(nowhere(&format!("rollout {} moves visitors from {id}", state.plan.rollout))
                .hint("`cutover promote` sends it on, `cutover rollback` ends it"));
        }
        self.give_way(Deed::Withdraw, id).await
    }

    /// Removes a release that was withdrawn just now.
    async fn purge(
        self: &Arc<Self>,
        operation: &Operation,
        id: &ReleaseId,
        done: SwitchReport,
    ) -> Result<SwitchReport, Error> {
        self.give_way(Deed::Withdraw, id).await?;
        let report = self.bar(operation, id, true).await?;
        let message = done.message.replacen("withdrew", "withdrew and removed", 1);
        Ok(SwitchReport { message, generation: report.generation, ..done })
    }

    async fn bar(
        self: &Arc<Self>,
        operation: &Operation,
        id: &ReleaseId,
        purge: bool,
    ) -> Result<SwitchReport, Error> {
        let switch = self.switch.lock().await;
        let table = self.current_table();
        let mut row = self.row(id).ok_or_else(|| missing(id))?;
        let barred = row.barred.is_some();
        let gone = is_gone(&row);
        if barred && (!purge || gone) {
            return Ok(report(&table, false, format!("{id} is withdrawn already")));
        }
        let active = table.default == Some(*id);
        let mut rows = Vec::new();
        let (mut edits, to) = if active {
            let to = self.way_out(&mut rows).await?;
            (vec![Edit::Rollback { to, close: true }], Some(to))
        } else {
            match table.state(id) {
                None | Some(ReleaseState::Closed) => (Vec::new(), None),
                Some(_) => (vec![Edit::Withdraw { release: *id }], None),
            }
        };
        if purge && !gone {
            edits.push(Edit::Retire { release: *id });
        }
        let why = operation.reason.clone().unwrap_or_else(|| format!("withdrawn by {}", operation.who));
        row.barred = Some(why);
        if !gone {
            row.outside = Some(if purge { Outside::Retired } else { Outside::Withdrawn });
        }
        rows.push(row);
        let last_switch = to.map(|to| LastSwitch { from: Some(*id), to, promotion: false, at: unix_ms() });
        let purged = if purge { " and removed" } else { "" };
        if edits.is_empty() {
            return self.note_row(operation, &table, rows, format!("withdrew {id}")).await;
        }
        let generation = self
            .commit(&switch, operation, Change { begin: true, edits, rows, last_switch, fence: None })
            .await?;
        let took_us = operation.took_us();
        let message = match to {
            Some(to) => format!("withdrew{purged} {id} and went back to {to} in {}", shown(took_us)),
            None => format!("withdrew{purged} {id}: nobody is sent to it any more"),
        };
        self.end(operation, message.clone(), Some(generation)).await;
        Ok(SwitchReport {
            from: table.default,
            to: to.or(table.default),
            generation,
            took_us,
            ..report(&table, true, message)
        })
    }

    /// The release that takes over, up and running.
    async fn way_out(self: &Arc<Self>, rows: &mut Vec<ReleaseRow>) -> Result<ReleaseId, Error> {
        match self.with_world(super::World::back) {
            Back::To { to, .. } => {
                let mut row = self.row(&to).ok_or_else(|| missing(&to))?;
                self.ready_again(&to, row.slot).await?;
                row.outside = None;
                rows.push(row);
                Ok(to)
            }
            Back::Already { on, .. } => Err(nowhere(&format!(
                "{on} is what the last rollback went to; nothing says which release came before it"
            ))
            .hint("promote another release first, then withdraw this one")),
            Back::Nowhere(why) => {
                Err(nowhere(&why).hint("promote another release first, then withdraw this one"))
            }
        }
    }

    async fn pardon(&self, operation: &Operation, id: &ReleaseId) -> Result<SwitchReport, Error> {
        let _held = self.switch.lock().await;
        let table = self.current_table();
        let mut row = self.row(id).ok_or_else(|| missing(id))?;
        if row.barred.is_none() {
            return Ok(report(&table, false, format!("{id} is not withdrawn")));
        }
        row.barred = None;
        if row.outside == Some(Outside::Withdrawn) {
            row.outside = None;
        }
        self.note_row(operation, &table, vec![row], format!("pardoned {id}: it may be promoted again")).await
    }

    /// A change of what is known about releases that the table does not show.
    async fn note_row(
        &self,
        operation: &Operation,
        table: &Table,
        rows: Vec<ReleaseRow>,
        message: String,
    ) -> Result<SwitchReport, Error> {
        let records = vec![operation.record(RecordKind::Outcome, message.clone(), None)];
        let write = Write { releases: rows.clone(), records, ..Write::default() };
        self.write_for(operation.is_way_out(), write).await?;
        self.change_world(|world| {
            for row in rows {
                world.rows.insert(row.id, row);
            }
        });
        Ok(SwitchReport { took_us: operation.took_us(), ..report(table, true, message) })
    }
}

fn report(table: &Table, changed: bool, message: String) -> SwitchReport {
    SwitchReport {
        verb: "withdraw".to_owned(),
        from: table.default,
        to: table.default,
        changed,
        generation: table.generation,
        took_us: 0,
        message,
    }
}
