//! At which steps of a strategy a gate that runs "at the steps" runs.

use cutover_rollout::{Strategy, To};

use super::meant::Sort;

/// The steps, in their order. A comparison needs visitors on both sides who were drawn by lot.
pub(crate) fn steps(sort: Sort, strategy: &Strategy) -> Vec<&To> {
    let all = strategy.moves.iter().map(|step| &step.to);
    match sort {
        Sort::Compare => all.filter(|to| comparable(to)).collect(),
        _ => all.collect(),
    }
}

/// Whether visitors of green and of blue can be compared at a step.
pub(crate) fn comparable(to: &To) -> bool {
    matches!(to, To::Share(1..=9_999))
}

/// Why they cannot.
pub(crate) fn why_not_comparable(to: &To) -> &'static str {
    match to {
        To::Audience(_) => "an audience is chosen, not drawn by lot, and differs from the others anyway",
        To::Share(_) => "everybody is on green, and nobody is left to compare with",
    }
}
