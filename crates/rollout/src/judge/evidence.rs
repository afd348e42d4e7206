//! The e-process against one hypothesis.
//!
//! The hypothesis says on which side of a line (a [`Margin`]) the two failure rates lie: a convex set H. Of a window
//! with `n` visitors of green, `m` of blue, and a guess (g, b) outside H made before the window is seen, let (x, y) be
//! the point of H that is nearest in the sense of `n KL(g|x) + m KL(b|y)`. Then
//!
//! ```text
//! S = product over visitors of  P(outcome | g or b) / P(outcome | x or y)
//! ```
//!
//! has a mean of at most 1 whatever rates in H are the true ones. Proof, after Turner and Grünwald: with
//! `c = (g-x) / (x(1-x))` and `d = (b-y) / (y(1-y))` the mean is the product of `1 + (p-x) c` over green's visitors and
//! `1 + (q-y) d` over blue's; by `ln(1+z) <= z` its logarithm is at most `n (p̄-x) c + m (q̄-y) d`, which is at most 0
//! because (x, y) is nearest: that is the condition of first order. So visitors may differ among themselves, and
//! windows may differ: only the means within each window have to obey H.
//!
//! Guesses are several, each an e-process of its own; their mean is again one. Every factor is mixed with a little of
//! the constant 1, so that one bad guess (before anything is known) costs a few factors of e and not everything.

use serde::{Deserialize, Serialize};

use super::{Margin, Tally};

/// On which side of the line the hypothesis lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Hypothesis {
    /// Green's rate is at most the bound.
    AtMost,
    /// Green's rate is at least the bound.
    AtLeast,
}

/// Evidence against a hypothesis, as natural logarithms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Evidence {
    hypothesis: Hypothesis,
    line: Margin,
    /// One for each guess.
    logs: Vec<f64>,
    /// None of them grows above this. Evidence may be thrown away (what is left is still a supermartingale), and is, so
    /// that a release that was good for long does not have to outweigh all of it when it turns bad.
    cap: f64,
    /// The largest mean so far.
    peak: f64,
    blue: Tally,
    green: Tally,
    /// Green's visitors and failures with older windows counting less: what green is like now.
    recent: (f64, f64),
}

/// How many guesses there are at most: what a mixture costs.
pub(super) const GUESSES: usize = 7;
/// How much of every factor is held back.
const HELD_BACK: f64 = 0.001;
/// Strength of the belief, before anything is seen, that failures are rare: as if 0.2 of 20 visitors had failed.
const PRIOR: (f64, f64) = (0.2, 20.0);
/// How much less each older window counts in what green is like now.
const FADE: f64 = 0.9;
/// Rates are kept this far from 0 and 1.
const EDGE: f64 = 1e-9;

impl Evidence {
    /// No evidence yet. `baseline` is what is known of blue from before; it informs guesses and proves nothing.
    pub(super) fn new(hypothesis: Hypothesis, line: Margin, baseline: Tally, cap: f64) -> Evidence {
        let count = match hypothesis {
            Hypothesis::AtMost => GUESSES,
            Hypothesis::AtLeast => 4,
        };
        Evidence {
            hypothesis,
            line,
            logs: vec![0.0; count],
            cap,
            peak: 0.0,
            blue: baseline,
            green: Tally::default(),
            recent: (0.0, 0.0),
        }
    }

    /// Takes the counts of one window.
    pub(super) fn add(&mut self, green: Tally, blue: Tally) {
        let compared = self.line.times > 0.0;
        let known = if compared { self.blue.visitors } else { self.green.visitors };
        // A window without one of the sides says nothing about their difference; the first one only informs guesses.
        if green.visitors > 0 && (blue.visitors > 0 || !compared) && known > 0 {
            let guesses = self.guesses();
            for (log, guess) in self.logs.iter_mut().zip(guesses) {
                let factor = factor(self.hypothesis, self.line, guess, green, blue);
                // ln(h + (1 - h) e^factor), without overflow.
                let (most, least) = (factor + (1.0 - HELD_BACK).ln(), HELD_BACK.ln());
                *log += most.max(least) + (-(most - least).abs()).exp().ln_1p();
                *log = log.min(self.cap);
            }
            self.peak = self.peak.max(self.log());
        }
        self.blue = self.blue.plus(blue);
        self.green = self.green.plus(green);
        let fade = |before: f64, now: u64| before * FADE + now as f64;
        self.recent = (fade(self.recent.0, green.visitors), fade(self.recent.1, green.failed));
    }

