//! An empty journal beside an edge that serves: the state directory was lost or its journal moved away.
//!
//! The edge is what visitors see, so that it is believed: its last good table is taken over as far as the store still
//! has the releases. An empty table is never published over one that serves.

use std::sync::Arc;

use cutover_engine::Error;
use cutover_routing::{Edit, ReleaseState, edit, next_generation};

use super::{Inner, recover::own_note, unix_ms, unix_secs};
use crate::journal::{ReleaseRow, Write};

/// Takes over the edge's table where the journal has none.
pub(super) async fn adopt(inner: &Arc<Inner>) -> Result<(), Error> {
    let Some(known) = inner.edge.publication() else { return Ok(()) };
    if inner.current_table().generation > 0 || known.table.releases.is_empty() {
        return Ok(());
    }
    let stored = inner.stored().await?;
    if known.table.default.is_some_and(|active| !stored.contains(&active)) {
        let what = "the journal is empty and the store does not have what the edge serves; it serves on until a \
                    release is staged and promoted";
        inner.trouble("state directory", Some(what.to_owned()));
        return Ok(());
    }
    let mut table = known.table.clone();
    for (id, entry) in &known.table.releases {
        if stored.contains(id) {
            continue;
        }
        let release = *id;
        let mut steps = vec![Edit::Retire { release }];
        if !matches!(entry.state, ReleaseState::Staged | ReleaseState::Closed) {
            steps.insert(0, Edit::Close { release });
        }
        for step in steps {
            if let Ok(next) = edit(&table, &step, table.generation + 1) {
                table = next;
            }
        }
    }
    table.generation = next_generation(inner.edge.generation().max(table.generation), unix_secs());
    let mut rows = Vec::new();
    for (id, entry) in &table.releases {
        let loaded = inner.load(id).await?;
        rows.push(ReleaseRow {
            id: *id,
            name: None,
            commit: None,
            base: inner.options.config.base.clone(),
            slot: entry.slot,
            staged_at: unix_ms(),
            staged_by: "unknown".to_owned(),
            outside: None,
            barred: None,
            state_since: unix_ms(),
            promoted_at: (entry.state != ReleaseState::Staged).then(unix_ms),
            gates: Vec::new(),
            files: loaded.files,
            bytes: loaded.bytes,
        });
    }
    let message = format!("the journal was empty: took over {} releases from the edge", rows.len());
    let write = Write {
        table: Some(table.clone()),
        releases: rows.clone(),
        records: vec![own_note(table.default, message)?],
        ..Write::default()
    };
    inner.write(write).await?;
    inner.change_world(|world| {
        world.table = Arc::new(table);
        world.rows = rows.into_iter().map(|row| (row.id, row)).collect();
    });
    Ok(())
}
