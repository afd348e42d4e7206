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

use serde::Serialize;

use crate::{args::Output, view::page::Page};

/// A result that can be shown.
pub(crate) trait View: Serialize {
    /// Draws the human form.
    fn human(&self, page: &mut Page);
}

/// Writes a result to stdout in the form asked for.
pub(crate) fn show<V: View>(view: &V, output: Output) {
    let text = render(view, output, Page::now());
    // A reader that has closed the pipe has seen what it wanted.
    let _ = anstream::stdout().write_all(text.as_bytes());
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
