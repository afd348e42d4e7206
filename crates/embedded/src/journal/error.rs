//! What can go wrong with the journal.

use std::path::PathBuf;

use cutover_engine::{Error, ErrorKind, rollout::RolloutId};
use rusqlite::ErrorCode;

/// The code of a write that another controller's lease refuses.
pub(crate) const FENCED: &str = "CUT0533";

/// Why the journal could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file is no journal, or its contents contradict themselves.
    #[error("the journal {} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// A newer version of Cutover wrote it.
    #[error("the journal {} has schema {found}; this version of Cutover knows schemas up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest known schema.
        known: i64,
    },
    /// A newer version of Cutover wrote records of a rollout.
    #[error(
        "the records of rollout {rollout} are of form {found}, which this version of Cutover does not know"
    )]
    NewerRollout {
        /// Which.
        rollout: RolloutId,
        /// Its form.
        found: u64,
    },
    /// The table to be written is not newer than the stored one.
    #[error("generation {new} of the routing table is not above the stored generation {stored}")]
    NotNewer {
        /// What is stored.
        stored: u64,
        /// What was to be stored.
        new: u64,
    },
    /// A newer holder of the lease has written.
    #[error(
        "another controller has taken over (epoch {stored}); what was sent under epoch {given} is refused"
    )]
    Fenced {
        /// The newest epoch.
        stored: u64,
        /// The one under which it was sent.
        given: u64,
    },
    /// Somebody else has appended to the rollout.
    #[error("the rollout has {found} records, not {expected}: another controller has written")]
    Conflict {
        /// How many records the caller knew of.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// The disk is full.
    #[error("{doing} the journal {}: the disk is full", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        doing: &'static str,
    },
    /// SQLite or the file system refused.
    #[error("{doing} the journal {}: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        doing: &'static str,
        /// Why.
        source: rusqlite::Error,
    },
    /// A value cannot be written as JSON.
    #[error("writing the journal: {0}")]
    Json(#[from] serde_json::Error),
    /// The program is ending.
    #[error("the program is ending")]
    Interrupted,
}

impl JournalError {
    pub(super) fn from_sqlite(path: PathBuf, doing: &'static str, source: rusqlite::Error) -> Self {
        match &source {
            rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => {
                    Self::Damaged { path, why: source.to_string() }
                }
                ErrorCode::DiskFull => Self::Full { path, doing },
                _ => Self::Sqlite { path, doing, source },
            },
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..) => Self::Damaged { path, why: source.to_string() },
            _ => Self::Sqlite { path, doing, source },
        }
    }
}

impl From<JournalError> for Error {
    fn from(error: JournalError) -> Self {
        let message = error.to_string();
        match error {
            JournalError::Damaged { path, .. } => Error::new(ErrorKind::Failed, "CUT0602", message).hint(format!(
                "nothing was overwritten; move {} away and put a backup in its place, or start with an empty state \
                 directory",
                path.display()
            )),
            JournalError::Newer { .. } | JournalError::NewerRollout { .. } => Error::new(ErrorKind::Refused, "CUT0603", message)
                .hint("run the version of Cutover that wrote it, or a newer one"),
            JournalError::NotNewer { .. } | JournalError::Json(_) => {
                Error::new(ErrorKind::Internal, "CUT0604", message)
            }
            JournalError::Fenced { .. } | JournalError::Conflict { .. } => {
                Error::new(ErrorKind::Unavailable, FENCED, message)
            }
            JournalError::Full { .. } => Error::new(ErrorKind::Failed, "CUT0605", message)
                .hint("free some space; visitors are served on meanwhile"),
            JournalError::Sqlite { .. } => Error::new(ErrorKind::Failed, "CUT0606", message),
            JournalError::Interrupted => Error::new(ErrorKind::Unavailable, "CUT0607", message),
        }
    }
}
