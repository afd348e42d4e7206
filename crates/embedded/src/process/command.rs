//! A command under its shim, seen from Cutover: start it, hear of its end, stop it.
//!
//! Dropping a [`Shim`] closes the pipe between the two, which is the shim's sign to end everything.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    time::timeout,
};

use super::{leftovers, procfs};

/// How much longer than asked a shim may take to end before it is itself killed.
const SHIM_SLACK: Duration = Duration::from_secs(8);

/// What a shim is to do; the first line of its standard input.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    /// What it is, for people.
    pub(crate) label: String,
    /// Added to the note in the log that says it started.
    pub(crate) note: String,
    /// The marker all its processes carry.
    pub(crate) instance: String,
    /// Where the command runs.
    pub(crate) dir: PathBuf,
    /// The command.
    pub(crate) run: String,
    /// Where its output goes.
    pub(crate) log: PathBuf,
    /// Bytes of one log file.
    pub(crate) log_limit: u64,
    /// Milliseconds from SIGTERM to SIGKILL when Cutover is gone.
    pub(crate) stop_ms: u64,
    /// Where the record for a later run is kept while it lives.
    pub(crate) record: Option<PathBuf>,
}

/// What a shim says, one line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Report {
    /// The command could not be started.
    Failed {
        /// Why.
        problem: String,
    },
    /// The command runs.
    Started {
        /// Its process id.
        pid: i32,
    },
    /// The command ended, asked or not; its helpers may still be ending.
    Ended {
        /// How.
        how: Ended,
    },
    /// Nothing is left but these.
    Done {
        /// Processes that could not be ended.
        left: Vec<i32>,
    },
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ended {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Together with its shim, so that nobody can tell.
    Lost,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with exit code {code}"),
            Self::Signal(number) => match nix::sys::signal::Signal::try_from(*number) {
                Ok(signal) => write!(f, "was ended by {signal}"),
                Err(_) => write!(f, "was ended by signal {number}"),
            },
            Self::Lost => f.write_str("was killed together with its shim"),
        }
    }
}

/// A running command and the shim above it.
#[derive(Debug)]
pub(crate) struct Shim {
    child: Child,
    control: Option<ChildStdin>,
    reports: Lines<BufReader<ChildStdout>>,
    instance: String,
    record: Option<PathBuf>,
    ended: Option<Ended>,
    /// Process id of the shim: all of the command's processes descend from it.
    pub(crate) pid: i32,
    /// Process id of the command.
    pub(crate) leader: i32,
}

impl Shim {
    /// Starts a command with exactly this environment (and the marker). The problem is a sentence for a person.
    pub(crate) async fn start(
        exe: &Path,
        order: &Order,
        env: &[(OsString, OsString)],
    ) -> Result<Self, String> {
        let mut line =
            serde_json::to_vec(order).map_err(|error| format!("cannot describe the command: {error}"))?;
        line.push(b'\n');
        let mut child = tokio::process::Command::new(exe)
            .arg0("cutover")
            .args(["shim", &order.label])
            .env_clear()
            .envs(env.iter().map(|(name, value)| (name, value)))
            .env(procfs::INSTANCE, &order.instance)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", exe.display()))?;
        let gone = || "the shim ended before it could be spoken to".to_owned();
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).ok_or_else(gone)?;
        let mut control = child.stdin.take().ok_or_else(gone)?;
        let stdout = child.stdout.take().ok_or_else(gone)?;
        control.write_all(&line).await.map_err(|_| gone())?;
        let mut reports = BufReader::new(stdout).lines();
        let first = timeout(SHIM_SLACK, reports.next_line()).await;
        let first = first.map_err(|_| format!("{} does not answer as a shim", exe.display()))?;
        let first = first.ok().flatten().ok_or_else(gone)?;
        match serde_json::from_str(&first) {
            Ok(Report::Started { pid: leader }) => Ok(Self {
                child,
                control: Some(control),
                reports,
                instance: order.instance.clone(),
                record: order.record.clone(),
                ended: None,
                pid,
                leader,
            }),
            Ok(Report::Failed { problem }) => Err(problem),
            _ => Err(format!("{} does not answer as a shim", exe.display())),
        }
    }

    /// Waits until the command ended by itself, and everything it started with it. May be dropped and asked again.
    pub(crate) async fn ended(&mut self) -> Ended {
        while let Ok(Some(line)) = self.reports.next_line().await {
            match serde_json::from_str(&line) {
                Ok(Report::Ended { how }) => self.ended = Some(how),
                Ok(Report::Done { left }) => {
                    self.complain(&left);
                    return self.ended.unwrap_or(Ended::Lost);
                }
                _ => {}
            }
        }
        // The shim is gone without a word: somebody killed it. What it watched is ended here.
        self.sweep().await;
        self.ended.unwrap_or(Ended::Lost)
    }

    /// Asks the command to end, and kills what is left of it after `grace`. Returns when nothing is.
    pub(crate) async fn stop(mut self, grace: Duration) -> Ended {
        if let Some(control) = &mut self.control {
            let _ = control.write_all(format!("stop {}\n", grace.as_millis()).as_bytes()).await;
        }
        let ended = timeout(grace + SHIM_SLACK, self.ended()).await;
        let ended = match ended {
            Ok(ended) => ended,
            Err(_) => {
                let _ = self.child.start_kill();
                self.sweep().await;
                self.ended.unwrap_or(Ended::Lost)
            }
        };
        self.leave().await;
        ended
    }

    /// Takes leave of a shim whose command [ended](Self::ended).
    pub(crate) async fn leave(mut self) {
        drop(self.control.take());
        if timeout(SHIM_SLACK, self.child.wait()).await.is_err() {
            let _ = self.child.start_kill();
        }
    }

    async fn sweep(&self) {
        let instance = self.instance.clone();
        let left =
            tokio::task::spawn_blocking(move || leftovers::kill_until_gone(|| procfs::carrying(&instance)));
        let left = left.await.unwrap_or_default();
        self.complain(&left);
        if let (true, Some(record)) = (left.is_empty(), &self.record) {
            let _ = std::fs::remove_file(record);
        }
    }

    fn complain(&self, left: &[i32]) {
        if !left.is_empty() {
            tracing::warn!(leader = self.leader, ?left, "processes of a command could not be ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_in_words() {
        assert_eq!(Ended::Code(3).to_string(), "ended with exit code 3");
        assert_eq!(Ended::Signal(9).to_string(), "was ended by SIGKILL");
        assert_eq!(Ended::Signal(77).to_string(), "was ended by signal 77");
    }

    #[test]
    fn reports_survive_the_wire() {
        for report in [
            Report::Failed { problem: "no\nspace".into() },
            Report::Started { pid: 1 },
            Report::Ended { how: Ended::Signal(15) },
            Report::Done { left: vec![1, 2] },
        ] {
            let line = serde_json::to_string(&report).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Report>(&line).unwrap(), report);
        }
    }
}
