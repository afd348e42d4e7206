//! What a verb fails with: errors made to be read, and the exit code a script acts on.

use std::process::ExitCode;

use cutover_engine::{Error, ErrorKind};

/// How the command ended. The numbers are part of the command line's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done, or nothing had to be done.
    Done = 0,
    /// Refused or failed.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The rollout is held and needs a person.
    Held = 3,
    /// Rolled back.
    RolledBack = 4,
    /// Superseded by another release.
    Superseded = 5,
    /// Timed out waiting.
    TimedOut = 6,
    /// A bug of ours.
    Bug = 70,
    /// Interrupted while waiting; what was waited for goes on. As shells say it: 128 and the number of SIGINT.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// One or more errors and the exit code they lead to.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) errors: Vec<Error>,
}

impl Failure {
    /// A wrong command line, as the parser words it.
    pub(crate) fn usage(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        let mut paragraphs = text.split("\n\n").map(|lines| {
            lines.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
        });
        let first = paragraphs.next().unwrap_or_default();
        let message = first.strip_prefix("error: ").unwrap_or(&first).to_owned();
        let mut error = Error::new(ErrorKind::Invalid, "CUT0900", message);
        for tip in paragraphs.filter_map(|text| text.strip_prefix("tip: ").map(str::to_owned)) {
            error = error.hint(tip);
        }
        error.hint("cutover --help").into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error.kind {
            ErrorKind::Invalid => Exit::Usage,
            ErrorKind::NotFound | ErrorKind::Refused | ErrorKind::Failed | ErrorKind::Unavailable => {
                Exit::Failed
            }
            ErrorKind::Internal => Exit::Bug,
        };
        Self { exit, errors: vec![error] }
    }
}
