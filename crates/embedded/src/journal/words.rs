//! What people have answered to gates that ask them.

use cutover_engine::rollout::{Cursor, RolloutId};
use rusqlite::{OptionalExtension, params};

use super::{
    Journal, JournalError,
    write::{signed, unsigned},
};

/// A person's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Unix milliseconds.
    pub at: u64,
    /// Whose it is.
    pub who: String,
    /// Yes or no.
    pub agrees: bool,
    /// Why.
    pub reason: Option<String>,
}

impl Journal {
    /// Keeps an answer. A later one to the same question takes its place.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn keep_word(
        &self,
        rollout: &RolloutId,
        step: Cursor,
        gate: &str,
        word: &Word,
    ) -> Result<(), JournalError> {
        self.connection()
            .execute(
                "INSERT OR REPLACE INTO words (rollout, step, gate, at, who, agrees, reason)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    rollout.as_str(),
                    step.to_string(),
                    gate,
                    signed(word.at),
                    word.who,
                    word.agrees,
                    word.reason
                ],
            )
            .map_err(self.failed("writing"))?;
        Ok(())
    }

    /// The newest answer in a rollout, to this gate or else to any, behind the name of the gate.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn last_word(
        &self,
        rollout: &RolloutId,
        gate: Option<&str>,
    ) -> Result<Option<(String, Word)>, JournalError> {
        self.connection()
            .query_row(
                "SELECT at, who, agrees, reason, gate FROM words
                 WHERE rollout = ?1 AND (?2 IS NULL OR gate = ?2) ORDER BY at DESC LIMIT 1",
                params![rollout.as_str(), gate],
                |row| Ok((row.get(4)?, read(row)?)),
            )
            .optional()
            .map_err(self.failed("reading"))
    }

    /// The answer to a gate at a step of a rollout.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn word(&self, rollout: &RolloutId, step: Cursor, gate: &str) -> Result<Option<Word>, JournalError> {
        self.connection()
            .query_row(
                "SELECT at, who, agrees, reason FROM words WHERE rollout = ?1 AND step = ?2 AND gate = ?3",
                params![rollout.as_str(), step.to_string(), gate],
                read,
            )
            .optional()
            .map_err(self.failed("reading"))
    }
}

/// The first four columns as an answer.
fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Word> {
    Ok(Word { at: unsigned(row.get(0)?), who: row.get(1)?, agrees: row.get(2)?, reason: row.get(3)? })
}
