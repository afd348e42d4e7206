//! How much traffic a comparison is likely to need: beforehand for plans, meanwhile for status.

use cutover_rollout::{
    Millis,
    judge::{Forecast, Rule, forecast},
};

/// What a comparison is likely to need. About the median: half of all runs need more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Visitor-windows of green until it passes, were it as good as blue; none: it never would.
    pub to_pass: Option<u64>,
    /// Visitor-windows of green until it fails, were it worse by the margin; none: it never would.
    pub to_fail: Option<u64>,
    /// How long the former takes at the given traffic; none: for ever, or the traffic is not known.
    pub time_to_pass: Option<Millis>,
}

/// Forecasts a comparison where blue's part of failing (or slow) visitors is `base`, `share` of all visitors are on
/// green, and `per_second` visitor-windows arrive on both sides together.
pub fn needs(rule: &Rule, base: f64, share: f64, per_second: Option<f64>) -> Needs {
    let bad = rule.pass_under.at(base).min(1.0);
    let Forecast { to_pass, to_fail } = forecast(rule, base, bad, share);
    let time_to_pass =
        to_pass.zip(per_second).and_then(|(visitors, rate)| Forecast::time(visitors, rate, share));
    Needs { to_pass, to_fail, time_to_pass }
}
