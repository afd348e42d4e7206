//! Long operations: started by one request, watched by others.
//!
//! An operation goes on when its client goes away. Finished ones are kept for a while so that a client that lost its
//! connection can still read the outcome.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use cutover_engine::{Error, ErrorKind, control::Progress};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

/// More at once is a client gone wild.
const MOST_RUNNING: usize = 16;
/// Finished operations that are kept, and for how long.
const MOST_FINISHED: usize = 100;
const KEPT: Duration = Duration::from_secs(3600);
/// Lines of progress one operation may report; later ones are dropped.
const MOST_LINES: usize = 10_000;
/// The longest one poll waits.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Where to watch an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// Its id, for `GET /v1/operations/{id}`.
    pub operation: String,
}

/// An operation as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// `stage` or `deploy`.
    pub verb: String,
    /// Whether it goes on.
    pub state: OperationState,
    /// What it did, one line a step, from the `after` that was asked for.
    pub progress: Vec<String>,
    /// What to ask for with `after` next time.
    pub next: u64,
    /// The report of the operation when it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// Whether an operation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OperationState {
    /// It goes on.
    Running,
    /// It succeeded.
    Done,
    /// It failed.
    Failed,
}

/// All operations of one server.
#[derive(Clone)]
pub(crate) struct Operations {
    inner: Arc<Mutex<Registry>>,
    /// Distinguishes ids of this run from those of an earlier one.
    run: u64,
}

#[derive(Default)]
struct Registry {
    last: u64,
    all: BTreeMap<u64, Arc<Running>>,
}

struct Running {
    id: String,
    verb: &'static str,
    seen: Mutex<Seen>,
    /// Counts changes of `seen`.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Seen {
    lines: Vec<String>,
    outcome: Option<(Instant, Result<Value, Error>)>,
}

impl Operations {
    pub(crate) fn new() -> Self {
        let run = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { inner: Arc::default(), run }
    }

    /// Starts an operation and gives its id.
    ///
    /// # Errors
    /// Where too many run already.
    pub(crate) fn start<F, T>(
        &self,
        verb: &'static str,
        work: impl FnOnce(Progress) -> F,
    ) -> Result<Accepted, Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
        T: Serialize + Send + 'static,
    {
        let running = {
            let mut registry = lock(&self.inner);
            registry.forget(Instant::now());
            if registry.all.values().filter(|one| !one.is_finished()).count() >= MOST_RUNNING {
                let message = format!("cannot start `{verb}`: {MOST_RUNNING} operations are running");
                return Err(Error::new(ErrorKind::Unavailable, "CUT0656", message)
                    .hint("wait for one of them to end"));
            }
            registry.last += 1;
            let running = Arc::new(Running {
                id: format!("op-{:x}-{}", self.run, registry.last),
                verb,
                seen: Mutex::default(),
                changes: watch::Sender::new(0),
            });
            let number = registry.last;
            registry.all.insert(number, Arc::clone(&running));
            running
        };
        let accepted = Accepted { operation: running.id.clone() };
        let listener = Arc::clone(&running);
        let work = tokio::spawn(work(Progress::new(move |line| listener.say(line))));
        tokio::spawn(async move {
            let outcome = match work.await {
                Ok(Ok(report)) => serde_json::to_value(report).map_err(|why| broken(verb).because(why)),
                Ok(Err(error)) => Err(error),
                Err(why) => Err(broken(verb).because(why)),
            };
            running.finish(outcome);
        });
        Ok(accepted)
    }

    /// An operation and its progress from line `after`; waits until there is news, at most so long.
    ///
    /// # Errors
    /// Where there is no such operation, or no longer.
    pub(crate) async fn look(&self, id: &str, after: u64, wait: Duration) -> Result<Operation, Error> {
        let running = lock(&self.inner).all.values().find(|one| one.id == id).cloned();
        let running = running.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "CUT0655", format!("there is no operation {id:?}"))
                .because("it never ran here, ended more than an hour ago, or the controller was started again since")
                .hint("`cutover history` shows what was done")
        })?;
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        let mut changes = running.changes.subscribe();
        let news = async {
            while !running.has_news(after) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        // Without news the state is given as it is.
        let _ = tokio::time::timeout(wait.min(LONGEST_WAIT), news).await;
        Ok(running.look(after))
    }
}

