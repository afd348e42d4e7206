//! Promotion: one routing write that makes a release the default.

use std::{sync::Arc, time::Instant};

use cutover_engine::{
    Error, ErrorKind,
    control::{Progress, PromoteRequest, SwitchReport},
};
use cutover_routing::{Edit, ReleaseId, ReleaseState, Table};

use super::{
    Inner,
    commit::Change,
    gating::skipped,
    missing,
    operation::Operation,
    stage::{Prepare, barred, is_gone},
    unix_ms,
};
use crate::journal::{LastSwitch, ReleaseRow};

impl Inner {
    /// Takes the release by itself: others may stage meanwhile.
    pub(super) async fn promote(
        self: Arc<Self>,
        who: String,
        request: PromoteRequest,
        progress: Progress,
    ) -> Result<SwitchReport, Error> {
        self.promote_checked(&who, request, &progress, None).await
    }

    /// The second half of a deployment. `expected` is the default the deployment started from.
    pub(super) async fn promote_held(
        self: &Arc<Self>,
        _held: &Prepare<'_>,
        who: &str,
        request: PromoteRequest,
        progress: &Progress,
        expected: Option<Option<ReleaseId>>,
    ) -> Result<SwitchReport, Error> {
        self.promote_checked(who, request, progress, expected).await
    }

    async fn promote_checked(
        self: &Arc<Self>,
        who: &str,
        request: PromoteRequest,
        progress: &Progress,
        expected: Option<Option<ReleaseId>>,
    ) -> Result<SwitchReport, Error> {
        let accepted = Instant::now();
        let row = self.to_promote(request.release.as_deref())?;
        let id = row.id;
        let table = self.current_table();
        if table.default == Some(id) {
            return Ok(unchanged("promote", &table, id));
        }
        promotable(&row)?;
        let mut operation = Operation::new(who, "promote", Some(id), request.reason.clone())?;
        operation.began = accepted;
        let _busy = self.work_on(id);
        if let Err(error) = self.prepare_promotion(&mut operation, &row, progress).await {
            return Err(self.fail(&operation, false, error).await);
        }
        let switch = self.switch.lock().await;
        let result = self.switch_to(&switch, &operation, &id, expected).await;
        drop(switch);
        match result {
            Ok(report) => {
                progress.say(report.message.clone());
                Ok(report)
            }
            Err(error) => Err(self.fail(&operation, false, error).await),
        }
    }

    /// Everything that takes time, before the table is touched: services, gates, health. The clock that is reported
    /// starts again after it, because until here no visitor waits for anything.
    async fn prepare_promotion(
        self: &Arc<Self>,
        operation: &mut Operation,
        row: &ReleaseRow,
        progress: &Progress,
    ) -> Result<(), Error> {
        let loaded = self.load(&row.id).await?;
        let started = self.ready(&row.id, row.slot, progress).await?;
        if started {
            self.publish().await?;
        }
        let open = skipped(&loaded, &row.gates);
        let judged = if operation.reason.is_none() {
            let ran = loaded.snapshot.gates.len() > row.gates.len() || !open.is_empty();
            let (_, verdict) = self.run_gates(operation, &row.id, progress).await?;
            verdict?;
            ran
        } else {
            if !open.is_empty() {
                progress.say(format!("not waiting for gates: {}", open.join(", ")));
            }
            false
        };
        if started || judged {
            // Gates may have taken a while; what was healthy before them need not be now.
            self.look(&row.id, row.slot).await?;
            operation.began = Instant::now();
        }
        Ok(())
    }

