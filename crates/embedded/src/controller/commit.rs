//! One change of the routing table: written down, published, put back where the edge refuses it.

use std::sync::Arc;

use cutover_engine::{Error, ErrorKind};
use cutover_routing::{Edit, ReleaseId, Table, edit, next_generation};
use tokio::sync::MutexGuard;

use super::{CrashPoint, Inner, operation::Operation, unix_ms, unix_secs, world::World};
use crate::journal::{LastSwitch, ReleaseRow, Write};

/// The right to change the table.
pub(super) type Switch<'a> = MutexGuard<'a, ()>;

/// What changes together with the table.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// Write the operation's intent in the same breath.
    pub(super) begin: bool,
    /// One after the other.
    pub(super) edits: Vec<Edit>,
    /// Releases as they are from now on.
    pub(super) rows: Vec<ReleaseRow>,
    /// The change of the default, if it is one.
    pub(super) last_switch: Option<LastSwitch>,
    /// Refused where a lease with a higher epoch was given.
    pub(super) fence: Option<u64>,
}

impl Inner {
    /// Changes the table everywhere, or nowhere. Returns its generation once every worker of the edge runs it.
    pub(super) async fn commit(
        &self,
        _held: &Switch<'_>,
        operation: &Operation,
        change: Change,
    ) -> Result<u64, Error> {
        let before = self.with_world(World::clone);
        let table = edited(&before.table, &change.edits, self.edge.generation()).map_err(refused)?;
        let generation = table.generation;
        let rows = with_times(&before, &table, change.rows);
        let write = Write {
            begin: change.begin.then(|| operation.intent()),
            committed: Some(operation.id.clone()),
            table: Some(table.clone()),
            releases: rows.clone(),
            last_switch: change.last_switch.clone().map(Some),
            fence: change.fence,
            ..Write::default()
        };
        self.pass(CrashPoint::BeforeCommit).await;
        self.write_for(operation.is_way_out(), write).await?;
        self.change_world(|world| {
            world.table = Arc::new(table);
            for row in &rows {
                world.rows.insert(row.id, row.clone());
            }
            if change.last_switch.is_some() {
                world.last_switch.clone_from(&change.last_switch);
            }
        });
        self.pass(CrashPoint::Committed).await;
        match self.publish().await {
            Ok(()) => {
                self.pass(CrashPoint::Published).await;
                Ok(generation)
            }
            Err(error) => Err(self.put_back(operation, before, &rows, error).await),
        }
    }

    /// The edge refused: the table is as it was, under a new generation because generations never go back.
    async fn put_back(
        &self,
        operation: &Operation,
        before: World,
        touched: &[ReleaseRow],
        why: Error,
    ) -> Error {
        let current = self.current_table().generation;
        let observed = current.max(self.edge.generation());
        let mut table = Table::clone(&before.table);
        table.generation = next_generation(observed, unix_secs());
        let (known, forget): (Vec<ReleaseId>, Vec<ReleaseId>) =
            touched.iter().map(|row| row.id).partition(|id| before.rows.contains_key(id));
        let write = Write {
            table: Some(table.clone()),
            releases: known.iter().filter_map(|id| before.rows.get(id).cloned()).collect(),
            forget,
            last_switch: Some(before.last_switch.clone()),
            records: operation.failure(&why).into_iter().collect(),
            ..Write::default()
        };
        // Whatever the operation is: journal and edge must not differ.
        if let Err(error) = self.write_for(true, write).await {
            self.trouble("journal", Some(error.to_string()));
            return why.because(format!("and putting the table back failed: {error}"));
        }
        self.change_world(|world| {
            world.table = Arc::new(table);
            world.rows = before.rows;
            world.last_switch = before.last_switch;
        });
        match self.publish().await {
            Ok(()) => why,
            Err(error) => why.because(format!("and the edge refused the former table too: {error}")),
        }
    }
}

/// The table after the edits.
fn edited(table: &Table, edits: &[Edit], edge: u64) -> Result<Table, cutover_routing::EditRefused> {
    let mut next = table.clone();
    for one in edits {
        next = edit(&next, one, next.generation + 1)?;
    }
    let observed = table.generation.max(edge);
    next.generation = next_generation(observed, unix_secs()).max(next.generation);
    Ok(next)
}

/// Every release whose state changes is dated; those that the caller did not name are added.
fn with_times(before: &World, table: &Table, mut rows: Vec<ReleaseRow>) -> Vec<ReleaseRow> {
    let now = unix_ms();
    for (id, row) in &before.rows {
        if before.table.state(id) != table.state(id) && !rows.iter().any(|named| named.id == *id) {
            rows.push(row.clone());
        }
    }
    for row in &mut rows {
        if before.table.state(&row.id) != table.state(&row.id) {
            row.state_since = now;
        }
    }
    rows
}

pub(super) fn refused(why: cutover_routing::EditRefused) -> Error {
    Error::new(ErrorKind::Refused, "CUT0505", "the routing table does not allow it").because(why)
}
