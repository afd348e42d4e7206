//! How results look. Every result is one serialisable model; its human form is drawn from the model and nothing else.

pub(crate) mod error;
pub(crate) mod explain;
pub(crate) mod history;
pub(crate) mod page;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod releases;
pub(crate) mod reports;
pub(crate) mod rollout;
pub(crate) mod status;
pub(crate) mod text;

use std::io::Write;

use cutover_engine::{Error, ErrorKind};
use serde::Serialize;

use crate::{args::Output, view::page::Page};

/// A result that can be shown.
pub(crate) trait View: Serialize {
    /// Draws the human form.
    fn human(&self, page: &mut Page);
}

/// Writes a result to stdout in the form asked for.
///
/// # Errors
/// That it cannot be written, such as to a full disk: whoever asked would take a part of it for the whole.
pub(crate) fn show<V: View>(view: &V, output: Output) -> Result<(), Error> {
    let text = render(view, output, Page::now());
    let mut stdout = anstream::stdout();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// What became of something written to stdout. A reader that has closed the pipe has seen what it wanted.
///
/// # Errors
/// When it was not written for any other reason.
pub(crate) fn written(result: std::io::Result<()>) -> Result<(), Error> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(ErrorKind::Failed, "CUT0908", "the result cannot be written to stdout")
                .because(error)
                .hint("what the command did is done; cutover status and cutover history show it"))
        }
        _ => Ok(()),
    }
}

/// The text of a result.
pub(crate) fn render<V: View>(view: &V, output: Output, mut page: Page) -> String {
    match output {
        Output::Human => {
            view.human(&mut page);
            page.into_text()
        }
        Output::Json => {
            let mut text = serde_json::to_string_pretty(view).unwrap_or_default();
            text.push('\n');
            text
        }
    }
}

/// Says one line to a person.
pub(crate) fn say(line: impl std::fmt::Display) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Writes a result to stdout as JSON on one line.
///
/// # Errors
/// When nobody reads any more.
pub(crate) fn show_line<V: View>(view: &V) -> std::io::Result<()> {
    let mut text = serde_json::to_string(view).unwrap_or_default();
    text.push('\n');
    let mut stdout = anstream::stdout();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
