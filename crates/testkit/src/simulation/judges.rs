//! Judges to be watched: the one that rollouts use, and one that does not keep its promise.

use cutover_rollout::judge::{Judge, Rule, Sample, Tally, Verdict};

/// Something that looks at every window and says what it thinks.
pub trait Watcher {
    /// Takes a window and gives the verdict so far.
    fn look(&mut self, sample: &Sample) -> Verdict;
}

/// The judge that rollouts use.
#[derive(Debug)]
pub struct Careful(pub Judge);

impl Watcher for Careful {
    fn look(&mut self, sample: &Sample) -> Verdict {
        match self.0.observe(sample) {
            Ok(()) => self.0.verdict(sample.to).verdict,
            Err(_) => Verdict::Error,
        }
    }
}

/// The control: the textbook test of two proportions at the same level, looked at after every window.
#[derive(Debug)]
pub struct Naive {
    rule: Rule,
    green: Tally,
    blue: Tally,
}

/// The normal deviate that is exceeded in 5 % of all cases.
const CRITICAL: f64 = 1.645;

impl Watcher for Naive {
    fn look(&mut self, sample: &Sample) -> Verdict {
        self.green = self.green.plus(sample.green);
        self.blue = self.blue.plus(sample.blue);
        let (n, m) = (self.green.visitors as f64, self.blue.visitors as f64);
        if self.green.visitors == 0 || self.blue.visitors == 0 {
            return Verdict::Insufficient;
        }
        let (p, q) = (self.green.failed as f64 / n, self.blue.failed as f64 / m);
        let pooled = (self.green.failed + self.blue.failed) as f64 / (n + m);
        let spread = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
        let far = |difference: f64| difference > CRITICAL * spread;
        if spread > 0.0 && far(p - q) {
            Verdict::Fail
        } else if far(self.rule.pass_under.at(q) - p) {
            Verdict::Pass
        } else {
            Verdict::Insufficient
        }
    }
}

/// Makes the judge that rollouts use.
///
/// # Panics
/// Where the rule cannot be judged by.
pub fn careful(rule: Rule) -> Box<dyn Watcher> {
    Box::new(Careful(Judge::new(rule, Tally::default(), 0).unwrap_or_else(|e| panic!("{e}"))))
}

/// Makes the control.
pub fn naive(rule: Rule) -> Box<dyn Watcher> {
    Box::new(Naive { rule, green: Tally::default(), blue: Tally::default() })
}
