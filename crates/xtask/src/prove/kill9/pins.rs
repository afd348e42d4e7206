//! Whether visitors stay where they are until the table moves them, judged by every table the edge ever had.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use cutover_routing::Table;
use cutover_testkit::crowd::Sight;

/// How often the edge's file is looked at.
const PAUSE: Duration = Duration::from_millis(2);

/// A visitor who did not move is right if a table of this long before or after says so: the file is written before the
/// edge runs it, and one edge may be behind.
const AROUND: Duration = Duration::from_millis(250);

/// The tables that were seen, with the time.
#[derive(Debug, Default)]
pub(super) struct Seen {
    tables: BTreeMap<u64, Table>,
    times: Vec<(Instant, u64)>,
}

/// Looks at the file that the edge replaces before it runs another table.
pub(super) struct Tables {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Tables {
    pub(super) fn watch(state: &Path) -> Self {
        let (seen, stop) = (Arc::new(Mutex::new(Seen::default())), Arc::new(AtomicBool::new(false)));
        let file = state.join("edge.json");
        let (into, told) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut last = None;
            while !told.load(Relaxed) {
                let version = std::fs::metadata(&file)
                    .ok()
                    .map(|meta| (std::os::unix::fs::MetadataExt::ino(&meta), meta.modified().ok()));
                if version.is_some() && version != last {
                    let at = Instant::now();
                    let table = std::fs::read(&file).ok().and_then(|bytes| table(&bytes));
                    if let (Some(table), Ok(mut seen)) = (table, into.lock()) {
                        seen.times.push((at, table.generation));
                        seen.tables.insert(table.generation, table);
                        last = version;
                    }
                }
                std::thread::sleep(PAUSE);
            }
        });
        Self { seen, stop, thread }
    }

    pub(super) fn stop(self) -> Seen {
        self.stop.store(true, Relaxed);
        let _ = self.thread.join();
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn table(publication: &[u8]) -> Option<Table> {
    let whole: serde_json::Value = serde_json::from_slice(publication).ok()?;
    serde_json::from_value(whole.get("table")?.clone()).ok()
}

impl Seen {
    /// The tables that may have been in force between two moments.
    fn around(&self, from: Instant, to: Instant) -> impl Iterator<Item = &Table> {
        let from = from.checked_sub(AROUND).unwrap_or(from);
        let first = self.times.partition_point(|(at, _)| *at < from).saturating_sub(1);
        let last = self.times.partition_point(|(at, _)| *at <= to + AROUND);
        self.times.get(first..last).unwrap_or_default().iter().filter_map(|(_, of)| self.tables.get(of))
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Pins {
    pub(super) wrong: Vec<String>,
    /// Visitors with a pin who were given another release.
    pub(super) moves: u64,
    /// Those of them who were given the default because the services of the table's release had not started again.
    pub(super) off_the_ill: u64,
    /// Pins of a generation whose table was never seen: too short-lived.
    pub(super) unseen: u64,
}

/// Judges every page load. `recovering` says of one whether services may have been starting again: only then may the edge
/// give another release than the table's, the default, for want of health.
pub(super) fn check(sights: &[Sight], seen: &Seen, recovering: impl Fn(&Sight) -> bool) -> Pins {
    let mut pins = Pins::default();
    let mut kinds: BTreeMap<&'static str, (u64, String)> = BTreeMap::new();
    let mut complain = |kind: &'static str, sight: &Sight| {
        let (count, _) = kinds
            .entry(kind)
            .or_insert_with(|| (0, format!("{}, held {:?}, got {:?}", sight.line(), sight.held, sight.got)));
        *count += 1;
    };
    for sight in sights.iter().filter(|sight| sight.is_navigation() && sight.status == 200) {
        let Some(release) = sight.release else {
            complain("pages without a release", sight);
            continue;
        };
        if let Some(got) = sight.got {
            if got.release != release {
                complain("pages that pin to another release than theirs", sight);
            }
            match seen.tables.get(&got.generation) {
                None => pins.unseen += 1,
                Some(table) if table.target(got.bucket) == Some(got.release) => {}
                Some(table)
                    if sight.reason == "unhealthy" && table.default == Some(release) && recovering(sight) =>
                {
                    pins.off_the_ill += 1;
                }
                Some(_) => complain("visitors were sent where their table does not send them", sight),
            }
        }
        let Some(held) = sight.held else { continue };
        pins.moves += u64::from(held.release != release);
        match sight.got {
            Some(got) if got.bucket != held.bucket => complain("visitors were drawn again", sight),
            Some(got) if got.generation < held.generation => {
                complain("pins went back to an older generation", sight);
            }
            Some(_) => {}
            None if held.release != release => complain("visitors moved without being pinned", sight),
            None => {
                let mut tables = seen.around(sight.sent, sight.done).peekable();
                let known = tables.peek().is_some();
                if known && !tables.any(|table| table.target(held.bucket) == Some(release)) {
                    complain("visitors stayed where no table of the time has them", sight);
                }
            }
        }
    }
    pins.wrong =
        kinds.iter().map(|(kind, (count, first))| format!("{count} {kind}, the first: {first}")).collect();
    pins
}

#[cfg(test)]
mod tests {
    use cutover_routing::{Edit, Pin, ReleaseId, Slot, edit};

    use super::*;

    fn id(text: &str) -> ReleaseId {
        text.parse().unwrap()
    }

    /// Tables of a rollout that was seen: everybody on blue, then all on green.
    fn seen(begin: Instant) -> Seen {
        let (blue, green) = (id("blue0001"), id("green002"));
        let mut seen = Seen::default();
        let mut table = Table::empty();
        let edits = [
            Edit::Stage { release: blue, slot: Some(Slot::Blue) },
            Edit::MakeCandidate { release: blue },
            Edit::Promote { release: blue },
            Edit::Stage { release: green, slot: Some(Slot::Green) },
            Edit::MakeCandidate { release: green },
            Edit::Promote { release: green },
        ];
        for (number, one) in edits.iter().enumerate() {
            table = edit(&table, one, number as u64 + 1).unwrap();
            seen.times.push((begin + Duration::from_secs(number as u64), table.generation));
            seen.tables.insert(table.generation, table.clone());
        }
        seen
    }

    /// A page load at a second, by somebody who held a pin and got one.
    fn load(begin: Instant, second: f64, release: &str, held: Option<&str>, got: Option<&str>) -> Sight {
        let at = begin + Duration::from_secs_f64(second);
        let pin = |text: &str| Pin::parse(text).unwrap();
        Sight {
            visitor: 1,
            visit: 1,
            path: "/",
            sent: at,
            done: at + Duration::from_millis(3),
            status: 200,
            lost: None,
            release: Some(id(release)),
            said: None,
            document: None,
            stale: false,
            reason: String::new(),
            held: held.map(pin),
            got: got.map(pin),
        }
    }

    #[test]
    fn visitors_who_stay_and_visitors_whom_the_table_moves_are_right() {
        let begin = Instant::now();
        let sights = [
            load(begin, 3.5, "blue0001", None, Some("1.blue0001.7.3")),
            load(begin, 4.0, "blue0001", Some("1.blue0001.7.3"), None),
            load(begin, 5.5, "green002", Some("1.blue0001.7.3"), Some("1.green002.7.6")),
            load(begin, 6.0, "green002", Some("1.green002.7.6"), None),
        ];
        let pins = check(&sights, &seen(begin), |_| false);
        assert_eq!((pins.wrong, pins.moves, pins.unseen), (Vec::<String>::new(), 1, 0));
    }

    #[test]
    fn the_default_for_want_of_health_is_right_only_while_services_start() {
        let begin = Instant::now();
        let mut ill = load(begin, 4.0, "blue0001", None, Some("1.blue0001.7.5"));
        ill.reason = "unhealthy".to_owned();
        let mut seen = seen(begin);
        let wide = Edit::SetShare { release: id("green002"), width: 10_000 };
        let moved = edit(&seen.tables[&5], &wide, 6).unwrap();
        seen.tables.insert(5, Table { generation: 5, ..moved });
        assert_eq!(check(&[ill.clone()], &seen, |_| true).off_the_ill, 1);
        assert!(check(&[ill.clone()], &seen, |_| true).wrong.is_empty());
        assert_eq!(check(&[ill], &seen, |_| false).wrong.len(), 1);
    }

    #[test]
    fn each_way_of_losing_a_visitor_is_found() {
        let begin = Instant::now();
        let held = Some("1.blue0001.7.3");
        let wrongs = [
            (load(begin, 4.0, "blue0001", held, Some("1.blue0001.8.3")), "drawn again"),
            (load(begin, 5.5, "green002", held, None), "moved without being pinned"),
            (
                load(begin, 4.0, "green002", held, Some("1.green002.7.5")),
                "where their table does not send them",
            ),
            (
                load(begin, 5.5, "blue0001", Some("1.green002.7.6"), Some("1.blue0001.7.5")),
                "older generation",
            ),
            (load(begin, 9.0, "blue0001", held, None), "stayed where no table"),
            (load(begin, 4.0, "green002", held, Some("1.blue0001.7.3")), "another release than theirs"),
        ];
        for (sight, what) in wrongs {
            let pins = check(&[sight], &seen(begin), |_| false);
            assert!(pins.wrong.iter().any(|wrong| wrong.contains(what)), "{what}: {:?}", pins.wrong);
        }
        let unknown = load(begin, 4.0, "blue0001", None, Some("1.blue0001.7.99"));
        assert_eq!(check(&[unknown], &seen(begin), |_| false).unseen, 1);
    }
}
