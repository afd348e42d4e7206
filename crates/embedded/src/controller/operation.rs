//! One operation from its intent to its outcome in the history.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use cutover_engine::{Error, ErrorKind, control::HistoryEntry};
use cutover_routing::ReleaseId;

use super::{Inner, keys::random_name, unix_ms};
use crate::journal::{Intent, NewRecord, RecordKind, Write};

/// Who the history names for what nobody asked for.
pub(super) const SELF: &str = "cutover";

/// One operation.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) who: String,
    pub(super) verb: &'static str,
    pub(super) release: Option<ReleaseId>,
    pub(super) reason: Option<String>,
    /// When it was accepted.
    pub(super) began: Instant,
    /// Its failure is in the history.
    failed: AtomicBool,
}

impl Operation {
    pub(super) fn new(
        who: &str,
        verb: &'static str,
        release: Option<ReleaseId>,
        reason: Option<String>,
    ) -> Result<Self, Error> {
        Ok(Self {
            id: format!("op-{}", random_name()?),
            who: who.to_owned(),
            verb,
            release,
            reason,
            began: Instant::now(),
            failed: AtomicBool::new(false),
        })
    }

    pub(super) fn intent(&self) -> Intent {
        Intent {
            operation: self.id.clone(),
            at: unix_ms(),
            who: self.who.clone(),
            verb: self.verb.to_owned(),
            release: self.release,
            committed: None,
        }
    }

    pub(super) fn record(
        &self,
        kind: RecordKind,
        message: impl Into<String>,
        generation: Option<u64>,
    ) -> NewRecord {
        NewRecord {
            kind,
            operation: Some(self.id.clone()),
            at: unix_ms(),
            who: self.who.clone(),
            verb: self.verb.to_owned(),
            release: self.release,
            message: message.into(),
            reason: self.reason.clone(),
            generation,
        }
    }

    /// The record of its failure, once.
    pub(super) fn failure(&self, error: &Error) -> Option<NewRecord> {
        let first = !self.failed.swap(true, Ordering::Relaxed);
        first.then(|| self.record(RecordKind::Failure, format!("failed: {error}"), None))
    }

    /// True for what leads away from a release or makes room: it may use the reserve on a full disk.
    pub(super) fn is_way_out(&self) -> bool {
        matches!(self.verb, "rollback" | "withdraw" | "retire" | "close" | "outage" | "recover")
    }

    pub(super) fn took_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn took_ms(&self) -> u64 {
        self.took_us() / 1000
    }
}

impl Inner {
    /// Writes and tells everybody who listens.
    pub(super) async fn write(&self, write: Write) -> Result<Vec<HistoryEntry>, Error> {
        let entries = self.journal.blocking(move |journal| journal.write(&write)).await?;
        for entry in &entries {
            // Nobody listening is no error.
            let _ = self.events.send(entry.clone());
        }
        Ok(entries)
    }

    /// Writes down that an operation begins.
    pub(super) async fn begin(&self, operation: &Operation) -> Result<(), Error> {
        self.write(Write { begin: Some(operation.intent()), ..Write::default() }).await?;
        Ok(())
    }

    /// Writes down lines of history.
    pub(super) async fn append(&self, records: Vec<NewRecord>) -> Result<(), Error> {
        self.write(Write { records, ..Write::default() }).await?;
        Ok(())
    }

    /// Writes down how an operation ended.
    ///
    /// What was done is not undone because the line about it cannot be written: the next start writes it.
    pub(super) async fn end(
        &self,
        operation: &Operation,
        message: impl Into<String>,
        generation: Option<u64>,
    ) {
        let record = operation.record(RecordKind::Outcome, message, generation);
        let write = Write { records: vec![record], ..Write::default() };
        let written = self.write_for(operation.is_way_out(), write).await;
        self.trouble("journal", written.err().map(|error| error.to_string()));
    }

    /// Writes down that an operation failed, and hands its error on. Mere refusals are not history.
    pub(super) async fn fail(&self, operation: &Operation, begun: bool, error: Error) -> Error {
        let tried = matches!(error.kind, ErrorKind::Failed | ErrorKind::Internal | ErrorKind::Unavailable);
        if (begun || tried)
            && let Some(record) = operation.failure(&error)
        {
            let write = Write { records: vec![record], ..Write::default() };
            let written = self.write_for(operation.is_way_out(), write).await;
            self.trouble("journal", written.err().map(|error| error.to_string()));
        }
        error
    }
}
