//! Writing: one [`Write`] is one transaction.

use cutover_engine::control::HistoryEntry;
use cutover_routing::{ReleaseId, Table};
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use super::{
    Intent, Journal, JournalError, LastSwitch, NewRecord, ReleaseRow, RolloutAppend, lease, rollouts,
};

/// Everything that is to be remembered together.
#[derive(Debug, Clone, Default)]
pub struct Write {
    /// An operation that begins.
    pub begin: Option<Intent>,
    /// An operation that this write's table belongs to.
    pub committed: Option<String>,
    /// The routing table, newer than the stored one.
    pub table: Option<Table>,
    /// Releases as they are from now on.
    pub releases: Vec<ReleaseRow>,
    /// Releases that were never there: their staging was undone.
    pub forget: Vec<ReleaseId>,
    /// The last change of the default, from now on; the inner none: there was none.
    pub last_switch: Option<Option<LastSwitch>>,
    /// Other values by name.
    pub meta: Vec<(&'static str, String)>,
    /// Lines of history.
    pub records: Vec<NewRecord>,
    /// Refused where a lease with a higher epoch was given.
    pub fence: Option<u64>,
    /// Records of a rollout.
    pub rollout: Option<RolloutAppend>,
}

/// Name of the value that holds the [`LastSwitch`].
pub(super) const LAST_SWITCH: &str = "last_switch";

impl Journal {
    /// Writes everything or nothing, and returns the lines of history with their numbers.
    ///
    /// # Errors
    /// Where nothing was written; [`JournalError::NotNewer`] where the table is not newer than the stored one.
    pub fn write(&self, write: &Write) -> Result<Vec<HistoryEntry>, JournalError> {
        let mut connection = self.connection();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(self.failed("writing"))?;
        if let Some(given) = write.fence {
            let stored = lease::epoch(&transaction).map_err(self.failed("reading"))?;
            if stored > given {
                return Err(JournalError::Fenced { stored, given });
            }
        }
        if let Some(append) = &write.rollout {
            rollouts::put(&transaction, append, self.failed("writing"))?;
        }
        if let Some(intent) = &write.begin {
            put_intent(&transaction, intent).map_err(self.failed("writing"))?;
        }
        if let Some(table) = &write.table {
            let stored: Option<i64> = transaction
                .query_row("SELECT generation FROM routing", [], |row| row.get(0))
                .optional()
                .map_err(self.failed("reading"))?;
            if let Some(stored) = stored.map(unsigned).filter(|stored| table.generation <= *stored) {
                return Err(JournalError::NotNewer { stored, new: table.generation });
            }
            let document = serde_json::to_string(table)?;
            put_table(&transaction, table, &document, write.committed.as_deref())
                .map_err(self.failed("writing"))?;
        }
        for row in &write.releases {
            let gates = serde_json::to_string(&row.gates)?;
            put_release(&transaction, row, &gates).map_err(self.failed("writing"))?;
        }
        for id in &write.forget {
            transaction
                .execute("DELETE FROM releases WHERE id = ?1", params![id.as_str()])
                .map_err(self.failed("writing"))?;
        }
        if let Some(switch) = &write.last_switch {
            put_meta(&transaction, LAST_SWITCH, &serde_json::to_string(switch)?)
                .map_err(self.failed("writing"))?;
        }
        for (key, value) in &write.meta {
            put_meta(&transaction, key, value).map_err(self.failed("writing"))?;
        }
        let mut entries = Vec::with_capacity(write.records.len());
        for record in &write.records {
            entries.push(append(&transaction, record).map_err(self.failed("writing"))?);
        }
        transaction.commit().map_err(self.failed("writing"))?;
        Ok(entries)
    }
}

fn put_intent(transaction: &Transaction<'_>, intent: &Intent) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO intents (operation, at, who, verb, release, committed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            intent.operation,
            signed(intent.at),
            intent.who,
            intent.verb,
            intent.release.map(|id| id.to_string()),
            intent.committed.map(signed),
        ],
    )?;
    Ok(())
}

fn put_table(
    transaction: &Transaction<'_>,
    table: &Table,
    document: &str,
    operation: Option<&str>,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO routing (one, generation, document) VALUES (1, ?1, ?2)
         ON CONFLICT (one) DO UPDATE SET generation = excluded.generation, document = excluded.document",
        params![signed(table.generation), document],
    )?;
    if let Some(operation) = operation {
        transaction.execute(
            "UPDATE intents SET committed = ?2 WHERE operation = ?1",
            params![operation, signed(table.generation)],
        )?;
    }
    Ok(())
}

fn put_release(transaction: &Transaction<'_>, row: &ReleaseRow, gates: &str) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT OR REPLACE INTO releases (id, name, commit_id, base, slot, staged_at, staged_by, outside, barred,
            state_since, promoted_at, gates, files, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        params![
            row.id.as_str(),
            row.name,
            row.commit,
            row.base.to_string_lossy(),
            row.slot.map(|slot| slot.to_string()),
            signed(row.staged_at),
            row.staged_by,
            row.outside.map(super::read::outside_word),
            row.barred,
            signed(row.state_since),
            row.promoted_at.map(signed),
            gates,
            signed(row.files),
            signed(row.bytes),
        ],
    )?;
    Ok(())
}

fn put_meta(transaction: &Transaction<'_>, key: &str, value: &str) -> rusqlite::Result<()> {
    transaction.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", params![key, value])?;
    Ok(())
}

fn append(transaction: &Transaction<'_>, record: &NewRecord) -> rusqlite::Result<HistoryEntry> {
    let seq: i64 = transaction.query_row(
        "INSERT INTO records (seq, at, who, verb, release, message, reason, generation, kind, operation)
         VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM records), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         RETURNING seq",
        params![
            signed(record.at),
            record.who,
            record.verb,
            record.release.map(|id| id.to_string()),
            record.message,
            record.reason,
            record.generation.map(signed),
            record.kind.as_str(),
            record.operation,
        ],
        |row| row.get(0),
    )?;
    Ok(HistoryEntry {
        seq: unsigned(seq),
        at: record.at,
        who: record.who.clone(),
        verb: record.verb.clone(),
        release: record.release,
        message: record.message.clone(),
        reason: record.reason.clone(),
        generation: record.generation,
    })
}

/// SQLite's integers are signed; times and generations stay far below the limit.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The reverse of [`signed`].
pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
