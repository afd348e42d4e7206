//! `cutover history`: what happened.

use cutover_engine::control::{HistoryEntry, RolloutView};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    view,
};

/// Options of `history`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Most entries to show
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 20)]
    limit: u32,
    /// Show rollouts instead, each with how it ended; at most 100
    #[arg(long)]
    rollouts: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    if args.rollouts {
        let limit = args.limit.min(100);
        let rollouts: Vec<RolloutView> = context.client()?.get(&format!("/v1/rollouts?limit={limit}"))?;
        context.show(&view::rollout::list::Rollouts(rollouts));
        return Ok(Exit::Done);
    }
    let entries: Vec<HistoryEntry> = context.client()?.get(&format!("/v1/history?limit={}", args.limit))?;
    context.show(&view::history::History(entries));
    Ok(Exit::Done)
}
