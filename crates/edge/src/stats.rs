//! Counters per release.
//!
//! Each worker owns a shard and is its only writer, so counting is a load and a store to memory no other core writes.
//! Readers add the shards up.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use cutover_routing::{Kind, ReleaseId};

use crate::{
    latency::{self, LatencyTotals},
    visits::Outcome,
};

/// Who asked; judged apart from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Visitor,
    Bot,
    Preview,
}

pub(crate) const WHO: [&str; 3] = ["visitor", "bot", "preview"];
pub(crate) const KINDS: [&str; 5] = ["navigation", "service-worker", "speculative", "websocket", "sub"];
pub(crate) const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

pub(crate) fn kind_index(kind: Kind) -> usize {
    match kind {
        Kind::Navigation => 0,
        Kind::ServiceWorker => 1,
        Kind::Speculative => 2,
        Kind::WebSocket => 3,
        Kind::Sub => 4,
    }
}

/// Upper bounds of the latency histogram, in microseconds, with their Prometheus labels in seconds.
pub(crate) const BUCKETS: [(u64, &str); 13] = [
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (10_000_000, "10"),
];

/// Component 0 is the edge itself (refusals, outage pages), 1 the site, the rest the services in their order.
pub(crate) const EDGE: usize = 0;
pub(crate) const SITE: usize = 1;
pub(crate) const SERVICES: usize = 2;

/// A counter with one writer.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }
}

/// A number that goes up and down, with one writer.
#[derive(Debug, Default)]
pub(crate) struct Level(AtomicI64);

impl Level {
    pub(crate) fn add(&self, n: i64) {
        self.0.store(self.0.load(Relaxed) + n, Relaxed);
    }

    pub(crate) fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// How visitors were answered.
#[derive(Debug)]
pub(crate) struct Answers {
    requests: Count,
    failed: Count,
    /// Until the head of the answer.
    times: [Count; latency::BUCKETS],
    time_us: Count,
}

impl Answers {
    fn new() -> Self {
        let times = std::array::from_fn(|_| Count::default());
        Self { requests: Count::default(), failed: Count::default(), times, time_us: Count::default() }
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        self.requests.add(1);
        self.failed.add(u64::from(outcome.failed));
        if let Some(took) = outcome.took {
            let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.times[latency::bucket(us)].add(1);
            self.time_us.add(us);
        }
    }
}

/// What one worker counts for one release. A cache line of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Shard {
    pub(crate) in_flight: Level,
    pub(crate) open_streams: Level,
    pub(crate) stale: Count,
    pub(crate) pins_set: Count,
    pub(crate) pins_moved: Count,
    pub(crate) latency: [Count; BUCKETS.len() + 1],
    pub(crate) latency_sum_us: Count,
    /// Of visitors alone.
    pub(crate) answers: Answers,
    /// Unix milliseconds.
    last_request: Count,
    requests: Box<[Count]>,
}

/// One finished request, as it is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) component: usize,
    pub(crate) who: Who,
    pub(crate) kind: Kind,
    pub(crate) status: u16,
}

impl Shard {
    fn new(components: usize) -> Self {
        let cells = components * WHO.len() * KINDS.len() * CLASSES.len();
        Self {
            in_flight: Level::default(),
            open_streams: Level::default(),
            stale: Count::default(),
            pins_set: Count::default(),
            pins_moved: Count::default(),
            latency: Default::default(),
            latency_sum_us: Count::default(),
            answers: Answers::new(),
            last_request: Count::default(),
            requests: (0..cells).map(|_| Count::default()).collect(),
        }
    }

    pub(crate) fn request(&self, sample: Sample) {
        let class = usize::from(sample.status / 100).clamp(1, CLASSES.len()) - 1;
        let at = cell(sample.component, sample.who as usize, kind_index(sample.kind), class);
        if let Some(count) = self.requests.get(at) {
            count.add(1);
        }
    }

    pub(crate) fn touched(&self, unix_ms: u64) {
        self.last_request.set(unix_ms);
    }

    pub(crate) fn took(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let at = BUCKETS.iter().position(|(bound, _)| us <= *bound).unwrap_or(BUCKETS.len());
        self.latency[at].add(1);
        self.latency_sum_us.add(us);
    }
}

fn cell(component: usize, who: usize, kind: usize, class: usize) -> usize {
    ((component * WHO.len() + who) * KINDS.len() + kind) * CLASSES.len() + class
}

/// All counters of one release, for the life of the edge: publications come and go, these stay.
#[derive(Debug)]
pub(crate) struct ReleaseStats {
    pub(crate) components: Vec<String>,
    pub(crate) shards: Vec<Shard>,
}

impl ReleaseStats {
    fn new(services: &[String], workers: usize) -> Self {
        let mut components = vec!["edge".to_owned(), "site".to_owned()];
        components.extend(services.iter().cloned());
        let shards = (0..workers).map(|_| Shard::new(components.len())).collect();
        Self { components, shards }
    }

    pub(crate) fn sum(&self, of: impl Fn(&Shard) -> u64) -> u64 {
        self.shards.iter().map(of).sum()
    }

