//! Who was on which of two releases, and what became of it: the evidence a rollout is judged by.
//!
//! While nothing is watched a request costs one relaxed load. While something is, each worker keeps one entry per visitor
//! behind a lock that only the end of a window ever contends for; a visitor who is known costs no allocation. Entries are
//! bounded: where more visitors come than fit, those whose key does not begin with enough zeros are forgotten, all of
//! them, on both releases, so that what is left is a fair sample and whole for everybody in it.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use cutover_routing::ReleaseId;

use crate::visitor::Keys;

/// Visitors each worker remembers in one window: about a megabyte.
const FIT: usize = 16 * 1024;

/// What [`crate::Edge::watch`] counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchOptions {
    /// An answer whose head comes later than this after the head of its request is slow.
    pub slow_over: Duration,
    /// The two releases that are compared, in any order.
    pub releases: [ReleaseId; 2],
}

/// One visitor on one release within one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The release that answered.
    pub release: ReleaseId,
    /// Who asked: the same number as long as the edge runs, and no way back from it to the visitor.
    pub visitor: u64,
    /// Requests answered.
    pub requests: u32,
    /// Those of them that failed: 5xx, made by the release or by the edge in its place, and answers cut short.
    pub failed: u32,
    /// Those of them that were slow.
    pub slow: u32,
}

/// What visitors met between two moments. Windows do not overlap: a request is in one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VisitWindow {
    /// When it began: Unix milliseconds.
    pub from: u64,
    /// When it ended: Unix milliseconds.
    pub to: u64,
    /// False where more visitors came than fit. The window then holds all requests of some of them, chosen by what their
    /// number is and by nothing else, on both releases alike.
    pub complete: bool,
    /// One for each visitor and release, in no order.
    pub visits: Vec<Visit>,
}

/// A visitor, as counted by the watch that was in force when their request began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Visitor {
    watch: u64,
    pub(crate) key: u64,
}

/// How one request ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) failed: bool,
    /// Until the head of the answer; none where that says nothing.
    pub(crate) took: Option<Duration>,
}

/// The watch of one edge.
#[derive(Debug)]
pub(crate) struct Visits {
    /// Number of the watch in force; 0: none.
    watch: AtomicU64,
    keys: Keys,
    control: Mutex<Control>,
    workers: Vec<Slot>,
}

#[derive(Debug, Default)]
struct Control {
    options: Option<WatchOptions>,
    watches: u64,
    /// When the window began: Unix milliseconds.
    from: u64,
}

/// A cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    watch: u64,
    options: Option<WatchOptions>,
    /// Zeros a key must have to be kept, doubling each time what was kept no longer fits.
    zeros: u32,
    visitors: Visitors,
}

type Visitors = HashMap<u64, [Tally; 2], BuildHasherDefault<AsIs>>;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    requests: u32,
    failed: u32,
    slow: u32,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.failed = self.failed.saturating_add(other.failed);
        self.slow = self.slow.saturating_add(other.slow);
    }
}

