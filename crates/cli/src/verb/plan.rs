//! `cutover plan`: what a deployment would do, what each step is likely to need, and nothing done.

use cutover_engine::control::{PlanReport, PlanRequest};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    view::plan::Plan,
};

/// Options of `plan`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id, its start, or name of a staged release [default: what `deploy` would stage now]
    release: Option<String>,
    /// Another strategy than the description's, such as `5% for 10m, 100%`
    #[arg(long, value_name = "STEPS")]
    strategy: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let client = context.client()?;
    let config = match args.release {
        Some(_) => None,
        None => Some(context.places()?.config),
    };
    let request = PlanRequest { config, release: args.release.clone(), strategy: args.strategy.clone() };
    let report: PlanReport = client.post("/v1/plan", &request)?;
    context.show(&Plan(report));
    Ok(Exit::Done)
}
