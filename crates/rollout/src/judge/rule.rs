//! What a judge is asked: which hypotheses, how sure, on how much.

use serde::{Deserialize, Serialize};

use super::Margin;
use crate::Millis;

/// What has to be shown, and how surely.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Shown to be over this: fail.
    pub fail_over: Margin,
    /// Shown to be under this: pass.
    pub pass_under: Margin,
    /// The chance of ever failing a release that is not over `fail_over`, however often one looks.
    pub alpha: f64,
    /// The chance of ever passing a release that is not under `pass_under`, however often one looks.
    pub beta: f64,
    /// Fewer visitor-windows of green than this never pass.
    pub min_visitors: u64,
    /// Fewer failing visitors of green than this never fail.
    pub min_failed: u64,
    /// Evidence older than this is none: the verdict is error.
    pub stale: Millis,
}

/// Why a rule cannot be judged by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// An error rate that is none.
    #[error("{0} must be between 0.000001 and 0.5")]
    Rate(&'static str),
    /// A margin outside the square.
    #[error("{0} must lie between 0% and 100%")]
    Margin(&'static str),
    /// To fail over more than is passed would leave releases that do both.
    #[error("what fails must not begin above what passes")]
    Crossed,
}

impl Rule {
    /// Green compared with blue: fails when shown to be worse, passes when shown not to be worse by the margin.
    pub fn compare(worse_by: Margin) -> Rule {
        Rule {
            fail_over: Margin::EQUAL,
            pass_under: worse_by,
            alpha: 0.01,
            beta: 0.05,
            min_visitors: 100,
            min_failed: 3,
            stale: Millis::secs(60),
        }
    }

    /// Green alone against an absolute limit.
    pub fn limit(rate: f64) -> Rule {
        Rule {
            fail_over: Margin::limit(rate),
            pass_under: Margin::limit(rate),
            ..Rule::compare(Margin::EQUAL)
        }
    }

    /// The same promise for so many judgements together: the measures of a gate times the windows of a plan. By the
    /// union bound, whatever their dependence.
    #[must_use]
    pub fn shared_by(self, judgements: u32) -> Rule {
        Rule { alpha: self.alpha / f64::from(judgements.max(1)), ..self }
    }

    /// # Errors
    /// Where the rule cannot be judged by.
    pub fn check(&self) -> Result<(), RuleError> {
        for (name, rate) in [("alpha", self.alpha), ("beta", self.beta)] {
            if !(1e-6..=0.5).contains(&rate) {
                return Err(RuleError::Rate(name));
            }
        }
        for (name, margin) in [("fail_over", self.fail_over), ("pass_under", self.pass_under)] {
            if !((0.0..=100.0).contains(&margin.times) && (0.0..1.0).contains(&margin.plus)) {
                return Err(RuleError::Margin(name));
            }
            if margin.times == 0.0 && margin.plus == 0.0 {
                return Err(RuleError::Margin(name));
            }
        }
        let crossed = [0.0, 1.0].iter().any(|blue| self.fail_over.at(*blue) > self.pass_under.at(*blue));
        if crossed { Err(RuleError::Crossed) } else { Ok(()) }
    }
}
