//! The judges of one hold: what visitors got, as readings that move a rollout or send it back.
//!
//! A [`Bench`] has a judge for each comparison that is watched. It is made when a hold begins and thrown away when it
//! ends, so that each step is judged by its own visitors. Nothing here looks at a clock or at the world: windows are
//! taken as they were counted, and what contradicts itself is no evidence. The method and what it promises are in
//! `docs/judgement.md`.

mod evidence;
mod needs;
#[cfg(test)]
mod tests;

use cutover_rollout::{
    Reading,
    judge::{Cohort, Judge, Judgement, Margin, Rule, Sample, Tally},
};

use crate::{
    config::{CompareGate, Gate, GateKind, Measure},
    ports::Sampled,
};

pub use evidence::Evidence;
pub use needs::{Needs, needs};

/// What a gate of comparison asks of its judge, in a plan with so many holds that watch it. The promised rate of false
/// alarms is for all of them together.
///
/// # Errors
/// Says what is wrong with the gate's numbers, and what would do.
pub fn rule(gate: &CompareGate, holds: u32) -> Result<Rule, String> {
    let margin = Margin::worse_by(&gate.worse_by).map_err(|e| e.to_string())?;
    let rule = Rule {
        alpha: gate.false_alarms,
        beta: gate.missed,
        min_visitors: gate.min_visitors,
        ..Rule::compare(margin)
    };
    rule.check().map_err(|e| e.to_string())?;
    let shared = rule.shared_by(holds);
    shared.check().map_err(|e| {
        format!(
            "{e}: false alarms of {} shared by {holds} holds; allow more, or hold less often",
            gate.false_alarms
        )
    })?;
    Ok(shared)
}

/// The judges of one hold.
#[derive(Debug, Clone)]
pub struct Bench {
    judges: Vec<Seat>,
    /// Where the newest window ended that was taken, Unix milliseconds.
    last: Option<u64>,
    taken: Windows,
}

/// What was taken so far.
#[derive(Debug, Clone, Copy, Default)]
struct Windows {
    count: u64,
    /// Those of which not every visitor was counted.
    partial: u64,
    /// Those with made-up visitors.
    synthetic: u64,
    /// Their length together, milliseconds.
    length: u64,
}

/// One judge.
#[derive(Debug, Clone)]
struct Seat {
    gate: String,
    measure: Measure,
    rule: Rule,
    judge: Judge,
    cohort: Cohort,
}

impl Bench {
    /// The judges of the comparisons among these gates; others are passed over. `holds` is how many holds of the plan
    /// watch them, `now` when this one begins, Unix milliseconds.
    ///
    /// # Errors
    /// Names the gate that cannot be judged by, and why.
    pub fn new(gates: &[Gate], holds: u32, now: u64) -> Result<Bench, String> {
        Bench::seated(gates, now, |compare| rule(compare, holds))
    }

