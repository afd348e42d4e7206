//! The judge of one measure in one window of a rollout: takes counts, gives a verdict with its reasons.

use serde::{Deserialize, Serialize};

use super::{
    Rule, RuleError,
    evidence::{Evidence, Hypothesis},
};

/// What a gate says. Only `pass` moves a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The check is satisfied.
    Pass,
    /// The check shows that green is bad.
    Fail,
    /// Not enough evidence either way.
    Insufficient,
    /// The check could not be made: data missing, stale or contradictory, a tool that broke.
    Error,
}

/// So much beyond what a pass needs (a factor of 20, for a few unlucky visitors) evidence in favour is kept.
const ENOUGH: f64 = 3.0;

impl Verdict {
    /// Several measures as one: fail where one fails, pass where all pass. Without any there is nothing to go by.
    pub fn together(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        let rank = |verdict: &Verdict| match verdict {
            Verdict::Fail => 0,
            Verdict::Error => 1,
            Verdict::Insufficient => 2,
            Verdict::Pass => 3,
        };
        verdicts.into_iter().min_by_key(rank).unwrap_or(Verdict::Error)
    }
}

/// Visitors of one side in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// How many were seen that had not failed before.
    pub visitors: u64,
    /// How many of them failed at least once.
    pub failed: u64,
}

/// What was seen in one window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Its beginning, Unix milliseconds.
    pub from: u64,
    /// Its end.
    pub to: u64,
    /// On green.
    pub green: Tally,
    /// On blue.
    pub blue: Tally,
}

/// Why a sample is no evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// More failed than there were.
    #[error("more visitors failed than there were")]
    Impossible,
    /// It ends before it begins.
    #[error("the window ends before it begins")]
    Backwards,
    /// It begins before the last one ended: visitors would count twice.
    #[error("the window overlaps the one before")]
    Overlap,
}

/// A verdict and what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, for people.
    pub why: String,
    /// Green's visitor-windows so far.
    pub green: Tally,
    /// Blue's.
    pub blue: Tally,
    /// Evidence that green is over the rule's `fail_over`: an e-value, capped at 1e12. At `1/alpha` the verdict is fail.
    pub against: f64,
    /// Evidence that green is under the rule's `pass_under`. At `1/beta` the verdict is pass; little more is kept.
    pub in_favour: f64,
    /// How old the newest evidence is, in milliseconds; none: there is none.
    pub age: Option<u64>,
}

/// The judge of one measure over one window of a rollout. It can be stored and goes on where it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judge {
    rule: Rule,
    started: u64,
    last: Option<u64>,
    refused: Option<String>,
    green: Tally,
    blue: Tally,
    not_worse: Evidence,
    worse: Evidence,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Tally) -> Tally {
        Tally {
            visitors: self.visitors.saturating_add(other.visitors),
            failed: self.failed.saturating_add(other.failed),
        }
    }

    fn percent(self) -> f64 {
        if self.visitors == 0 { 0.0 } else { 100.0 * self.failed as f64 / self.visitors as f64 }
    }
}

impl Judge {
    /// A judge that has seen nothing. `baseline` is what is known of blue from before the window; it makes the first
    /// guesses better and is no evidence. `now` in Unix milliseconds.
    ///
    /// # Errors
    /// Where the rule cannot be judged by.
    pub fn new(rule: Rule, baseline: Tally, now: u64) -> Result<Judge, RuleError> {
        rule.check()?;
        Ok(Judge {
            not_worse: Evidence::new(Hypothesis::AtMost, rule.fail_over, baseline, 100.0),
            worse: Evidence::new(Hypothesis::AtLeast, rule.pass_under, baseline, ENOUGH - rule.beta.ln()),
            rule,
            started: now,
            last: None,
            refused: None,
            green: Tally::default(),
            blue: Tally::default(),
        })
    }

    /// Takes what was seen in the next window.
    ///
    /// # Errors
    /// A sample that is no evidence is not counted, and the verdict is error until a good one comes.
    pub fn observe(&mut self, sample: &Sample) -> Result<(), SampleError> {
        let checked =
            if sample.green.failed > sample.green.visitors || sample.blue.failed > sample.blue.visitors {
                Err(SampleError::Impossible)
            } else if sample.to <= sample.from {
                Err(SampleError::Backwards)
            } else if sample.from < self.last.unwrap_or(0) {
                Err(SampleError::Overlap)
            } else {
                Ok(())
            };
        self.refused = checked.as_ref().err().map(ToString::to_string);
        checked?;
        self.last = Some(sample.to);
        self.green = self.green.plus(sample.green);
        self.blue = self.blue.plus(sample.blue);
        self.not_worse.add(sample.green, sample.blue);
        self.worse.add(sample.green, sample.blue);
        Ok(())
    }

    /// The verdict at a time, Unix milliseconds. Evidence of harm stands even when the data stops coming.
    pub fn verdict(&self, now: u64) -> Judgement {
        self.verdict_on("failed", now)
    }

    /// The same, where what is counted has another word than `failed`, for people.
    pub fn verdict_on(&self, fate: &str, now: u64) -> Judgement {
        let age = self.last.map(|last| now.saturating_sub(last));
        let (verdict, why) = self.decide(fate, now.saturating_sub(self.last.unwrap_or(self.started)));
        Judgement {
            verdict,
            why,
            green: self.green,
            blue: self.blue,
            against: shown(self.not_worse.log()),
            in_favour: shown(self.worse.log()),
            age,
        }
    }

    fn decide(&self, fate: &str, age: u64) -> (Verdict, String) {
        let Rule { alpha, beta, min_visitors, min_failed, stale, .. } = self.rule;
        let rates = match self.rule.fail_over.times {
            0.0 => format!("{:.2}% of green's visitors {fate}", self.green.percent()),
            _ => format!(
                "{:.2}% of green's visitors {fate}, {:.2}% of blue's",
                self.green.percent(),
                self.blue.percent()
            ),
        };
        let passes = self.worse.log() >= -beta.ln() && self.green.visitors >= min_visitors;
        // Within the margin is within the margin, be the difference ever so certain.
        if !passes && self.not_worse.peak() >= -alpha.ln() && self.green.failed >= min_failed {
            let why =
                format!("{rates}: over {} (false alarms at most {})", self.rule.fail_over, percent(alpha));
            return (Verdict::Fail, why);
        }
        if let Some(refused) = &self.refused {
            return (Verdict::Error, format!("the last sample is no evidence: {refused}"));
        }
        if age > stale.0 {
            return (Verdict::Error, format!("no data for {}", crate::Millis(age)));
        }
        if passes {
            let why =
                format!("{rates}: under {} (wrongly so at most {})", self.rule.pass_under, percent(beta));
            return (Verdict::Pass, why);
        }
        let why = if self.green.visitors < min_visitors {
            format!("{} of at least {min_visitors} visitors seen on green", self.green.visitors)
        } else {
            format!(
                "{rates}: neither over {} nor under {} is shown",
                self.rule.fail_over, self.rule.pass_under
            )
        };
        (Verdict::Insufficient, why)
    }
}

/// A chance for people, without digits that say nothing.
fn percent(chance: f64) -> String {
    format!("{}%", (chance * 1e5).round() / 1e3)
}

fn shown(log: f64) -> f64 {
    log.min(1e12_f64.ln()).exp()
}
