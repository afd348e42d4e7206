//! The command line as typed: global options and one variant a verb. Each verb's own options live in its file.

use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use clap::{Args, Parser, Subcommand, ValueEnum, builder::Styles};

use crate::{demo, verb};

const STYLES: Styles = Styles::styled()
    .header(Style::new().bold())
    .usage(Style::new().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(Style::new().dimmed())
    .error(AnsiColor::Red.on_default().bold())
    .valid(AnsiColor::Green.on_default())
    .invalid(AnsiColor::Yellow.on_default());

/// Blue/green releases for web apps
#[derive(Debug, Parser)]
#[command(
    name = "cutover",
    version,
    styles = STYLES,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 refused or failed, 2 usage or configuration, 3 held for a person,\n\
                  4 rolled back, 5 superseded, 6 timed out waiting, 70 bug."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options every verb takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The app's description [default: cutover.toml here or in a folder above]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The state directory [default: .cutover beside the description]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// How results and errors are written: human or json
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORM",
        default_value_t,
        hide_possible_values = true
    )]
    pub(crate) output: Output,
    /// Say nothing but results and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// No colours; NO_COLOR does the same
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Never ask, go on
    #[arg(long, short, global = true)]
    pub(crate) yes: bool,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Human,
    /// One JSON document.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show blue/green releases of an example shop under live visitors
    Demo(demo::Args),
    /// Write a cutover.toml for the project in this folder
    Init(verb::init::Args),
    /// Serve the app and take commands, in the foreground
    Up(verb::up::Args),
    /// Build a release beside the active one; nobody sees it yet
    Stage(verb::stage::Args),
    /// Say what a deployment would do, step by step, and do nothing
    Plan(verb::plan::Args),
    /// Stage a release and move visitors to it, step by step
    Deploy(verb::deploy::Args),
    /// Make a link that shows one release to its holder
    Preview(verb::preview::Args),
    /// Make a release the one that everybody gets, or let the open rollout go on
    Promote(verb::promote::Args),
    /// Stop the open rollout where it is
    Pause(verb::pause::Args),
    /// Let a rollout that is paused or held go on
    Resume(verb::pause::Args),
    /// Answer a gate that asks a person
    Approve(verb::approve::Args),
    /// Take visitors back to the release before, from any step and after the promotion
    Rollback(verb::rollback::Args),
    /// Close a release for everybody and bar it from promotion
    Withdraw(verb::withdraw::Args),
    /// End a release for good and free its disk space
    Retire(verb::retire::Args),
    /// Show what is served to whom
    Status(verb::status::Args),
    /// Wait until it is decided what becomes of a release
    Wait(verb::wait::Args),
    /// List the releases, newest first
    Releases(verb::releases::Args),
    /// List what happened, newest first
    History(verb::history::Args),
    /// Say why a request, a release, a rollout or an error is as it is
    Explain(verb::explain::Args),
}

/// Whether a command line that could not be parsed asks for JSON, so that its error can be JSON too.
pub(crate) fn asks_for_json(words: impl Iterator<Item = String>) -> bool {
    let words: Vec<String> = words.collect();
    words.iter().any(|word| word == "--output=json")
        || words.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_line_that_asks_for_json_is_recognised_in_both_spellings() {
        let json = |line: &str| asks_for_json(line.split(' ').map(str::to_owned));
        assert!(json("cutover status --output json"));
        assert!(json("cutover --output=json status"));
        assert!(!json("cutover status --output human"));
        assert!(!json("cutover --output"));
    }
}
