//! What every implementation of a port has to do, as tests to be run against it.
//!
//! Each suite is an async function over a factory, so that the same sentences hold for the memory, one machine, a fleet and
//! a cloud. A suite panics with the sentence that does not hold.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "these are tests")]

mod keeping;
mod platform;
mod probe;
mod router;
mod through;

use cutover_engine::ports::{Clock, Fence};

pub use keeping::{journal, lease};
pub use platform::{PlatformSetup, platform};
pub use probe::{ProbeSetup, probe};
pub use router::{RouterSetup, router};
pub use through::Through;

/// A clock tells Unix milliseconds, never goes back by itself, and wakes at or after a moment.
pub async fn clock(clock: &impl Clock) {
    let began = clock.now();
    assert!(began > 1_600_000_000_000, "it tells Unix milliseconds: {began}");
    clock.sleep_until(0).await;
    clock.sleep_until(began).await;
    clock.sleep_until(began + 20).await;
    let woke = clock.now();
    assert!(woke >= began + 20, "it woke at {woke}, before {}", began + 20);
    let mut before = woke;
    for _ in 0..1_000 {
        let now = clock.now();
        assert!(now >= before, "it went from {before} to {now}");
        before = now;
    }
    let never = async {
        clock.sleep_until(u64::MAX).await;
        true
    };
    let soon = async {
        clock.sleep_until(before + 10).await;
        false
    };
    let never_came = tokio::select! {
        came = never => came,
        came = soon => came,
    };
    assert!(!never_came, "the end of time does not come");
}

/// A right to act that is newer than others.
fn fence(epoch: u64, now: u64) -> Fence {
    Fence { epoch, until: now + 10_000 }
}
