//! Visitors who fail by chance, and judges who watch them: how often a judge is wrong, and how soon it is right.
//!
//! Experiments are functions of a seed and of the judge, so that a judge that does not keep its promises can be put in
//! the place of the one that does. The unit tests of the judge and `cargo xtask prove judge` run the same ones.

mod crowd;
mod judges;

use cutover_rollout::judge::{Margin, Rule, Sample, Tally, Verdict, forecast};

use crate::rng::Rng;

pub use crowd::{Fooled, Loud, habits, loud};
pub use judges::{Careful, Naive, Watcher, careful, naive};

/// Length of a window, milliseconds.
pub const WINDOW: u64 = 10_000;

/// Who comes in each window, and for how many windows.
#[derive(Debug, Clone, Copy)]
pub struct Traffic {
    /// Visitors of green in a window.
    pub green: u64,
    /// Visitors of blue in a window.
    pub blue: u64,
    /// Windows in a run; the judge is asked after each.
    pub windows: u64,
}

/// As many on green as on blue.
pub const HALVES: Traffic = Traffic { green: 60, blue: 60, windows: 100 };
/// A twentieth on green.
pub const CANARY: Traffic = Traffic { green: 15, blue: 285, windows: 100 };

/// Rates of failure of green and blue in a window.
pub type Rates<'a> = &'a dyn Fn(u64) -> (f64, f64);

/// The rule of the experiments. Alpha and beta are 5 %, so that hundreds of runs show whether they are kept.
///
/// # Panics
/// Where the margin is none.
pub fn rule(worse_by: &str) -> Rule {
    let margin = Margin::worse_by(worse_by).unwrap_or_else(|e| panic!("{e}"));
    Rule { alpha: 0.05, beta: 0.05, ..Rule::compare(margin) }
}

/// A window with its counts.
pub fn sample(window: u64, green: Tally, blue: Tally) -> Sample {
    Sample { from: window * WINDOW, to: (window + 1) * WINDOW, green, blue }
}

/// So many visitors, each of whom fails with probability `p`, independently.
pub fn tally(rng: &mut Rng, visitors: u64, p: f64) -> Tally {
    if p <= 0.0 {
        return Tally { visitors, failed: 0 };
    }
    if p >= 1.0 {
        return Tally { visitors, failed: visitors };
    }
    // From one failure to the next: as many as the coin falls well.
    let (mut at, mut failed) = (0_u64, 0);
    loop {
        let well = (rng.unit().max(f64::MIN_POSITIVE).ln() / (-p).ln_1p()).floor();
        at = at.saturating_add(well as u64).saturating_add(1);
        if at > visitors {
            return Tally { visitors, failed };
        }
        failed += 1;
    }
}

/// The first window after which the judge says what is wanted.
pub fn first(
    judge: &mut dyn Watcher,
    traffic: Traffic,
    rates: Rates<'_>,
    rng: &mut Rng,
    wanted: Verdict,
) -> Option<u64> {
    (0..traffic.windows).find(|window| {
        let (green, blue) = rates(*window);
        let (green, blue) = (tally(rng, traffic.green, green), tally(rng, traffic.blue, blue));
        judge.look(&sample(*window, green, blue)) == wanted
    })
}

/// The share of runs in which the judge ever says so, asked after every window.
pub fn ever(
    make: fn(Rule) -> Box<dyn Watcher>,
    rule: &Rule,
    traffic: Traffic,
    rates: Rates<'_>,
    wanted: Verdict,
    (runs, rng): (u64, &mut Rng),
) -> f64 {
    let said = |_: &u64| first(&mut *make(rule.clone()), traffic, rates, rng, wanted).is_some();
    (0..runs).filter(said).count() as f64 / runs as f64
}

/// The promised rate and four standard deviations of the experiment.
pub fn promised(rate: f64, runs: u64) -> f64 {
    rate + 4.0 * (rate * (1.0 - rate) / runs as f64).sqrt()
}

