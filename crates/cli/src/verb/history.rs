//! `cutover history`: what happened.

use cutover_engine::control::HistoryEntry;

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
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let entries: Vec<HistoryEntry> = context.client()?.get(&format!("/v1/history?limit={}", args.limit))?;
    context.show(&view::history::History(entries));
    Ok(Exit::Done)
}
