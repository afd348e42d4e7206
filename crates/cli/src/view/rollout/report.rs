//! What a word to a rollout did: `pause`, `resume`, `approve`.

use cutover_engine::control::RolloutReport;
use serde::Serialize;

use super::{help, stands};
use crate::view::{
    View,
    page::{DIM, Page, paint},
};

/// The report.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Told(pub(crate) RolloutReport);

impl View for Told {
    fn human(&self, page: &mut Page) {
        let rollout = &self.0.rollout;
        page.line(&self.0.message);
        page.line(paint(DIM, format!("rollout {}: {}", rollout.id, stands(rollout, true))));
        for line in help::lines(&help::help(rollout)) {
            page.line(format_args!("  {line}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        args::Output,
        view::{render, rollout::fixtures},
    };

    #[test]
    fn what_was_done_is_followed_by_where_the_rollout_is_and_what_helps() {
        let told = Told(RolloutReport {
            rollout: fixtures::paused(),
            changed: true,
            message: "the rollout of bbbbbbbb is paused".to_owned(),
        });
        let text = render(&told, Output::Human, Page::at(0));
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string(), @r"
        the rollout of bbbbbbbb is paused
        rollout ro-7: shift 1 of 1: 5%; paused by ann: lunch
          cutover resume    lets it go on
          cutover rollback  takes visitors back
        ");
        let read: RolloutReport = serde_json::from_str(&render(&told, Output::Json, Page::at(0))).unwrap();
        assert_eq!(read, told.0);
    }
}
