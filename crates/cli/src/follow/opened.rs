//! Finds the rollout a deployment has opened, where the deployment itself cannot say: it failed before visitors moved, or
//! its controller was gone before it answered. A rollout is in the journal, and goes on with the next controller.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use cutover_engine::{Error, control::RolloutView};
use cutover_routing::ReleaseId;

use super::{PAUSE, interrupt::Interrupt, link::Link};
use crate::{failure::Failure, view::text};

/// What is known of a deployment from outside.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// Unix milliseconds when it was asked for.
    begun: u64,
    /// In whose name.
    who: String,
    /// What it deploys, once it has said so.
    release: RefCell<Option<ReleaseId>>,
}

impl Deployment {
    /// One that is asked for now.
    pub(crate) fn begin(who: String) -> Self {
        Self { begun: text::now_ms(), who, release: RefCell::default() }
    }

    /// Takes in a line of its progress. It names the release as soon as that is staged, which is before a rollout of it
    /// is opened.
    pub(crate) fn hear(&self, line: &str) {
        let named = line.strip_prefix("release ").and_then(|line| {
            line.strip_suffix(" is staged").or_else(|| line.strip_suffix(" is staged already"))
        });
        if let Some(release) = named.and_then(|word| word.parse().ok()) {
            *self.release.borrow_mut() = Some(release);
        }
    }

    /// Whether this rollout is the deployment's: opened since by it, or one it has joined.
    fn has_opened(&self, rollout: &RolloutView) -> bool {
        let since = rollout.opened_at >= self.begun;
        match *self.release.borrow() {
            Some(release) => {
                rollout.green == release && (since || rollout.ended_at.is_none_or(|at| at >= self.begun))
            }
            None => since && rollout.opened_by == self.who,
        }
    }

    /// The rollout among these (newest first) that is the deployment's, if it has one.
    pub(crate) fn pick(&self, rollouts: Vec<RolloutView>) -> Option<RolloutView> {
        rollouts.into_iter().find(|rollout| self.has_opened(rollout))
    }

    /// Looks for its rollout. A controller that is away is waited for, as long as [`Link`] does.
    ///
    /// # Errors
    /// Why nobody knows, see [`NotFound`].
    pub(crate) fn find(
        &self,
        link: &mut Link,
        longest: Option<Duration>,
        interrupt: &Interrupt,
        note: impl Fn(&str),
    ) -> Result<Option<RolloutView>, NotFound> {
        let begun = Instant::now();
        loop {
            let all =
                link.ask::<Vec<RolloutView>>("/v1/rollouts?limit=100", &note).map_err(NotFound::Failed)?;
            if let Some(all) = all {
                return Ok(self.pick(all));
            }
            if longest.is_some_and(|longest| begun.elapsed() >= longest) {
                return Err(NotFound::TimedOut);
            }
            if interrupt.comes_within(PAUSE) {
                return Err(NotFound::Interrupted);
            }
        }
    }
}

/// Why nobody knows whether there is a rollout.
#[derive(Debug)]
pub(crate) enum NotFound {
    /// The controller refuses to tell, or stays away.
    Failed(Failure),
    /// It was not back in the time given.
    TimedOut,
    /// Whoever waited does not wait any longer.
    Interrupted,
}

/// What a lost deployment without a rollout is reported as.
pub(crate) fn nothing_begun(error: Error) -> Error {
    Error { hints: Vec::new(), ..error }
        .hint("no rollout was begun: visitors are where they were; give the command again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::rollout::fixtures;

    fn rollout(opened_at: u64, ended_at: Option<u64>) -> RolloutView {
        RolloutView { opened_at, ended_at, ..fixtures::holding() }
    }

    fn deployment(lines: &[&str]) -> Deployment {
        let deployment = Deployment { begun: 100, who: "ann".to_owned(), release: RefCell::default() };
        lines.iter().for_each(|line| deployment.hear(line));
        deployment
    }

    #[test]
    fn the_rollout_of_the_release_it_named_is_found_also_if_it_was_joined() {
        for line in ["release bbbbbbbb is staged", "release bbbbbbbb is staged already"] {
            let named = deployment(&["reading cutover.toml", line, "gate health: running"]);
            assert!(named.has_opened(&rollout(100, None)), "opened since");
            assert!(named.has_opened(&rollout(50, None)), "joined");
            assert!(named.has_opened(&rollout(50, Some(120))), "joined, and over since");
            assert!(!named.has_opened(&rollout(50, Some(60))), "an earlier one");
        }
        let other = deployment(&["release cccccccc is staged"]);
        assert!(!other.has_opened(&rollout(120, None)), "somebody else's");
    }

    #[test]
    fn without_a_name_only_what_the_same_person_opened_since_is_taken() {
        let unnamed = deployment(&["release bbbbbbbb retired to make room"]);
        let by = |who: &str, at| RolloutView { opened_by: who.to_owned(), ..rollout(at, None) };
        assert!(unnamed.has_opened(&by("ann", 100)));
        assert!(!unnamed.has_opened(&by("bob", 100)));
        assert!(!unnamed.has_opened(&by("ann", 99)));
        let newest_first = vec![by("bob", 130), by("ann", 120), by("ann", 110)];
        assert_eq!(unnamed.pick(newest_first).unwrap().opened_at, 120);
    }
}
