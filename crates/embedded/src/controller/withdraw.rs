//! Withdrawing: a release that must not be served any more, and may not come back by mistake.

use std::{sync::Arc, time::Instant};

use cutover_engine::{
    Error, ErrorKind,
    control::{Outside, SwitchReport, WithdrawRequest},
};
use cutover_routing::{Edit, ReleaseId, ReleaseState, Table};

use super::{
    Inner, commit::Change, missing, operation::Operation, promote::shown, rollback::nowhere, stage::is_gone,
    unix_ms, world::Back,
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
        match self.bar(&operation, &id, request.purge).await {
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
        let generation =
            self.commit(&switch, operation, Change { begin: true, edits, rows, last_switch }).await?;
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
