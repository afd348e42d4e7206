//! `cutover pause`: stops the open rollout where it is. What protects visitors still happens.

use cutover_engine::control::{PauseRequest, RolloutReport};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    view::rollout::report::Told,
};

/// Options of `pause`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Why; recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let request = PauseRequest { reason: args.reason.clone() };
    let report: RolloutReport = context.client()?.post("/v1/pause", &request)?;
    context.show(&Told(report));
    Ok(Exit::Done)
}
