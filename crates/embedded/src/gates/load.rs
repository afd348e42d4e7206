//! The `load` gate: requests at a steady rate, made by Cutover itself, before visitors make them.
//!
//! The pace is open: request number k is due at its own moment whether or not those before it are answered, and the time
//! of one that had to wait for its turn counts from when it was due. A release that stalls is seen to stall instead of
//! being asked less. All of it is a preview's traffic: no visitor, and no evidence about visitors.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use cutover_engine::{config::LoadGate, control::Verdict};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    Found, GateTarget,
    caller::{Caller, Outcome, Route},
    histogram::Histogram,
};

/// The longest an answer may take, where the limit on them is shorter.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many failures to connect without any answer end the attempt.
const UNREACHABLE: u64 = 20;
/// How many kinds of failure are told apart.
const KINDS: usize = 20;

/// What all callers have seen together.
#[derive(Default)]
struct Seen {
    sent: u64,
    answered: u64,
    unreachable: u64,
    /// Failed requests by what went wrong.
    errors: BTreeMap<String, u64>,
    /// An answer that did not come from the release.
    foreign: Option<String>,
    /// Of the answers that are no errors.
    times: Histogram,
}

impl Seen {
    fn error(&mut self, kind: String) {
        let kind =
            if self.errors.len() < KINDS || self.errors.contains_key(&kind) { kind } else { "others".into() };
        *self.errors.entry(kind).or_default() += 1;
    }

    fn count(&mut self, outcome: Outcome, took: Duration) {
        match outcome {
            Outcome::Answered { status, .. } => {
                self.answered += 1;
                if status.is_client_error() || status.is_server_error() {
                    self.error(status.to_string());
                } else {
                    self.times.add(took);
                }
            }
            Outcome::Failed(why) => {
                self.answered += 1;
                self.error(why);
            }
            Outcome::Unreachable(why) => {
                self.unreachable += 1;
                self.error(why);
            }
            Outcome::Foreign(what) => self.foreign = Some(what),
        }
    }

    /// Whether going on would show nothing.
    fn is_hopeless(&self) -> bool {
        self.foreign.is_some() || (self.answered == 0 && self.unreachable >= UNREACHABLE)
    }
}

struct Run {
    load: LoadGate,
    start: Instant,
    total: u64,
    within: Duration,
    next: AtomicU64,
    hopeless: AtomicBool,
    seen: Mutex<Seen>,
}

pub(super) async fn check(load: &LoadGate, target: &GateTarget) -> Found {
    let route = match Route::new(target) {
        Ok(route) => route,
        Err(why) => return Found::new(Verdict::Error, why),
    };
    let total = load.duration.as_secs_f64() * f64::from(load.rate);
    if total < 1.0 || load.paths.is_empty() || load.concurrency == 0 {
        return Found::new(Verdict::Error, "the gate asks for no request at all");
    }
    let run = Arc::new(Run {
        load: load.clone(),
        start: Instant::now(),
        // A rate is at most 2^32 and a time far below a century.
        total: total as u64,
        within: load.max_p95.map_or(PATIENCE, |limit| PATIENCE.max(limit * 2)),
        next: AtomicU64::new(0),
        hopeless: AtomicBool::new(false),
        seen: Mutex::new(Seen::default()),
    });
    // Dropping the set ends every caller.
    let mut callers = JoinSet::new();
    for _ in 0..u64::from(load.concurrency).min(run.total) {
        callers.spawn(call(Arc::clone(&run), Caller::new(&route, "cutover-load")));
    }
    while let Some(ended) = callers.join_next().await {
        if let Err(error) = ended {
            return Found::new(Verdict::Error, format!("a caller ended early: {error}"));
        }
        if run.hopeless.load(Ordering::Relaxed) {
            break;
        }
    }
    // Where it is hopeless, those who wait for their turn need not wait any longer.
    drop(callers);
    let seen = run.seen.lock().unwrap_or_else(PoisonError::into_inner);
    judge(load, run.total, &seen)
}

/// Takes one request after another until the time is over.
async fn call(run: Arc<Run>, mut caller: Caller) {
    let end = run.start + run.load.duration;
    while !run.hopeless.load(Ordering::Relaxed) {
        let number = run.next.fetch_add(1, Ordering::Relaxed);
        // Below 2^53, which a float holds.
        let due = run.start + run.load.duration.mul_f64(number as f64 / run.total as f64);
        if number >= run.total || Instant::now() >= end {
            return;
        }
        let began = if Instant::now() < due {
            sleep_until(due).await;
            Instant::now()
        } else {
            due
        };
        let path = &run.load.paths[number as usize % run.load.paths.len()];
        let outcome = caller.get(path, run.within).await;
        let mut seen = run.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.sent += 1;
        seen.count(outcome, began.elapsed());
        if seen.is_hopeless() {
            run.hopeless.store(true, Ordering::Relaxed);
        }
    }
}

