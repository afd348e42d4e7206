//! Where the program's own log goes: stderr, for people or as JSON lines.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt};

use crate::context::Context;

/// Environment variable that says what is logged, such as `debug` or `cutover_edge=trace`.
const FILTER: &str = "CUTOVER_LOG";

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Form {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Begins to log; `usual` is what is logged unless the environment says otherwise.
pub(crate) fn begin(context: &Context, form: Form, usual: &str) {
    let usual = if context.quiet { "error" } else { usual };
    let filter = EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new(usual));
    let colours = std::io::stderr().is_terminal()
        && !context.global.no_color
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let base = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // A second beginning in one process would be a mistake of ours without consequence.
    let _ = match form {
        Form::Human => base.with_target(false).try_init(),
        Form::Json => base.json().try_init(),
    };
}
