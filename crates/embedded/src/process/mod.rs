//! Services as supervised processes: why a release's own programs start before visitors come, stay up, and never
//! outlive Cutover.
//!
//! Promises: a service counts as healthy only when the socket on its port belongs to its own process tree and its
//! health path answers 2xx; it is started again with growing pauses when it ends; its whole process tree, daemons
//! included, is gone after a stop, after the [`Supervisor`] is dropped, and after the program itself was killed. The
//! last is the work of the *shim* ([`shim_main`]): a small process between Cutover and each command that notices the
//! end of its standard input.
//!
//! Linux only: it reads `/proc` and uses child subreapers, see prctl(2) and proc(5).

mod command;
pub(crate) mod http;
mod keeper;
mod launch;
mod leftovers;
pub(crate) mod log;
mod ports;
mod procfs;
mod readiness;
mod record;
mod shim;
mod spec;
mod supervisor;

pub use leftovers::Leftover;
pub use ports::listener;
pub use shim::shim_main;
pub use spec::{
    AddressChange, Backoff, ProcessState, ProcessStatus, Running, ServiceSpec, SupervisorOptions,
};
pub use supervisor::Supervisor;

pub(crate) use command::{Ended, Order, Shim};
pub(crate) use launch::quoted;
pub(crate) use procfs::instance_marker;
