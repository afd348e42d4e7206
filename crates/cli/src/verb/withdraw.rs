//! `cutover withdraw`: closes a release for everybody and bars it from promotion.

use cutover_engine::control::{SwitchReport, WithdrawRequest};

use crate::{
    confirm::confirm,
    context::Context,
    failure::{Exit, Failure},
    view::reports::Switched,
};

/// Options of `withdraw`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id, its start, or name of the release
    release: String,
    /// Remove its files and processes at once
    #[arg(long, conflicts_with = "pardon")]
    purge: bool,
    /// Lift an earlier withdrawal instead
    #[arg(long)]
    pardon: bool,
    /// Why; recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let client = context.client()?;
    if !args.pardon {
        let and = if args.purge { " and remove its files" } else { "" };
        confirm(context, &format!("Withdraw {}{and}? Visitors on it are moved at once.", args.release))?;
    }
    let request = WithdrawRequest { purge: args.purge, pardon: args.pardon, reason: args.reason.clone() };
    let report: SwitchReport = client.post(&super::release_path(&args.release, "withdraw"), &request)?;
    let undo = report.changed && !args.purge && !args.pardon;
    context.show(&Switched(report));
    if undo {
        context.advise("undo", format_args!("cutover withdraw {} --pardon", args.release));
    }
    Ok(Exit::Done)
}
