//! The example shop, whole inside the binary: its sources, the small build that gives every file a name made of its
//! content, and the service behind it. `cutover demo` releases it with nothing installed but the binary itself.
//!
//! Three variants exist. `one` and `two` are good and differ in what visitors see and in the shape of what the service
//! answers, so that a page of one that is answered by the other breaks where everybody can see it. `bad` looks like
//! the next step after `two`; its health check passes, and a share of its answers are errors or slow.

mod answers;
mod api;
mod build;
mod catalogue;
mod endpoints;
mod faults;
mod login;
mod release;
mod sessions;
mod sources;
mod view;

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;

pub(crate) use release::{BuildOptions, SLOW, Steps, write_release};

/// The steps of a gradual release that somebody looks at.
const BY_HAND: Steps = Steps { strategy: "5%, 25%, 50%, 100%", hold: "20s", bake: "30s" };

/// Which release of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Variant {
    /// The first: prices are numbers.
    One,
    /// The second: new layout, rooms, favourites; prices are amounts with a currency.
    Two,
    /// The third: looks well, answers badly.
    Bad,
}

impl Variant {
    /// The word for it on the command line and in the sources.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Two => "two",
            Self::Bad => "bad",
        }
    }
}

/// Serves and builds the example shop
#[derive(Debug, clap::Parser)]
#[command(name = "cutover example")]
struct ExampleArgs {
    #[command(subcommand)]
    command: ExampleCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ExampleCommand {
    /// Serve the shop's API on 127.0.0.1, port from PORT, data below CUTOVER_DATA or in memory
    Api {
        /// Which release of the shop
        #[arg(long)]
        variant: Variant,
    },
    /// Write one release of the shop: dist, api and cutover.toml
    Build {
        /// Which release of the shop
        #[arg(long)]
        variant: Variant,
        /// Directory to write to; created if missing
        #[arg(long)]
        out: PathBuf,
        /// Register a cache-first service worker
        #[arg(long)]
        worker: bool,
        /// Let visitors move in steps, each judged by the errors and slow answers they meet
        #[arg(long)]
        gradual: bool,
        /// Address visitors use
        #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))]
        listen: SocketAddr,
        /// Address of the control API
        #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 9400)))]
        control: SocketAddr,
    },
}

/// Runs the hidden `example` command with the words after its name. Blocks; makes its own runtime.
pub(crate) fn example_main(words: Vec<String>) -> ExitCode {
    let words = std::iter::once("cutover example".to_owned()).chain(words);
    let args = match ExampleArgs::try_parse_from(words) {
        Ok(args) => args,
        Err(error) => {
            // Where it cannot be printed, the exit code still says it.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let result = match args.command {
        ExampleCommand::Api { variant } => api::run(variant).map_err(|error| error.to_string()),
        ExampleCommand::Build { variant, out, worker, gradual, listen, control } => std::env::current_exe()
            .map_err(|error| format!("cannot tell where this program lies: {error}"))
            .and_then(|command| {
                let host = listen.ip().to_string();
                let steps = gradual.then_some(BY_HAND);
                write_release(&out, &BuildOptions { variant, worker, host, listen, control, command, steps })
                    .map_err(|error| error.to_string())
            })
            .map(|_| ()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Nothing is left to do where even stderr is gone.
            let _ = writeln!(std::io::stderr(), "error: {message}");
            ExitCode::FAILURE
        }
    }
}