    async fn switch_to(
        &self,
        held: &super::commit::Switch<'_>,
        operation: &Operation,
        id: &ReleaseId,
        expected: Option<Option<ReleaseId>>,
    ) -> Result<SwitchReport, Error> {
        // Looked up again: what was true before the lock may have changed.
        let mut row = self.row(id).ok_or_else(|| missing(id))?;
        promotable(&row)?;
        let table = self.current_table();
        if table.default == Some(*id) {
            return Ok(unchanged("promote", &table, *id));
        }
        if expected.is_some_and(|expected| expected != table.default) {
            return Err(superseded(&table, id));
        }
        let loaded = self.load(id).await?;
        let over = skipped(&loaded, &row.gates);
        if operation.reason.is_none() && !over.is_empty() {
            return Err(Error::new(
                ErrorKind::Refused,
                "CUT0509",
                format!("release {id} has not passed its gates"),
            )
            .because(over.join(", ")));
        }
        let mut edits = edits(&table, id);
        let broken = match table.default {
            // Nobody is held on what has lost files.
            Some(from) if self.is_damaged(&from).await => Some(from),
            _ => None,
        };
        edits.extend(broken.map(|release| Edit::Close { release }));
        let now = unix_ms();
        row.promoted_at = Some(now);
        row.outside = None;
        let change = Change {
            begin: true,
            edits,
            rows: vec![row],
            last_switch: Some(LastSwitch { from: table.default, to: *id, promotion: true, at: now }),
        };
        let generation = self.commit(held, operation, change).await?;
        let took_us = operation.took_us();
        let mut message = match table.default {
            Some(from) if broken.is_some() => {
                format!("{id} is active in {}; {from}, whose files are damaged, is closed", shown(took_us))
            }
            Some(from) => format!("{id} is active in {}; {from} drains", shown(took_us)),
            None => format!("{id} is active in {}; it is the first release", shown(took_us)),
        };
        if !over.is_empty() {
            message.push_str(&format!("; promoted over gates that have not passed: {}", over.join(", ")));
        }
        self.end(operation, message.clone(), Some(generation)).await;
        Ok(SwitchReport {
            verb: "promote".to_owned(),
            from: table.default,
            to: Some(*id),
            changed: true,
            generation,
            took_us,
            message,
        })
    }

    fn to_promote(&self, reference: Option<&str>) -> Result<ReleaseRow, Error> {
        if let Some(text) = reference {
            return self.resolve(text);
        }
        let green = self.with_world(|world| world.green().and_then(|id| world.rows.get(&id).cloned()));
        green.ok_or_else(|| {
            Error::new(ErrorKind::Refused, "CUT0515", "there is no staged release to promote")
                .hint("stage one, or name the release: `cutover releases` lists them")
        })
    }
}

fn promotable(row: &ReleaseRow) -> Result<(), Error> {
    if let Some(why) = &row.barred {
        return Err(barred(&row.id, why));
    }
    if is_gone(row) {
        return Err(Error::new(
            ErrorKind::Refused,
            "CUT0516",
            format!("release {} is retired: its files are gone", row.id),
        )
        .hint("stage the same content again: it gets the same id"));
    }
    Ok(())
}

/// The steps from the release's state to active, all in one routing write.
fn edits(table: &Table, release: &ReleaseId) -> Vec<Edit> {
    let release = *release;
    match table.state(&release) {
        Some(ReleaseState::Staged) => vec![Edit::MakeCandidate { release }, Edit::Promote { release }],
        Some(ReleaseState::Closed) => vec![Edit::Reopen { release }, Edit::Promote { release }],
        _ => vec![Edit::Promote { release }],
    }
}

fn superseded(table: &Table, id: &ReleaseId) -> Error {
    let now = table.default.map_or_else(|| "none".to_owned(), |id| id.to_string());
    Error::new(
        ErrorKind::Refused,
        "CUT0517",
        format!("the active release changed to {now} while {id} was deployed"),
    )
    .hint(format!("`cutover promote {id}` makes it the active one all the same"))
}

pub(super) fn unchanged(verb: &str, table: &Table, on: ReleaseId) -> SwitchReport {
    SwitchReport {
        verb: verb.to_owned(),
        from: Some(on),
        to: Some(on),
        changed: false,
        generation: table.generation,
        took_us: 0,
        message: format!("already on {on}"),
    }
}

/// Microseconds for a person.
pub(super) fn shown(us: u64) -> String {
    if us < 10_000 { format!("{}.{:02} ms", us / 1000, us % 1000 / 10) } else { format!("{} ms", us / 1000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!(shown(1_234), "1.23 ms");
        assert_eq!(shown(45), "0.04 ms");
        assert_eq!(shown(45_678), "45 ms");
    }
}