    /// The logarithm of the e-value as it is now.
    pub(super) fn log(&self) -> f64 {
        let most = self.logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.logs.iter().map(|log| (log - most).exp()).sum();
        most + (sum / self.logs.len() as f64).ln()
    }

    /// The logarithm of the largest e-value so far.
    pub(super) fn peak(&self) -> f64 {
        self.peak
    }

    /// Pairs of rates (green, blue), from the past alone.
    fn guesses(&self) -> Vec<(f64, f64)> {
        let rate = |tally: Tally, prior: f64, weight: f64| {
            (tally.failed as f64 + prior * weight) / (tally.visitors as f64 + weight)
        };
        let rare = PRIOR.0 / PRIOR.1;
        let compared = self.line.times > 0.0;
        let blue = rate(if compared { self.blue } else { self.green }, rare, PRIOR.1);
        let bound = self.line.at(blue).clamp(EDGE, 1.0 - EDGE);
        let own = rate(self.green, bound.min(blue), 5.0);
        let now = (self.recent.1 + bound.min(blue) * 5.0) / (self.recent.0 + 5.0);
        let greens = match self.hypothesis {
            Hypothesis::AtMost => vec![
                now.max(bound * 1.2),
                bound * 1.5,
                bound * 2.0,
                bound * 4.0,
                bound + 0.02,
                bound + 0.1,
                bound + 0.5 * (1.0 - bound),
            ],
            Hypothesis::AtLeast => vec![
                own.min(bound * 0.9),
                blue.min(bound * 0.9),
                if compared { 0.5 * (blue.min(bound) + bound) } else { bound * 0.5 },
                bound * 0.25,
            ],
        };
        let inside = |rate: f64| rate.clamp(EDGE, 1.0 - EDGE);
        greens.into_iter().map(|green| (inside(green), inside(blue))).collect()
    }
}

/// The logarithm of one window's e-variable for one guess; 0 where the guess is within the hypothesis.
fn factor(hypothesis: Hypothesis, line: Margin, guess: (f64, f64), green: Tally, blue: Tally) -> f64 {
    let (g, b) = guess;
    let outside = match hypothesis {
        Hypothesis::AtMost => g > line.at(b),
        Hypothesis::AtLeast => g < line.at(b),
    };
    if !outside {
        return 0.0;
    }
    let (x, y) = nearest(line, guess, green.visitors as f64, blue.visitors as f64);
    let of_green = likelihood(green, g, x);
    if line.times == 0.0 { of_green } else { of_green + likelihood(blue, b, y) }
}

/// `ln P(tally | rate) - ln P(tally | under)`.
fn likelihood(tally: Tally, rate: f64, under: f64) -> f64 {
    let failed = tally.failed as f64;
    let well = (tally.visitors - tally.failed) as f64;
    failed * (rate / under).ln() + well * ((1.0 - rate) / (1.0 - under)).ln()
}

