//! What is promised about waiting.

use std::collections::{BTreeMap, VecDeque};

use cutover_rollout::{Body, Does, RolloutId, Why};

use super::{Promise, SoFar};
use crate::fake::log::{Entry, What};

/// A hold that was left as done lasted its length in time in which gates and health were well and a controller was
/// there.
#[derive(Debug, Default)]
pub(super) struct UnwatchedTimeIsNotHeld {
    /// Time so far in which all was well.
    well: u64,
    bad: bool,
    paused: bool,
    present: BTreeMap<usize, u64>,
    last: u64,
    /// `well` when the step was entered that each rollout is at.
    entered: BTreeMap<RolloutId, u64>,
}

impl UnwatchedTimeIsNotHeld {
    fn pass(&mut self, at: u64) {
        let from = self.last;
        self.last = at;
        let there = self.present.values().any(|since| *since <= from);
        if there && !self.bad && !self.paused {
            self.well += at.saturating_sub(from);
        }
    }
}

impl Promise for UnwatchedTimeIsNotHeld {
    fn name(&self) -> &'static str {
        "time that nobody watched, or that was not well, is not time held"
    }

    fn see(&mut self, entry: &Entry, so_far: &SoFar) -> Option<String> {
        self.pass(entry.at);
        match &entry.what {
            What::Started => {
                self.present.insert(entry.who, entry.at);
            }
            What::Died => {
                self.present.remove(&entry.who);
            }
            What::Frozen(until) => {
                self.present.insert(entry.who, *until);
            }
            What::Well(well) => self.bad = !well,
            What::Appended { rollout, records, .. } => {
                let mut state = so_far.states.get(rollout).cloned();
                let mut found = None;
                for record in records {
                    match &record.body {
                        Body::Paused { .. } => self.paused = true,
                        Body::Opened { .. } | Body::Resumed { .. } | Body::UndoStarted { .. } => {
                            self.paused = false
                        }
                        Body::Advanced { why: Why::Done, .. } => {
                            let does = state.as_ref().and_then(|state| state.step());
                            if let Some(Does::Hold { length, watch }) = does.map(|step| &step.does) {
                                let since = self.entered.get(rollout).copied().unwrap_or(0);
                                let held = self.well - since;
                                if held + 1_100 < length.0 && !watch.is_empty() {
                                    found = Some(format!("held {held} of {length}"));
                                }
                            }
                        }
                        _ => {}
                    }
                    let before = state.as_ref().map(|state| state.cursor);
                    state = cutover_rollout::apply(state, record).ok();
                    if state.as_ref().map(|state| state.cursor) != before {
                        self.entered.insert(rollout.clone(), self.well);
                    }
                }
                return found;
            }
            _ => {}
        }
        None
    }
}

/// In no ten seconds is there more than a shell that works has to do.
#[derive(Debug, Default)]
pub(super) struct NothingRunsHot {
    recent: BTreeMap<&'static str, VecDeque<u64>>,
}

const WINDOW: u64 = 10_000;

impl Promise for NothingRunsHot {
    fn name(&self) -> &'static str {
        "nothing runs hot"
    }

    fn see(&mut self, entry: &Entry, _: &SoFar) -> Option<String> {
        let (what, most) = match &entry.what {
            What::Read => ("looks", 160),
            What::Called { .. } => ("calls", 24),
            What::Appended { .. } => ("appends", 80),
            What::NotAppended(_) => ("appends that failed", 24),
            _ => return None,
        };
        let recent = self.recent.entry(what).or_default();
        recent.push_back(entry.at);
        while recent.front().is_some_and(|first| first + WINDOW < entry.at) {
            recent.pop_front();
        }
        (recent.len() > most).then(|| format!("{} {what} in {} s", recent.len(), WINDOW / 1_000))
    }
}
