//! Gates that put load on a release.

use std::time::Duration;

use super::super::{
    super::{
        meant::LoadGate,
        place::{At, Trouble},
        written,
    },
    text,
};

const LONGEST: Duration = Duration::from_secs(600);
const LONGEST_ANSWER: Duration = Duration::from_secs(600);
const DEFAULT_DURATION: Duration = Duration::from_secs(10);
const MOST_PATHS: usize = 100;

pub(super) fn check(written: &At<written::LoadGate>, trouble: &mut Trouble<'_>) -> Option<LoadGate> {
    let load = written.get();
    let paths = load.paths.as_ref().and_then(|paths| paths_of(paths, trouble));
    // The schema has their bounds.
    let number =
        |written: Option<&At<i64>>| written.map_or(Some(50), |number| u32::try_from(*number.get()).ok());
    let duration =
        text::time_or("gate.load.duration", load.duration.as_ref(), DEFAULT_DURATION, LONGEST, trouble);
    let max_errors = match &load.max_errors {
        Some(written) => text::percent("gate.load.max_errors", written, 0.0..=100.0, trouble),
        None => Some(0.0),
    };
    let max_p95 = match &load.max_p95 {
        Some(time) => text::time("gate.load.max_p95", time, LONGEST_ANSWER, trouble).map(Some),
        None => Some(None),
    };
    Some(LoadGate {
        paths: paths?,
        rate: number(load.rate.as_ref())?,
        duration: duration?,
        concurrency: number(load.concurrency.as_ref())?,
        max_errors: max_errors?,
        max_p95: max_p95?,
    })
}

fn paths_of(written: &At<Vec<At<String>>>, trouble: &mut Trouble<'_>) -> Option<Vec<String>> {
    let paths = written.get();
    if paths.is_empty() && !trouble.was_cut(&written.span()) {
        let hint = "name at least one path that visitors ask for, such as `paths = [\"/\"]`";
        trouble.add_hint("CUT0105", written.span(), "`gate.load.paths` is empty", hint);
        return None;
    }
    if let Some(over) = paths.get(MOST_PATHS) {
        trouble.add("CUT0105", over.span(), format!("`gate.load.paths` has more than {MOST_PATHS} paths"));
        return None;
    }
    let checked: Vec<_> =
        paths.iter().map(|path| text::target("gate.load.paths", path, true, trouble)).collect();
    checked.into_iter().collect()
}
