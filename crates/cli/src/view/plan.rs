//! What a deployment would do.

use cutover_engine::control::{PlanReport, StepView};
use serde::Serialize;

use super::{
    View,
    page::{DIM, Page, STRONG, YELLOW, paint},
    text,
};

/// What `cutover plan` shows.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Plan(pub(crate) PlanReport);

impl View for Plan {
    fn human(&self, page: &mut Page) {
        let plan = &self.0;
        let name = |release: Option<cutover_routing::ReleaseId>, none: &str| {
            release.map_or_else(|| none.to_owned(), |id| id.to_string())
        };
        page.field("from", name(plan.blue, "nothing: this would be the first release"));
        page.field("to", paint(STRONG, name(plan.green, "what would be staged")));
        page.field("strategy", &plan.strategy);
        page.field(
            "shortest",
            format_args!("{} until the bake is over, were all well at once", text::span(plan.shortest_ms)),
        );
        page.field(
            "forecasts",
            match plan.visitors_per_second {
                Some(rate) => format!("rest on {} visitors a second", rounded(rate)),
                None => "none: no traffic has been seen".to_owned(),
            },
        );
        page.gap();
        let rows: Vec<[String; 4]> = plan.steps.iter().enumerate().map(row).collect();
        page.table(["#", "STAGE", "WHAT", "AT LEAST"], &rows);
        details(page, &plan.steps);
        if !plan.warnings.is_empty() {
            page.gap();
            for warning in &plan.warnings {
                page.line(format_args!("{} {}", paint(YELLOW, "warning:"), text::one_line(warning)));
            }
        }
    }
}

fn row((number, step): (usize, &StepView)) -> [String; 4] {
    [
        (number + 1).to_string(),
        step.stage.clone(),
        text::one_line(&step.does),
        step.hold_ms.map(text::span).unwrap_or_default(),
    ]
}

/// The calls of each step and what its gates are likely to need.
fn details(page: &mut Page, steps: &[StepView]) {
    for (number, step) in steps.iter().enumerate() {
        if step.calls.is_empty() && step.forecast.is_empty() {
            continue;
        }
        page.gap();
        page.line(format_args!("step {}", number + 1));
        for call in &step.calls {
            page.line(format_args!("  {}", text::one_line(&call.does)));
            for (name, what) in [("visitors meanwhile", &call.meanwhile), ("undone by", &call.reverse)] {
                if !what.trim().is_empty() {
                    page.line(paint(DIM, format!("    {name}: {}", text::one_line(what))));
                }
            }
        }
        for forecast in &step.forecast {
            page.line(format_args!("  forecast: {}", text::one_line(forecast)));
        }
    }
}

/// A rate to two figures or so.
fn rounded(rate: f64) -> String {
    match rate {
        _ if rate >= 10.0 => format!("{rate:.0}"),
        _ if rate >= 0.1 => format!("{rate:.1}"),
        _ => format!("{rate:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use cutover_engine::ports::Call;

    use super::*;
    use crate::{
        args::Output,
        view::{render, rollout::fixtures},
    };

    fn plan() -> PlanReport {
        let mut steps = fixtures::plan();
        steps[2].calls = vec![Call {
            does: "PUT table: share of bbbbbbbb 500".to_owned(),
            reverse: "PUT table: share of bbbbbbbb 0".to_owned(),
            meanwhile: "nothing: one pointer is swapped".to_owned(),
        }];
        steps[3].forecast = vec!["errors: about 370 visitors of green, 12m at this rate".to_owned()];
        PlanReport {
            blue: Some("aaaaaaaa".parse().unwrap()),
            green: None,
            strategy: "5%, 100%".to_owned(),
            steps,
            shortest_ms: 720_000,
            visitors_per_second: Some(12.4),
            warnings: vec!["gate errors needs 12m at step 4, which is held for 2m".to_owned()],
        }
    }

    #[test]
    fn a_plan_is_a_table_of_steps_with_what_is_called_and_expected() {
        let text = render(&Plan(plan()), Output::Human, Page::at(0));
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string(), @r"
        from        aaaaaaaa
        to          what would be staged
        strategy    5%, 100%
        shortest    12m until the bake is over, were all well at once
        forecasts   rest on 12 visitors a second

        #  STAGE    WHAT                       AT LEAST
        1  prepare  stand green up
        2  test     gate smoke
        3  shift    5% of visitors get green
        4  shift    hold 5%                    2m
        5  promote  green becomes the default
        6  bake     hold                       10m
        7  drain    wait until blue is quiet   30s
        8  close    close blue
        9  settle   park blue

        step 3
          PUT table: share of bbbbbbbb 500
            visitors meanwhile: nothing: one pointer is swapped
            undone by: PUT table: share of bbbbbbbb 0

        step 4
          forecast: errors: about 370 visitors of green, 12m at this rate

        warning: gate errors needs 12m at step 4, which is held for 2m
        ");
    }

    #[test]
    fn the_first_release_and_an_app_without_traffic_are_named_as_such() {
        let first = PlanReport {
            blue: None,
            green: Some("bbbbbbbb".parse().unwrap()),
            visitors_per_second: None,
            warnings: Vec::new(),
            steps: Vec::new(),
            ..plan()
        };
        let text = render(&Plan(first.clone()), Output::Human, Page::at(0));
        let text = anstream::adapter::strip_str(&text).to_string();
        assert!(text.contains("from        nothing: this would be the first release"), "{text}");
        assert!(text.contains("forecasts   none: no traffic has been seen"), "{text}");
        let read: PlanReport =
            serde_json::from_str(&render(&Plan(first.clone()), Output::Json, Page::at(0))).unwrap();
        assert_eq!(read, first);
        assert_eq!([25.4, 3.21, 0.0123].map(rounded), ["25", "3.2", "0.012"]);
    }
}
