//! What the demo found, as numbers.

use cutover_engine::control::RolloutStory;
use cutover_routing::ReleaseId;
use serde::Serialize;

use super::{encounters::Met, tally::Picture, watcher::Seen};
use crate::view::{
    View,
    page::{DIM, GREEN, Page, RED, paint},
    rollout::story::Story,
    text,
};

/// One switch: what the controller measured and what a client saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Switch {
    /// Microseconds from accepting the command until the edge serves by the new table.
    pub(super) took_us: u64,
    /// The same from outside.
    pub(super) seen: Seen,
}

/// A good release, moved to in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Gradual {
    /// In which steps.
    pub(super) strategy: &'static str,
    /// Milliseconds from the command until it was promoted and its bake was over.
    pub(super) took_ms: u64,
}

/// What became of the bad release.
#[derive(Debug, Clone, Serialize)]
pub(super) struct BadRelease {
    /// Its id.
    pub(super) release: ReleaseId,
    /// Requests for its pages.
    pub(super) requests: u64,
    /// Failed ones among them.
    pub(super) failures: u64,
    /// The share of visitors that it was given.
    pub(super) first_step: &'static str,
    /// Whom it met, and how soon it was found.
    #[serde(flatten)]
    pub(super) met: Met,
    /// Why it was sent back.
    pub(super) gate: String,
    /// Its rollout, as `cutover explain rollout` tells it.
    pub(super) story: RolloutStory,
}

/// The whole run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Summary {
    /// Whether no request failed and no visit was mixed, the bad release apart, and the bad release was found.
    pub(super) ok: bool,
    /// Where the shop was served.
    pub(super) url: String,
    /// Visitors who stay.
    pub(super) visitors: u16,
    /// Requests for pages of good releases.
    pub(super) requests: u64,
    /// Failed ones among them.
    pub(super) failures: u64,
    /// Visits of good releases.
    pub(super) visits: u64,
    /// Mixed visits, of whatever release.
    pub(super) mixed_visits: u64,
    /// The second release, in steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gradual: Option<Gradual>,
    /// The way back from it, by command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rollback: Option<Switch>,
    /// Its promotion with one write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) switch: Option<Switch>,
    /// What the bad release did, and how it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bad_release: Option<BadRelease>,
    /// The first things that went wrong on good releases, in words.
    pub(super) problems: Vec<String>,
}

impl Summary {
    /// Nothing has happened yet.
    pub(super) fn new(url: &str, visitors: u16) -> Self {
        Self {
            ok: false,
            url: url.to_owned(),
            visitors,
            requests: 0,
            failures: 0,
            visits: 0,
            mixed_visits: 0,
            gradual: None,
            rollback: None,
            switch: None,
            bad_release: None,
            problems: Vec::new(),
        }
    }

    /// The same run with what has been counted by now.
    pub(super) fn updated(self, picture: &Picture) -> Self {
        let bad = self.bad_release.as_ref().map(|bad| bad.release);
        let left_out: Vec<ReleaseId> = bad.into_iter().collect();
        let good = picture.total_without(&left_out);
        let all = picture.total_without(&[]);
        // Nothing happened is not nothing failed: without visits on good pages, and a bad release that was found, nothing
        // was shown.
        let found =
            self.bad_release.as_ref().is_some_and(|bad| bad.failures > 0 && bad.met.found_after_ms.is_some());
        Self {
            ok: good.failures == 0 && all.mixed_visits == 0 && good.visits > 0 && found,
            requests: good.requests,
            failures: good.failures,
            visits: good.visits,
            mixed_visits: all.mixed_visits,
            problems: picture
                .problems
                .iter()
                .filter(|(release, words)| {
                    bad.is_none() || *release != bad || words.contains(" on a page of ")
                })
                .map(|(_, words)| words.clone())
                .collect(),
            ..self
        }
    }
}

impl View for Summary {
    fn human(&self, page: &mut Page) {
        let zero = |number: u64| paint(if number == 0 { GREEN } else { RED }, number);
        page.field("requests", self.requests);
        page.field("failures", zero(self.failures));
        page.field("visits", self.visits);
        page.field("mixed", format_args!("{} visits", zero(self.mixed_visits)));
        if let Some(Gradual { strategy, took_ms }) = &self.gradual {
            page.field(
                "in steps",
                format_args!("{strategy}: promoted and watched for a while in {}", text::span(*took_ms)),
            );
        }
        for (name, one) in [("rollback", &self.rollback), ("switch", &self.switch)] {
            if let Some(one) = one {
                page.field(name, switch(one));
            }
        }
        if let Some(bad) = &self.bad_release {
            bad.human(page);
        }
        for problem in &self.problems {
            page.line(format_args!("{} {problem}", paint(RED, "problem:")));
        }
    }
}

