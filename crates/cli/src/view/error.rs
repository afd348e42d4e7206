//! Errors: what was attempted, why it failed, what to do about it.

use std::io::Write;

use cutover_engine::Error;
use serde::Serialize;

use crate::{
    args::Output,
    failure::Failure,
    view::page::{DIM, GREEN, RED, paint},
};

/// The JSON form of a failure.
#[derive(Debug, Serialize)]
struct FailureView<'a> {
    errors: &'a [Error],
    exit: u8,
}

/// Writes a failure to stderr.
pub(crate) fn show(failure: &Failure, output: Output) {
    let text = match output {
        Output::Human => failure.errors.iter().map(human).collect(),
        Output::Json => {
            let view = FailureView { errors: &failure.errors, exit: failure.exit as u8 };
            let mut text = serde_json::to_string_pretty(&view).unwrap_or_default();
            text.push('\n');
            text
        }
    };
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// One error as lines that begin with what they are. Continuation lines are indented below their first.
pub(crate) fn human(error: &Error) -> String {
    let mut text = format!(
        "{} {} {}\n",
        paint(RED, "error:"),
        indent(&error.message),
        paint(DIM, format!("[{}]", error.code))
    );
    for cause in &error.causes {
        text.push_str(&format!("{} {}\n", paint(DIM, "cause:"), indent(cause)));
    }
    for hint in &error.hints {
        text.push_str(&format!("{} {}\n", paint(GREEN, "hint:"), indent(hint)));
    }
    text
}

fn indent(text: &str) -> String {
    text.trim_end().replace('\n', "\n       ")
}

#[cfg(test)]
mod tests {
    use cutover_engine::ErrorKind;

    use super::*;

    #[test]
    fn causes_and_hints_have_lines_of_their_own() {
        let error = Error::new(ErrorKind::Failed, "CUT0001", "starting api")
            .because("it ended with code 3\nlast line of its log")
            .hint("look at the log");
        let plain = anstream::adapter::strip_str(&human(&error)).to_string();
        assert_eq!(
            plain,
            "error: starting api [CUT0001]\n\
             cause: it ended with code 3\n       last line of its log\n\
             hint: look at the log\n"
        );
    }
}
