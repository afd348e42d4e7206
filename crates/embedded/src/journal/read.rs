//! Reading: everything at start, the history on demand.

use cutover_engine::control::{HistoryEntry, Outside};
use cutover_routing::{ReleaseId, Slot, Table};
use rusqlite::{OptionalExtension, Row, params, types::Type};

use super::{
    Intent, Journal, JournalError, LastSwitch, ReleaseRow,
    write::{LAST_SWITCH, unsigned},
};

/// Everything that is remembered, but the history.
#[derive(Debug, Clone)]
pub struct Memory {
    /// The routing table; none before the first write.
    pub table: Option<Table>,
    /// Every release that was ever staged.
    pub releases: Vec<ReleaseRow>,
    /// The last change of the default.
    pub last_switch: Option<LastSwitch>,
    /// Operations that began and did not end, oldest first.
    pub unfinished: Vec<Intent>,
}

impl Journal {
    /// Reads everything but the history.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] where a value is not what this version wrote.
    pub fn read(&self) -> Result<Memory, JournalError> {
        let connection = self.connection();
        let failed = || self.failed("reading");
        let document: Option<(i64, String)> = connection
            .query_row("SELECT generation, document FROM routing", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(failed())?;
        let table =
            document.map(|(generation, text)| self.table_from(unsigned(generation), &text)).transpose()?;
        let releases = connection
            .prepare("SELECT * FROM releases ORDER BY staged_at, id")
            .and_then(|mut statement| statement.query_map([], release)?.collect())
            .map_err(failed())?;
        let unfinished = connection
            .prepare(
                "SELECT operation, at, who, verb, release, committed FROM intents WHERE NOT EXISTS (
                    SELECT 1 FROM records WHERE records.operation = intents.operation AND records.kind <> 'note')
                 ORDER BY at, rowid",
            )
            .and_then(|mut statement| statement.query_map([], intent)?.collect())
            .map_err(failed())?;
        drop(connection);
        let last_switch: Option<LastSwitch> = self
            .meta(LAST_SWITCH)?
            .map(|text| serde_json::from_str::<Option<LastSwitch>>(&text))
            .transpose()
            .map_err(|error| self.damaged(format!("the last switch: {error}")))?
            .flatten();
        Ok(Memory { table, releases, last_switch, unfinished })
    }

    /// Reads one value by name.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn meta(&self, key: &str) -> Result<Option<String>, JournalError> {
        self.connection()
            .query_row("SELECT value FROM meta WHERE key = ?1", params![key], |row| row.get(0))
            .optional()
            .map_err(self.failed("reading"))
    }

    /// Reads the newest lines of history, newest first.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn history(&self, limit: u32) -> Result<Vec<HistoryEntry>, JournalError> {
        self.connection()
            .prepare(
                "SELECT seq, at, who, verb, release, message, reason, generation FROM records
                 ORDER BY seq DESC LIMIT ?1",
            )
            .and_then(|mut statement| statement.query_map(params![limit], entry)?.collect())
            .map_err(self.failed("reading"))
    }

    fn table_from(&self, generation: u64, text: &str) -> Result<Table, JournalError> {
        let table: Table = serde_json::from_str(text)
            .map_err(|error| self.damaged(format!("the routing table cannot be read: {error}")))?;
        table.validate().map_err(|error| self.damaged(error.to_string()))?;
        if table.generation != generation {
            return Err(self.damaged(format!(
                "the routing table says generation {}, its row says {generation}",
                table.generation
            )));
        }
        Ok(table)
    }

    fn damaged(&self, why: String) -> JournalError {
        JournalError::Damaged { path: self.path.clone(), why }
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<HistoryEntry> {
    Ok(HistoryEntry {
        seq: unsigned(row.get("seq")?),
        at: unsigned(row.get("at")?),
        who: row.get("who")?,
        verb: row.get("verb")?,
        release: release_id(row, "release")?,
        message: row.get("message")?,
        reason: row.get("reason")?,
        generation: row.get::<_, Option<i64>>("generation")?.map(unsigned),
    })
}

fn intent(row: &Row<'_>) -> rusqlite::Result<Intent> {
    Ok(Intent {
        operation: row.get("operation")?,
        at: unsigned(row.get("at")?),
        who: row.get("who")?,
        verb: row.get("verb")?,
        release: release_id(row, "release")?,
        committed: row.get::<_, Option<i64>>("committed")?.map(unsigned),
    })
}

fn release(row: &Row<'_>) -> rusqlite::Result<ReleaseRow> {
    let gates: String = row.get("gates")?;
    Ok(ReleaseRow {
        id: release_id(row, "id")?.ok_or_else(|| unreadable("releases.id is empty"))?,
        name: row.get("name")?,
        commit: row.get("commit_id")?,
        base: row.get::<_, String>("base")?.into(),
        slot: row.get::<_, Option<String>>("slot")?.map(|word| slot(&word)).transpose()?,
        staged_at: unsigned(row.get("staged_at")?),
        staged_by: row.get("staged_by")?,
        outside: row.get::<_, Option<String>>("outside")?.map(|word| outside(&word)).transpose()?,
        barred: row.get("barred")?,
        state_since: unsigned(row.get("state_since")?),
        promoted_at: row.get::<_, Option<i64>>("promoted_at")?.map(unsigned),
        gates: serde_json::from_str(&gates)
            .map_err(|error| unreadable(format!("releases.gates: {error}")))?,
        files: unsigned(row.get("files")?),
        bytes: unsigned(row.get("bytes")?),
    })
}

fn release_id(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<ReleaseId>> {
    row.get::<_, Option<String>>(column)?
        .map(|text| text.parse().map_err(|_| unreadable(format!("`{text}` is no release id"))))
        .transpose()
}

fn slot(word: &str) -> rusqlite::Result<Slot> {
    match word {
        "blue" => Ok(Slot::Blue),
        "green" => Ok(Slot::Green),
        _ => Err(unreadable(format!("`{word}` is no slot"))),
    }
}

fn outside(word: &str) -> rusqlite::Result<Outside> {
    [Outside::Withdrawn, Outside::Standby, Outside::Retired]
        .into_iter()
        .find(|state| outside_word(*state) == word)
        .ok_or_else(|| unreadable(format!("`{word}` is no state outside the table")))
}

pub(super) fn outside_word(outside: Outside) -> &'static str {
    match outside {
        Outside::Withdrawn => "withdrawn",
        Outside::Standby => "standby",
        Outside::Retired => "retired",
    }
}

fn unreadable(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, why.into())
}
