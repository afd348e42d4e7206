//! What the engine's rollouts act through on one machine, as far as it needs nothing but the journal file: the records,
//! the lease, the clock. What needs the edge, the services and the store is the controller's.

mod clock;
mod journal;
mod lease;

pub use clock::SystemClock;
pub use journal::RolloutJournal;
pub(crate) use journal::append_error;
pub use lease::RolloutLease;
