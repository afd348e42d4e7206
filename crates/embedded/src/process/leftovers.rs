//! What an earlier run left behind: found by its records, ended before anything new is started.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::record::Record;

/// How long a living shim of an earlier run may take to end its command the gentle way.
const GRACE: Duration = Duration::from_secs(3);

/// How long killed processes may take to disappear.
const AFTER_KILL: Duration = Duration::from_secs(5);

/// A command of an earlier run that still lived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// `<release>/<component>`.
    pub label: String,
    /// Its processes when it was found.
    pub pids: Vec<i32>,
    /// Those that could not be ended, e.g. another user's.
    pub left: Vec<i32>,
}

/// Ends everything recorded in `dir` that still lives. Blocking.
///
/// Only processes that are provably of that run are touched: by pid *and* start time *and* start of the machine, by
/// descent from such a process, or by a random marker in their environment.
pub(super) fn end_all(dir: &Path) -> Vec<Leftover> {
    let records: Vec<_> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter_map(|path| Some((Record::read(&path)?, path)))
        .collect();
    let found: Vec<(Leftover, Record)> = records
        .iter()
        .map(|(record, _)| (record.living(), record.clone()))
        .filter(|(pids, record)| !pids.is_empty() || record.watched())
        .map(|(pids, record)| (Leftover { label: record.label.clone(), pids, left: Vec::new() }, record))
        .collect();
    // Its standard input has ended with the earlier run, so each shim is at work already; the signal is for one whose
    // input is held open by somebody else.
    let shims: Vec<&Record> =
        found.iter().map(|(_, record)| record).filter(|record| record.watched()).collect();
    for record in &shims {
        let _ = kill(Pid::from_raw(record.shim.pid), Signal::SIGTERM);
    }
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline && shims.iter().any(|record| record.watched()) {
        thread::sleep(Duration::from_millis(10));
    }
    let ended: Vec<Leftover> = found
        .into_iter()
        .map(|(mut leftover, record)| {
            leftover.left = kill_until_gone(|| record.living());
            if record.watched() {
                let _ = kill(Pid::from_raw(record.shim.pid), Signal::SIGKILL);
            }
            tracing::warn!(label = leftover.label, pids = ?leftover.pids, left = ?leftover.left, "ended what an earlier run left");
            leftover
        })
        .collect();
    for (record, path) in records {
        if record.living().is_empty() {
            let _ = std::fs::remove_file(path);
        }
    }
    ended
}

/// Kills what `living` names, asking again until it names nobody; what is still there after a while is returned.
pub(super) fn kill_until_gone(living: impl Fn() -> Vec<i32>) -> Vec<i32> {
    let deadline = Instant::now() + AFTER_KILL;
    loop {
        let pids = living();
        if pids.is_empty() || Instant::now() > deadline {
            return pids;
        }
        for pid in pids {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        thread::sleep(Duration::from_millis(5));
    }
}
