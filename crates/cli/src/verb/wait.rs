//! `cutover wait`: for scripts that need to know what became of a release, whoever deploys or promotes it.

use crate::{
    context::Context,
    failure::{Exit, Failure},
    follow::{self, How, Wanted, interrupt::Interrupt, link::Link},
};

/// Options of `wait`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id, its start, or name of the release
    #[arg(long, value_name = "RELEASE")]
    release: String,
    #[command(flatten)]
    how: How,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen();
    let client = context.client()?;
    let release = super::find_release(&client, &args.release)?.id;
    let wanted = Wanted { release, rollout: None };
    let link = Link::new(context.places()?.state, client);
    let waited = follow::until_decided(context, link, wanted, &args.how, &interrupt)?;
    let exit = waited.outcome.exit();
    context.show(&waited);
    Ok(exit)
}
