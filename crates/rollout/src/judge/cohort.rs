//! From requests to visitor-windows.
//!
//! A visitor counts once in a window, failed if anything failed; a visitor who has failed is not at risk any more and
//! is not counted in later windows. So neither retries nor one broken browser are evidence: each visitor can fail a
//! release once. This is what a log-rank test does with patients, and the reason why windows of one visitor, which
//! resemble each other, may be multiplied as if they were independent.

use std::collections::{BTreeMap, BTreeSet};

use super::Tally;

/// Failed visitors that are remembered. When there are more, visitors not yet seen in the window are not counted on
/// either side: evidence stops growing rather than becoming unjust.
pub const MAX_FAILED: usize = 1_000_000;

/// Which release a visitor was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arm {
    /// The candidate.
    Green,
    /// The release it is compared with.
    Blue,
}

/// Counts visitors for one measure. One per judge.
#[derive(Debug, Clone, Default)]
pub struct Cohort {
    failed: BTreeSet<(Arm, u64)>,
    window: BTreeMap<(Arm, u64), bool>,
}

impl Cohort {
    /// One answered request. `visitor` tells visitors apart (a keyed hash, say); previews, probes and synthetic load do
    /// not belong here.
    pub fn request(&mut self, arm: Arm, visitor: u64, failed: bool) {
        let key = (arm, visitor);
        if self.failed.len() >= MAX_FAILED || self.failed.contains(&key) {
            return;
        }
        *self.window.entry(key).or_default() |= failed;
    }

    /// Ends the window: green's visitors, then blue's.
    pub fn close(&mut self) -> (Tally, Tally) {
        let (mut green, mut blue) = (Tally::default(), Tally::default());
        for (key, failed) in std::mem::take(&mut self.window) {
            let tally = match key.0 {
                Arm::Green => &mut green,
                Arm::Blue => &mut blue,
            };
            tally.visitors += 1;
            if failed {
                tally.failed += 1;
                self.failed.insert(key);
            }
        }
        (green, blue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_counts_once_in_a_window_and_fails_once_at_all() {
        let mut cohort = Cohort::default();
        for _ in 0..50 {
            cohort.request(Arm::Green, 1, false);
            cohort.request(Arm::Green, 2, true);
            cohort.request(Arm::Green, 2, false);
            cohort.request(Arm::Blue, 2, false);
        }
        let seen = |visitors, failed| Tally { visitors, failed };
        assert_eq!(cohort.close(), (seen(2, 1), seen(1, 0)));
        cohort.request(Arm::Green, 1, false);
        cohort.request(Arm::Green, 2, true);
        cohort.request(Arm::Blue, 2, true);
        assert_eq!(cohort.close(), (seen(1, 0), seen(1, 1)));
        assert_eq!(cohort.close(), (seen(0, 0), seen(0, 0)));
    }
}
