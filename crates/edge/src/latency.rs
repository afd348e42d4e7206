//! How fast and how well a release answers its visitors: counts that only grow, so that any two readings make a window.
//!
//! Times are kept in buckets whose bounds grow by an eighth to a quarter, four of them to each doubling: a quantile read
//! from them is at most an eighth off, from 64 microseconds to 67 seconds.

use std::time::Duration;

/// Buckets to each doubling, as a power of two.
const FINE: u32 = 2;
/// The first bucket ends at two to this power, in microseconds.
const FIRST: u32 = 6;
/// The last one begins at two to this power.
const LAST: u32 = 26;

/// How many buckets there are: below the first bound, between them, above the last.
pub(crate) const BUCKETS: usize = ((LAST - FIRST) << FINE) as usize + 2;

/// The bucket of a time in microseconds.
pub(crate) fn bucket(us: u64) -> usize {
    if us < 1 << FIRST {
        return 0;
    }
    let octave = us.ilog2();
    if octave >= LAST {
        return BUCKETS - 1;
    }
    let within = (us >> (octave - FINE)) & ((1 << FINE) - 1);
    1 + (((octave - FIRST) << FINE) as usize) + within as usize
}

/// Where a bucket ends, in microseconds: the first value that is not in it. The last one has no end.
pub(crate) fn end(bucket: usize) -> u64 {
    if bucket >= BUCKETS - 1 {
        return u64::MAX;
    }
    let (octave, within) = (bucket as u32 >> FINE, bucket as u64 & ((1 << FINE) - 1));
    ((1 << FINE) + within) << (octave + FIRST - FINE)
}

/// What a release answered to visitors since the edge started: no previews, no known bots.
///
/// Made by [`crate::Edge::latency`]. What happened in between two readings is [`LatencyTotals::since`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatencyTotals {
    /// Requests answered. What visitors broke off themselves is not among them.
    pub requests: u64,
    /// Those that failed: 5xx of the release, or made by the edge in its place (502, 503, 504), and answers cut short by
    /// the release.
    pub errors: u64,
    pub(crate) counts: [u64; BUCKETS],
}

impl Default for LatencyTotals {
    fn default() -> Self {
        Self { requests: 0, errors: 0, counts: [0; BUCKETS] }
    }
}

impl LatencyTotals {
    /// What came after `earlier`. A reading that is later than this one, of an edge that has started anew since, leaves
    /// zeros and never wraps.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts;
        for (count, before) in counts.iter_mut().zip(&earlier.counts) {
            *count = count.saturating_sub(*before);
        }
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            errors: self.errors.saturating_sub(earlier.errors),
            counts,
        }
    }

    /// Adds another's counts, of another edge or another release.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// The share of requests that failed; none where there were none.
    #[must_use]
    pub fn error_rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }

    /// How many answers have a time: all requests but event streams and upgrades.
    #[must_use]
    pub fn timed(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The time, from the head of the request to the head of the answer, that this share of the answers did not exceed:
    /// 0.95 for the 95th percentile. At most an eighth off; below 64 microseconds and above 67 seconds it says just that.
    /// None where nothing was timed or `q` is no share.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let total = self.timed();
        if total == 0 || !(0.0..=1.0).contains(&q) {
            return None;
        }
        let rank = ((q * total as f64).ceil() as u64).clamp(1, total);
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        let us = match at {
            0 => end(0),
            _ if at == BUCKETS - 1 => end(at - 1),
            _ => end(at - 1).midpoint(end(at)),
        };
        Some(Duration::from_micros(us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: impl IntoIterator<Item = u64>) -> LatencyTotals {
        let mut totals = LatencyTotals::default();
        for us in times {
            totals.requests += 1;
            totals.counts[bucket(us)] += 1;
        }
        totals
    }

    #[test]
    fn every_time_is_in_the_bucket_whose_bounds_hold_it() {
        for us in (0..200_000).chain((0..64).map(|bit| 1_u64 << bit)).chain([u64::MAX]) {
            let at = bucket(us);
            assert!(us < end(at) || at == BUCKETS - 1, "{us}");
            assert!(at == 0 || us >= end(at - 1), "{us}");
        }
        for at in 1..BUCKETS - 1 {
            let (low, high) = (end(at - 1), end(at));
            assert!(low < high && (high - low) * 4 <= low, "bucket {at} from {low} to {high}");
        }
    }

    #[test]
    fn a_quantile_is_at_most_an_eighth_off() {
        for scale in [1_u64, 7, 100, 1_000] {
            let totals = of((1..=10_000).map(|n| 64 + n * scale));
            for q in [0.01, 0.5, 0.9, 0.95, 0.99, 1.0] {
                let exact = 64.0 + (10_000.0_f64 * q).ceil() * scale as f64;
                let read = totals.quantile(q).unwrap().as_micros() as f64;
                assert!((read - exact).abs() <= exact / 8.0, "{q} of scale {scale}: {read}, not {exact}");
            }
        }
    }

    #[test]
    fn extremes_and_nothing() {
        assert_eq!(of([]).quantile(0.5), None);
        assert_eq!(of([5]).quantile(f64::NAN), None);
        assert_eq!(of([5]).quantile(1.1), None);
        assert_eq!(of([5]).quantile(0.0), Some(Duration::from_micros(64)));
        assert_eq!(of([u64::MAX]).quantile(0.5), Some(Duration::from_micros(1 << LAST)));
        assert_eq!(of([]).error_rate(), None);
    }

    #[test]
    fn two_readings_make_a_window() {
        let before = of([1_000; 10]);
        let mut after = before.clone();
        after.add(&LatencyTotals { errors: 1, ..of([500_000; 3]) });
        let window = after.since(&before);
        assert_eq!((window.requests, window.errors, window.timed()), (3, 1, 3));
        assert!(window.quantile(0.5).unwrap() > Duration::from_millis(400));
        assert_eq!(before.since(&after).requests, 0, "never wraps");
    }
}
