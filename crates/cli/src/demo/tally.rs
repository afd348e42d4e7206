//! What all visitors met, counted in one place.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cutover_routing::ReleaseId;
use serde::Serialize;

use super::encounters::Encounters;

/// Latencies kept a release: enough for a picture of now.
const LATENCIES: usize = 200;
/// Problems kept in words.
const PROBLEMS: usize = 20;

/// Requests and failures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Requests sent.
    pub(super) requests: u64,
    /// Requests without an answer, or answered with a status from 400 on.
    pub(super) failures: u64,
    /// Documents loaded.
    pub(super) visits: u64,
    /// Visits that got an answer of another release.
    pub(super) mixed_visits: u64,
}

/// What is known at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Picture {
    /// By release; under none what no release can be named for.
    pub(super) releases: BTreeMap<Option<ReleaseId>, Counts>,
    /// Visitors by the release of their page.
    pub(super) visitors: BTreeMap<ReleaseId, u64>,
    /// Visits of the crowd that are going on, by the release of their page.
    pub(super) crowd: BTreeMap<ReleaseId, u64>,
    /// The latency that 95 of 100 recent answers stayed under.
    pub(super) p95: BTreeMap<ReleaseId, Duration>,
    /// The first things that went wrong.
    pub(super) problems: Vec<(Option<ReleaseId>, String)>,
}

impl Picture {
    /// The sum over all releases but the ones left out.
    pub(super) fn total_without(&self, left_out: &[ReleaseId]) -> Counts {
        let mut total = Counts::default();
        for (release, counts) in &self.releases {
            if release.is_some_and(|release| left_out.contains(&release)) {
                continue;
            }
            total.requests += counts.requests;
            total.failures += counts.failures;
            total.visits += counts.visits;
            total.mixed_visits += counts.mixed_visits;
        }
        total
    }

    /// What one release did.
    pub(super) fn of(&self, release: ReleaseId) -> Counts {
        self.releases.get(&Some(release)).copied().unwrap_or_default()
    }
}

/// The counter.
#[derive(Debug)]
pub(super) struct Tally {
    inner: Mutex<Inner>,
    encounters: Encounters,
}

#[derive(Debug)]
struct Inner {
    releases: BTreeMap<Option<ReleaseId>, Counts>,
    pages: Vec<Option<ReleaseId>>,
    crowd: BTreeMap<ReleaseId, u64>,
    latencies: BTreeMap<ReleaseId, VecDeque<Duration>>,
    problems: Vec<(Option<ReleaseId>, String)>,
}

impl Tally {
    /// Nothing counted yet, for so many visitors.
    pub(super) fn new(visitors: usize) -> Self {
        let inner = Inner {
            releases: BTreeMap::new(),
            pages: vec![None; visitors],
            crowd: BTreeMap::new(),
            latencies: BTreeMap::new(),
            problems: Vec::new(),
        };
        Self { inner: Mutex::new(inner), encounters: Encounters::default() }
    }

    /// Who met whom.
    pub(super) fn encounters(&self) -> &Encounters {
        &self.encounters
    }

    /// Somebody of the crowd is on a page.
    pub(super) fn enter(&self, release: ReleaseId) {
        *self.lock().crowd.entry(release).or_default() += 1;
    }

    /// Somebody of the crowd has left it.
    pub(super) fn leave(&self, release: ReleaseId) {
        if let Some(here) = self.lock().crowd.get_mut(&release) {
            *here = here.saturating_sub(1);
        }
    }

    /// Counts an answer, or the lack of one, for the release of the page it was for. A failure comes with its words.
    pub(super) fn request(&self, release: Option<ReleaseId>, took: Duration, failure: Option<String>) {
        let mut inner = self.lock();
        let counts = inner.releases.entry(release).or_default();
        counts.requests += 1;
        counts.failures += u64::from(failure.is_some());
        if let Some(failure) = failure {
            inner.problem(release, failure);
        }
        if let Some(release) = release {
            let latencies = inner.latencies.entry(release).or_default();
            latencies.push_back(took);
            if latencies.len() > LATENCIES {
                latencies.pop_front();
            }
        }
    }

    /// Says on which page a visitor is.
    pub(super) fn page(&self, visitor: usize, release: ReleaseId) {
        if let Some(page) = self.lock().pages.get_mut(visitor) {
            *page = Some(release);
        }
    }

    /// Counts a visit that has ended; a mixed one comes with what was mixed into it.
    pub(super) fn visit(&self, release: ReleaseId, mixed: Option<String>) {
        let mut inner = self.lock();
        let counts = inner.releases.entry(Some(release)).or_default();
        counts.visits += 1;
        counts.mixed_visits += u64::from(mixed.is_some());
        if let Some(mixed) = mixed {
            inner.problem(Some(release), mixed);
        }
    }

    /// What is known now.
    pub(super) fn picture(&self) -> Picture {
        let inner = self.lock();
        let mut visitors = BTreeMap::new();
        for release in inner.pages.iter().flatten() {
            *visitors.entry(*release).or_default() += 1;
        }
        let p95 = inner.latencies.iter().filter_map(|(release, all)| Some((*release, p95(all)?))).collect();
        Picture {
            releases: inner.releases.clone(),
            visitors,
            crowd: inner.crowd.clone(),
            p95,
            problems: inner.problems.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn problem(&mut self, release: Option<ReleaseId>, words: String) {
        if self.problems.len() < PROBLEMS {
            self.problems.push((release, words));
        }
    }
}

fn p95(latencies: &VecDeque<Duration>) -> Option<Duration> {
    let mut sorted: Vec<Duration> = latencies.iter().copied().collect();
    sorted.sort_unstable();
    let last = sorted.len().checked_sub(1)?;
    sorted.get(last * 95 / 100).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_counted_apart_and_summed_without_the_bad_one() {
        let (good, bad): (ReleaseId, ReleaseId) = ("aaaaaaaa".parse().unwrap(), "bbbbbbbb".parse().unwrap());
        let tally = Tally::new(2);
        for n in 1..=100 {
            tally.request(Some(good), Duration::from_millis(n), None);
        }
        tally.request(Some(bad), Duration::ZERO, Some("500".into()));
        tally.request(None, Duration::ZERO, Some("refused".into()));
        tally.visit(good, None);
        tally.visit(good, Some("mixed".into()));
        tally.page(0, good);
        tally.page(1, bad);
        tally.page(1, good);
        let picture = tally.picture();
        assert_eq!(picture.of(bad), Counts { requests: 1, failures: 1, ..Counts::default() });
        let rest = picture.total_without(&[bad]);
        assert_eq!(rest, Counts { requests: 101, failures: 1, visits: 2, mixed_visits: 1 });
        assert_eq!(picture.visitors, BTreeMap::from([(good, 2)]));
        assert_eq!(picture.p95[&good], Duration::from_millis(95));
        assert_eq!(picture.problems.len(), 3);
    }
}
