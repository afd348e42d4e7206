//! `cutover status`: what is served to whom, where the rollout stands, whether a rollback would work.

use std::time::Duration;

use cutover_engine::control::Status;

use crate::{
    args::Output,
    context::Context,
    failure::{Exit, Failure},
    follow::link::Link,
    view::status,
};

/// Pause between two looks of `--watch`.
const PAUSE: Duration = Duration::from_secs(1);

/// Options of `status`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show it again every second, until interrupted; with JSON one document a line
    #[arg(long, short)]
    watch: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let client = context.client()?;
    if !args.watch {
        let now: Status = client.get("/v1/status")?;
        context.show(&status::StatusView(now));
        return Ok(Exit::Done);
    }
    let mut link = Link::new(context.places()?.state, client);
    loop {
        let Some(now) = link.ask::<Status>("/v1/status", |line| context.say(line))? else {
            std::thread::sleep(PAUSE);
            continue;
        };
        let view = status::StatusView(now);
        let shown = match context.output {
            Output::Human => status::redraw(&view),
            Output::Json => crate::view::show_line(&view),
        };
        // The reader has gone: `cutover status --watch | head`. All other trouble is told.
        if shown.is_err() {
            crate::view::written(shown)?;
            return Ok(Exit::Done);
        }
        std::thread::sleep(PAUSE);
    }
}
