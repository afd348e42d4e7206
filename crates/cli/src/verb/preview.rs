//! `cutover preview`: makes a link that shows one release to its holder.

use cutover_engine::control::{PreviewReport, PreviewRequest};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    view::reports::Preview,
};

/// Options of `preview`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id, its start, or name of the release
    release: String,
    /// Seconds the preview lasts once entered, at most a day [default: a day]
    #[arg(long, value_name = "SECONDS")]
    lasts: Option<u64>,
    /// The path to open
    #[arg(long, value_name = "PATH")]
    to: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let client = context.client()?;
    let request = PreviewRequest { lasts: args.lasts, to: args.to.clone() };
    let path = super::release_path(&args.release, "preview");
    let report: PreviewReport = client.post(&path, &request)?;
    let left = report.link_expires.saturating_sub(crate::view::text::now_ms() / 1000);
    context.show(&Preview(report));
    if context.at_terminal() {
        context.say(format_args!("open it within {} minutes; anybody who has it can", left.div_ceil(60)));
    }
    Ok(Exit::Done)
}
