//! One small file per started command, so that a later run can end what an earlier one left behind.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::procfs;

/// A process, named so that a reused pid is never taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Named {
    /// Process id.
    pub(super) pid: i32,
    /// Clock ticks from the machine's start to the process's own.
    pub(super) started: u64,
}

impl Named {
    /// The process that has this pid now.
    pub(super) fn of(pid: i32) -> Option<Self> {
        procfs::stat(pid).map(|stat| Self { pid, started: stat.started })
    }

    /// Whether this very process still lives.
    pub(super) fn lives(self) -> bool {
        procfs::stat(self.pid).is_some_and(|stat| stat.started == self.started && !stat.zombie)
    }
}

/// What is known of one start of one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// What it is, for people: `<release>/<component>`.
    pub(super) label: String,
    /// The start of the machine it belongs to.
    pub(super) boot: String,
    /// The marker in the environment of all its processes.
    pub(super) instance: String,
    /// The process that watches it.
    pub(super) shim: Named,
    /// The command itself, once it runs.
    pub(super) leader: Option<Named>,
}

impl Record {
    /// Writes it in one piece.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let temporary = PathBuf::from(temporary);
        fs::write(&temporary, serde_json::to_vec(self)?)?;
        fs::rename(temporary, path)
    }

    /// Reads one; none where it is not there or not whole.
    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// The living processes of that start, its shim apart; empty after a restart of the machine.
    pub(super) fn living(&self) -> Vec<i32> {
        if self.boot != procfs::boot_id() {
            return Vec::new();
        }
        let mut found = procfs::carrying(&self.instance);
        for named in [Some(self.shim), self.leader].into_iter().flatten().filter(|named| named.lives()) {
            found.push(named.pid);
            found.extend(procfs::descendants(named.pid).iter().map(|stat| stat.pid));
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|pid| *pid != self.shim.pid);
        found
    }

    /// Whether the shim of that start still lives.
    pub(super) fn watched(&self) -> bool {
        self.boot == procfs::boot_id() && self.shim.lives()
    }
}
