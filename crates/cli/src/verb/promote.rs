//! `cutover promote`: makes a release the one that everybody gets; without one lets the open rollout go on to its next
//! step.

use cutover_engine::control::{PromoteRequest, SwitchReport};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    view::reports::Switched,
};

/// Options of `promote`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id, its start, or name of the release [default: the open rollout goes on; without one the newest staged release]
    release: Option<String>,
    /// Why it is promoted over failed or missing gates; recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let request = PromoteRequest { release: args.release.clone(), reason: args.reason.clone() };
    let report: SwitchReport = context.client()?.post("/v1/promote", &request)?;
    let undo = report.changed && report.from.is_some();
    context.show(&Switched(report));
    if undo {
        context.advise("undo", "cutover rollback");
    }
    Ok(Exit::Done)
}
