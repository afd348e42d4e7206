//! `cutover resume`: lets a rollout that is paused go on, and gives one that is held another try.

use cutover_engine::control::{PauseRequest, RolloutReport};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    view::rollout::report::Told,
};

/// Options of `resume`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Why; recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let request = PauseRequest { reason: args.reason.clone() };
    let report: RolloutReport = context.client()?.post("/v1/resume", &request)?;
    context.show(&Told(report));
    Ok(Exit::Done)
}
