//! What a client sees of a switch: fresh navigations back to back, before, during and after the command.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use cutover_routing::ReleaseId;
use serde::Serialize;
use tokio::task::JoinHandle;

use super::{connection::Connection, tally::Tally, visitor::release_of};

/// A switch as seen from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Seen {
    /// Microseconds from giving the command to the first answer of the new release; none: never seen.
    pub(super) first_new_us: Option<u64>,
    /// Microseconds from giving the command to the last answer of the old release; 0: none after the command.
    pub(super) last_old_us: u64,
}

/// One answer: when it had arrived, and who gave it.
type Sight = (Instant, ReleaseId);

/// Looks while it lives.
pub(super) struct Watcher {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Vec<Sight>>,
}

impl Watcher {
    /// Begins to look.
    pub(super) fn begin(
        runtime: &tokio::runtime::Handle,
        edge: SocketAddr,
        host: &str,
        tally: Arc<Tally>,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let mut connection = Connection::new(edge, host);
        let task = runtime.spawn(async move {
            let mut sights = Vec::new();
            while !told.load(Relaxed) {
                let headers = [
                    ("accept", "text/html"),
                    ("sec-fetch-dest", "document"),
                    ("sec-fetch-mode", "navigate"),
                    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
                ];
                let began = Instant::now();
                let answer = connection.get("/", &headers).await;
                let release = answer.as_ref().ok().and_then(release_of);
                let failure = match &answer {
                    Err(error) => Some(format!("/: {error}")),
                    Ok(answer) if answer.status.as_u16() >= 400 => {
                        Some(format!("/: status {}", answer.status))
                    }
                    Ok(_) => None,
                };
                tally.request(release, began.elapsed(), failure);
                sights.extend(release.map(|release| (Instant::now(), release)));
                // Often enough to see milliseconds, seldom enough not to be the load.
                tokio::time::sleep(Duration::from_micros(500)).await;
            }
            sights
        });
        Self { stop, task }
    }

    /// Ends, and says what was seen since `command`.
    pub(super) async fn end(self, command: Instant, to: ReleaseId) -> Seen {
        self.stop.store(true, Relaxed);
        seen(&self.task.await.unwrap_or_default(), command, to)
    }
}

fn seen(sights: &[Sight], command: Instant, to: ReleaseId) -> Seen {
    let after =
        |at: Instant| u64::try_from(at.saturating_duration_since(command).as_micros()).unwrap_or(u64::MAX);
    let first_new = sights.iter().find(|(at, release)| *at > command && *release == to);
    let last_old = sights.iter().rev().find(|(at, release)| *at > command && *release != to);
    Seen {
        first_new_us: first_new.map(|(at, _)| after(*at)),
        last_old_us: last_old.map_or(0, |(at, _)| after(*at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_new_and_the_last_old_answer_after_the_command_count() {
        let (old, new): (ReleaseId, ReleaseId) = ("aaaaaaaa".parse().unwrap(), "bbbbbbbb".parse().unwrap());
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let sights = [(at(1), old), (at(11), old), (at(13), new), (at(14), old), (at(15), new)];
        let found = seen(&sights, at(10), new);
        assert_eq!(found, Seen { first_new_us: Some(3000), last_old_us: 4000 });
        assert_eq!(seen(&sights[..1], at(10), new), Seen::default());
    }
}
