//! What the gates of a step say, and the numbers it rests on.

use cutover_engine::control::{EvidenceView, GateView};

use crate::view::{
    page::{DIM, paint},
    releases, text,
};

/// A gate on one line: name, verdict, why.
pub(crate) fn line(gate: &GateView) -> String {
    let verdict = match gate.verdict {
        Some(verdict) => releases::verdict(verdict),
        None => paint(DIM, if gate.asks { "asks" } else { "nothing yet" }),
    };
    let mut line = format!("{} {verdict}", gate.gate);
    if !gate.required {
        line.push_str(&paint(DIM, " (not required)"));
    }
    if !gate.why.trim().is_empty() {
        line.push_str(": ");
        line.push_str(&text::one_line(&gate.why));
    }
    line
}

/// What a gate that compares rests on: who came, for whom it failed, how far that is on its way to either verdict, and
/// how old it is.
pub(crate) fn numbers(gate: &GateView) -> Option<String> {
    let evidence @ EvidenceView { green_visitors, green_failed, blue_visitors, blue_failed, .. } =
        gate.evidence?;
    if green_visitors + blue_visitors == 0 {
        return None;
    }
    let line = format!(
        "green {green_visitors} visits, {green_failed} failed; blue {blue_visitors} visits, {blue_failed} failed; \
         evidence for fail {}, for pass {}; {} old",
        part(evidence.against, evidence.fails_at),
        part(evidence.in_favour, evidence.passes_at),
        text::span(gate.age_ms)
    );
    Some(paint(DIM, line))
}

/// How much of the evidence needed is there. It grows by factors, so that its logarithm is what grows with visitors.
fn part(value: f64, needed: f64) -> String {
    if !(value > 1.0 && needed > 1.0) {
        return "0%".to_owned();
    }
    format!("{:.0}%", (value.ln() / needed.ln() * 100.0).clamp(0.0, 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_shown_as_a_part_of_what_is_needed() {
        assert_eq!(part(20.0, 20.0), "100%");
        assert_eq!(part(20.0_f64.sqrt(), 20.0), "50%");
        assert_eq!(part(1e300, 20.0), "100%");
        for (value, needed) in [(1.0, 20.0), (0.3, 20.0), (f64::NAN, 20.0), (5.0, f64::NAN), (5.0, 0.0)] {
            assert_eq!(part(value, needed), "0%");
        }
    }
}
