//! What the demo found, as numbers.

use serde::Serialize;

use super::{
    tally::{Counts, Picture},
    watcher::Seen,
};
use crate::view::{
    View,
    page::{DIM, GREEN, Page, RED, paint},
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

/// The whole run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    /// Whether no request failed and no visit was mixed, the bad release apart.
    pub(super) ok: bool,
    /// Where the shop was served.
    pub(super) url: String,
    /// Visitors at the same time.
    pub(super) visitors: u16,
    /// Requests for pages of good releases.
    pub(super) requests: u64,
    /// Failed ones among them.
    pub(super) failures: u64,
    /// Visits of good releases.
    pub(super) visits: u64,
    /// Mixed visits, of whatever release.
    pub(super) mixed_visits: u64,
    /// The promotion of the second release.
    pub(super) switch: Switch,
    /// The rollback from the bad one.
    pub(super) rollback: Switch,
    /// What the bad release did while it was out.
    pub(super) bad_release: Counts,
    /// The first things that went wrong on good releases, in words.
    pub(super) problems: Vec<String>,
    #[serde(skip)]
    bad: cutover_routing::ReleaseId,
}

impl Summary {
    /// The same run, later.
    pub(super) fn updated(self, picture: &Picture) -> Self {
        Self::of(picture, self.bad, &self.url, self.visitors, self.switch, self.rollback)
    }

    /// Sums up; `bad` is the release that is expected to fail.
    pub(super) fn of(
        picture: &Picture,
        bad: cutover_routing::ReleaseId,
        url: &str,
        visitors: u16,
        switch: Switch,
        rollback: Switch,
    ) -> Self {
        let good = picture.total_without(&[bad]);
        let all = picture.total_without(&[]);
        let bad_release = picture.of(bad);
        Self {
            // Nothing happened is not nothing failed: without visits on good and bad pages nothing was shown.
            ok: good.failures == 0 && all.mixed_visits == 0 && good.visits > 0 && bad_release.failures > 0,
            url: url.to_owned(),
            visitors,
            requests: good.requests,
            failures: good.failures,
            visits: good.visits,
            mixed_visits: all.mixed_visits,
            switch,
            rollback,
            bad_release,
            problems: picture
                .problems
                .iter()
                .filter(|(release, words)| *release != Some(bad) || words.contains(" on a page of "))
                .map(|(_, words)| words.clone())
                .collect(),
            bad,
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
        page.field("switch", switch(&self.switch));
        page.field("rollback", switch(&self.rollback));
        page.field(
            "bad release",
            format_args!(
                "{} of {} requests failed until it was rolled back",
                self.bad_release.failures, self.bad_release.requests
            ),
        );
        for problem in &self.problems {
            page.line(format_args!("{} {problem}", paint(RED, "problem:")));
        }
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

    use cutover_routing::ReleaseId;

    use super::{super::tally::Tally, *};

    fn summary(fill: impl Fn(&Tally, ReleaseId, ReleaseId)) -> Summary {
        let (good, bad): (ReleaseId, ReleaseId) = ("aaaaaaaa".parse().unwrap(), "bbbbbbbb".parse().unwrap());
        let tally = Tally::new(1);
        tally.request(Some(good), Duration::ZERO, None);
        tally.visit(good, None);
        tally.request(Some(bad), Duration::ZERO, Some("/: status 500".into()));
        fill(&tally, good, bad);
        Summary::of(&tally.picture(), bad, "http://x/", 1, Switch::default(), Switch::default())
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
