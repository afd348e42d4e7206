//! Waiting for what becomes of a release: follows its rollout, shows it, and says how it ended.
//!
//! The controller may be away meanwhile (a restart, a crash): the rollout goes on when it is back, and so does the
//! waiting.

pub(crate) mod interrupt;
mod left;
pub(crate) mod link;
pub(crate) mod opened;

use std::time::{Duration, Instant};

use cutover_engine::control::{Phase, Release, RolloutStory, RolloutView, Status, StepAt};
use cutover_routing::ReleaseId;

use crate::{
    context::Context,
    failure::Failure,
    verb,
    view::rollout::{
        end::{Outcome, Waited},
        live::Live,
    },
};
use interrupt::Interrupt;
use link::Link;

/// Pause between two looks.
pub(crate) const PAUSE: Duration = Duration::from_millis(250);

/// How long a release without a rollout is waited for, and a rollout beyond twice what its holds still take.
const USUAL: Duration = Duration::from_secs(600);

/// The stages that come after the bake: nobody waits for them.
const BEHIND: [&str; 3] = ["drain", "close", "settle"];

/// How to wait.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub(crate) struct How {
    /// Longest wait [default: 10m, and with a rollout twice what its holds take besides]
    #[arg(long, value_name = "TIME", value_parser = cutover_engine::config::duration::parse)]
    pub(crate) timeout: Option<Duration>,
    /// Go on waiting while the rollout is held and needs a person
    #[arg(long)]
    pub(crate) through_holds: bool,
}

/// What is waited for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) release: ReleaseId,
    /// Just this rollout of it; none: its newest.
    pub(crate) rollout: Option<String>,
}

/// Waits until it is decided what becomes of a release.
///
/// # Errors
/// When the controller refuses to tell, or stays away.
pub(crate) fn until_decided(
    context: &Context,
    link: Link,
    wanted: Wanted,
    how: &How,
    interrupt: &Interrupt,
) -> Result<Waited, Failure> {
    let mut waiting = Waiting {
        link,
        live: Live::begin(context, "waiting"),
        wanted,
        how: how.clone(),
        begun: Instant::now(),
        longest: how.timeout.unwrap_or(USUAL),
        seen: None,
        vain: None,
    };
    loop {
        if let Some(ended) = waiting.look()? {
            return Ok(ended);
        }
        let left = waiting.longest.saturating_sub(waiting.begun.elapsed());
        if left.is_zero() {
            return Ok(waiting.end(Outcome::TimedOut));
        }
        if interrupt.comes_within(PAUSE.min(left)) {
            return Ok(waiting.end(Outcome::Interrupted));
        }
    }
}

struct Waiting {
    link: Link,
    live: Live,
    wanted: Wanted,
    how: How,
    begun: Instant,
    longest: Duration,
    /// The rollout as it was seen last.
    seen: Option<RolloutView>,
    /// The newest rollout of all when the others were looked through in vain.
    vain: Option<Option<String>>,
}

impl Waiting {
    /// Looks once; the end, if it has come.
    fn look(&mut self) -> Result<Option<Waited>, Failure> {
        let Some(status) = self.link.ask::<Status>("/v1/status", |line| self.live.note(line))? else {
            return Ok(None);
        };
        let Some(rollout) = self.rollout(&status)? else {
            return Ok(self.without_rollout()?.map(|outcome| self.end(outcome)));
        };
        if self.seen.is_none() && self.how.timeout.is_none() {
            self.longest = self.begun.elapsed() + patience(&rollout);
        }
        self.live.show(&rollout, &status);
        let outcome = self.decided(&rollout, &status)?;
        self.seen = Some(rollout);
        Ok(outcome.map(|outcome| self.end(outcome)))
    }

