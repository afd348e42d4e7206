//! The rollouts of the play: a good release in steps, and a bad one that is found at its first step and sent back by
//! nobody's command.

use std::time::{Duration, Instant};

use cutover_engine::control::{DeployReport, Phase, RolloutStory, RolloutView, StoryLine};
use cutover_routing::ReleaseId;

use super::{
    story::{CAREFUL, End, GRADUAL, Story},
    summary::{BadRelease, Gradual},
};
use crate::{
    example::Variant,
    view::{
        page::{RED, paint},
        rollout::changes::changes,
    },
};

/// Longest time a rollout of the play may take: where visitors are few, evidence takes its time.
const LONGEST: Duration = Duration::from_secs(180);

/// Pause between two looks at a rollout.
const PAUSE: Duration = Duration::from_millis(200);

impl Story<'_> {
    /// Moves visitors to a good release in steps.
    pub(super) fn gradual(&self, two: ReleaseId) -> Result<Gradual, End> {
        self.board.say(format_args!(
            "release two is deployed in steps: {}; each is held {} while its errors and slow answers are compared",
            GRADUAL.strategy, GRADUAL.hold
        ));
        let began = Instant::now();
        let request = self.release(Variant::Two, GRADUAL)?;
        let report: DeployReport = self.client.operation("/v1/deploy", &request, |_| {})?;
        if report.stage.release.id != two {
            return Err(self.end("deploying release two", "its build is another release than the one staged"));
        }
        let end = self.follow(two, |rollout| rollout.baked)?;
        if !end.baked {
            return Err(
                self.end("rolling out release two", format!("its rollout came to an end: {}", end.waiting))
            );
        }
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.until_everybody_is_on(two)?;
        self.board
            .say(format_args!("every visitor is on two, {:.0} s after the command", took_ms as f64 / 1000.0));
        self.board.stand();
        Ok(Gradual { strategy: GRADUAL.strategy, took_ms })
    }

    /// A release that passes its health check and its gate and fails its visitors.
    pub(super) fn bad_release(&self, good: ReleaseId) -> Result<BadRelease, End> {
        // The good one has had visitors of its own, to compare with.
        self.live()?;
        let request = self.release(Variant::Bad, CAREFUL)?;
        self.board.say(format_args!("a bad release is deployed in steps: {}", CAREFUL.strategy));
        let report: DeployReport = self.client.operation("/v1/deploy", &request, |_| {})?;
        let bad = report.stage.release.id;
        self.board.introduce(bad, "bad");
        self.board.say(format_args!("it ({bad}) passes its checks and gets its first visitors"));
        let end = self.follow(bad, |rollout| rollout.baked)?;
        if end.phase != Phase::RolledBack {
            return Err(self.end("waiting for the bad release to be found", end.waiting));
        }
        let why = end.undo.clone().unwrap_or_default();
        self.board.say(paint(RED, format!("nobody said a word, and it is sent back: {why}")));
        self.until_everybody_is_on(good)?;
        let story: RolloutStory = self.client.get(&format!("/v1/rollouts/{}", end.id))?;
        let Some(sent_back) = sent_back_at(&story.lines) else {
            return Err(
                self.end("reading the rollout's story", "it does not tell when visitors were sent back")
            );
        };
        let met = self.tally.encounters().met(bad, sent_back);
        self.board.say(format_args!(
            "every visitor is on the good release; {} of {} had met the bad one",
            met.met, met.visitors
        ));
        self.live()?;
        self.board.stand();
        let counts = self.tally.picture().of(bad);
        let first_step = "5%";
        Ok(BadRelease {
            release: bad,
            requests: counts.requests,
            failures: counts.failures,
            first_step,
            met,
            gate: why,
            story,
        })
    }

    /// Tells what becomes of a rollout until it rests, or until `there`.
    fn follow(&self, green: ReleaseId, there: impl Fn(&RolloutView) -> bool) -> Result<RolloutView, End> {
        let until = Instant::now() + LONGEST;
        let mut last: Option<RolloutView> = None;
        while Instant::now() < until {
            let newest: Vec<RolloutView> = self.client.get("/v1/rollouts?limit=1")?;
            if let Some(rollout) = newest.into_iter().find(|rollout| rollout.green == green) {
                for line in changes(last.as_ref(), &rollout) {
                    self.board.say(line);
                }
                if rollout.phase.is_over() || rollout.phase == Phase::Held || there(&rollout) {
                    return Ok(rollout);
                }
                last = Some(rollout);
            }
            if !self.stop.pause(PAUSE) {
                return Err(End::Asked);
            }
        }
        let stands = last.map(|rollout| format!("{}: {}", rollout.step, rollout.waiting));
        Err(self.end("following the rollout", stands.unwrap_or_else(|| "there is none".to_owned())))
    }
}

/// When the edge had acknowledged the write that sent visitors back, Unix milliseconds: the outcome of that write.
fn sent_back_at(lines: &[StoryLine]) -> Option<u64> {
    let back = lines.iter().position(|line| line.says.starts_with("going back"))?;
    let mut after = lines.get(back..)?.iter();
    let about = after.find(|line| line.says.contains("about to send visitors back"))?;
    let done = format!("{}: done", about.says.split(": ").next()?);
    after.find(|line| line.says.starts_with(&done)).map(|line| line.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visitors_were_sent_back_when_that_write_had_its_outcome() {
        let line = |(at, says): (u64, &str)| StoryLine {
            seq: at,
            at,
            who: None,
            says: says.to_owned(),
            facts: Vec::new(),
        };
        let lines = [
            (1, "ro-1/3#1: about to send 5% of visitors to bbbbbbbb"),
            (2, "ro-1/3#1: done, generation 7"),
            (9, "going back: gate errors failed: worse; bbbbbbbb is closed at once"),
            (10, "ro-1/u1.0#1: about to send visitors back to aaaaaaaa; what is left is closed"),
            (14, "ro-1/u1.0#1: done, generation 8"),
        ]
        .map(line);
        assert_eq!(sent_back_at(&lines), Some(14));
        assert_eq!(sent_back_at(&lines[..4]), None);
        assert_eq!(sent_back_at(&lines[..2]), None);
    }
}
