//! Asks before something is destroyed: on a terminal only, and never with `--yes`.

use std::io::{BufRead, IsTerminal, Write};

use cutover_engine::{Error, ErrorKind};

use crate::{context::Context, failure::Failure};

/// Asks `question`; goes on without asking where nobody could answer.
///
/// # Errors
/// When the person says anything but yes.
pub(crate) fn confirm(context: &Context, question: &str) -> Result<(), Failure> {
    if context.yes || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(());
    }
    let mut stderr = anstream::stderr();
    let asked = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let read = asked.and_then(|()| std::io::stdin().lock().read_line(&mut answer));
    if read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Refused, "CUT0903", "not confirmed; nothing was changed")
        .hint("--yes goes on without asking")
        .into())
}
