//! Visitors with habits: who fails once is likely to fail again, and makes many requests.

use cutover_rollout::judge::{Arm, Cohort, Rule, Tally, Verdict};

use super::{Watcher, rule, sample};
use crate::rng::Rng;

/// In which share of the runs a judge was fooled into failing an equal release.
#[derive(Debug, Clone, Copy)]
pub struct Fooled {
    /// A judge that is shown visitor-windows.
    pub by_visitor: f64,
    /// A judge that is shown requests.
    pub by_request: f64,
}

/// A judge of each sort, over the same visitors.
struct Pair {
    cohort: Cohort,
    visitors: Box<dyn Watcher>,
    requests: Box<dyn Watcher>,
    counted: (Tally, Tally),
    fooled: (bool, bool),
}

impl Pair {
    fn new(make: fn(Rule) -> Box<dyn Watcher>) -> Pair {
        Pair {
            cohort: Cohort::default(),
            visitors: make(rule("1%")),
            requests: make(rule("1%")),
            counted: Default::default(),
            fooled: (false, false),
        }
    }

    fn request(&mut self, arm: Arm, visitor: u64, failed: bool) {
        self.cohort.request(arm, visitor, failed);
        let tally = if arm == Arm::Green { &mut self.counted.0 } else { &mut self.counted.1 };
        *tally = tally.plus(Tally { visitors: 1, failed: u64::from(failed) });
    }

    fn close(&mut self, window: u64) {
        let (green, blue) = std::mem::take(&mut self.counted);
        self.fooled.1 |= self.requests.look(&sample(window, green, blue)) == Verdict::Fail;
        let (green, blue) = self.cohort.close();
        self.fooled.0 |= self.visitors.look(&sample(window, green, blue)) == Verdict::Fail;
    }
}

fn rates(runs: u64, mut run: impl FnMut() -> (bool, bool)) -> Fooled {
    let (mut by_visitor, mut by_request) = (0, 0);
    for _ in 0..runs {
        let (visitor, request) = run();
        by_visitor += u64::from(visitor);
        by_request += u64::from(request);
    }
    let rate = |count: u64| count as f64 / runs as f64;
    Fooled { by_visitor: rate(by_visitor), by_request: rate(by_request) }
}

/// One visitor in fifty has a broken browser: nine out of ten of their requests fail, on whichever release, in window
/// after window. Green is as good as blue.
pub fn habits(make: fn(Rule) -> Box<dyn Watcher>, (runs, rng): (u64, &mut Rng)) -> Fooled {
    rates(runs, || {
        let visitor = |rng: &mut Rng| {
            let arm = if rng.hit(0.2) { Arm::Green } else { Arm::Blue };
            (arm, if rng.hit(0.02) { 0.9 } else { 0.001 })
        };
        let visitors: Vec<(Arm, f64)> = (0..600).map(|_| visitor(rng)).collect();
        let mut pair = Pair::new(make);
        for window in 0..60 {
            // A third of the visitors make three requests each.
            for (number, (arm, habit)) in (0..).zip(&visitors) {
                if rng.hit(0.33) {
                    (0..3).for_each(|_| pair.request(*arm, number, rng.hit(*habit)));
                }
            }
            pair.close(window);
        }
        pair.fooled
    })
}

/// What one visitor makes of the errors.
#[derive(Debug, Clone, Copy)]
pub struct Loud {
    /// How often the judges were fooled.
    pub fooled: Fooled,
    /// The part of all errors that the one visitor made, on average.
    pub part: f64,
}

/// One visitor, always on green, makes a tenth of all errors; of the others one in a hundred fails, on either release.
pub fn loud(make: fn(Rule) -> Box<dyn Watcher>, (runs, rng): (u64, &mut Rng)) -> Loud {
    let (mut errors, mut own) = (0_u64, 0_u64);
    let fooled = rates(runs, || {
        let mut pair = Pair::new(make);
        let mut next = 1;
        for window in 0..60 {
            for _ in 0..300 {
                let arm = if rng.hit(0.05) { Arm::Green } else { Arm::Blue };
                let failed = rng.hit(0.01);
                errors += u64::from(failed);
                pair.request(arm, next, failed);
                next += 1;
            }
            if rng.hit(0.33) {
                (errors, own) = (errors + 1, own + 1);
                pair.request(Arm::Green, 0, true);
            }
            pair.close(window);
        }
        pair.fooled
    });
    Loud { fooled, part: own as f64 / errors.max(1) as f64 }
}
