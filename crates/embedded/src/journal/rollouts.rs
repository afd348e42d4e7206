//! The records of rollouts: one sequence each, append-only, without gaps.

use cutover_engine::rollout::{Body, RECORD_VERSION, Record, RolloutId};
use cutover_routing::ReleaseId;
use rusqlite::{Row, Transaction, params, types::Type};

use super::{
    Journal, JournalError,
    write::{signed, unsigned},
};

/// Records to be appended to a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutAppend {
    /// Which rollout.
    pub rollout: RolloutId,
    /// How many records it has; 0 opens it.
    pub expected: u64,
    /// The records.
    pub records: Vec<Record>,
}

/// Appends inside a transaction.
pub(super) fn put(
    transaction: &Transaction<'_>,
    append: &RolloutAppend,
    failed: impl FnOnce(rusqlite::Error) -> JournalError,
) -> Result<(), JournalError> {
    let bodies: Vec<String> = append.records.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    let found = match count(transaction, &append.rollout) {
        Ok(found) => found,
        Err(error) => return Err(failed(error)),
    };
    if found != append.expected {
        return Err(JournalError::Conflict { expected: append.expected, found });
    }
    insert(transaction, append, &bodies).map_err(failed)
}

fn count(transaction: &Transaction<'_>, rollout: &RolloutId) -> rusqlite::Result<u64> {
    let sql = "SELECT coalesce(max(seq), -1) + 1 FROM rollout_records WHERE rollout = ?1";
    transaction.query_row(sql, params![rollout.as_str()], |row| row.get(0)).map(unsigned)
}

fn insert(transaction: &Transaction<'_>, append: &RolloutAppend, bodies: &[String]) -> rusqlite::Result<()> {
    let rollout = append.rollout.as_str();
    for (record, body) in append.records.iter().zip(bodies) {
        if let Body::Opened { plan, .. } = &record.body {
            transaction.execute(
                "INSERT INTO rollouts (id, opened_at, green) VALUES (?1, ?2, ?3)",
                params![rollout, signed(record.at), plan.green.as_str()],
            )?;
        }
        transaction.execute(
            "INSERT INTO rollout_records (rollout, seq, at, body) VALUES (?1, ?2, ?3, ?4)",
            params![rollout, signed(record.seq), signed(record.at), body],
        )?;
    }
    Ok(())
}

impl Journal {
    /// The records of a rollout, in order; none where there is no such rollout.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] where a record cannot be read, [`JournalError::NewerRollout`] where that is because a
    /// newer version wrote it.
    pub fn rollout(&self, rollout: &RolloutId) -> Result<Vec<Record>, JournalError> {
        let bodies: Vec<String> = self
            .connection()
            .prepare("SELECT body FROM rollout_records WHERE rollout = ?1 ORDER BY seq")
            .and_then(|mut statement| {
                statement.query_map(params![rollout.as_str()], |row| row.get(0))?.collect()
            })
            .map_err(self.failed("reading"))?;
        bodies.iter().map(|body| self.record(rollout, body)).collect()
    }

    fn record(&self, rollout: &RolloutId, body: &str) -> Result<Record, JournalError> {
        // What a newer version wrote may be of a form that cannot be read here; its number can.
        if let Ok(Form { v }) = serde_json::from_str(body)
            && v > u64::from(RECORD_VERSION)
        {
            return Err(JournalError::NewerRollout { rollout: rollout.clone(), found: v });
        }
        serde_json::from_str(body).map_err(|error| {
            self.failed("reading")(unreadable(format!("a record of rollout {rollout}: {error}")))
        })
    }

    /// The newest rollouts, newest first.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn rollouts(&self, limit: usize) -> Result<Vec<RolloutId>, JournalError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.connection()
            .prepare("SELECT id FROM rollouts ORDER BY number DESC LIMIT ?1")
            .and_then(|mut statement| statement.query_map(params![limit], name)?.collect())
            .map_err(self.failed("reading"))
    }

    /// The newest rollout of a release.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn rollout_of(&self, green: &ReleaseId) -> Result<Option<RolloutId>, JournalError> {
        let found: Vec<RolloutId> = self
            .connection()
            .prepare("SELECT id FROM rollouts WHERE green = ?1 ORDER BY number DESC LIMIT 1")
            .and_then(|mut statement| statement.query_map(params![green.as_str()], name)?.collect())
            .map_err(self.failed("reading"))?;
        Ok(found.into_iter().next())
    }
}

/// The version of a record's form.
#[derive(serde::Deserialize)]
struct Form {
    v: u64,
}

fn name(row: &Row<'_>) -> rusqlite::Result<RolloutId> {
    let id: String = row.get(0)?;
    id.parse().map_err(|_| unreadable(format!("`{id}` is no rollout id")))
}

fn unreadable(why: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, why.into())
}
