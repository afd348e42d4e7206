//! What the comparisons of a plan will need: how many visitors, how much time.
//!
//! About the median, not a promise: half of all rollouts need more. `docs/judgement.md` compares it with simulation.

use std::fmt;

use cutover_rollout::{
    Does, Millis, Plan, Stage, To,
    judge::{Forecast, Margin, Rule},
};

use super::{comparisons, rule};
use crate::{
    config::{Measure, Snapshot},
    judging::{self, Needs},
};

/// What traffic is like, or is expected to be like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// Visitor-windows per second on both releases together: visitors that are seen in a window of evidence, each once
    /// per window, by the window's length. None: not known, and so no times.
    pub per_second: Option<f64>,
    /// The part of blue's visitor-windows in which something fails, 0 to 1.
    pub errors: f64,
    /// The part of blue's visitor-windows in which an answer is slow, 0 to 1.
    pub slow: f64,
}

/// What a comparison will need at a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepForecast {
    /// The step's place in the plan.
    pub step: usize,
    /// Which gate.
    pub gate: String,
    /// How long the step is held at least.
    pub hold: Millis,
    /// Visitor-windows of green until it passes, were it as good as blue; none: it never would.
    pub to_pass: Option<u64>,
    /// Visitor-windows of green until it fails, were it worse by the margin; none: it never would.
    pub to_fail: Option<u64>,
    /// How long the former takes; none: for ever, or the traffic is not known.
    pub time_to_pass: Option<Millis>,
    /// How long the latter takes.
    pub time_to_fail: Option<Millis>,
}

impl StepForecast {
    /// Whether the hold will probably be over before the gate has passed.
    pub fn longer_than_hold(&self) -> bool {
        self.to_pass.is_none() || self.time_to_pass.is_some_and(|time| time > self.hold)
    }
}

impl fmt::Display for StepForecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(visitors) = self.to_pass else {
            return write!(f, "{}: would never pass at this error rate; allow a larger margin", self.gate);
        };
        write!(f, "{}: passes after about {visitors} visitors of green", self.gate)?;
        if let Some(time) = self.time_to_pass {
            write!(f, " ({})", rounded(time))?;
        }
        match (self.to_fail, self.time_to_fail) {
            (Some(visitors), Some(time)) => write!(f, ", fails after about {visitors} ({})", rounded(time)),
            (Some(visitors), None) => write!(f, ", fails after about {visitors}"),
            (None, _) => Ok(()),
        }?;
        if self.time_to_pass.is_some() && self.longer_than_hold() {
            write!(f, ": longer than its hold of {}", self.hold)?;
        }
        Ok(())
    }
}

/// What every comparison of the plan will need at each of its holds, in the plan's order.
///
/// In the bake hardly anybody is left on blue: there green alone is judged against what blue was like.
pub fn forecast(snapshot: &Snapshot, plan: &Plan, traffic: &Traffic) -> Vec<StepForecast> {
    let mut found = Vec::new();
    for (at, step) in plan.steps.iter().enumerate() {
        let Does::Hold { length, watch } = &step.does else { continue };
        for (gate, compare) in comparisons(snapshot) {
            if !watch.iter().any(|watched| watched.gate == gate.name) {
                continue;
            }
            let Ok(rule) = rule(compare, plan) else { continue };
            let base = match compare.measure {
                Measure::Errors => traffic.errors,
                Measure::Slow => traffic.slow,
            };
            let (rule, share) = match &step.stage {
                Stage::Shift { to: To::Share(width), .. } => (rule, f64::from(*width) / 10_000.0),
                _ => (alone(&rule, base), 1.0),
            };
            let Needs { to_pass, to_fail, time_to_pass } =
                judging::needs(&rule, base, share, traffic.per_second);
            let time_to_fail = to_fail
                .zip(traffic.per_second)
                .and_then(|(visitors, rate)| Forecast::time(visitors, rate, share));
            found.push(StepForecast {
                step: at,
                gate: gate.name.clone(),
                hold: *length,
                to_pass,
                to_fail,
                time_to_pass,
                time_to_fail,
            });
        }
    }
    found
}

/// The rule where green is judged against a rate that is known.
fn alone(rule: &Rule, base: f64) -> Rule {
    let limit = Margin::limit(rule.pass_under.at(base).clamp(1e-5, 0.5));
    Rule { fail_over: limit, pass_under: limit, ..rule.clone() }
}

/// To the second: a forecast to the millisecond would be a lie.
fn rounded(time: Millis) -> Millis {
    Millis(time.0.div_ceil(1_000) * 1_000)
}
