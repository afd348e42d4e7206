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
    /// Pins of a generation whose table was never seen: too short-lived.
    pub(super) unseen: u64,
}

/// Judges every page load.
pub(super) fn check(sights: &[Sight], seen: &Seen) -> Pins {
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