    pub(crate) fn level(&self, of: impl Fn(&Shard) -> i64) -> u64 {
        // A shard may be read between another's two writes; a level below zero is such a moment.
        u64::try_from(self.shards.iter().map(of).sum::<i64>()).unwrap_or(0)
    }

    pub(crate) fn requests(&self, component: usize, who: usize, kind: usize, class: usize) -> u64 {
        self.sum(|shard| shard.requests.get(cell(component, who, kind, class)).map_or(0, Count::get))
    }

    /// How visitors were answered, and for how many microseconds they waited altogether.
    pub(crate) fn answers(&self) -> (LatencyTotals, u64) {
        let mut totals = LatencyTotals::default();
        let mut time_us = 0;
        for answers in self.shards.iter().map(|shard| &shard.answers) {
            // Failures first: read between two writes, there are never more of them than requests.
            totals.errors += answers.failed.get();
            totals.requests += answers.requests.get();
            totals.counts.iter_mut().zip(&answers.times).for_each(|(sum, count)| *sum += count.get());
            time_us += answers.time_us.get();
        }
        (totals, time_us)
    }

    pub(crate) fn usage(&self) -> Usage {
        let mut usage = Usage {
            in_flight: self.level(|shard| shard.in_flight.get()),
            open_streams: self.level(|shard| shard.open_streams.get()),
            ..Usage::default()
        };
        for component in 0..self.components.len() {
            for kind in 0..KINDS.len() {
                for (class, name) in CLASSES.iter().enumerate() {
                    let visitors = self.requests(component, Who::Visitor as usize, kind, class);
                    let bots = self.requests(component, Who::Bot as usize, kind, class);
                    usage.requests += visitors + bots;
                    usage.previews += self.requests(component, Who::Preview as usize, kind, class);
                    if *name == "5xx" {
                        usage.server_errors += visitors + bots;
                    }
                }
            }
        }
        let last = self.shards.iter().map(|shard| shard.last_request.get()).max().unwrap_or(0);
        usage.last_request_at = (last != 0).then_some(last);
        usage
    }
}

/// How much a release is used, as one edge sees it since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests being answered now, previews included, open streams left out.
    pub in_flight: u64,
    /// WebSockets and event streams open now.
    pub open_streams: u64,
    /// Requests answered, previews apart.
    pub requests: u64,
    /// Those of them answered with 5xx.
    pub server_errors: u64,
    /// When the last request began, previews apart: Unix milliseconds.
    pub last_request_at: Option<u64>,
    /// Requests of previews.
    pub previews: u64,
}

/// The counters of all releases this edge has seen, and those that belong to none.
#[derive(Debug)]
pub(crate) struct Stats {
    workers: usize,
    releases: Mutex<BTreeMap<ReleaseId, Arc<ReleaseStats>>>,
    /// Requests no release answers: built-in addresses, refusals.
    pub(crate) none: Arc<ReleaseStats>,
    pub(crate) connections: Vec<Level>,
    pub(crate) nacks: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) last_good_failures: AtomicU64,
    pub(crate) tls_failures: AtomicU64,
    pub(crate) log_dropped: AtomicU64,
}

impl Stats {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers,
            releases: Mutex::default(),
            none: Arc::new(ReleaseStats::new(&[], workers)),
            connections: (0..workers).map(|_| Level::default()).collect(),
            nacks: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            last_good_failures: AtomicU64::new(0),
            tls_failures: AtomicU64::new(0),
            log_dropped: AtomicU64::new(0),
        }
    }

    /// The counters of a release, made on first sight. Its services are part of what the release is and never change.
    pub(crate) fn of(&self, release: ReleaseId, services: &[String]) -> Arc<ReleaseStats> {
        let mut releases = self.releases.lock().unwrap_or_else(PoisonError::into_inner);
        let made =
            releases.entry(release).or_insert_with(|| Arc::new(ReleaseStats::new(services, self.workers)));
        Arc::clone(made)
    }

    pub(crate) fn find(&self, release: &ReleaseId) -> Option<Arc<ReleaseStats>> {
        self.releases.lock().unwrap_or_else(PoisonError::into_inner).get(release).cloned()
    }

    pub(crate) fn all(&self) -> Vec<(ReleaseId, Arc<ReleaseStats>)> {
        let releases = self.releases.lock().unwrap_or_else(PoisonError::into_inner);
        releases.iter().map(|(id, stats)| (*id, Arc::clone(stats))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_are_counted_apart() {
        let stats = Stats::new(2);
        let release = stats.of("blue0001".parse().unwrap(), &["api".to_owned()]);
        let sample = Sample { component: SERVICES, who: Who::Visitor, kind: Kind::Sub, status: 200 };
        release.shards[0].request(sample);
        release.shards[1].request(Sample { status: 503, ..sample });
        release.shards[1].request(Sample { who: Who::Bot, ..sample });
        release.shards[1].request(Sample { who: Who::Preview, status: 500, ..sample });
        release.shards[0].in_flight.add(1);
        release.shards[1].in_flight.add(2);
        let usage = release.usage();
        assert_eq!((usage.requests, usage.server_errors, usage.previews, usage.in_flight), (3, 1, 1, 3));
    }
}
