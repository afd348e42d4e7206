//! `cutover deploy`: stages a release, runs the required gates, promotes it.

use cutover_engine::control::DeployReport;

use super::stage;
use crate::{
    context::Context,
    failure::{Exit, Failure},
    view::{progress::Steps, reports::Deployed},
};

/// Options of `deploy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    stage: stage::Args,
    /// Promote without running the gates; the reason is recorded
    #[arg(long, value_name = "REASON")]
    skip_gates: Option<String>,
    /// Wait for the end of the rollout; an instant one is always waited for
    #[arg(long)]
    wait: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let client = context.client()?;
    let mut request = args.stage.request(&context.places()?);
    request.skip_gates.clone_from(&args.skip_gates);
    let steps = Steps::begin(context, "deploying");
    let report: DeployReport = client.operation("/v1/deploy", &request, |line| steps.step(line))?;
    drop(steps);
    let undo = report.switch.as_ref().is_some_and(|switch| switch.changed && switch.from.is_some());
    context.show(&Deployed(report));
    if undo {
        context.advise("undo", "cutover rollback");
    }
    Ok(Exit::Done)
}