    /// The rollout that is waited for, if there is one yet.
    fn rollout(&mut self, status: &Status) -> Result<Option<RolloutView>, Failure> {
        let is_it = |view: &RolloutView| match &self.wanted.rollout {
            Some(id) => view.id == *id,
            None => view.green == self.wanted.release,
        };
        // The newest of all is in the status already.
        if let Some(view) = status.rollout.as_ref().filter(|view| is_it(view)) {
            return Ok(Some(view.clone()));
        }
        let id = self.wanted.rollout.as_ref().or(self.seen.as_ref().map(|view| &view.id));
        if let Some(id) = id {
            let path = verb::rollout_path(id);
            return Ok(self
                .link
                .ask::<RolloutStory>(&path, |line| self.live.note(line))?
                .map(|story| story.rollout));
        }
        let newest = Some(status.rollout.as_ref().map(|view| view.id.clone()));
        if self.vain == newest {
            return Ok(None);
        }
        let all = self.link.ask::<Vec<RolloutView>>("/v1/rollouts?limit=100", |line| self.live.note(line))?;
        let found = all.as_ref().and_then(|all| all.iter().find(|view| is_it(view))).cloned();
        if found.is_none() && all.is_some() {
            self.vain = newest;
        }
        Ok(found)
    }

    /// What the rollout has come to. One that is over says what became of it, but not of what came after it.
    fn decided(&mut self, rollout: &RolloutView, status: &Status) -> Result<Option<Outcome>, Failure> {
        let outcome = Outcome::of(rollout);
        match outcome {
            Some(Outcome::Held) if self.how.through_holds => Ok(None),
            Some(Outcome::Active) if status.active != Some(rollout.green) => self.how_it_was_left(),
            // Its successor may have been taken back since.
            Some(Outcome::Superseded)
                if rollout.phase.is_over()
                    && status.active == Some(rollout.green)
                    && status.rollout.as_ref().is_some_and(|newest| newest.phase == Phase::RolledBack) =>
            {
                Ok(Some(Outcome::Active))
            }
            outcome => Ok(outcome),
        }
    }

    /// Of a release that never had a rollout, its own state tells.
    fn without_rollout(&mut self) -> Result<Option<Outcome>, Failure> {
        let id = self.wanted.release;
        let Some(all) = self.link.ask::<Vec<Release>>("/v1/releases", |line| self.live.note(line))? else {
            return Ok(None);
        };
        match left::state(&verb::pick(all, id.as_str())?) {
            left::State::Active => Ok(Some(Outcome::Active)),
            left::State::Pending => Ok(None),
            left::State::Withdrawn => Ok(Some(Outcome::RolledBack)),
            left::State::Left => self.how_it_was_left(),
        }
    }

    fn how_it_was_left(&mut self) -> Result<Option<Outcome>, Failure> {
        let history = self.link.ask::<Vec<_>>("/v1/history?limit=1000", |line| self.live.note(line))?;
        Ok(history.map(|history| left::how(&history, self.wanted.release)))
    }

    fn end(&mut self, outcome: Outcome) -> Waited {
        let longest = u64::try_from(self.longest.as_millis()).unwrap_or(u64::MAX);
        match self.seen.take() {
            Some(rollout) => Waited::for_rollout(rollout, outcome, longest),
            None => Waited::for_release(self.wanted.release, outcome, longest),
        }
    }
}

/// How long a rollout is waited for where nobody says: twice what its holds still take, and a while for all the rest.
fn patience(rollout: &RolloutView) -> Duration {
    let steps = rollout.plan.iter();
    let holds = steps.filter(|step| step.at != StepAt::Done && !BEHIND.contains(&step.stage.as_str()));
    let sum = holds.filter_map(|step| step.hold_ms).fold(0_u64, u64::saturating_add);
    USUAL.saturating_add(Duration::from_millis(sum.saturating_mul(2)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::rollout::fixtures;

    #[test]
    fn patience_counts_what_is_still_held_until_the_bake_is_over() {
        assert_eq!(patience(&fixtures::preparing()), Duration::from_secs(600 + 2 * (120 + 600)));
        assert_eq!(patience(&fixtures::baking()), Duration::from_secs(600 + 2 * 600));
        assert_eq!(patience(&fixtures::draining()), Duration::from_secs(600));
    }
}
