//! Ending a whole process tree: asked first, then killed.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

use crate::process::procfs;

/// How long killed processes may take to disappear before the shim gives up on them (another user's, or stuck in the
/// kernel).
const AFTER_KILL: Duration = Duration::from_secs(5);

/// How often the shim looks about itself while nothing happens.
const IDLE: Duration = Duration::from_secs(5);

/// The end of a command and of everything it started.
pub(super) struct Ending {
    leader: i32,
    deadline: Option<Instant>,
    asked: HashSet<i32>,
}

impl Ending {
    /// Nothing is to end yet.
    pub(super) fn new(leader: i32) -> Self {
        Self { leader, deadline: None, asked: HashSet::new() }
    }

    /// Asks everybody to end and sets when they are killed. A second call can only bring that nearer.
    pub(super) fn begin(&mut self, grace: Duration) {
        let deadline = Instant::now() + grace;
        if let Some(earlier) = self.deadline {
            self.deadline = Some(earlier.min(deadline));
            return;
        }
        self.deadline = Some(deadline);
        // The group at once, so that no member sees another end first and reports it as a crash.
        self.asked.extend(
            procfs::descendants(me())
                .iter()
                .filter(|one| group_of(one.pid) == Some(self.leader))
                .map(|one| one.pid),
        );
        if !self.asked.is_empty() {
            let _ = killpg(Pid::from_raw(self.leader), Signal::SIGTERM);
            let _ = killpg(Pid::from_raw(self.leader), Signal::SIGCONT);
        }
    }

    /// Does what is due and says how long to sleep at most.
    pub(super) fn tend(&mut self) -> Duration {
        let Some(deadline) = self.deadline else { return IDLE };
        let late = Instant::now() >= deadline;
        for process in procfs::descendants(me()) {
            let pid = Pid::from_raw(process.pid);
            if late {
                let _ = kill(pid, Signal::SIGKILL);
            } else if self.asked.insert(process.pid) {
                let _ = kill(pid, Signal::SIGTERM);
                let _ = kill(pid, Signal::SIGCONT); // a stopped process could not obey
            }
        }
        if late {
            Duration::from_millis(5)
        } else {
            deadline.duration_since(Instant::now()).min(Duration::from_millis(50))
        }
    }

    /// Whether even killing did not help.
    pub(super) fn hopeless(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() > deadline + AFTER_KILL)
    }

    /// What still lives.
    pub(super) fn left(&self) -> Vec<i32> {
        procfs::descendants(me()).iter().map(|one| one.pid).collect()
    }
}

fn me() -> i32 {
    nix::unistd::getpid().as_raw()
}

fn group_of(pid: i32) -> Option<i32> {
    nix::unistd::getpgid(Some(Pid::from_raw(pid))).ok().map(Pid::as_raw)
}