/// How soon a judge comes to a verdict.
#[derive(Debug, Clone, Copy)]
pub struct Soon {
    /// In which share of the runs it does.
    pub found: f64,
    /// After how many visitor-windows of green, in the middle; the largest number: never.
    pub median: u64,
    /// What was forecast.
    pub forecast: u64,
}

impl Soon {
    /// What was needed, in parts of what was forecast.
    pub fn ratio(&self) -> f64 {
        self.median as f64 / self.forecast as f64
    }
}

/// How soon a green that fails at `bad` where blue fails at `base` is found out.
pub fn detection(
    make: fn(Rule) -> Box<dyn Watcher>,
    rule: &Rule,
    (base, bad): (f64, f64),
    traffic: Traffic,
    (runs, rng): (u64, &mut Rng),
) -> Soon {
    let forecast = forecast(rule, base, bad, share(traffic)).to_fail.unwrap_or(u64::MAX);
    soon(make, rule, (&|_| (bad, base), Verdict::Fail), traffic, forecast, (runs, rng))
}

/// How soon a green that fails as often as blue passes.
pub fn passing(
    make: fn(Rule) -> Box<dyn Watcher>,
    rule: &Rule,
    base: f64,
    traffic: Traffic,
    (runs, rng): (u64, &mut Rng),
) -> Soon {
    let forecast = forecast(rule, base, base, share(traffic)).to_pass.unwrap_or(u64::MAX);
    soon(make, rule, (&|_| (base, base), Verdict::Pass), traffic, forecast, (runs, rng))
}

fn share(traffic: Traffic) -> f64 {
    traffic.green as f64 / (traffic.green + traffic.blue) as f64
}

fn soon(
    make: fn(Rule) -> Box<dyn Watcher>,
    rule: &Rule,
    (rates, wanted): (Rates<'_>, Verdict),
    traffic: Traffic,
    forecast: u64,
    (runs, rng): (u64, &mut Rng),
) -> Soon {
    let run = |_: u64| {
        let window = first(&mut *make(rule.clone()), traffic, rates, rng, wanted)?;
        Some((window + 1) * traffic.green)
    };
    let (found, median) = median((0..runs).map(run).collect());
    Soon { found, median, forecast }
}

/// How many windows it takes to find a green that fails as often as blue, 1 %, for so many windows and then at `bad`:
/// the share of runs in which it is found, and the median.
pub fn turned(
    make: fn(Rule) -> Box<dyn Watcher>,
    good: u64,
    bad: f64,
    (runs, rng): (u64, &mut Rng),
) -> (f64, u64) {
    let traffic = Traffic { green: 100, blue: 900, windows: good + 100 };
    let rates = |window: u64| (if window < good { 0.01 } else { bad }, 0.01);
    let run = |_: u64| {
        let window = first(&mut *make(rule("1%")), traffic, &rates, rng, Verdict::Fail)?;
        window.checked_sub(good).map(|windows| windows + 1)
    };
    median((0..runs).map(run).collect())
}

/// The share of runs that came to an end, and the middle of what was needed.
fn median(mut needed: Vec<Option<u64>>) -> (f64, u64) {
    let found = needed.iter().flatten().count() as f64 / needed.len().max(1) as f64;
    needed.sort_by_key(|needed| needed.unwrap_or(u64::MAX));
    (found, needed.get(needed.len() / 2).copied().flatten().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_visitors_fail_as_often_as_they_are_told_to() {
        let mut rng = Rng::seeded(1);
        for p in [0.0, 0.001, 0.02, 0.3, 0.9, 1.0] {
            let failed = tally(&mut rng, 1_000_000, p).failed as f64;
            let spread = 5.0 * (1e6 * p * (1.0 - p)).sqrt();
            assert!((failed - 1e6 * p).abs() <= spread, "{p}: {failed}");
            assert_eq!(tally(&mut rng, 0, p).failed, 0);
        }
    }

    #[test]
    fn the_middle_counts_those_who_never_come_to_an_end_as_late() {
        assert_eq!(median(vec![Some(3), None, Some(1)]), (2.0 / 3.0, 3));
        assert_eq!(median(vec![None, None, Some(1)]), (1.0 / 3.0, u64::MAX));
    }
}
