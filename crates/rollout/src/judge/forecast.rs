//! How many visitors a judgement will need, before it begins.
//!
//! The expected growth of the evidence per visitor is a divergence that can be computed; what has to be reached is
//! known. The result is about the median, not a promise: `docs/judgement.md` compares it with simulation.

use super::{
    Margin, Rule,
    evidence::{GUESSES, nearest},
};
use crate::Millis;

/// Visitor-windows of green that a judgement is likely to need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// Until a release that is as good as blue passes; none: never.
    pub to_pass: Option<u64>,
    /// Until a release of the given rate fails; none: never, it is not over the rule's bound.
    pub to_fail: Option<u64>,
}

/// Forecasts a judgement.
///
/// `base` is blue's failure rate per visitor-window, `bad` the rate of the green that should be found out, `share` the
/// part of all visitors that is on green, 0 to 1.
pub fn forecast(rule: &Rule, base: f64, bad: f64, share: f64) -> Forecast {
    let inside = |rate: f64| rate.clamp(1e-6, 1.0 - 1e-6);
    let (base, bad, share) = (inside(base), inside(bad), share.clamp(1e-4, 0.9999));
    let blue = (1.0 - share) / share;
    let needs = |line: Margin, green: f64, wanted: f64, at_least: f64| {
        let (x, y) = nearest(line, (green, base), 1.0, blue);
        let of_blue = if line.times == 0.0 { 0.0 } else { blue * divergence(base, y) };
        let growth = divergence(green, x) + of_blue;
        if growth < 1e-12 {
            return None;
        }
        let visitors = (wanted / growth).ceil().max(at_least);
        (visitors < 1e15).then_some(visitors as u64)
    };
    // What one pays for guessing: of several guesses one is right.
    let fail = -rule.alpha.ln() + 0.5 * (GUESSES as f64).ln();
    let pass = -rule.beta.ln() + 0.5 * 4.0_f64.ln();
    Forecast {
        to_pass: (base < rule.pass_under.at(base))
            .then(|| needs(rule.pass_under, base, pass, rule.min_visitors as f64))
            .flatten(),
        to_fail: (bad > rule.fail_over.at(base))
            .then(|| needs(rule.fail_over, bad, fail, rule.min_failed as f64 / bad))
            .flatten(),
    }
}

impl Forecast {
    /// How long so many visitor-windows of green take, where `per_second` visitor-windows arrive on both sides together
    /// and `share` of them are on green; none: for ever.
    pub fn time(visitors: u64, per_second: f64, share: f64) -> Option<Millis> {
        let rate = per_second * share;
        let millis = visitors as f64 * 1_000.0 / rate;
        (rate > 0.0 && millis < crate::LONGEST.0 as f64).then_some(Millis(millis.ceil() as u64))
    }
}

/// Kullback and Leibler's divergence between two coins.
fn divergence(p: f64, q: f64) -> f64 {
    p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln()
}
