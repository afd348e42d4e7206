//! Development commands of Cutover: `cargo xtask --help`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line for developers")]

mod bench;
mod deps;
mod docs;
mod layers;
mod metadata;
mod prove;
mod sizes;
mod suite;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What every command of this crate answers with: nothing, or a message for the developer.
type Outcome = Result<(), String>;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development commands of Cutover", disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything CI runs: format, lints, checks, tests, documentation, proofs, browser tests
    Test(suite::TestArgs),
    /// Fail on a dependency between crates that ARCHITECTURE.md does not list
    CheckLayers,
    /// Fail on a licence, a double version or a dependant that deny.toml does not allow
    CheckDeps,
    /// Warn about source files above 400 lines, fail above 800
    CheckSizes,
    /// Execute the commands of the documentation
    CheckDocs(docs::DocsArgs),
    /// Show one claim by an experiment
    Prove(prove::ProveArgs),
    /// Measure the edge beside nginx, haproxy and its raw foundation
    BenchEdge(bench::BenchArgs),
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Test(args) => suite::run(&args),
        Command::CheckLayers => layers::check(),
        Command::CheckDeps => deps::check(),
        Command::CheckSizes => sizes::check(),
        Command::CheckDocs(args) => docs::run(&args),
        Command::Prove(args) => prove::run(&args),
        Command::BenchEdge(args) => bench::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the checkout.
fn root() -> std::path::PathBuf {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}
