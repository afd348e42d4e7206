//! `cutover resume`: lets a rollout that is paused go on, and gives one that is held another try.

use super::pause::{self, Args};
use crate::{
    context::Context,
    failure::{Exit, Failure},
};

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    pause::say(context, "/v1/resume", args)
}
