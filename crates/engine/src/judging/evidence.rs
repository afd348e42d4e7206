//! What a judgement rests on, for people and their tools.

use cutover_rollout::judge::{Forecast, Judgement, Tally, Verdict};
use serde::{Deserialize, Serialize};

use super::{Seat, Windows, needs, share};
use crate::{config::Measure, control::EvidenceView};

/// One comparison as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Which gate.
    pub gate: String,
    /// What is counted.
    pub measure: Measure,
    /// What it says.
    pub verdict: Verdict,
    /// Why.
    pub why: String,
    /// Green's visitor-windows, and those that failed (or were slow).
    pub green: Tally,
    /// Blue's.
    pub blue: Tally,
    /// Evidence that green is worse: an e-value.
    pub against: f64,
    /// At this the verdict is fail.
    pub fails_at: f64,
    /// Evidence that green is not worse by the margin: an e-value.
    pub in_favour: f64,
    /// At this the verdict is pass.
    pub passes_at: f64,
    /// Fewer visitor-windows of green never pass.
    pub min_visitors: u64,
    /// Visitor-windows of green that are likely to be needed in all to pass, at the rates seen; none: it is not known
    /// yet, or no number would do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<u64>,
    /// How long what is missing of them is likely to take at the traffic seen, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
    /// Age of the newest window, milliseconds; none: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// Windows counted.
    pub windows: u64,
    /// Those of which not every visitor was counted.
    pub partial: u64,
    /// Those with made-up visitors.
    pub synthetic: u64,
}

impl Evidence {
    pub(super) fn new(seat: &Seat, judgement: Judgement, why: String, taken: &Windows) -> Evidence {
        let Judgement { verdict, green, blue, against, in_favour, age, .. } = judgement;
        let rates = rates(green, blue, taken);
        let needed = rates.and_then(|(base, share, _)| needs(&seat.rule, base, share, None).to_pass);
        let left = needed.map(|needed| needed.saturating_sub(green.visitors));
        let left_ms = rates.zip(left).and_then(|((_, share, per_second), left)| {
            Forecast::time(left, per_second, share).map(|time| time.0)
        });
        Evidence {
            gate: seat.gate.clone(),
            measure: seat.measure,
            verdict,
            why,
            green,
            blue,
            against,
            fails_at: 1.0 / seat.rule.alpha,
            in_favour,
            passes_at: 1.0 / seat.rule.beta,
            min_visitors: seat.rule.min_visitors,
            needed,
            left_ms: left_ms.filter(|_| verdict == Verdict::Insufficient),
            age_ms: age,
            windows: taken.count,
            partial: taken.partial,
            synthetic: taken.synthetic,
        }
    }

    /// As the control API shows it.
    pub fn view(&self) -> EvidenceView {
        EvidenceView {
            green_visitors: self.green.visitors,
            green_failed: self.green.failed,
            blue_visitors: self.blue.visitors,
            blue_failed: self.blue.failed,
            against: self.against,
            fails_at: self.fails_at,
            in_favour: self.in_favour,
            passes_at: self.passes_at,
        }
    }
}

/// Blue's rate, green's share, and visitor-windows per second on both together; none before both have been seen.
fn rates(green: Tally, blue: Tally, taken: &Windows) -> Option<(f64, f64, f64)> {
    let share = share(green, blue)?;
    let base = blue.failed as f64 / blue.visitors as f64;
    let visitors = green.visitors.saturating_add(blue.visitors) as f64;
    (taken.length > 0).then(|| (base, share, visitors * 1_000.0 / taken.length as f64))
}