impl BadRelease {
    fn human(&self, page: &mut Page) {
        let Met { visitors, met, harmed, failed, slow, found_after_ms } = &self.met;
        let after = found_after_ms.map_or_else(|| "never".to_owned(), text::span);
        page.gap();
        page.field("bad release", format_args!("{}, given {} of visitors", self.release, self.first_step));
        page.field(
            "found",
            format_args!("{after} from its first bad request to share 0, as the edge acknowledged it"),
        );
        let share = self.met.share();
        page.field(
            "met by",
            format_args!(
                "{met} of {visitors} visitors ({}.{:02} %), {harmed} of them its trouble",
                share / 100,
                share % 100
            ),
        );
        page.field(
            "lost",
            format_args!(
                "{failed} calls of its pages failed, {slow} were slow, of {} requests",
                self.requests
            ),
        );
        page.field("sent back", format_args!("by nobody's command: {}", self.gate));
        page.gap();
        page.line(paint(DIM, format_args!("$ cutover explain rollout {}", self.story.rollout.id)));
        Story(self.story.clone()).human(page);
    }
}

fn switch(switch: &Switch) -> String {
    let first = switch.seen.first_new_us.map_or_else(|| "never".to_owned(), text::micros);
    let detail = format!(
        "(a client saw the first answer of the new release after {first}, the last of the old one after {})",
        text::micros(switch.seen.last_old_us)
    );
    format!("{} {}", text::micros(switch.took_us), paint(DIM, detail))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::tally::Tally, *};
    use crate::view::rollout::fixtures;

    fn summary(fill: impl Fn(&Tally, ReleaseId, ReleaseId)) -> Summary {
        let (good, bad): (ReleaseId, ReleaseId) = ("aaaaaaaa".parse().unwrap(), "bbbbbbbb".parse().unwrap());
        let tally = Tally::new(1);
        tally.request(Some(good), Duration::ZERO, None);
        tally.visit(good, None);
        tally.request(Some(bad), Duration::ZERO, Some("/: status 500".into()));
        fill(&tally, good, bad);
        let bad_release = BadRelease {
            release: bad,
            requests: 1,
            failures: 1,
            first_step: "5%",
            met: Met { visitors: 200, met: 11, found_after_ms: Some(1500), ..Met::default() },
            gate: "gate errors failed".into(),
            story: RolloutStory { rollout: fixtures::rolled_back(), lines: Vec::new(), history: Vec::new() },
        };
        let summary = Summary { bad_release: Some(bad_release), ..Summary::new("http://x/", 1) };
        summary.updated(&tally.picture())
    }

    #[test]
    fn a_bad_release_that_was_not_found_is_no_success() {
        let good = summary(|_, _, _| ());
        let mut bad = good.bad_release.clone().unwrap();
        bad.met.found_after_ms = None;
        let tally = Tally::new(1);
        tally.visit("aaaaaaaa".parse().unwrap(), None);
        assert!(!Summary { bad_release: Some(bad), ..good }.updated(&tally.picture()).ok);
    }

    #[test]
    fn people_read_how_soon_it_was_found_whom_it_met_and_why_it_was_sent_back() {
        let mut page = Page::at(0);
        summary(|_, _, _| ()).human(&mut page);
        let text = anstream::adapter::strip_str(&page.into_text()).to_string();
        assert!(text.contains("found       1.5s from its first bad request to share 0"), "{text}");
        assert!(text.contains("met by      11 of 200 visitors (5.50 %)"), "{text}");
        assert!(text.contains("sent back   by nobody's command: gate errors failed"), "{text}");
    }

    #[test]
    fn failures_of_the_bad_release_are_expected_and_all_others_are_not() {
        assert!(summary(|_, _, _| ()).ok);
        let failed = summary(|tally, good, _| tally.request(Some(good), Duration::ZERO, Some("gone".into())));
        assert!(!failed.ok);
        assert_eq!(failed.problems, ["gone"]);
        assert!(!summary(|tally, _, _| tally.request(None, Duration::ZERO, Some("gone".into()))).ok);
    }

    #[test]
    fn a_mixed_visit_counts_on_any_release() {
        let mixed = || Some("/x came from a on a page of b".to_owned());
        assert!(!summary(|tally, good, _| tally.visit(good, mixed())).ok);
        let bad = summary(|tally, _, bad| tally.visit(bad, mixed()));
        assert!(!bad.ok);
        assert_eq!(bad.problems.len(), 1);
    }
}
