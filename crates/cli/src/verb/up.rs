//! `cutover up`: the edge and the controller in one process, in the foreground.

use std::{net::SocketAddr, path::PathBuf};

use serde::Serialize;
use tokio::signal::unix::SignalKind;

use crate::{
    context::Context,
    failure::{Exit, Failure},
    up::{Instance, Options, logging, signals},
    view::{
        View,
        page::{Page, STRONG, paint},
    },
};

/// Options of `up`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address for visitors [default: listen in the section edge]; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address for commands [default: control in the section edge]; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    control: Option<SocketAddr>,
    /// How the log on stderr is written; CUTOVER_LOG=debug logs more
    #[arg(long, value_enum, value_name = "FORM", default_value_t)]
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
}

impl View for Running {
    fn human(&self, page: &mut Page) {
        page.field("app", paint(STRONG, &self.app));
        page.field("visitors", paint(STRONG, &self.url));
        page.field("commands", self.control);
        page.field("state", self.state.display());
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
    context.show(&Running {
        app: instance.app().to_owned(),
        url: instance.url().to_owned(),
        listen: instance.edge_addr(),
        control: instance.control_addr(),
        state: instance.state().to_owned(),
        pid: std::process::id(),
    });
    context.advise("next", "cutover deploy, in another terminal");
    instance.runtime().block_on(async {
        let mut hangup = signals::listen(SignalKind::hangup());
        loop {
            tokio::select! {
                () = signals::asked_to_end() => return,
                () = signals::asked_to_reload(&mut hangup) => instance.reload_tls(),
            }
        }
    });
    tracing::info!("ending: requests under way are finished first; a second signal ends at once");
    instance.runtime().spawn(async {
        signals::asked_to_end().await;
        std::process::exit(130);
    });
    instance.stop();
    Ok(Exit::Done)
}
