//! What `/proc` says about processes: who descends from whom, who carries a marker, who was started when (proc(5)).
//!
//! Processes come and go while it is read: an entry that vanishes is skipped, and callers that need certainty ask again.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::PathBuf,
};

/// Name of the environment variable that marks every process of one start of one command.
pub(crate) const INSTANCE: &str = "CUTOVER_INSTANCE";

/// A marker nobody else has: 128 random bits in hexadecimal.
pub(crate) fn instance_marker() -> std::io::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The part of `/proc/<pid>/stat` that is of use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Process id.
    pub(crate) pid: i32,
    /// Its parent's.
    pub(crate) parent: i32,
    /// Clock ticks from the machine's start to its own: together with the pid it names a process for good.
    pub(crate) started: u64,
    /// It has ended and waits to be reaped.
    pub(crate) zombie: bool,
}

/// The facts of one process, if it is there.
pub(crate) fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name of the command may hold anything, spaces and parentheses too, so the fields are counted from its end.
fn parse_stat(text: &str) -> Option<Stat> {
    let pid = text.split(' ').next()?.parse().ok()?;
    let mut fields = text.get(text.rfind(')')? + 2..)?.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    // `starttime` is field 22 of the whole line; two more than the name and its parentheses have been taken.
    let started = fields.nth(17)?.trim().parse().ok()?;
    Some(Stat { pid, parent, started, zombie: matches!(state, "Z" | "X") })
}

/// All processes that can be seen.
pub(crate) fn pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Every living process below `root`, itself apart.
pub(crate) fn descendants(root: i32) -> Vec<Stat> {
    let mut children: HashMap<i32, Vec<Stat>> = HashMap::new();
    for found in pids().into_iter().filter_map(stat) {
        children.entry(found.parent).or_default().push(found);
    }
    let (mut found, mut open) = (Vec::new(), vec![root]);
    while let Some(parent) = open.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            open.push(child.pid);
            found.push(child);
        }
    }
    found.retain(|one| !one.zombie);
    found
}

/// Every living process of ours whose environment carries this marker.
pub(crate) fn carrying(marker: &str) -> Vec<i32> {
    let wanted = format!("{INSTANCE}={marker}");
    pids()
        .into_iter()
        .filter(|pid| {
            // An ended process has no environment any more, so zombies drop out by themselves.
            fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes()))
        })
        .collect()
}

/// The sockets (inode numbers) a process holds; none where it may not be looked at.
pub(crate) fn socket_inodes(pid: i32) -> Option<HashSet<u64>> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    Some(
        entries
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
            .collect(),
    )
}

/// `node (pid 123)`.
pub(crate) fn describe(pid: i32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| !c.is_control()).collect();
    if name.is_empty() { format!("pid {pid}") } else { format!("{name} (pid {pid})") }
}

/// What tells this start of the machine from the others; start times are comparable only within one.
pub(crate) fn boot_id() -> String {
    fs::read_to_string(PathBuf::from("/proc/sys/kernel/random/boot_id")).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let line =
            "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 987654 2 3 18446744073709551615";
        assert_eq!(parse_stat(line), Some(Stat { pid: 42, parent: 7, started: 987_654, zombie: false }));
        assert!(parse_stat("43 (x) Z 7 0 0 0 -1 0 1 0 0 0 1 2 0 0 20 0 1 0 5 2").unwrap().zombie);
        for broken in ["", "42", "42 (x", "42 (x)", "42 (x) S", "42 (x) S 1 2 3"] {
            assert_eq!(parse_stat(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn this_process_is_found_with_its_parent_and_its_start() {
        let me = i32::try_from(std::process::id()).unwrap();
        let found = stat(me).unwrap();
        assert_eq!(found.parent, nix::unistd::getppid().as_raw());
        assert!(found.started > 0);
        assert!(descendants(found.parent).iter().any(|one| one.pid == me));
        assert!(socket_inodes(me).is_some());
    }

    #[test]
    fn markers_differ() {
        let (one, other) = (instance_marker().unwrap(), instance_marker().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
        assert!(carrying(&one).is_empty());
    }
}