impl Registry {
    /// Drops finished operations that are old or too many.
    fn forget(&mut self, now: Instant) {
        self.all.retain(|_, one| one.finished_at().is_none_or(|at| now.duration_since(at) < KEPT));
        let finished: Vec<u64> =
            self.all.iter().filter(|(_, one)| one.is_finished()).map(|(number, _)| *number).collect();
        for number in finished.iter().take(finished.len().saturating_sub(MOST_FINISHED)) {
            self.all.remove(number);
        }
    }
}

impl Running {
    fn say(&self, line: String) {
        let mut seen = lock(&self.seen);
        if seen.lines.len() < MOST_LINES {
            seen.lines.push(line);
        }
        drop(seen);
        self.changes.send_modify(|count| *count += 1);
    }

    fn finish(&self, outcome: Result<Value, Error>) {
        lock(&self.seen).outcome = Some((Instant::now(), outcome));
        self.changes.send_modify(|count| *count += 1);
    }

    fn finished_at(&self) -> Option<Instant> {
        lock(&self.seen).outcome.as_ref().map(|(at, _)| *at)
    }

    fn is_finished(&self) -> bool {
        self.finished_at().is_some()
    }

    fn has_news(&self, after: usize) -> bool {
        let seen = lock(&self.seen);
        seen.outcome.is_some() || seen.lines.len() > after
    }

    fn look(&self, after: usize) -> Operation {
        let seen = lock(&self.seen);
        let (state, result, error) = match &seen.outcome {
            None => (OperationState::Running, None, None),
            Some((_, Ok(report))) => (OperationState::Done, Some(report.clone()), None),
            Some((_, Err(error))) => (OperationState::Failed, None, Some(error.clone())),
        };
        Operation {
            id: self.id.clone(),
            verb: self.verb.to_owned(),
            state,
            progress: seen.lines.get(after..).unwrap_or_default().to_vec(),
            next: seen.lines.len() as u64,
            result,
            error,
        }
    }
}

/// The error of an operation that ended without an outcome of its own.
pub(crate) fn broken(verb: &str) -> Error {
    Error::new(ErrorKind::Internal, "CUT0657", format!("`{verb}` ended without an outcome"))
        .hint("this is a bug of Cutover; the log of `cutover up` has the details")
}

/// Nothing that holds these locks can panic half-way, so that a poisoned one is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn finished_operations_are_forgotten_in_time_and_number() {
        let operations = Operations::new();
        let mut ids = Vec::new();
        for _ in 0..MOST_FINISHED + 5 {
            let id = operations.start("stage", |_| async { Ok(1_u8) }).unwrap().operation;
            let seen = operations.look(&id, 0, LONGEST_WAIT).await.unwrap();
            assert_eq!(seen.state, OperationState::Done);
            ids.push(id);
        }
        lock(&operations.inner).forget(Instant::now());
        assert_eq!(lock(&operations.inner).all.len(), MOST_FINISHED);
        assert_eq!(operations.look(&ids[0], 0, Duration::ZERO).await.unwrap_err().code, "CUT0655");
        assert!(operations.look(&ids[MOST_FINISHED + 4], 0, Duration::ZERO).await.is_ok());
        lock(&operations.inner).forget(Instant::now() + KEPT);
        assert!(lock(&operations.inner).all.is_empty());
    }

    #[tokio::test]
    async fn progress_is_bounded() {
        let operations = Operations::new();
        let started = operations.start("stage", |progress| async move {
            for line in 0..MOST_LINES + 10 {
                progress.say(line.to_string());
            }
            Ok(())
        });
        let id = started.unwrap().operation;
        loop {
            let seen = operations.look(&id, MOST_LINES as u64, LONGEST_WAIT).await.unwrap();
            if seen.state == OperationState::Done {
                assert_eq!((seen.next, seen.progress.len()), (MOST_LINES as u64, 0));
                break;
            }
        }
    }
}
