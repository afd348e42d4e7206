//! One upstream of one component of one release, and whether it is well.

use std::{
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

/// Connect errors in a row after which an upstream is taken for unhealthy.
const PASSIVE_LIMIT: u32 = 3;
/// Failed checks in a row after which an upstream is taken for unhealthy.
const ACTIVE_LIMIT: u32 = 2;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Where a component listens. Replaced when its address changes, which also starts its health afresh.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// Names its connections in the workers' pools.
    pub(crate) id: u64,
    /// `host:port`.
    pub(crate) authority: String,
    /// The address, where the host is no name that has to be looked up.
    pub(crate) address: Option<SocketAddr>,
    /// Path of the health check.
    pub(crate) check: Option<String>,
    healthy: AtomicBool,
    problem: Mutex<Option<String>>,
    refused: AtomicU32,
    failed: AtomicU32,
    /// A check is under way.
    pub(crate) checking: AtomicBool,
}

impl Upstream {
    pub(crate) fn new(authority: String, check: Option<String>) -> Self {
        Self {
            id: NEXT.fetch_add(1, Relaxed),
            address: authority.parse().ok(),
            authority,
            check,
            healthy: AtomicBool::new(true),
            problem: Mutex::default(),
            refused: AtomicU32::new(0),
            failed: AtomicU32::new(0),
            checking: AtomicBool::new(false),
        }
    }

    pub(crate) fn healthy(&self) -> bool {
        self.healthy.load(Relaxed)
    }

    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Without a check to ask, an upstream that was given up is asked by connecting to it.
    pub(crate) fn needs_check(&self) -> bool {
        self.check.is_some() || !self.healthy()
    }

    /// A check succeeded. True where that changed the state.
    pub(crate) fn check_passed(&self) -> bool {
        self.failed.store(0, Relaxed);
        self.refused.store(0, Relaxed);
        let changed = !self.healthy.swap(true, Relaxed);
        if changed {
            *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        changed
    }

    /// A check failed. True where that changed the state.
    pub(crate) fn check_failed(&self, why: String) -> bool {
        if self.failed.fetch_add(1, Relaxed) + 1 < ACTIVE_LIMIT {
            return false;
        }
        self.give_up(why)
    }

    /// A request got a connection.
    pub(crate) fn connected(&self) {
        if self.refused.load(Relaxed) != 0 {
            self.refused.store(0, Relaxed);
        }
    }

    /// A request got no connection. True where that changed the state.
    pub(crate) fn refused(&self, why: &str) -> bool {
        if self.refused.fetch_add(1, Relaxed) + 1 < PASSIVE_LIMIT {
            return false;
        }
        self.give_up(format!("{PASSIVE_LIMIT} connections in a row failed: {why}"))
    }

    fn give_up(&self, why: String) -> bool {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        self.healthy.swap(false, Relaxed)
    }
}

/// The health of one component of one release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentHealth {
    /// The release.
    pub release: cutover_routing::ReleaseId,
    /// The service.
    pub component: String,
    /// Whether it is taken for able to serve.
    pub healthy: bool,
    /// What was seen last, where it is not.
    pub problem: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_failed_checks_or_three_refused_connections_in_a_row_are_unhealthy_and_one_passed_check_heals() {
        let upstream = Upstream::new("127.0.0.1:1".into(), Some("/healthz".into()));
        assert!(upstream.healthy() && upstream.address.is_some());
        assert!(!upstream.check_failed("500".into()));
        assert!(!upstream.check_passed());
        assert!(!upstream.check_failed("500".into()) && upstream.healthy());
        assert!(upstream.check_failed("500".into()) && !upstream.healthy());
        assert_eq!(upstream.problem().as_deref(), Some("500"));
        assert!(upstream.check_passed() && upstream.healthy() && upstream.problem().is_none());
        assert!(!upstream.refused("no") && !upstream.refused("no"));
        upstream.connected();
        assert!(!upstream.refused("no") && !upstream.refused("no") && upstream.refused("no"));
        assert!(!upstream.healthy());
    }
}
