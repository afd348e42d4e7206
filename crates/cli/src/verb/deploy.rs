//! `cutover deploy`: stages a release and moves visitors to it.

mod unreported;

use std::{cell::Cell, time::Duration};

use cutover_engine::{
    Error, ErrorKind,
    control::{DeployReport, RolloutView},
};

use super::stage;
use crate::{
    client::{self, Client},
    context::Context,
    failure::{Exit, Failure},
    follow::{self, How, Wanted, interrupt::Interrupt, link::Link, opened::Deployment},
    view::{
        progress::Steps,
        reports::Deployed,
        rollout::end::{Outcome, Waited},
    },
};

/// Longest time from Ctrl-C until it is answered.
const POLL_MS: u64 = 500;

/// Options of `deploy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    stage: stage::Args,
    /// In which steps, instead of the description's `rollout.strategy`: such as `instant` or `5% for 10m, 100%`
    #[arg(long, value_name = "STEPS")]
    strategy: Option<String>,
    /// Promote without running the gates; the reason is recorded
    #[arg(long, value_name = "REASON")]
    skip_gates: Option<String>,
    /// Wait until the release is promoted and its bake is over, or has lost its chance
    #[arg(long)]
    wait: bool,
    /// With --wait: longest wait [default: 10m and twice what the holds take]
    #[arg(long, requires = "wait", value_name = "TIME", value_parser = cutover_engine::config::duration::parse)]
    timeout: Option<Duration>,
    /// With --wait: go on waiting while the rollout is held and needs a person
    #[arg(long, requires = "wait")]
    through_holds: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen();
    let client = context.client()?;
    let mut request = args.stage.request(&context.places()?);
    request.skip_gates.clone_from(&args.skip_gates);
    request.strategy.clone_from(&args.strategy);
    let deployment = Deployment::begin(client::who());
    let report = match begin(context, &client, &request, &deployment, &interrupt)? {
        Ok(report) => report,
        Err(error) if args.wait => {
            return unreported::follow(context, client, &deployment, error, args, &interrupt);
        }
        Err(error) => return Err(unreported::known(context, &deployment, error).into()),
    };
    let mut deployed = Deployed { report, end: None };
    if args.wait {
        wait(context, client, &mut deployed, args, &interrupt)?;
    } else {
        deployed.end = deployed.report.rollout.as_ref().and_then(rested);
    }
    let exit = deployed.end.as_ref().map_or(Exit::Done, |end| end.outcome.exit());
    advise(context, deployed);
    Ok(exit)
}

impl Args {
    fn how(&self) -> How {
        How { timeout: self.timeout, through_holds: self.through_holds }
    }
}

/// Gives the command and waits until the rollout first rests. The inner error is the deployment's, or that its controller
/// is lost; a rollout of it may be under way all the same.
fn begin(
    context: &Context,
    client: &Client,
    request: &cutover_engine::control::StageRequest,
    deployment: &Deployment,
    interrupt: &Interrupt,
) -> Result<Result<DeployReport, Error>, Failure> {
    let steps = Steps::begin(context, "deploying");
    let interrupted = Cell::new(false);
    let report = client.operation_while(
        "/v1/deploy",
        request,
        POLL_MS,
        |line| {
            deployment.hear(line);
            steps.step(line);
        },
        || {
            interrupted.set(interrupt.comes_within(Duration::ZERO));
            !interrupted.get()
        },
    );
    report.transpose().ok_or_else(goes_on)
}

/// Whoever waited for the deployment does not wait any longer.
fn goes_on() -> Failure {
    let error = Error::new(
        ErrorKind::Unavailable,
        "CUT0907",
        "interrupted; the controller goes on with the deployment",
    )
    .hint("cutover status shows where it is, cutover deploy joins it again")
    .hint("cutover rollback takes visitors back");
    Failure { exit: Exit::Interrupted, errors: vec![error] }
}

/// Follows the rollout to its end.
fn wait(
    context: &Context,
    client: Client,
    deployed: &mut Deployed,
    args: &Args,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let wanted = Wanted {
        release: deployed.report.stage.release.id,
        rollout: deployed.report.rollout.as_ref().map(|rollout| rollout.id.clone()),
    };
    let link = Link::new(context.places()?.state, client);
    let mut end = follow::until_decided(context, link, wanted, &args.how(), interrupt)?;
    // In one place of the document only.
    if let Some(seen) = end.rollout.take() {
        deployed.report.rollout = Some(*seen);
    }
    deployed.end = Some(end);
    Ok(())
}

/// What the rollout has come to before anybody waited for it, where it did not just begin well.
fn rested(rollout: &RolloutView) -> Option<Waited> {
    let outcome = match Outcome::of(rollout) {
        Some(Outcome::Active) => return None,
        Some(outcome) => outcome,
        // It has begun to go back: it ends there.
        None if rollout.undo.is_some() => Outcome::RolledBack,
        None => return None,
    };
    let mut end = Waited::for_rollout(rollout.clone(), outcome, 0);
    end.rollout = None;
    Some(end)
}

/// Shows the result and, to people, what is useful next.
fn advise(context: &Context, deployed: Deployed) {
    let undo = deployed.report.switch.as_ref().is_some_and(|switch| switch.changed && switch.from.is_some());
    let goes_on =
        deployed.end.is_none() && deployed.report.switch.is_none() && deployed.report.rollout.is_some();
    let id = deployed.report.stage.release.id;
    context.show(&deployed);
    if goes_on {
        context.advise("watch", "cutover status --watch");
        context.advise("wait", format_args!("cutover wait --release {id}"));
    }
    if undo || goes_on {
        context.advise("undo", "cutover rollback");
    }
}
