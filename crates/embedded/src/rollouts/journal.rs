//! The records of rollouts in the journal file.

use std::sync::Arc;

use cutover_engine::{
    Error,
    ports::{self, AppendError},
    rollout::{Record, RolloutId},
};

use crate::journal::{Journal, JournalError, RolloutAppend, Write};

/// The records of rollouts in a journal file.
#[derive(Debug, Clone)]
pub struct RolloutJournal(Arc<Journal>);

impl RolloutJournal {
    /// Those of this file.
    pub fn new(journal: Arc<Journal>) -> Self {
        Self(journal)
    }
}

impl ports::Journal for RolloutJournal {
    async fn append(
        &self,
        rollout: &RolloutId,
        expected: u64,
        epoch: u64,
        records: &[Record],
    ) -> Result<(), AppendError> {
        let append = RolloutAppend { rollout: rollout.clone(), expected, records: records.to_vec() };
        let write = Write { fence: Some(epoch), rollout: Some(append), ..Write::default() };
        let written = self.0.blocking(move |journal| journal.write(&write)).await;
        written.map(drop).map_err(append_error)
    }

    async fn read(&self, rollout: &RolloutId) -> Result<Vec<Record>, Error> {
        let rollout = rollout.clone();
        Ok(self.0.blocking(move |journal| journal.rollout(&rollout)).await?)
    }

    async fn newest(&self, limit: usize) -> Result<Vec<RolloutId>, Error> {
        Ok(self.0.blocking(move |journal| journal.rollouts(limit)).await?)
    }
}

/// The same in the words of the port.
pub(crate) fn append_error(error: JournalError) -> AppendError {
    match error {
        JournalError::Fenced { stored, .. } => AppendError::Fenced { epoch: stored },
        JournalError::Conflict { expected, found } => AppendError::Conflict { expected, found },
        error => AppendError::Failed(error.into()),
    }
}
