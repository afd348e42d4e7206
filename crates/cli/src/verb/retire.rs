//! `cutover retire`: ends a release for good. The one verb that cannot be undone.

use cutover_engine::control::{RetireReport, RetireRequest};

use crate::{
    confirm::confirm,
    context::Context,
    failure::{Exit, Failure},
    view::reports::Retired,
};

/// Options of `retire`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id, its start, or name of the release
    release: String,
    /// Retire although requests still reach it
    #[arg(long, requires = "reason")]
    force: bool,
    /// Why; recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let client = context.client()?;
    confirm(context, &format!("Retire {}? This cannot be undone.", args.release))?;
    let request = RetireRequest { force: args.force, reason: args.reason.clone() };
    let report: RetireReport = client.post(&super::release_path(&args.release, "retire"), &request)?;
    context.show(&Retired(report));
    Ok(Exit::Done)
}
