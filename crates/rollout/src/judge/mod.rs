//! Whether the evidence allows the next step: a comparison of green with blue that may be looked at all the time.
//!
//! The method is the safe test of two proportions of Turner, Ly and Grünwald, with the null hypotheses of Turner and
//! Grünwald: for every window an e-variable, their product a test martingale, and by Ville's inequality a bound on the
//! probability that it *ever* grows large although the hypothesis is true. `docs/judgement.md` tells what is assumed,
//! what is promised and where to read more.
//!
//! Two hypotheses are tested side by side. *Green is no worse than blue*: refuted, the verdict is fail. *Green is worse
//! by the margin*: refuted, the verdict is pass. With neither refuted there is not enough evidence, and nothing moves.
//!
//! Floating point: `ln` and `ln_1p` come from the platform, so that the last digits of an e-value may differ between
//! machines; projections are found to 1e-12 by bisection. Both are far below what decides. No input within the
//! documented ranges gives a NaN or an infinity.

mod cohort;
mod evidence;
mod forecast;
mod margin;
mod rule;
mod verdict;

pub use cohort::{Arm, Cohort, MAX_FAILED};
pub use forecast::{Forecast, forecast};
pub use margin::{Margin, NotAMargin};
pub use rule::{Rule, RuleError};
pub use verdict::{Judge, Judgement, Sample, SampleError, Tally, Verdict};
