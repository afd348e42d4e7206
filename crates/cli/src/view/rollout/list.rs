//! Rollouts as rows: `cutover history --rollouts`.

use cutover_engine::control::{Phase, RolloutView};
use serde::Serialize;

use super::{phase, place, standing};
use crate::view::{View, page::Page, text};

/// Rollouts, newest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Rollouts(pub(crate) Vec<RolloutView>);

impl View for Rollouts {
    fn human(&self, page: &mut Page) {
        if self.0.is_empty() {
            page.line("no rollout yet");
            return;
        }
        let rows: Vec<[String; 7]> = self.0.iter().map(row).collect();
        page.table(["ROLLOUT", "OPENED", "BY", "FROM", "TO", "STANDS", "WHY"], &rows);
    }
}

fn row(rollout: &RolloutView) -> [String; 7] {
    let why = match rollout.phase {
        Phase::Done => rollout.ended_at.map(took(rollout)).unwrap_or_default(),
        phase if phase.is_over() => standing(rollout),
        _ => place(rollout),
    };
    [
        rollout.id.clone(),
        text::moment(rollout.opened_at),
        rollout.opened_by.clone(),
        rollout.blue.map(|blue| blue.to_string()).unwrap_or_default(),
        rollout.green.to_string(),
        phase(rollout.phase),
        why,
    ]
}

fn took(rollout: &RolloutView) -> impl Fn(u64) -> String {
    let opened = rollout.opened_at;
    move |ended| format!("in {}", text::span(ended.saturating_sub(opened)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        args::Output,
        view::{render, rollout::fixtures},
    };

    #[test]
    fn rollouts_are_rows_with_what_became_of_them() {
        let mut first = fixtures::done();
        first.blue = None;
        let all = Rollouts(vec![
            fixtures::held(),
            fixtures::holding(),
            fixtures::rolled_back(),
            fixtures::superseded(),
            first,
        ]);
        let text = render(&all, Output::Human, Page::at(0));
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string(), @r"
        ROLLOUT  OPENED                BY   FROM      TO        STANDS       WHY
        ro-7     1970-01-01 00:01:00Z  ann  aaaaaaaa  bbbbbbbb  held         shift 1 of 1: 5%; gate errors has not enough evidence after 2m
        ro-7     1970-01-01 00:01:00Z  ann  aaaaaaaa  bbbbbbbb  shifting     shift 1 of 1: 5%; 48s to go
        ro-7     1970-01-01 00:01:00Z  ann  aaaaaaaa  bbbbbbbb  rolled back  gate errors: green fails more often
        ro-7     1970-01-01 00:01:00Z  ann  aaaaaaaa  bbbbbbbb  superseded   by ro-8
        ro-7     1970-01-01 00:01:00Z  ann            bbbbbbbb  done         in 50s
        ");
        let none = render(&Rollouts(Vec::new()), Output::Human, Page::at(0));
        assert_eq!(none, "no rollout yet\n");
    }
}
