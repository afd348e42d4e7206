//! `cutover approve`: a person's answer to a gate that asks for one.

use cutover_engine::control::{ApproveRequest, RolloutReport};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    view::rollout::report::Told,
};

/// Options of `approve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which gate [default: the one that asks]
    gate: Option<String>,
    /// Say no: the gate fails, and visitors go back
    #[arg(long, requires = "reason")]
    reject: bool,
    /// Why; recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let request =
        ApproveRequest { gate: args.gate.clone(), reject: args.reject, reason: args.reason.clone() };
    let report: RolloutReport = context.client()?.post("/v1/approve", &request)?;
    context.show(&Told(report));
    Ok(Exit::Done)
}
