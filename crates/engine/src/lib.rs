//! What Cutover does with releases: the app description, the operations, and the errors they answer with.
//!
//! The crate names no provider and touches no file, socket or clock. Implementations of [`Control`] and of the [`ports`]
//! do.

pub mod codes;
pub mod config;
pub mod control;
pub mod error;
pub mod judging;
pub mod planning;
pub mod ports;
pub mod runner;
pub mod story;

pub use control::Control;
pub use error::{Error, ErrorKind};

// What rollouts are made of: plan, judgement, state machine.
pub use cutover_rollout as rollout;

// What the operations speak of, so that their users need no other crate.
pub use cutover_routing::{ReleaseId, ReleaseState, Slot, Table};