/// Keys are keyed hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// True where a key belongs to the sample. Bits from the middle: tables use both ends.
fn sampled(key: u64, zeros: u32) -> bool {
    (key >> 24) & ((1 << zeros) - 1) == 0
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Visits {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            watch: AtomicU64::new(0),
            keys: Keys::default(),
            control: Mutex::default(),
            workers: (0..workers).map(|_| Slot::default()).collect(),
        }
    }

    /// The visitor of a request that begins now; none while nothing is watched, and then `key` is not made.
    pub(crate) fn visitor(&self, key: impl FnOnce(&Keys) -> u64) -> Option<Visitor> {
        match self.watch.load(Relaxed) {
            0 => None,
            watch => Some(Visitor { watch, key: key(&self.keys) }),
        }
    }

    /// How visitors are told apart.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Counts a request that a worker has answered.
    pub(crate) fn count(&self, worker: usize, visitor: Visitor, release: ReleaseId, outcome: Outcome) {
        if let Some(slot) = self.workers.get(worker) {
            lock(&slot.0).count(visitor, release, outcome);
        }
    }

    /// Begins a watch, or ends it.
    pub(crate) fn watch(&self, options: Option<WatchOptions>) {
        let mut control = lock(&self.control);
        if control.options == options {
            return;
        }
        control.watches += 1;
        control.from = unix_ms();
        let watch = if options.is_some() { control.watches } else { 0 };
        for slot in &self.workers {
            let fresh = Counted { watch, options: options.clone(), ..Counted::default() };
            let old = std::mem::replace(&mut *lock(&slot.0), fresh);
            drop(old);
        }
        control.options = options;
        self.watch.store(watch, Relaxed);
    }

    /// Ends the window and begins the next.
    pub(crate) fn take(&self) -> VisitWindow {
        let mut control = lock(&self.control);
        let Some(options) = control.options.clone() else {
            let now = unix_ms();
            return VisitWindow { from: now, to: now, complete: true, visits: Vec::new() };
        };
        let mut taken = Vec::with_capacity(self.workers.len());
        let mut zeros = 0;
        for slot in &self.workers {
            // Room for as many as came last time, found while nobody waits for the lock.
            let room = lock(&slot.0).visitors.len();
            let fresh = Visitors::with_capacity_and_hasher(room, BuildHasherDefault::default());
            let mut counted = lock(&slot.0);
            zeros = zeros.max(std::mem::take(&mut counted.zeros));
            taken.push(std::mem::replace(&mut counted.visitors, fresh));
        }
        let (from, to) = (control.from, unix_ms().max(control.from));
        control.from = to;
        drop(control);
        let mut all = taken.pop().unwrap_or_default();
        for visitors in taken {
            for (key, tallies) in visitors {
                let both = all.entry(key).or_default();
                both.iter_mut().zip(tallies).for_each(|(tally, more)| tally.add(more));
            }
        }
        let visits = all
            .into_iter()
            .filter(|(key, _)| sampled(*key, zeros))
            .flat_map(|(visitor, tallies)| {
                options.releases.into_iter().zip(tallies).map(move |of| (visitor, of))
            })
            .filter(|(_, (_, tally))| tally.requests > 0)
            .map(|(visitor, (release, Tally { requests, failed, slow }))| Visit {
                release,
                visitor,
                requests,
                failed,
                slow,
            })
            .collect();
        VisitWindow { from, to, complete: zeros == 0, visits }
    }
}

