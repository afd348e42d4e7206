//! The `cutover` command: the only place where the parts are put together.
//!
//! Reads the command line, hands it to the verb's file under [`verb`], and turns what comes back into output and an
//! exit code. Data goes to stdout, everything else to stderr.

mod args;
mod client;
mod confirm;
mod context;
mod demo;
mod example;
mod failure;
mod follow;
mod git;
mod places;
mod up;
mod verb;
mod view;

use std::{io::Write, panic::AssertUnwindSafe, process::ExitCode};

use clap::Parser;

use crate::{
    args::{Cli, Output, Verb},
    context::Context,
    failure::{Exit, Failure},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    report_panics();
    let mut words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    // Two hidden commands serve other parts of the program. They are told apart before the command line is parsed, because
    // everything after their name belongs to them.
    let run = move || match words.next().as_deref() {
        Some("shim") => cutover_embedded::process::shim_main(words.collect()),
        Some("example") => example::example_main(words.collect()),
        _ => command(),
    };
    std::panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Exit::Bug.into())
}

fn command() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    let context = Context::new(&cli.global);
    let exit = dispatch(&context, cli.verb).unwrap_or_else(|failure| {
        view::error::show(&failure, context.output);
        failure.exit
    });
    context.exit(exit).into()
}

fn dispatch(context: &Context, verb: Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Demo(args) => demo::run(context, &args),
        Verb::Init(args) => verb::init::run(context, &args),
        Verb::Up(args) => verb::up::run(context, &args),
        Verb::Stage(args) => verb::stage::run(context, &args),
        Verb::Plan(args) => verb::plan::run(context, &args),
        Verb::Deploy(args) => verb::deploy::run(context, &args),
        Verb::Preview(args) => verb::preview::run(context, &args),
        Verb::Promote(args) => verb::promote::run(context, &args),
        Verb::Pause(args) => verb::pause::run(context, &args),
        Verb::Resume(args) => verb::resume::run(context, &args),
        Verb::Approve(args) => verb::approve::run(context, &args),
        Verb::Rollback(args) => verb::rollback::run(context, &args),
        Verb::Withdraw(args) => verb::withdraw::run(context, &args),
        Verb::Retire(args) => verb::retire::run(context, &args),
        Verb::Status(args) => verb::status::run(context, &args),
        Verb::Wait(args) => verb::wait::run(context, &args),
        Verb::Releases(args) => verb::releases::run(context, &args),
        Verb::History(args) => verb::history::run(context, &args),
        Verb::Explain(args) => verb::explain::run(context, &args),
    }
}

/// Shows help and version as clap renders them; usage errors too, unless the command line asked for JSON.
fn usage(error: &clap::Error) -> Exit {
    use clap::error::ErrorKind;
    let wanted = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if !wanted && args::asks_for_json(std::env::args()) {
        view::error::show(&Failure::usage(error), Output::Json);
        return Exit::Usage;
    }
    let printed = error.print().and_then(|()| std::io::stdout().flush());
    if error.use_stderr() {
        // Nothing is left to say when even this cannot be written.
        return Exit::Usage;
    }
    let Err(unwritten) = view::written(printed) else { return Exit::Done };
    view::error::show(&unwritten.into(), Output::Human);
    Exit::Failed
}

/// A panic is a bug of ours and says so, with what is needed to report it.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let mut stderr = anstream::stderr();
        let _ = writeln!(stderr, "error: cutover met a bug of its own: {panic}");
        let _ = writeln!(
            stderr,
            "hint: please report it with the command you ran and cutover {}",
            env!("CARGO_PKG_VERSION")
        );
    }));
}
