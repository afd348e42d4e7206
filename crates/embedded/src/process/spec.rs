//! What a service is told, and what is told about it.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use cutover_engine::control::Health;
use cutover_routing::ReleaseId;

/// Where a supervisor keeps its things and how patient it is.
#[derive(Debug, Clone)]
pub struct SupervisorOptions {
    /// The state directory: `run/`, `logs/` and `data/` are made inside it.
    pub state_dir: PathBuf,
    /// The program whose `shim` subcommand calls [`shim_main`](super::shim_main).
    pub exe: PathBuf,
    /// Pauses between starts of a service that keeps ending.
    pub backoff: Backoff,
    /// Bytes of one log file; at this size it is renamed to `<name>.log.1`, replacing the one before.
    pub log_limit: u64,
}

impl SupervisorOptions {
    /// Usual values: the running program itself is the shim, also when its file has been replaced meanwhile.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            exe: PathBuf::from("/proc/self/exe"),
            backoff: Backoff::default(),
            log_limit: 8 << 20,
        }
    }
}

/// How long to wait before a service that ended is started again: `first`, doubled each time, at most `cap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub cap: Duration,
    /// A service that was healthy this long begins again with the first pause.
    pub forget_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            cap: Duration::from_secs(30),
            forget_after: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    /// The pause before the next start after `failures` ends in a row (from 0).
    pub fn pause(&self, failures: u32) -> Duration {
        self.first
            .checked_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX))
            .unwrap_or(self.cap)
            .min(self.cap)
    }
}

/// One service of one release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSpec {
    /// The release it belongs to.
    pub release: ReleaseId,
    /// Its name in the app description.
    pub component: String,
    /// Where its command runs: the release's copy of the service's directory.
    pub dir: PathBuf,
    /// The command, for `/bin/sh -c`. It has to stay in the foreground and to listen on `PORT`.
    pub run: String,
    /// Path that answers 2xx once it can serve; none: an accepted connection is enough.
    pub health: Option<String>,
    /// Environment from the app description; the variables Cutover sets win over it.
    pub env: BTreeMap<String, String>,
    /// How long it may take to become healthy.
    pub start_timeout: Duration,
    /// How long it may take to end after SIGTERM before it is killed.
    pub stop_timeout: Duration,
}

/// A service that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Where it answers.
    pub addr: SocketAddr,
    /// Process id of its command.
    pub pid: u32,
    /// Its log file.
    pub log: PathBuf,
}

/// How a service is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessStatus {
    /// The release it belongs to.
    pub release: ReleaseId,
    /// Its name in the app description.
    pub component: String,
    /// Where it stands.
    pub state: ProcessState,
    /// Where it answers, or last answered.
    pub addr: Option<SocketAddr>,
    /// Process id of its command while it runs.
    pub pid: Option<u32>,
    /// Times it was started again since it was first asked for.
    pub restarts: u32,
    /// Its log file.
    pub log: PathBuf,
    /// Why it is not healthy, or what last went wrong less than [`Backoff::forget_after`] ago.
    pub problem: Option<String>,
}

/// Where a supervised service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessState {
    /// Its command runs, or is about to; it is not healthy yet.
    Starting,
    /// It answers.
    Healthy,
    /// It ended and will be started again after a pause.
    Waiting,
    /// It is being ended.
    Stopping,
}

impl ProcessState {
    /// The same in the words of the control API.
    pub fn health(self) -> Health {
        match self {
            Self::Starting => Health::Starting,
            Self::Healthy => Health::Healthy,
            Self::Waiting => Health::Unhealthy,
            Self::Stopping => Health::Stopped,
        }
    }
}

/// A service came back on another address than the one it was last known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressChange {
    /// The release it belongs to.
    pub release: ReleaseId,
    /// Its name in the app description.
    pub component: String,
    /// Where it answers from now on.
    pub addr: SocketAddr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_and_never_overflow() {
        let backoff = Backoff::default();
        assert_eq!(backoff.pause(0), Duration::from_millis(100));
        assert_eq!(backoff.pause(1), Duration::from_millis(200));
        assert_eq!(backoff.pause(8), Duration::from_millis(25_600));
        for failures in [9, 31, 32, 33, u32::MAX] {
            assert_eq!(backoff.pause(failures), Duration::from_secs(30), "{failures}");
        }
    }
}
