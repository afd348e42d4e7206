//! What the proofs about rollouts share: how the shop is released in steps, and what is read of a rollout from outside.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use cutover_routing::ReleaseId;
use cutover_testkit::{
    crowd::{Crowd, CrowdPlan, Sight},
    world::World,
};
use serde_json::Value;

/// What the shop's pages ask: the second may fail on the bad release, the first never does and says who answers.
pub(crate) const CALLS: [&str; 3] = ["/api/version", "/api/products", "/api/products/mug"];

/// An answer slower than this is slow, in milliseconds. The bad release's slow answers take 900 ms.
pub(crate) const SLOW_MS: u64 = 500;

/// How a release of the shop replaces another.
pub(crate) struct Steps<'a> {
    pub(crate) strategy: &'a str,
    pub(crate) hold: &'a str,
    pub(crate) bake: &'a str,
    pub(crate) quiet: &'a str,
    /// Where visitors are compared: `steps` or `bake`.
    pub(crate) judged: &'a str,
    /// How much worse is too much, in percentage points of visitors.
    pub(crate) worse_by: &'a str,
    /// Whether anything depends on what the comparisons say.
    pub(crate) required: bool,
}

impl Steps<'_> {
    /// The end of a `cutover.toml`.
    pub(crate) fn text(&self) -> String {
        let Self { strategy, hold, bake, quiet, judged, worse_by, required } = self;
        let gate = |name: &str| {
            format!(
                "[[gate]]\nname = \"{name}\"\nrequired = {required}\ncompare = {{ metric = \"{name}\", worse_by = \
                 \"{worse_by}\" }}\nat = [\"{judged}\"]\n\n"
            )
        };
        format!(
            "[rollout]\nstrategy = \"{strategy}\"\nhold = \"{hold}\"\nbake = \"{bake}\"\nslow = \"{SLOW_MS}ms\"\ndrain \
             = {{ quiet = \"{quiet}\", at_most = \"1h\" }}\n\n{}{}",
            gate("errors"),
            gate("slow")
        )
    }
}

/// A crowd of visitors of a world.
pub(crate) fn visitors(world: &World, arrivals: u32, robbed: u64, seed: u64) -> CrowdPlan {
    CrowdPlan {
        to: world.address(),
        host: world.address().to_string(),
        arrivals,
        returning: 50,
        calls: CALLS.to_vec(),
        pause_ms: 200,
        robbed,
        seed,
    }
}

/// A rollout as the control API tells it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) green: String,
    pub(crate) phase: String,
    pub(crate) step: String,
    pub(crate) share: u64,
    pub(crate) waiting: String,
    pub(crate) undo: Option<String>,
    pub(crate) baked: bool,
}

impl Seen {
    /// Whether it moves visitors to this release.
    pub(crate) fn is_of(&self, green: ReleaseId) -> bool {
        self.green == green.as_str()
    }

    /// Whether it may send visitors elsewhere at any moment.
    pub(crate) fn moves_visitors(&self) -> bool {
        matches!(self.phase.as_str(), "preparing" | "testing" | "shifting" | "promoting")
            || (self.phase == "going-back" && self.step == "return")
    }

    /// Nothing happens any more by itself, or it waits for a person.
    pub(crate) fn rests(&self) -> bool {
        matches!(self.phase.as_str(), "done" | "rolled-back" | "superseded" | "held")
    }
}

/// The newest rollout.
pub(crate) fn newest(world: &World) -> Result<Option<Seen>, String> {
    let rollouts = world.api("/v1/rollouts?limit=1")?;
    let of = &rollouts[0];
    let text = |name: &str| of[name].as_str().unwrap_or_default().to_owned();
    Ok(of["id"].as_str().map(|id| Seen {
        id: id.to_owned(),
        green: text("green"),
        phase: text("phase"),
        step: text("step"),
        share: of["share"].as_u64().unwrap_or(0),
        waiting: text("waiting"),
        undo: of["undo"].as_str().map(str::to_owned),
        baked: of["baked"].as_bool().unwrap_or(false),
    }))
}