impl Counted {
    fn count(&mut self, visitor: Visitor, release: ReleaseId, outcome: Outcome) {
        let Some(options) = &self.options else { return };
        // What began before the watch is not part of it.
        if visitor.watch != self.watch || !sampled(visitor.key, self.zeros) {
            return;
        }
        let Some(side) = options.releases.iter().position(|one| *one == release) else { return };
        let one = Tally {
            requests: 1,
            failed: u32::from(outcome.failed),
            slow: u32::from(outcome.took.is_some_and(|took| took > options.slow_over)),
        };
        let full = self.visitors.len() >= FIT;
        match self.visitors.entry(visitor.key) {
            Entry::Occupied(known) => known.into_mut()[side].add(one),
            Entry::Vacant(new) if !full => new.insert(Default::default())[side].add(one),
            Entry::Vacant(_) => {
                while self.visitors.len() >= FIT {
                    self.zeros += 1;
                    let zeros = self.zeros;
                    self.visitors.retain(|key, _| sampled(*key, zeros));
                }
                if sampled(visitor.key, self.zeros) {
                    self.visitors.entry(visitor.key).or_default()[side].add(one);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, net::IpAddr};

    use super::*;

    fn blue() -> ReleaseId {
        "blue0001".parse().unwrap()
    }

    fn green() -> ReleaseId {
        "green002".parse().unwrap()
    }

    fn watching(workers: usize) -> Visits {
        let visits = Visits::new(workers);
        let slow_over = Duration::from_millis(100);
        visits.watch(Some(WatchOptions { slow_over, releases: [blue(), green()] }));
        visits
    }

    const FINE: Outcome = Outcome { failed: false, took: Some(Duration::from_millis(1)) };

    fn answered(visits: &Visits, worker: usize, key: u64, release: ReleaseId, outcome: Outcome) {
        let visitor = visits.visitor(|_| key).unwrap();
        visits.count(worker, visitor, release, outcome);
    }

    #[test]
    fn a_visitor_of_several_workers_is_one_visitor_on_each_release() {
        let visits = watching(3);
        let slow = Outcome { failed: true, took: Some(Duration::from_millis(101)) };
        answered(&visits, 0, 7, blue(), FINE);
        answered(&visits, 1, 7, blue(), slow);
        answered(&visits, 2, 7, green(), Outcome { took: None, ..FINE });
        answered(&visits, 2, 7, "other003".parse().unwrap(), FINE);
        let mut window = visits.take();
        window.visits.sort_by_key(|visit| visit.release);
        let of = |release, requests, failed, slow| Visit { release, visitor: 7, requests, failed, slow };
        assert_eq!(window.visits, [of(blue(), 2, 1, 1), of(green(), 1, 0, 0)]);
        assert!(window.complete && window.from <= window.to);
        let next = visits.take();
        assert!(next.visits.is_empty() && next.from == window.to);
    }

    #[test]
    fn more_visitors_than_fit_leave_a_sample_that_is_whole_and_the_same_on_both_releases() {
        let visits = watching(2);
        let keys: Vec<u64> =
            (0..100_000_u32).map(|n| visits.keys.pinned(IpAddr::from(n.to_be_bytes()), 1)).collect();
        for round in 0..2 {
            for (n, key) in keys.iter().enumerate() {
                answered(&visits, (n + round) % 2, *key, blue(), FINE);
                answered(&visits, n % 2, *key, green(), FINE);
            }
        }
        let held: usize = visits.workers.iter().map(|slot| lock(&slot.0).visitors.len()).max().unwrap();
        assert!(held <= FIT);
        let window = visits.take();
        assert!(!window.complete);
        let mut seen: BTreeMap<u64, BTreeMap<ReleaseId, u32>> = BTreeMap::new();
        for visit in &window.visits {
            seen.entry(visit.visitor).or_default().insert(visit.release, visit.requests);
        }
        // A quarter to a sixteenth of them, each with everything they did.
        assert!((4_000..30_000).contains(&seen.len()), "{}", seen.len());
        for both in seen.values() {
            assert_eq!(*both, BTreeMap::from([(blue(), 2), (green(), 2)]));
        }
        answered(&visits, 0, keys[0], blue(), FINE);
        assert!(visits.take().complete, "the next window begins anew");
    }

    #[test]
    fn options_begin_a_new_watch_only_where_they_differ() {
        let visits = watching(1);
        let options = lock(&visits.control).options.clone().unwrap();
        answered(&visits, 0, 1, blue(), FINE);
        let early = visits.visitor(|_| 2).unwrap();
        visits.watch(Some(options.clone()));
        assert_eq!(visits.take().visits.len(), 1, "the same options change nothing");
        visits.watch(Some(WatchOptions { slow_over: Duration::ZERO, ..options }));
        visits.count(0, early, blue(), FINE);
        assert!(visits.take().visits.is_empty(), "what began under another watch is not part of this one");
        visits.watch(None);
        visits.count(0, early, blue(), FINE);
        assert_eq!(visits.visitor(|_| unreachable!("no key is made")), None);
        let window = visits.take();
        assert!(window.visits.is_empty() && window.from == window.to && window.complete);
    }

    /// `cargo test -p cutover-edge --release -- --ignored --nocapture what_a_visit_costs`
    #[test]
    #[ignore = "prints what it measures"]
    #[allow(clippy::print_stdout, reason = "prints what it measures")]
    fn what_a_visit_costs() {
        const TIMES: u32 = 2_000_000;
        let off = Visits::new(1);
        let on = watching(1);
        let address = IpAddr::from([192, 0, 2, 1]);
        for (what, visits) in [("nothing watched", &off), ("watched, visitors known", &on)] {
            let started = std::time::Instant::now();
            for n in 0..TIMES {
                let bucket = (n % 10_000) as u16;
                let address = std::hint::black_box(address);
                if let Some(visitor) = visits.visitor(|keys| keys.pinned(address, bucket)) {
                    visits.count(0, visitor, blue(), FINE);
                }
            }
            println!("{what}: {} ns for each request", started.elapsed().as_nanos() / u128::from(TIMES));
        }
    }
}
