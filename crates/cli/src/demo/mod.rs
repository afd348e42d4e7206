//! `cutover demo`: the example shop released blue/green under live visitors, on this machine, with nothing to install.
//!
//! The shop is served by the same code as `cutover up`, in this process, and released through its control API, as the
//! other verbs do it. Everything lives in a temporary folder that goes when the demo ends.

mod acts;
mod board;
mod connection;
mod crowd;
mod encounters;
mod links;
mod random;
mod rollouts;
mod story;
mod summary;
mod tally;
mod visitor;
mod watcher;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use cutover_engine::{Error, ErrorKind};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    up::{Instance, Options, logging, signals::Signals},
};

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run through, print a summary, and end; exit 0 only if nothing failed and nothing was mixed
    #[arg(long)]
    once: bool,
    /// Only the bad release: it goes to 5 % of visitors, is found, and is sent back by nobody's command
    #[arg(long)]
    bad: bool,
    /// Address of the shop; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Visitors who stay and look at everything
    #[arg(long, value_name = "COUNT", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=500))]
    visitors: u16,
    /// Short visits that begin each second; they are what a gradual rollout is judged by
    #[arg(long, value_name = "PER_SECOND", default_value_t = 200, value_parser = clap::value_parser!(u16).range(20..=2000))]
    crowd: u16,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    logging::begin(context, logging::Form::Human, "error");
    let folder = tempfile::Builder::new()
        .prefix("cutover-demo-")
        .tempdir()
        .map_err(|error| trouble("making a temporary folder", error))?;
    let config = story::write_app(folder.path(), crate::example::Variant::One, args.listen, story::FIRST)?;
    let instance = Instance::start(Options {
        config,
        state: folder.path().join("state"),
        listen: Some(args.listen),
        control: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
    })?;
    let stop = Stop::on_signals(&instance);
    let result = story::tell(context, args, &instance, folder.path(), &stop);
    instance.stop();
    result
}

/// An error of the demo itself.
fn trouble(attempted: &str, cause: impl std::fmt::Display) -> Failure {
    Error::new(ErrorKind::Failed, "CUT0940", attempted).because(cause).into()
}

/// Whether a person has asked for the end.
#[derive(Debug, Clone)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// The first Ctrl-C asks for an orderly end, the second one ends at once.
    fn on_signals(instance: &Instance) -> Self {
        let asked = Arc::new(AtomicBool::new(false));
        let told = asked.clone();
        let mut signals = instance.runtime().block_on(async { Signals::listen() });
        instance.runtime().spawn(async move {
            loop {
                signals.end().await;
                if told.swap(true, SeqCst) {
                    std::process::exit(130);
                }
            }
        });
        Self(asked)
    }

    fn asked(&self) -> bool {
        self.0.load(SeqCst)
    }

    /// Waits; false when the end was asked for meanwhile.
    fn pause(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        self.wait_for(time, || Instant::now() >= until)
    }

    /// Waits until `done`, at most `longest`; false when it is not done by then or the end was asked for.
    fn wait_for(&self, longest: Duration, done: impl Fn() -> bool) -> bool {
        let until = Instant::now() + longest;
        loop {
            if self.asked() {
                return false;
            }
            if done() {
                return true;
            }
            if Instant::now() >= until {
                return done();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
