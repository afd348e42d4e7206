//! Gates that compare visitors, as written and as profiles have them.

use cutover_rollout::judge::Margin;

use super::super::{
    super::{
        meant::{CompareGate, Gate, GateAt, GateKind, Measure, RolloutConfig},
        place::{At, Trouble},
        written,
    },
    profile::Defaults,
    text,
};
use super::{Around, place};
use crate::judging;

const DEFAULT_MIN_VISITORS: u64 = 100;

pub(super) fn check(
    written: &At<written::CompareGate>,
    around: &Around<'_>,
    trouble: &mut Trouble<'_>,
) -> Option<CompareGate> {
    let defaults = around.defaults;
    let compare = written.get();
    let worse_by = compare.worse_by.as_ref().and_then(|text| margin(text, trouble));
    let min_visitors = match &compare.min_visitors {
        Some(number) => u64::try_from(*number.get()).ok(),
        None => Some(DEFAULT_MIN_VISITORS),
    };
    let mut rate = |key: &str, written: Option<&At<String>>, default: f64| match written {
        Some(written) => text::percent(key, written, 0.0001..=50.0, trouble),
        None => Some(default),
    };
    let false_alarms =
        rate("gate.compare.false_alarms", compare.false_alarms.as_ref(), defaults.false_alarms);
    let missed = rate("gate.compare.missed", compare.missed.as_ref(), defaults.missed);
    let gate = CompareGate {
        measure: match compare.metric.as_ref()?.get() {
            written::Measure::Errors => Measure::Errors,
            written::Measure::Slow => Measure::Slow,
        },
        worse_by: worse_by?,
        min_visitors: min_visitors?,
        false_alarms: false_alarms?,
        missed: missed?,
    };
    // Every hold of the rollout may be judged, the bake too, and all of them share the promise.
    let holds = around.rollout.map_or(1, |rollout| rollout.strategy.strategy().moves.len() + 1);
    if let Err(why) = judging::rule(&gate, u32::try_from(holds).unwrap_or(u32::MAX)) {
        let place = compare.false_alarms.as_ref().map_or(written.span(), At::span);
        trouble.add("CUT0105", place, format!("`gate.compare` cannot be judged by: {why}"));
        return None;
    }
    Some(gate)
}

fn margin(written: &At<String>, trouble: &mut Trouble<'_>) -> Option<String> {
    let text = written.get().trim();
    match Margin::worse_by(text) {
        Ok(_) => Some(text.to_owned()),
        Err(why) => {
            let hint =
                "`1%` is one visitor more in a hundred, `1.5x` is half as many again as on the old release";
            trouble.add_hint("CUT0105", written.span(), format!("`gate.compare.worse_by`: {why}"), hint);
            None
        }
    }
}

/// The comparisons of a profile; nothing where there is nobody to compare.
pub(in super::super) fn of_profile(rollout: &RolloutConfig, defaults: &Defaults) -> Vec<Gate> {
    let gate = |name: &str, measure: Measure, worse_by: &str| {
        let kind = GateKind::Compare(CompareGate {
            measure,
            worse_by: worse_by.to_owned(),
            min_visitors: DEFAULT_MIN_VISITORS,
            false_alarms: defaults.false_alarms,
            missed: defaults.missed,
        });
        let at: Vec<GateAt> = place::default(kind.sort(), rollout);
        Gate { name: name.to_owned(), kind, required: true, at, low_traffic: None }
    };
    let gates = [gate("errors", Measure::Errors, "1%"), gate("slow", Measure::Slow, "5%")];
    gates.into_iter().filter(|gate| !gate.at.is_empty()).collect()
}
