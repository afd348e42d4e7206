//! Who may act: at most one controller at a time, as far as clocks can be trusted; the epoch says the rest.

use std::future::Future;

use cutover_rollout::Millis;

use crate::Error;

/// A lease on one app.
pub trait Lease: Send + Sync {
    /// Takes the lease where it is free, has run out, or is the owner's own. Every grant to another owner, or after it
    /// ran out, has a higher epoch.
    fn acquire(&self, owner: &str, length: Millis) -> impl Future<Output = Result<Grant, LeaseError>> + Send;

    /// Makes it last longer. Refused where somebody else has had it since.
    fn renew(&self, grant: &Grant, length: Millis) -> impl Future<Output = Result<Grant, LeaseError>> + Send;

    /// Gives it back; nothing happens where it is somebody else's.
    fn release(&self, grant: &Grant) -> impl Future<Output = Result<(), LeaseError>> + Send;
}

/// A lease that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// To whom.
    pub owner: String,
    /// Higher than that of every earlier holder.
    pub epoch: u64,
    /// When it runs out, Unix milliseconds.
    pub until: u64,
}

/// Why there is no lease.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else has it.
    #[error("{by} is in charge until {until}")]
    Held {
        /// Who.
        by: String,
        /// Until when, Unix milliseconds.
        until: u64,
    },
    /// It cannot be had or read.
    #[error(transparent)]
    Failed(Error),
}
