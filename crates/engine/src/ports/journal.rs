//! Where the records of rollouts are kept.

use std::future::Future;

use cutover_rollout::{Record, RolloutId};

use crate::Error;

/// An append-only journal with one sequence of records per rollout.
///
/// What [`Journal::append`] returned success for survives a crash of the program and of the machine.
pub trait Journal: Send + Sync {
    /// Appends records, all or none. `expected` is how many the rollout has; 0 opens it.
    ///
    /// Refused under an epoch older than the newest that the lease was given with, whether or not that holder has
    /// written yet: what a new controller has read at its start stays the whole truth. A journal that is kept apart from
    /// the lease has to be told. Must answer in bounded time: [`AppendError::Failed`] where nobody knows.
    fn append(
        &self,
        rollout: &RolloutId,
        expected: u64,
        epoch: u64,
        records: &[Record],
    ) -> impl Future<Output = Result<(), AppendError>> + Send;

    /// All records of a rollout, in order; none where there is no such rollout.
    fn read(&self, rollout: &RolloutId) -> impl Future<Output = Result<Vec<Record>, Error>> + Send;

    /// The newest rollouts, newest first.
    fn newest(&self, limit: usize) -> impl Future<Output = Result<Vec<RolloutId>, Error>> + Send;
}

/// Why records were not appended.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AppendError {
    /// Somebody else has appended.
    #[error("the rollout has {found} records, not {expected}: another controller has written")]
    Conflict {
        /// How many records the caller knew of.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// A newer holder was given the lease. It counts from then on, and not only once it has written: a stale controller
    /// could otherwise still append what nobody carries on.
    #[error("another controller has taken over (epoch {epoch})")]
    Fenced {
        /// The newest epoch.
        epoch: u64,
    },
    /// It failed. The records may be there all the same.
    #[error(transparent)]
    Failed(Error),
}
