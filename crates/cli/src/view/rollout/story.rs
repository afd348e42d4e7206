//! A rollout as a story: who did what, when, why, and on which facts how old.

use cutover_engine::control::{HistoryEntry, Phase, RolloutStory, StoryLine};
use serde::Serialize;

use super::{phase, section, standing, way};
use crate::view::{
    View,
    page::{DIM, Page, paint},
    text,
};

/// What `cutover explain rollout` shows.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Story(pub(crate) RolloutStory);

impl View for Story {
    fn human(&self, page: &mut Page) {
        let rollout = &self.0.rollout;
        if rollout.phase.is_over() {
            page.field("rollout", &rollout.id);
            page.field("releases", way(rollout));
            page.field("ended", phase(rollout.phase));
            if rollout.phase != Phase::Done {
                page.field("because", standing(rollout));
            }
        } else {
            section::rollout(page, rollout);
        }
        page.field("opened", format_args!("{} by {}", text::moment(rollout.opened_at), rollout.opened_by));
        if let Some(ended) = rollout.ended_at {
            page.field("took", text::span(ended.saturating_sub(rollout.opened_at)));
        }
        page.gap();
        for event in timeline(&self.0) {
            draw(page, rollout.opened_at, &event);
        }
    }
}

/// One thing on the line of time.
enum Event<'a> {
    Record(&'a StoryLine),
    Entry(&'a HistoryEntry),
}

impl Event<'_> {
    fn at(&self) -> u64 {
        match self {
            Self::Record(line) => line.at,
            Self::Entry(entry) => entry.at,
        }
    }
}

/// Records and history in one order. At the same moment what people did goes before what followed from it.
fn timeline(story: &RolloutStory) -> Vec<Event<'_>> {
    // Lines of the history that only repeat a rollout's own records say nothing new here.
    let entries = story.history.iter().filter(|entry| entry.verb != "rollout").map(Event::Entry);
    let mut events: Vec<Event<'_>> = entries.chain(story.lines.iter().map(Event::Record)).collect();
    events.sort_by_key(Event::at);
    events
}

fn draw(page: &mut Page, opened_at: u64, event: &Event<'_>) {
    let at = event.at();
    // Against the opening: what was done to a release before it was rolled out has a minus.
    let offset = match at.checked_sub(opened_at) {
        Some(after) => format!("+{}", text::span(after)),
        None => format!("-{}", text::span(opened_at - at)),
    };
    let (who, says) = match event {
        Event::Record(line) => (line.who.as_deref().unwrap_or(""), text::one_line(&line.says)),
        Event::Entry(entry) => {
            let reason = entry.reason.as_ref().map(|why| format!(" (reason: {})", text::one_line(why)));
            let says =
                format!("{}: {}{}", entry.verb, text::one_line(&entry.message), reason.unwrap_or_default());
            (entry.who.as_str(), says)
        }
    };
    let who = if who.is_empty() { String::new() } else { format!("{who}: ") };
    let when = paint(DIM, format!("{}  {offset:>8}", &text::moment(at)[11..19]));
    page.line(format_args!("{when}  {who}{says}"));
    if let Event::Record(line) = event {
        for fact in &line.facts {
            let line = format!(
                "{:20}{}: {} ({} old)",
                "",
                fact.what,
                text::one_line(&fact.says),
                text::span(fact.age_ms)
            );
            page.line(paint(DIM, line));
        }
    }
}

#[cfg(test)]
mod tests {
    use cutover_engine::control::{FactView, RolloutView};

    use super::*;
    use crate::{
        args::Output,
        view::{render, rollout::fixtures},
    };

    fn told(rollout: RolloutView) -> Story {
        let line = |seq, at, who: Option<&str>, says: &str| StoryLine {
            seq,
            at,
            who: who.map(str::to_owned),
            says: says.to_owned(),
            facts: Vec::new(),
        };
        let mut judged = line(2, 72_500, None, "it goes back: gate errors fails");
        judged.facts = vec![
            FactView {
                what: "errors".to_owned(),
                says: "fail: green 30 of 120 failed".to_owned(),
                age_ms: 900,
            },
            FactView { what: "green".to_owned(), says: "healthy".to_owned(), age_ms: 40 },
        ];
        let entry = |at, verb: &str, message: &str, reason: Option<&str>| HistoryEntry {
            seq: 1,
            at,
            who: "bob".to_owned(),
            verb: verb.to_owned(),
            release: None,
            message: message.to_owned(),
            reason: reason.map(str::to_owned),
            generation: None,
        };
        Story(RolloutStory {
            rollout,
            lines: vec![
                line(0, 60_000, Some("ann"), "opened with 9 steps"),
                line(1, 61_200, None, "prepare: done"),
                judged,
            ],
            history: vec![
                entry(58_000, "stage", "bbbbbbbb is staged", None),
                entry(61_000, "rollout", "prepare: done", None),
                entry(70_000, "pause", "the rollout is paused", Some("look\nat it")),
            ],
        })
    }

    fn human(story: &Story) -> String {
        anstream::adapter::strip_str(&render(story, Output::Human, Page::at(120_000))).to_string()
    }

    #[test]
    fn records_and_commands_are_one_line_of_time_with_the_facts_and_their_age() {
        insta::assert_snapshot!(human(&told(fixtures::rolled_back())), @r"
        rollout     ro-7
        releases    aaaaaaaa -> bbbbbbbb
        ended       rolled back
        because     gate errors: green fails more often
        opened      1970-01-01 00:01:00Z by ann
        took        50s

        00:00:58       -2s  bob: stage: bbbbbbbb is staged
        00:01:00       +0s  ann: opened with 9 steps
        00:01:01     +1.2s  prepare: done
        00:01:10      +10s  bob: pause: the rollout is paused (reason: look at it)
        00:01:12      +12s  it goes back: gate errors fails
                            errors: fail: green 30 of 120 failed (900ms old)
                            green: healthy (40ms old)
        ");
    }

    #[test]
    fn an_open_rollout_shows_where_it_stands_first() {
        let text = human(&told(fixtures::held()));
        assert!(text.starts_with("rollout     ro-7  aaaaaaaa -> bbbbbbbb  held\nstep "), "{text}");
        assert!(text.contains("what helps  cutover resume"), "{text}");
    }
}
