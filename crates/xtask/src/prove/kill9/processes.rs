//! Whether what a killed `up` ran is gone: processes that are nobody's children, ports that somebody still listens on.

use std::{
    collections::BTreeSet,
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use cutover_testkit::world::World;
use serde_json::Value;

/// A service has ten seconds to stop when it is asked to.
const TO_BE_GONE: Duration = Duration::from_secs(20);

/// The addresses that services were seen at.
#[derive(Debug, Default)]
pub(super) struct Services(BTreeSet<SocketAddr>);

impl Services {
    /// Remembers where services are.
    pub(super) fn note(&mut self, status: &Value) {
        let releases = status["releases"].as_array().into_iter().flatten();
        let components = releases.flat_map(|release| release["components"].as_array().into_iter().flatten());
        self.0.extend(components.filter_map(|one| one["address"].as_str()?.parse::<SocketAddr>().ok()));
    }

    /// Processes of the world that do not descend from the `up` that runs now, when they have had time to end.
    pub(super) async fn strangers(&self, world: &World) -> Option<String> {
        let deadline = Instant::now() + TO_BE_GONE;
        loop {
            let left: Vec<u32> = world
                .processes()
                .into_iter()
                .filter(|pid| !descends(*pid, world.pid().unwrap_or(0)))
                .collect();
            if left.is_empty() {
                return None;
            }
            if Instant::now() > deadline {
                return Some(format!("processes that are not of this up: {}", named(&left)));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What is there when `up` has ended in order.
    pub(super) fn left(&self, world: &World) -> Vec<String> {
        let deadline = Instant::now() + TO_BE_GONE;
        loop {
            let processes = world.processes();
            let ports: Vec<String> = self
                .0
                .iter()
                .filter(|address| TcpStream::connect_timeout(address, Duration::from_millis(200)).is_ok())
                .map(ToString::to_string)
                .collect();
            if processes.is_empty() && ports.is_empty() {
                return Vec::new();
            }
            if Instant::now() > deadline {
                return vec![format!(
                    "left behind: processes {}, ports {}",
                    named(&processes),
                    ports.join(", ")
                )];
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Whether a process is another, or a child of it, or a child of a child.
fn descends(pid: u32, of: u32) -> bool {
    let mut at = pid;
    for _ in 0..64 {
        if at == of {
            return true;
        }
        // `pid (name) state parent ...`; the name may hold anything, brackets too.
        let stat = std::fs::read_to_string(format!("/proc/{at}/stat")).unwrap_or_default();
        let Some(parent) = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse().ok())
        else {
            // Gone meanwhile.
            return true;
        };
        if parent <= 1 {
            return false;
        }
        at = parent;
    }
    false
}

fn named(pids: &[u32]) -> String {
    let name = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        format!("{pid} {}", String::from_utf8_lossy(&line).replace('\0', " ").trim())
    };
    if pids.is_empty() { "none".to_owned() } else { pids.iter().map(name).collect::<Vec<_>>().join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_descends_from_itself_and_from_its_parent_and_not_from_its_child() {
        let own = std::process::id();
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        assert!(descends(own, own));
        assert!(descends(child.id(), own));
        assert!(!descends(own, child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