    /// The judges of a hold after the promotion, when hardly anybody is left on blue to compare with: each gate judges
    /// green against what blue was like before, which `known` tells, plus the gate's margin.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn alone(
        gates: &[Gate],
        known: impl Fn(Measure) -> Tally,
        holds: u32,
        now: u64,
    ) -> Result<Bench, String> {
        Bench::seated(gates, now, |compare| {
            let shared = rule(compare, holds)?;
            let limit = limit(shared.pass_under, known(compare.measure));
            Ok(Rule { fail_over: Margin::limit(limit), pass_under: Margin::limit(limit), ..shared })
        })
    }

    fn seated(
        gates: &[Gate],
        now: u64,
        rule: impl Fn(&CompareGate) -> Result<Rule, String>,
    ) -> Result<Bench, String> {
        let seat = |gate: &Gate| {
            let GateKind::Compare(compare) = &gate.kind else { return None };
            let made = rule(compare).and_then(|rule| {
                let judge = Judge::new(rule.clone(), Tally::default(), now).map_err(|e| e.to_string())?;
                Ok((rule, judge))
            });
            Some(match made {
                Ok((rule, judge)) => Ok(Seat {
                    gate: gate.name.clone(),
                    measure: compare.measure,
                    rule,
                    judge,
                    cohort: Cohort::default(),
                }),
                Err(why) => Err(format!("gate {:?} cannot be judged by: {why}", gate.name)),
            })
        };
        let judges = gates.iter().filter_map(seat).collect::<Result<_, String>>()?;
        Ok(Bench { judges, last: None, taken: Windows::default() })
    }

    /// Whether there is anybody to judge.
    pub fn is_empty(&self) -> bool {
        self.judges.is_empty()
    }

    /// Takes a window. One that overlaps an earlier one, goes backwards or contradicts itself is not counted, and the
    /// readings are errors until a good one comes.
    pub fn take(&mut self, sampled: &Sampled) {
        let &Sampled { from, to, .. } = sampled;
        let impossible =
            sampled.visits.iter().any(|visit| visit.failed > visit.requests || visit.slow > visit.requests);
        let in_order = from < to && self.last.is_none_or(|last| from >= last);
        for seat in &mut self.judges {
            // The judge itself says what is wrong with a bad window; no visitor in it counts as having failed before.
            let (green, blue) = match (in_order, impossible) {
                (true, true) => (Tally { visitors: 0, failed: 1 }, Tally::default()),
                (true, false) => seat.count(sampled),
                (false, _) => (Tally::default(), Tally::default()),
            };
            let _ = seat.judge.observe(&Sample { from, to, green, blue });
        }
        if in_order && !impossible {
            self.last = Some(to);
            self.taken.count += 1;
            self.taken.partial += u64::from(!sampled.complete);
            self.taken.synthetic += u64::from(sampled.synthetic);
            self.taken.length = self.taken.length.saturating_add(to - from);
        }
    }

    /// What each comparison says now, Unix milliseconds.
    pub fn readings(&self, now: u64) -> Vec<Reading> {
        let reading = |seat: &Seat| {
            let judgement = seat.verdict(now);
            let why = self.why(&judgement);
            // Without any evidence its age is unknown, and an error or insufficient in any case.
            Reading {
                gate: seat.gate.clone(),
                verdict: judgement.verdict,
                why,
                age: judgement.age.unwrap_or(0),
            }
        };
        self.judges.iter().map(reading).collect()
    }

    /// The same with its numbers, for people.
    pub fn evidence(&self, now: u64) -> Vec<Evidence> {
        let evidence = |seat: &Seat| {
            let judgement = seat.verdict(now);
            let why = self.why(&judgement);
            Evidence::new(seat, judgement, why, &self.taken)
        };
        self.judges.iter().map(evidence).collect()
    }

    /// A judge's reason, with what has to be known about the windows it rests on.
    fn why(&self, judgement: &Judgement) -> String {
        let Windows { count, partial, synthetic, .. } = self.taken;
        let mut why = judgement.why.clone();
        if partial > 0 {
            why += &format!("; in {partial} of {count} windows not every visitor was counted");
        }
        if synthetic > 0 {
            why += &format!("; some visitors are made up, in {synthetic} of {count} windows");
        }
        why
    }
}

impl Seat {
    fn verdict(&self, now: u64) -> Judgement {
        let fate = match self.measure {
            Measure::Errors => "failed",
            Measure::Slow => "were kept waiting",
        };
        self.judge.verdict_on(fate, now)
    }

    /// Closes a window: green's visitors, then blue's.
    fn count(&mut self, sampled: &Sampled) -> (Tally, Tally) {
        for visit in sampled.visits.iter().filter(|visit| visit.requests > 0) {
            let bad = match self.measure {
                Measure::Errors => visit.failed,
                Measure::Slow => visit.slow,
            };
            self.cohort.request(visit.arm, visit.visitor, bad > 0);
        }
        self.cohort.close()
    }
}

/// A bound for green alone: the margin over what blue was like, itself taken at the upper end of what it may have been
/// (so that a short look at blue does not condemn a green that is like it). Of a blue that nobody has seen nothing is
/// taken for granted: then the margin alone is the bound, of a factor one percent.
fn limit(margin: Margin, blue: Tally) -> f64 {
    let limit = if blue.visitors == 0 {
        if margin.plus > 0.0 { margin.plus } else { 0.01 }
    } else {
        let visitors = blue.visitors as f64;
        let rate = blue.failed as f64 / visitors;
        margin.at(rate + 2.6 * (rate * (1.0 - rate) / visitors).sqrt() + 1.0 / visitors)
    };
    limit.clamp(1e-5, 0.5)
}

/// Green's part of all visitors, where both sides have some.
fn share(green: Tally, blue: Tally) -> Option<f64> {
    (green.visitors > 0 && blue.visitors > 0)
        .then(|| green.visitors as f64 / (green.visitors as f64 + blue.visitors as f64))
}
