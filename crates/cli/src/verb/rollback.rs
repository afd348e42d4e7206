//! `cutover rollback`: takes visitors back to the release before, with one routing write, from any step of a rollout and
//! after it.

use cutover_engine::control::{RollbackRequest, SwitchReport};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    view::reports::Switched,
};

/// Options of `rollback`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Move open pages too, at once, instead of at their next load
    #[arg(long)]
    now: bool,
    /// Why; recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let request = RollbackRequest { now: args.now, reason: args.reason.clone() };
    let report: SwitchReport = context.client()?.post("/v1/rollback", &request)?;
    let undo = report.from.filter(|_| report.changed);
    context.show(&Switched(report));
    if let Some(left) = undo {
        context.advise("undo", format_args!("cutover promote {left}"));
    }
    Ok(Exit::Done)
}