fn judge(load: &LoadGate, total: u64, seen: &Seen) -> Found {
    if let Some(foreign) = &seen.foreign {
        return Found::new(Verdict::Error, foreign.clone());
    }
    let failed: u64 = seen.errors.values().sum();
    let seconds = load.duration.as_secs_f64();
    let mut text = format!(
        "{} requests, {:.1}/s for {seconds} s: {failed} errors",
        seen.sent,
        seen.sent as f64 / seconds
    );
    for (name, part) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
        if let Some(time) = seen.times.quantile(part) {
            let _ = write!(text, ", {name} {:.1} ms", time.as_secs_f64() * 1000.0);
        }
    }
    let mut kinds: Vec<(&String, &u64)> = seen.errors.iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (kind, count) in kinds.iter().take(3) {
        let _ = write!(text, "; {count} x {kind}");
    }
    if seen.answered == 0 {
        return Found::new(Verdict::Error, format!("{text}; nothing is known of the release"));
    }
    if seen.sent < total.div_ceil(2) {
        return Found::new(
            Verdict::Error,
            format!(
                "{text}; {total} were to be sent at {}/s, and less than half could be: {} at the same time are too few \
                 for answers this slow",
                load.rate, load.concurrency
            ),
        );
    }
    let mut wrong = Vec::new();
    if failed as f64 > load.max_errors * seen.sent as f64 {
        wrong.push(format!("expected at most {}% errors", load.max_errors * 100.0));
    }
    match (load.max_p95, seen.times.quantile(0.95)) {
        (Some(limit), Some(p95)) if p95 > limit => {
            wrong.push(format!("expected p95 within {} ms", limit.as_millis()))
        }
        (Some(_), None) if wrong.is_empty() => {
            return Found::new(Verdict::Error, format!("{text}; there is no answer to take the time of"));
        }
        _ => {}
    }
    if wrong.is_empty() {
        return Found::new(Verdict::Pass, text);
    }
    Found::new(Verdict::Fail, format!("{text}; {}", wrong.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> LoadGate {
        LoadGate {
            paths: vec!["/".into()],
            rate: 100,
            duration: Duration::from_secs(1),
            concurrency: 4,
            max_errors: 0.01,
            max_p95: Some(Duration::from_millis(100)),
        }
    }

    fn seen(sent: u64, failed: u64, took_ms: u64) -> Seen {
        let mut seen = Seen { sent, ..Seen::default() };
        for number in 0..sent {
            let outcome = if number < failed {
                Outcome::Failed("no proper answer".into())
            } else {
                Outcome::Answered { status: http::StatusCode::OK, head: Duration::ZERO }
            };
            seen.count(outcome, Duration::from_millis(took_ms));
        }
        seen
    }

    #[test]
    fn limits_are_held_against_what_was_seen() {
        for (seen, verdict, part) in [
            (seen(100, 0, 10), Verdict::Pass, "100 requests, 100.0/s for 1 s: 0 errors, p50 10"),
            (seen(100, 1, 10), Verdict::Pass, "1 errors"),
            (seen(100, 2, 10), Verdict::Fail, "2 x no proper answer; expected at most 1% errors"),
            (seen(100, 0, 110), Verdict::Fail, "expected p95 within 100 ms"),
            (seen(50, 0, 10), Verdict::Pass, "50.0/s"),
            (seen(49, 0, 10), Verdict::Error, "less than half could be: 4 at the same time"),
            (seen(100, 100, 10), Verdict::Fail, "100 errors"),
            (seen(0, 0, 0), Verdict::Error, "nothing is known"),
        ] {
            let found = judge(&gate(), 100, &seen);
            assert_eq!(found.verdict, verdict, "{}", found.detail);
            assert!(found.detail.contains(part), "{part:?} in {}", found.detail);
        }
        let lenient = LoadGate { max_errors: 1.0, ..gate() };
        assert_eq!(judge(&lenient, 100, &seen(100, 100, 10)).verdict, Verdict::Error);
        assert_eq!(
            judge(&LoadGate { max_p95: None, ..lenient }, 100, &seen(100, 100, 10)).verdict,
            Verdict::Pass
        );
    }

    #[test]
    fn kinds_of_failure_are_bounded() {
        let mut seen = Seen::default();
        for number in 0..1000 {
            seen.count(Outcome::Failed(format!("failure {number}")), Duration::ZERO);
        }
        assert_eq!(seen.errors.len(), KINDS + 1);
        assert_eq!(seen.errors.values().sum::<u64>(), 1000);
    }
}
