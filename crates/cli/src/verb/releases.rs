//! `cutover releases`: every release that was staged and not forgotten.

use cutover_engine::control::Release;

use crate::{
    context::Context,
    failure::{Exit, Failure},
    view,
};

/// Options of `releases`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, _args: &Args) -> Result<Exit, Failure> {
    let releases: Vec<Release> = context.client()?.get("/v1/releases")?;
    context.show(&view::releases::Releases(releases));
    Ok(Exit::Done)
}
