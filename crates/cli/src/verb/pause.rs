//! `cutover pause`: stops the open rollout where it is. What protects visitors still happens.

use cutover_engine::control::{PauseRequest, RolloutReport};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    view::rollout::report::Told,
};

/// Options of `pause`, also of `resume`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Why; recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    say(context, "/v1/pause", args)
}

/// Says a word to the open rollout and shows what it did.
pub(super) fn say(context: &Context, path: &str, args: &Args) -> Result<Exit, Failure> {
    let request = PauseRequest { reason: args.reason.clone() };
    let report: RolloutReport = context.client()?.post(path, &request)?;
    context.show(&Told(report));
    Ok(Exit::Done)
}