/// Looks at the newest rollout ten times a second until `done`; every look is given to `each`.
pub(crate) async fn follow(
    world: &World,
    longest: Duration,
    mut each: impl FnMut(&Seen),
    done: impl Fn(&Seen) -> bool,
) -> Result<Seen, String> {
    let deadline = Instant::now() + longest;
    let mut last = None;
    while Instant::now() < deadline {
        if let Some(seen) = newest(world)? {
            each(&seen);
            if done(&seen) {
                return Ok(seen);
            }
            last = Some(seen);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("not where it should be after {longest:?}: {last:?}"))
}

/// Waits until so many visitors have been here.
pub(crate) async fn until_visited(crowd: &Crowd, requests: usize) {
    while crowd.look(<[Sight]>::len) < requests {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The lines of a rollout's story, each with its Unix milliseconds.
pub(crate) fn story(world: &World, rollout: &str) -> Result<Vec<(u64, String)>, String> {
    let story = world.must(&["explain", "rollout", rollout])?.json;
    let lines = story["lines"].as_array().ok_or_else(|| format!("explain rollout said {story}"))?;
    let line = |line: &Value| Some((line["at"].as_u64()?, line["says"].as_str()?.to_owned()));
    Ok(lines.iter().filter_map(line).collect())
}

/// When the edge had acknowledged the write that sent visitors back: its outcome in the records, Unix milliseconds.
pub(crate) fn sent_back_at(story: &[(u64, String)]) -> Option<u64> {
    let after = story.iter().position(|(_, says)| says.starts_with("going back"))?;
    let (_, about) = story[after..].iter().find(|(_, says)| says.contains("about to send visitors back"))?;
    let id = about.split(": ").next()?;
    let done = format!("{id}: done");
    story[after..].iter().find(|(_, says)| says.starts_with(&done)).map(|(at, _)| *at)
}

/// Answers in which the header and the body name different releases, and answers on a page that came from another
/// release and do not say that they are stale.
pub(crate) fn mixed(sights: &[Sight]) -> Vec<String> {
    let wrong = |sight: &&Sight| {
        let other_body = sight.said.is_some() && sight.said != sight.release;
        let other_page = sight.status != 0
            && !sight.stale
            && sight.document.is_some()
            && sight.release.is_some()
            && sight.document != sight.release;
        other_body || other_page
    };
    let said = |sight: &Sight| match sight.said {
        Some(said) => format!("{}, the body says {said}", sight.line()),
        None => sight.line(),
    };
    sights.iter().filter(wrong).map(said).collect()
}

/// Distinct visitors of some sights.
pub(crate) fn visitors_of<'a>(sights: impl Iterator<Item = &'a Sight>) -> usize {
    sights.map(|sight| sight.visitor).collect::<BTreeSet<u32>>().len()
}

/// Whether a page of this release had trouble that its gates look for.
pub(crate) fn harmed(sight: &Sight, release: ReleaseId) -> bool {
    sight.release == Some(release)
        && (sight.status >= 500 || sight.took() > Duration::from_millis(SLOW_MS))
        && !sight.is_navigation()
}

/// The value under which so much of all values lies.
pub(crate) fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a length")]
    let at = (sorted.len() as f64 * part) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moment_visitors_were_sent_back_is_the_outcome_of_that_write() {
        let lines = [
            (1, "ro-1/3#1: about to send 5% of visitors to bbbbbbbb"),
            (2, "ro-1/3#1: done, generation 7"),
            (9, "going back: gate errors failed: worse; bbbbbbbb is closed at once"),
            (9, "ro-1/u1.0#1: about to send visitors back to aaaaaaaa; what is left is closed"),
            (14, "ro-1/u1.0#1: done, generation 8"),
            (15, "every edge runs generation 8"),
        ];
        let lines = lines.map(|(at, says)| (at, says.to_owned()));
        assert_eq!(sent_back_at(&lines), Some(14));
        assert_eq!(sent_back_at(&lines[..4]), None);
    }

    #[test]
    fn quantiles_of_few_values() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 1.0), 3.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