/// The point (x, y) on the line that is nearest to a guess off it, for so many visitors on each side.
pub(super) fn nearest(line: Margin, (g, b): (f64, f64), green: f64, blue: f64) -> (f64, f64) {
    if line.times == 0.0 {
        return (line.plus.clamp(EDGE, 1.0 - EDGE), b);
    }
    // The distance along the line is convex in y: its slope is negative at one end, positive at the other.
    let slope = |y: f64| {
        let x = line.at(y);
        green * line.times * (x - g) / (x * (1.0 - x)) + blue * (y - b) / (y * (1.0 - y))
    };
    let mut low = EDGE / 1e3;
    let mut high = ((1.0 - line.plus) / line.times).min(1.0) - EDGE / 1e3;
    // Between the guess and its neighbour on the line lies the nearest point: fewer halvings for the same result.
    let across = ((g - line.plus) / line.times).clamp(low, high);
    (low, high) = (across.min(b).max(low), across.max(b).min(high));
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if high - low < 1e-12 * middle {
            break;
        }
        if slope(middle) < 0.0 { low = middle } else { high = middle }
    }
    let y = 0.5 * (low + high);
    (line.at(y), y)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean of an e-variable over all outcomes of a small window, for true rates (p, q).
    fn mean(
        hypothesis: Hypothesis,
        line: Margin,
        guess: (f64, f64),
        sizes: (u64, u64),
        truth: (f64, f64),
    ) -> f64 {
        let choose = |n: u64, k: u64| (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product::<f64>();
        let chance =
            |n: u64, k: u64, p: f64| choose(n, k) * p.powi(k as i32) * (1.0 - p).powi((n - k) as i32);
        let mut mean = 0.0;
        for i in 0..=sizes.0 {
            for j in 0..=sizes.1 {
                let green = Tally { visitors: sizes.0, failed: i };
                let blue = Tally { visitors: sizes.1, failed: j };
                mean += chance(sizes.0, i, truth.0)
                    * chance(sizes.1, j, truth.1)
                    * factor(hypothesis, line, guess, green, blue).exp();
            }
        }
        mean
    }

    #[test]
    fn the_mean_is_at_most_one_wherever_the_hypothesis_holds() {
        let lines = [
            Margin::EQUAL,
            Margin { times: 1.0, plus: 0.05 },
            Margin { times: 1.5, plus: 0.0 },
            Margin::limit(0.1),
        ];
        let rates = [0.0, 0.001, 0.02, 0.1, 0.3, 0.6, 0.9, 1.0];
        let guesses = [(0.001, 0.3), (0.02, 0.01), (0.2, 0.01), (0.01, 0.2), (0.6, 0.5), (0.95, 0.9)];
        let mut checked = 0;
        for hypothesis in [Hypothesis::AtMost, Hypothesis::AtLeast] {
            for line in lines {
                for guess in guesses {
                    for sizes in [(1, 1), (2, 9), (7, 3), (12, 12)] {
                        for p in rates {
                            for q in rates {
                                let holds = match hypothesis {
                                    Hypothesis::AtMost => p <= line.at(q),
                                    Hypothesis::AtLeast => p >= line.at(q),
                                };
                                if holds {
                                    let mean = mean(hypothesis, line, guess, sizes, (p, q));
                                    assert!(
                                        mean <= 1.0 + 1e-9,
                                        "{hypothesis:?} {line:?} {guess:?} {sizes:?} {p} {q}: {mean}"
                                    );
                                    checked += 1;
                                }
                            }
                        }
                    }
                }
            }
        }
        assert!(checked > 4_000, "{checked}");
    }

    #[test]
    fn the_nearest_point_is_on_the_line_and_nearest() {
        let distance = |p: f64, q: f64| p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln();
        for line in [Margin::EQUAL, Margin { times: 1.0, plus: 0.01 }, Margin { times: 2.0, plus: 0.0 }] {
            for (n, m) in [(1.0, 1.0), (50.0, 950.0), (1e5, 10.0)] {
                let (g, b) = (0.2, 0.03);
                let (x, y) = nearest(line, (g, b), n, m);
                assert!((x - line.at(y)).abs() < 1e-12);
                let found = n * distance(g, x) + m * distance(b, y);
                for step in 1..1_000 {
                    let y = f64::from(step) / 1_000.0;
                    if line.at(y) < 1.0 {
                        let other = n * distance(g, line.at(y)) + m * distance(b, y);
                        assert!(found <= other + 1e-9, "{line:?} {n} {m}: {found} at {x} {y}, {other}");
                    }
                }
            }
        }
    }

    #[test]
    fn extreme_counts_give_numbers() {
        for line in [Margin::EQUAL, Margin { times: 1.0, plus: 0.01 }, Margin::limit(0.05)] {
            for hypothesis in [Hypothesis::AtMost, Hypothesis::AtLeast] {
                let mut evidence = Evidence::new(hypothesis, line, Tally::default(), 1e6);
                for (visitors, failed) in [(1, 0), (1_000_000_000, 0), (1_000_000_000, 1_000_000_000), (3, 3)]
                {
                    let tally = Tally { visitors, failed };
                    evidence.add(tally, tally);
                    evidence.add(tally, Tally { visitors, failed: 0 });
                    evidence.add(Tally::default(), tally);
                    assert!(
                        evidence.log().is_finite() && evidence.peak().is_finite(),
                        "{line:?} {hypothesis:?}"
                    );
                }
            }
        }
    }
}
