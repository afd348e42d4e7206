//! A deployment that comes back without its report: what its rollout comes to is followed all the same.

use cutover_engine::Error;

use super::{Args, goes_on};
use crate::{
    client::Client,
    context::Context,
    failure::{Exit, Failure},
    follow::{
        self, Wanted,
        interrupt::Interrupt,
        link::{Link, is_lost},
        opened::{Deployment, NotFound, nothing_begun},
    },
    view::{self, reports::Unreported, rollout::end::Outcome},
};

/// Follows the rollout of a deployment that ended with `error`, if it has one, and says how that ended.
///
/// # Errors
/// The deployment's own, where it has no rollout; when the controller stays away.
pub(super) fn follow(
    context: &Context,
    client: Client,
    deployment: &Deployment,
    error: Error,
    args: &Args,
    interrupt: &Interrupt,
) -> Result<Exit, Failure> {
    let lost = is_lost(&error);
    let mut link = Link::new(context.places()?.state, client);
    if lost {
        link.is_lost();
        context.say(format_args!("  the controller is lost, it is waited for: {}", error.message));
    }
    let found =
        deployment.find(&mut link, args.timeout, interrupt, |line| context.say(format_args!("  {line}")));
    let rollout = match found {
        Ok(Some(rollout)) => rollout,
        Ok(None) if lost => return Err(nothing_begun(error).into()),
        Ok(None) => return Err(error.into()),
        Err(NotFound::Failed(failure)) if lost => return Err(failure),
        Err(NotFound::Failed(_)) => return Err(error.into()),
        Err(NotFound::TimedOut) => return Err(Failure { exit: Exit::TimedOut, errors: vec![error] }),
        Err(NotFound::Interrupted) => return Err(goes_on()),
    };
    let wanted = Wanted { release: rollout.green, rollout: Some(rollout.id) };
    let mut end = follow::until_decided(context, link, wanted, &args.how(), interrupt)?;
    let exit = end.outcome.exit();
    if !lost && end.outcome != Outcome::Active {
        // Why it failed is more than the rollout tells: a gate's last words, a service's log.
        view::error::show(&Failure { exit, errors: vec![error] }, context.output);
    }
    let rollout = end.rollout.take();
    context.show(&Unreported { rollout, end });
    Ok(exit)
}

/// The error of a deployment that nobody waits for, with what can be known of its rollout right now.
pub(super) fn known(context: &Context, deployment: &Deployment, error: Error) -> Error {
    if !is_lost(&error) {
        return error;
    }
    let rollouts = context
        .client()
        .map_err(|failure| failure.errors)
        .and_then(|client| client.get("/v1/rollouts?limit=100").map_err(|error| vec![error]));
    match rollouts.map(|all| deployment.pick(all)) {
        Ok(Some(rollout)) if rollout.phase.is_over() => {
            error.hint(format!("cutover explain rollout {} tells how it ended", rollout.id))
        }
        Ok(Some(rollout)) => error
            .hint(format!("its rollout {} goes on, at {}", rollout.id, rollout.step))
            .hint(format!("cutover wait --release {} waits for its end", rollout.green)),
        Ok(None) => nothing_begun(error),
        // Nobody is there to tell.
        Err(_) => error.hint("a rollout that was begun goes on as soon as cutover up runs again"),
    }
}
