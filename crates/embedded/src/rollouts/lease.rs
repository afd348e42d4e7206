//! The lease in the journal file: whoever writes there is checked against it in the same transaction.

use std::sync::Arc;

use cutover_engine::{
    Error,
    ports::{self, Clock, Grant, LeaseError},
    rollout::Millis,
};

use super::SystemClock;
use crate::journal::Journal;

/// The lease of a journal file.
#[derive(Debug, Clone)]
pub struct RolloutLease(Arc<Journal>);

impl RolloutLease {
    /// That of this file.
    pub fn new(journal: Arc<Journal>) -> Self {
        Self(journal)
    }
}

impl ports::Lease for RolloutLease {
    async fn acquire(&self, owner: &str, length: Millis) -> Result<Grant, LeaseError> {
        let (owner, now) = (owner.to_owned(), SystemClock.now());
        let until = now.saturating_add(length.0);
        held(self.0.blocking(move |journal| journal.lease(&owner, now, until)).await)
    }

    async fn renew(&self, grant: &Grant, length: Millis) -> Result<Grant, LeaseError> {
        let (grant, until) = (grant.clone(), SystemClock.now().saturating_add(length.0));
        held(self.0.blocking(move |journal| journal.renew_lease(&grant, until)).await)
    }

    async fn release(&self, grant: &Grant) -> Result<(), LeaseError> {
        let grant = grant.clone();
        let released = self.0.blocking(move |journal| journal.release_lease(&grant)).await;
        released.map_err(|error| LeaseError::Failed(Error::from(error)))
    }
}

fn held(answer: Result<Result<Grant, Grant>, crate::journal::JournalError>) -> Result<Grant, LeaseError> {
    match answer {
        Ok(Ok(grant)) => Ok(grant),
        Ok(Err(other)) => Err(LeaseError::Held { by: other.owner, until: other.until }),
        Err(error) => Err(LeaseError::Failed(Error::from(error))),
    }
}
