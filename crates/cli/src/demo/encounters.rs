//! Who met which release, and to whom it did harm: what an auditor would ask after a bad release.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use cutover_routing::ReleaseId;
use serde::Serialize;

use crate::example::SLOW;

/// The record of all encounters.
#[derive(Debug, Default)]
pub(super) struct Encounters(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    known: u32,
    /// Page loads: when they were asked for, by whom, and which release came.
    pages: Vec<(Instant, u32, ReleaseId)>,
    harm: BTreeMap<ReleaseId, Harm>,
}

#[derive(Debug, Default)]
struct Harm {
    /// When the first request was sent that failed or was slow.
    first: Option<Instant>,
    failed: u64,
    slow: u64,
    whom: HashSet<u32>,
}

/// What a release did to visitors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Met {
    /// Visitors who loaded a page while the release had visitors.
    pub(super) visitors: u64,
    /// Those of them who got a page of it.
    pub(super) met: u64,
    /// Those of them to whom a request failed or was slow.
    pub(super) harmed: u64,
    /// Requests that failed with it.
    pub(super) failed: u64,
    /// Answers of it that were slow.
    pub(super) slow: u64,
    /// Milliseconds from sending its first bad request to the write that took its visitors away.
    pub(super) found_after_ms: Option<u64>,
}

impl Met {
    /// The part of all visitors who met it, in hundredths of a percent.
    pub(super) fn share(&self) -> u64 {
        (self.met * 10_000).checked_div(self.visitors).unwrap_or(0)
    }
}

impl Encounters {
    /// A number for somebody who was never here.
    pub(super) fn newcomer(&self) -> u32 {
        let mut inner = self.lock();
        inner.known += 1;
        inner.known
    }

    /// Somebody asked for a page and got one of this release.
    pub(super) fn page(&self, who: u32, release: ReleaseId, asked: Instant) {
        self.lock().pages.push((asked, who, release));
    }

    /// A page's call has ended; `failed` where there was no answer or an error.
    pub(super) fn call(&self, who: u32, release: ReleaseId, asked: Instant, failed: bool) {
        let slow = !failed && asked.elapsed() > SLOW;
        if !failed && !slow {
            return;
        }
        let mut inner = self.lock();
        let harm = inner.harm.entry(release).or_default();
        harm.first = Some(harm.first.map_or(asked, |first| first.min(asked)));
        harm.failed += u64::from(failed);
        harm.slow += u64::from(slow);
        harm.whom.insert(who);
    }

    /// What a release did until the write that took its visitors away, Unix milliseconds.
    pub(super) fn met(&self, release: ReleaseId, taken_away: u64) -> Met {
        let end = steady(taken_away);
        let inner = self.lock();
        let of_it = || inner.pages.iter().filter(|(_, _, of)| *of == release);
        let first = of_it().map(|(at, _, _)| *at).min();
        let here =
            inner.pages.iter().filter(|(at, _, _)| first.is_some_and(|first| *at >= first) && *at <= end);
        let visitors: HashSet<u32> = here.map(|(_, who, _)| *who).collect();
        let met: HashSet<u32> = of_it().map(|(_, who, _)| *who).collect();
        let mut found = Met { visitors: count(&visitors), met: count(&met), ..Met::default() };
        if let Some(harm) = inner.harm.get(&release) {
            found.harmed = count(&harm.whom);
            (found.failed, found.slow) = (harm.failed, harm.slow);
            found.found_after_ms = harm.first.map(|first| ms(end.saturating_duration_since(first)));
        }
        found
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(whom: &HashSet<u32>) -> u64 {
    whom.len() as u64
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A moment of the wall clock on the steady one.
fn steady(unix_ms: u64) -> Instant {
    let now = Instant::now();
    let ago = ms(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()).saturating_sub(unix_ms);
    now.checked_sub(Duration::from_millis(ago)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_met_a_release_is_counted_against_those_who_were_here_at_the_time() {
        let (good, bad): (ReleaseId, ReleaseId) = ("aaaaaaaa".parse().unwrap(), "bbbbbbbb".parse().unwrap());
        let encounters = Encounters::default();
        let now = Instant::now();
        let ago = |ms| now.checked_sub(Duration::from_millis(ms)).unwrap();
        let who: Vec<u32> = (0..6).map(|_| encounters.newcomer()).collect();
        encounters.page(who[0], good, ago(9_000));
        encounters.page(who[1], bad, ago(5_000));
        encounters.page(who[2], good, ago(4_000));
        encounters.page(who[3], bad, ago(3_000));
        encounters.page(who[3], bad, ago(2_900));
        encounters.page(who[4], good, ago(100));
        encounters.call(who[1], bad, ago(4_500), false);
        encounters.call(who[1], bad, ago(4_000), true);
        encounters.call(who[2], good, now, false);
        let unix = ms(SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
        let found = encounters.met(bad, unix - 1_000);
        assert_eq!((found.visitors, found.met, found.harmed), (3, 2, 1));
        assert_eq!((found.failed, found.slow, found.share()), (1, 1, 6_666));
        let after = found.found_after_ms.unwrap();
        assert!((3_400..3_700).contains(&after), "{after}");
        assert_eq!(encounters.met("cccccccc".parse().unwrap(), unix), Met::default());
    }
}
