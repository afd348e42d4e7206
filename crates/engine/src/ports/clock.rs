//! The time, so that tests can have their own.

use std::future::Future;

/// A clock. May jump; what depends on it bears that.
pub trait Clock: Send + Sync {
    /// Unix milliseconds.
    fn now(&self) -> u64;

    /// Returns at or after a moment, Unix milliseconds.
    fn sleep_until(&self, at: u64) -> impl Future<Output = ()> + Send;
}
