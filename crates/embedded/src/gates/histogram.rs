//! Times of many requests in little room: counts in buckets, so that memory does not grow with the number of requests.
//!
//! Buckets are a 32nd of their octave wide: a quantile is at most 3.2 % above the true one and never below it.

use std::time::Duration;

/// Buckets of each octave, as a power of two.
const FINE: u32 = 5;
const PER_OCTAVE: usize = 1 << FINE;
/// Octaves of 64 bits above the first `PER_OCTAVE` values, which have a bucket each.
const BUCKETS: usize = PER_OCTAVE * (64 - FINE as usize + 1);

/// Durations, to a microsecond.
#[derive(Clone)]
pub(super) struct Histogram {
    counts: Box<[u64]>,
    total: u64,
    longest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into(), total: 0, longest: 0 }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket(us)] += 1;
        self.total += 1;
        self.longest = self.longest.max(us);
    }

    /// The time that `part` (0 to 1) of those counted did not exceed; nothing where none is counted.
    pub(super) fn quantile(&self, part: f64) -> Option<Duration> {
        if self.total == 0 {
            return None;
        }
        // The rank is a whole number no larger than the total.
        let rank = ((self.total as f64 * part).ceil() as u64).clamp(1, self.total);
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Duration::from_micros(last(at).min(self.longest)))
    }
}

/// The bucket of a number of microseconds.
fn bucket(us: u64) -> usize {
    if us < PER_OCTAVE as u64 {
        return us as usize;
    }
    let octave = us.ilog2() - FINE;
    PER_OCTAVE * (octave as usize + 1) + ((us >> octave) as usize & (PER_OCTAVE - 1))
}

/// The largest number in a bucket.
fn last(bucket: usize) -> u64 {
    if bucket < PER_OCTAVE {
        return bucket as u64;
    }
    let octave = bucket / PER_OCTAVE - 1;
    let first = ((PER_OCTAVE + bucket % PER_OCTAVE) as u64) << octave;
    first + ((1 << octave) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_lies_in_a_bucket_that_ends_little_above_it() {
        let numbers = (0..4096)
            .chain((0..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]))
            .chain([u64::MAX]);
        for us in numbers {
            let end = last(bucket(us));
            assert!(end >= us, "{us} ends at {end}");
            assert!(end - us <= us / 31, "{us} ends at {end}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_times_counted() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for ms in 1..=1000 {
            histogram.add(Duration::from_millis(ms));
        }
        for (part, exact) in [(0.5, 500), (0.95, 950), (0.99, 990)] {
            let exact = Duration::from_millis(exact);
            let found = histogram.quantile(part).unwrap();
            assert!(found >= exact && found <= exact.mul_f64(1.033), "{part}: {found:?}");
        }
        assert_eq!(histogram.quantile(1.0), Some(Duration::from_secs(1)));
        assert_eq!(histogram.quantile(0.0), histogram.quantile(0.001));
    }
}
