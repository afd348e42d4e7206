//! `cutover up`: the edge and the controller in one process, in the foreground.

use std::{net::SocketAddr, path::PathBuf};

use crate::{
    args::Output,
    context::Context,
    failure::{Exit, Failure},
    up::{
        Instance, Options, logging,
        signals::{Asked, Signals},
    },
    view::{
        View, error,
        page::{Page, RED, STRONG, paint},
    },
};
use cutover_engine::Error;
use serde::Serialize;

/// Options of `up`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address for visitors [default: listen in the section edge]; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address for commands [default: control in the section edge]; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    control: Option<SocketAddr>,
    /// How the log on stderr is written: human or json; CUTOVER_LOG=debug logs more
    #[arg(long, value_enum, value_name = "FORM", default_value_t, hide_possible_values = true)]
    log: logging::Form,
}

/// Where everything is, once it runs.
#[derive(Debug, Serialize)]
struct Running {
    app: String,
    url: String,
    listen: SocketAddr,
    control: SocketAddr,
    state: PathBuf,
    pid: u32,
    /// Why the controller is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Error>,
}

impl View for Running {
    fn human(&self, page: &mut Page) {
        page.field("app", paint(STRONG, &self.app));
        page.field("visitors", paint(STRONG, &self.url));
        page.field("commands", self.control);
        page.field("state", self.state.display());
        if self.problem.is_some() {
            page.line(paint(
                RED,
                "serving the sites served last, without services; no command can be carried out",
            ));
        }
    }
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    logging::begin(context, args.log, "info");
    let places = context.places()?;
    let instance = Instance::start(Options {
        config: places.config,
        state: places.state,
        listen: args.listen,
        control: args.control,
    })?;
    // Listened to before anybody can know that it runs.
    let mut signals = instance.runtime().block_on(async { Signals::listen() });
    context.show(&Running {
        app: instance.app().to_owned(),
        url: instance.url().to_owned(),
        listen: instance.edge_addr(),
        control: instance.control_addr(),
        state: instance.state().to_owned(),
        pid: std::process::id(),
        problem: instance.problem().cloned(),
    });
    match instance.problem() {
        Some(why) if context.output == Output::Human => crate::view::say(error::human(why).trim_end()),
        Some(_) => {}
        None => context.advise("next", "cutover deploy, in another terminal"),
    }
    instance.runtime().block_on(async {
        while signals.next().await == Asked::Reload {
            instance.reload().await;
        }
    });
    tracing::info!("ending: requests under way are finished first; a second signal ends at once");
    instance.runtime().spawn(async move {
        signals.end().await;
        std::process::exit(130);
    });
    instance.stop();
    Ok(Exit::Done)
}
