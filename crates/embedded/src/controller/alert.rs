//! Says when a release fails its visitors: a person watching `status` or the history is told within one window.
//!
//! This is no judgement between releases and moves nobody; it counts what the edge answered with 5xx on behalf of a
//! release, previews apart.

use std::collections::{BTreeMap, VecDeque};

use cutover_routing::ReleaseId;

use super::{
    Inner, locked,
    operation::{Operation, SELF},
    unix_ms,
};
use crate::journal::{RecordKind, Write};

/// The window, milliseconds.
const WINDOW: u64 = 60_000;

/// Fewer errors than this in a window are nobody's alarm, however few the requests.
const LEAST: u64 = 5;

/// Errors of a hundred answers from which on it is said.
const RAISE: u64 = 5;

/// Errors of a hundred answers below which it is over. Lower, so that it does not come and go.
const CALM: u64 = 2;

/// The counters of one moment.
#[derive(Debug, Clone, Copy)]
struct Point {
    at: u64,
    requests: u64,
    errors: u64,
}

/// One release's last minute.
#[derive(Debug, Default)]
struct Minute {
    points: VecDeque<Point>,
    raised: bool,
}

/// What a look has found.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Nothing to say.
    Calm,
    /// It begins.
    Raised { errors: u64, requests: u64 },
    /// It goes on.
    Lasts { errors: u64, requests: u64 },
    /// It is over.
    Over,
}

impl Minute {
    /// `requests` and `errors` are totals since the edge started.
    fn look(&mut self, at: u64, requests: u64, errors: u64) -> Found {
        // Totals that fell are another edge's: what was counted before belongs to no window of this one.
        if self.points.back().is_some_and(|last| requests < last.requests || errors < last.errors) {
            self.points.clear();
        }
        self.points.push_back(Point { at, requests, errors });
        // The oldest point kept is the last one before the window.
        while self.points.get(1).is_some_and(|next| next.at + WINDOW <= at) {
            self.points.pop_front();
        }
        let Some(first) = self.points.front() else { return Found::Calm };
        let (requests, errors) = (requests - first.requests, errors - first.errors);
        let share = |percent: u64| errors.saturating_mul(100) >= requests.saturating_mul(percent);
        if self.raised {
            if errors > 0 && share(CALM) {
                return Found::Lasts { errors, requests };
            }
            self.raised = false;
            return Found::Over;
        }
        if errors >= LEAST && share(RAISE) {
            self.raised = true;
            return Found::Raised { errors, requests };
        }
        Found::Calm
    }
}

/// All releases' last minutes.
#[derive(Debug, Default)]
pub(super) struct Alerts(BTreeMap<ReleaseId, Minute>);

impl Inner {
    /// One look at every release of the table. A new alert is a line of the history, one that lasts a warning.
    pub(super) async fn look_for_errors(&self, alerts: &mut Alerts) {
        let table = self.current_table();
        alerts.0.retain(|id, _| table.releases.contains_key(id));
        for id in table.releases.keys() {
            let usage = self.edge.usage(id);
            let found = alerts.0.entry(*id).or_default().look(unix_ms(), usage.requests, usage.server_errors);
            let subject = format!("errors of release {id}");
            match found {
                Found::Calm => {}
                Found::Over => self.trouble(subject, None),
                Found::Lasts { errors, requests } => {
                    // Not through `trouble`: the log has it once, not every second.
                    locked(&self.problems).insert(subject, said(errors, requests));
                }
                Found::Raised { errors, requests } => {
                    let problem = said(errors, requests);
                    self.trouble(subject, Some(problem.clone()));
                    self.note_alert(*id, &problem).await;
                }
            }
        }
    }

    async fn note_alert(&self, id: ReleaseId, problem: &str) {
        let Ok(operation) = Operation::new(SELF, "alert", Some(id), None) else { return };
        let message = format!("release {id} fails its visitors: {problem}");
        let records = vec![operation.record(RecordKind::Note, message, None)];
        let written = self.write(Write { records, ..Write::default() }).await;
        self.trouble("journal", written.err().map(|error| error.to_string()));
    }
}

fn said(errors: u64, requests: u64) -> String {
    format!("{errors} of {requests} answers in the last {} s were errors (5xx)", WINDOW / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_lasts_and_is_over_once() {
        let mut minute = Minute::default();
        assert_eq!(minute.look(0, 1000, 3), Found::Calm, "what was before counts for nothing");
        assert_eq!(minute.look(1_000, 1100, 7), Found::Calm, "4 errors are too few");
        assert_eq!(minute.look(2_000, 1100, 8), Found::Raised { errors: 5, requests: 100 });
        assert_eq!(minute.look(3_000, 1200, 8), Found::Lasts { errors: 5, requests: 200 });
        assert_eq!(minute.look(4_000, 1300, 8), Found::Over);
        assert_eq!(minute.look(5_000, 1300, 8), Found::Calm);
    }

    #[test]
    fn many_requests_and_few_errors_are_calm_and_the_window_forgets() {
        let mut minute = Minute::default();
        minute.look(0, 0, 0);
        assert_eq!(minute.look(1_000, 1000, 40), Found::Calm, "4 of a hundred");
        assert_eq!(minute.look(2_000, 1000, 60), Found::Raised { errors: 60, requests: 1000 });
        assert_eq!(minute.look(50_000, 1000, 60), Found::Lasts { errors: 60, requests: 1000 });
        assert_eq!(minute.look(62_500, 1000, 60), Found::Over);
    }

    #[test]
    fn counters_that_start_anew_are_no_errors() {
        let mut minute = Minute::default();
        minute.look(0, 5000, 50);
        assert_eq!(minute.look(1_000, 10, 0), Found::Calm);
        assert_eq!(minute.look(2_000, 20, 10), Found::Raised { errors: 10, requests: 10 });
    }

    #[test]
    fn a_silent_window_keeps_few_points() {
        let mut minute = Minute::default();
        for second in 0..10_000 {
            assert_eq!(minute.look(second * 1_000, 0, 0), Found::Calm);
        }
        assert!(minute.points.len() <= 62, "{}", minute.points.len());
    }
}
