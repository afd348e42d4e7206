//! What a rollout acts through: the traits that the embedded system, a fleet and a cloud implement.
//!
//! The shell in [`crate::runner`] knows these and no provider. Every implementation passes the contract suite of its
//! port. Rules that hold for all of them:
//!
//! - Asked for what already is, an implementation does nothing and succeeds.
//! - A call that answers with success has read back what it did.
//! - A call that cannot know whether it took effect says so ([`Trouble::Unknown`]); the shell then looks before it does
//!   anything else.
//! - A call with a [`Fence`] older than one that was seen is refused, wherever the far side can check that.
//! - Dropping a call's future stops it as soon as that is safe.

mod clock;
mod examiner;
mod journal;
mod lease;
mod platform;
mod probe;
mod router;

use std::fmt;

pub use clock::Clock;
pub use examiner::{Examined, Examiner};
pub use journal::{AppendError, Journal};
pub use lease::{Grant, Lease, LeaseError};
pub use platform::Platform;
pub use probe::{Compared, Probe, Rules, Sampled, Visited};
pub use router::{Call, Capabilities, Observed, Router};

/// Everything a rollout acts through, as one.
pub trait Ports: Send + Sync + 'static {
    /// Where records are kept.
    type Journal: Journal;
    /// Who may act.
    type Lease: Lease;
    /// What directs visitors.
    type Router: Router;
    /// What runs releases.
    type Platform: Platform;
    /// What counts what visitors get.
    type Probe: Probe;
    /// What runs gates.
    type Examiner: Examiner;
    /// The time.
    type Clock: Clock;

    /// Where records are kept.
    fn journal(&self) -> &Self::Journal;
    /// Who may act.
    fn lease(&self) -> &Self::Lease;
    /// What directs visitors.
    fn router(&self) -> &Self::Router;
    /// What runs releases.
    fn platform(&self) -> &Self::Platform;
    /// What counts what visitors get.
    fn probe(&self) -> &Self::Probe;
    /// What runs gates.
    fn examiner(&self) -> &Self::Examiner;
    /// The time.
    fn clock(&self) -> &Self::Clock;
}

/// The right under which a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence {
    /// Grows with every new holder of the lease. The far side refuses calls with an older one where it can.
    pub epoch: u64,
    /// The call must not take effect after this moment as far as its sender can help it, Unix milliseconds; always
    /// inside the lease.
    pub until: u64,
}

/// Why a call did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It is surely not in place, and another attempt would fail in the same way.
    Lasting(String),
    /// It is surely not in place; another attempt may succeed (throttled, busy, refused connection).
    Passing(String),
    /// Nobody knows whether it is in place: no answer, a broken connection, a deadline.
    Unknown(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Lasting(why) | Trouble::Passing(why) => f.write_str(why),
            Trouble::Unknown(why) => write!(f, "{why}; it is not known whether it took effect"),
        }
    }
}

impl std::error::Error for Trouble {}
