//! The lease of a controller that has the state directory to itself.
//!
//! The kernel's lock on the directory already keeps everybody else out; the lease adds the epoch that late writes are
//! refused by. So a lease that cannot be made longer because the disk is full is longer all the same: a full disk must not
//! end the way back.

use cutover_engine::{
    ports::{self, Clock, Grant, LeaseError},
    rollout::Millis,
};

use super::Home;
use crate::rollouts::{RolloutLease, SystemClock};

/// Codes of a journal that has no room.
const NO_ROOM: [&str; 2] = ["CUT0605", "CUT0606"];

/// The lease of this controller.
#[derive(Debug)]
pub(in super::super) struct LocalLease {
    home: Home,
    plain: RolloutLease,
}

impl LocalLease {
    pub(super) fn new(home: Home, plain: RolloutLease) -> Self {
        Self { home, plain }
    }
}

impl ports::Lease for LocalLease {
    async fn acquire(&self, owner: &str, length: Millis) -> Result<Grant, LeaseError> {
        match self.plain.acquire(owner, length).await {
            Err(error)
                if no_room(&error)
                    && self.home.0.upgrade().is_some_and(|inner| inner.reserve.give_back()) =>
            {
                self.plain.acquire(owner, length).await
            }
            other => other,
        }
    }

    async fn renew(&self, grant: &Grant, length: Millis) -> Result<Grant, LeaseError> {
        match self.plain.renew(grant, length).await {
            Err(error) if no_room(&error) => {
                tracing::warn!(%error, "the lease is not written down");
                Ok(Grant { until: SystemClock.now().saturating_add(length.0), ..grant.clone() })
            }
            other => other,
        }
    }

    async fn release(&self, grant: &Grant) -> Result<(), LeaseError> {
        self.plain.release(grant).await
    }
}

fn no_room(error: &LeaseError) -> bool {
    matches!(error, LeaseError::Failed(error) if NO_ROOM.contains(&error.code.as_str()))
}
