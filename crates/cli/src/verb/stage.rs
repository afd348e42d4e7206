//! `cutover stage`: builds a release beside the active one.

use cutover_engine::control::{StageReport, StageRequest};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    git,
    places::Places,
    view::{progress::Steps, reports::Staged},
};

/// Options of `stage`, also of `deploy`.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// A label for people, such as a version
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Option<String>,
    /// The commit it was built from [default: what git says]
    #[arg(long, value_name = "ID")]
    pub(crate) commit: Option<String>,
    /// Where all places are taken, close and retire the oldest release
    #[arg(long)]
    pub(crate) close_oldest: bool,
}

impl Args {
    /// The request these options make.
    pub(crate) fn request(&self, places: &Places) -> StageRequest {
        let folder = places.config.parent().unwrap_or(&places.config);
        StageRequest {
            config: places.config.clone(),
            name: self.name.clone(),
            commit: self.commit.clone().or_else(|| git::commit(folder)),
            close_oldest: self.close_oldest,
            skip_gates: None,
            strategy: None,
        }
    }
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let client = context.client()?;
    let request = args.request(&context.places()?);
    let steps = Steps::begin(context, "staging");
    let report: StageReport = client.operation("/v1/stage", &request, |line| steps.step(line))?;
    drop(steps);
    let id = report.release.id;
    context.show(&Staged(report));
    context.advise("look", format_args!("cutover preview {id}"));
    context.advise("next", format_args!("cutover promote {id}"));
    Ok(Exit::Done)
}
