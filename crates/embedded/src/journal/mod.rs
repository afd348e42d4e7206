//! The journal: everything a controller has to remember, in one SQLite file.
//!
//! It promises that what [`Journal::write`] returned survives a crash of the program and of the machine (WAL with
//! `synchronous=FULL`), that one write is there wholly or not at all, that the history is append-only and numbered
//! without gaps, and that the generation of the routing table never goes back. A file it does not understand, because
//! it is damaged or written by a newer version, is refused and left as it is.
//!
//! Calls block for the time of a disk flush; asynchronous callers use [`Journal::blocking`].

mod error;
mod lease;
mod read;
mod rollouts;
mod rows;
mod schema;
mod words;
mod write;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::Connection;

pub(crate) use error::FENCED;
pub use error::JournalError;
pub use read::Memory;
pub use rollouts::RolloutAppend;
pub use rows::{Intent, LastSwitch, NewRecord, RecordKind, ReleaseRow};
pub use words::Word;
pub use write::Write;

/// How long to wait for another program that reads or copies the file, e.g. a backup.
const BUSY: Duration = Duration::from_secs(5);

/// One open journal file with its only writing connection.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl Journal {
    /// Opens the journal, makes it where there is none, and brings an older schema up to date.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] and [`JournalError::Newer`] leave the file as it was.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let journal = Self { path: path.to_owned(), connection: Mutex::new(schema::open(path, BUSY)?) };
        Ok(journal)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a call of the journal on a thread that may block.
    ///
    /// # Errors
    /// Those of the call; [`JournalError::Interrupted`] where the runtime is being shut down.
    pub async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl FnOnce(&Self) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let journal = Arc::clone(self);
        tokio::task::spawn_blocking(move || call(&journal)).await.unwrap_or(Err(JournalError::Interrupted))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic inside a transaction rolls it back when it is dropped, so that the connection is sound.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, doing: &'static str) -> impl FnOnce(rusqlite::Error) -> JournalError {
        let path = self.path.clone();
        move |source| JournalError::from_sqlite(path, doing, source)
    }
}

#[cfg(test)]
mod tests;
