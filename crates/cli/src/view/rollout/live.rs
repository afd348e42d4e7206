//! A rollout while somebody watches it: on a terminal a picture that is drawn over itself below the trace of what has
//! changed, elsewhere the trace alone. All of it goes to stderr.

use std::time::Duration;

use cutover_engine::control::{RolloutView, Status};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{changes, countdown, gates, help, standing, step_of};
use crate::{
    context::Context,
    view::{
        page::{DIM, paint},
        progress::{self, drawable},
        text,
    },
};

/// Shows a rollout while it lives.
pub(crate) struct Live {
    picture: Option<Picture>,
    quiet: bool,
    last: Option<RolloutView>,
}

impl Live {
    /// Begins with nothing.
    pub(crate) fn begin(context: &Context, first: &str) -> Self {
        let picture = context.draws().then(|| Picture::new(first));
        Self { picture, quiet: context.quiet, last: None }
    }

    /// Shows the rollout as it is now. `status`: what is known of the traffic.
    pub(crate) fn show(&mut self, rollout: &RolloutView, status: &Status) {
        for line in changes::changes(self.last.as_ref(), rollout) {
            self.note(&line);
        }
        if let Some(picture) = &mut self.picture {
            picture.draw(Lines::of(rollout, status));
        }
        self.last = Some(rollout.clone());
    }

    /// Says something beside the rollout.
    pub(crate) fn note(&self, line: &str) {
        let say = || crate::view::say(paint(DIM, format!("  {line}")));
        match &self.picture {
            Some(picture) => picture.all.suspend(say),
            None if !self.quiet => crate::view::say(format_args!("  {line}")),
            None => {}
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(picture) = &self.picture {
            let _ = picture.all.clear();
        }
    }
}

/// The lines of the picture.
struct Picture {
    all: MultiProgress,
    head: ProgressBar,
    hold: ProgressBar,
    /// Gates and what helps; as many as there are.
    rest: Vec<ProgressBar>,
}

impl Picture {
    fn new(first: &str) -> Self {
        let all = MultiProgress::new();
        let head = all.add(ProgressBar::new_spinner());
        head.set_style(style("{spinner:.cyan} {wide_msg}"));
        head.set_message(first.to_owned());
        head.enable_steady_tick(Duration::from_millis(100));
        let hold = all.add(ProgressBar::new(0));
        hold.set_style(style("  {wide_msg}"));
        Self { all, head, hold, rest: Vec::new() }
    }

    fn draw(&mut self, lines: Lines) {
        self.head.set_message(drawable(lines.head));
        match lines.bar {
            Some((part, whole)) => {
                self.hold.set_style(style("  {bar:28.cyan/dim} {wide_msg}"));
                self.hold.set_length(whole);
                self.hold.set_position(part);
            }
            None => self.hold.set_style(style("  {wide_msg}")),
        }
        self.hold.set_message(drawable(lines.hold));
        while self.rest.len() > lines.below.len() {
            if let Some(last) = self.rest.pop() {
                self.all.remove(&last);
            }
        }
        while self.rest.len() < lines.below.len() {
            let line = self.all.add(ProgressBar::new_spinner());
            line.set_style(style("  {wide_msg}"));
            self.rest.push(line);
        }
        for (bar, line) in self.rest.iter().zip(lines.below) {
            bar.set_message(drawable(line));
        }
    }
}

/// What the picture says.
#[derive(Debug, PartialEq, Eq)]
struct Lines {
    head: String,
    /// How much of a hold is over, of how much, in milliseconds.
    bar: Option<(u64, u64)>,
    /// Behind the bar, or in its place.
    hold: String,
    /// Counts, gates and what helps.
    below: Vec<String>,
}

impl Lines {
    fn of(rollout: &RolloutView, status: &Status) -> Self {
        let (bar, hold) = match (&rollout.hold, countdown(rollout)) {
            (Some(hold), Some(far)) => {
                let why = if hold.counting { String::new() } else { format!("; {}", standing(rollout)) };
                (Some((hold.counted_ms.min(hold.length_ms), hold.length_ms)), format!("{far}{why}"))
            }
            _ => (None, standing(rollout)),
        };
        let mut below = Vec::new();
        below.extend(Some(counts(rollout, status)).filter(|counts| !counts.is_empty()));
        for gate in &rollout.gates {
            below.push(format!("gate {}", gates::line(gate)));
            below.extend(gates::numbers(gate).map(|numbers| format!("     {numbers}")));
        }
        below.extend(help::lines(&help::help(rollout)));
        Self { head: head(rollout), bar, hold, below }
    }
}

fn style(template: &str) -> ProgressStyle {
    progress::style(template).progress_chars("━━─")
}

fn head(rollout: &RolloutView) -> String {
    let mut head = rollout.step.clone();
    if let Some((at, of)) = step_of(rollout) {
        head.push_str(&format!(" · step {at} of {of}"));
    }
    head.push_str(&format!(" · {} of visitors on {}", text::share(rollout.share), rollout.green));
    head
}

/// What the edge has answered since it started, where no gate has numbers of its own.
fn counts(rollout: &RolloutView, status: &Status) -> String {
    if rollout.gates.iter().any(|gate| gate.evidence.is_some()) {
        return String::new();
    }
    let of = |name: &str, id| {
        let release = status.releases.iter().find(|release| release.id == id)?;
        let usage = &release.usage;
        Some(format!("{name} {} requests, {} failed", usage.requests, usage.server_errors))
    };
    let green = of("green", rollout.green);
    let blue = rollout.blue.and_then(|blue| of("blue", blue));
    [green, blue].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{rollout::fixtures, status::tests::status};

    #[test]
    fn the_picture_has_step_bar_counts_gates_and_help() {
        let mut text = String::new();
        for rollout in [
            fixtures::testing(),
            fixtures::starved(),
            fixtures::holding(),
            fixtures::held(),
            fixtures::asking(),
            fixtures::back(),
        ] {
            let lines = Lines::of(&rollout, &status().0);
            text.push_str(&format!("{}\n  {:?} {}\n", lines.head, lines.bar, lines.hold));
            lines.below.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
        }
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string(), @r"
        test: smoke · step 2 of 9 · 0% of visitors on bbbbbbbb
          None gate smoke runs
          green 1200 requests, 3 failed · blue 1200 requests, 3 failed
        shift 1 of 1: 5% · step 4 of 9 · 5% of visitors on bbbbbbbb
          Some((12000, 120000)) 12s of 2m; 1m48s to go, not counting: errors: too few visitors so far
          gate errors insufficient: too few visitors so far
               green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old
        shift 1 of 1: 5% · step 4 of 9 · 5% of visitors on bbbbbbbb
          Some((72000, 120000)) 1m12s of 2m, 48s left
          gate errors pass: green is not worse by 1%
               green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old
        shift 1 of 1: 5% · step 4 of 9 · 5% of visitors on bbbbbbbb
          Some((12000, 120000)) 12s of 2m; gate errors has not enough evidence after 2m
          gate errors insufficient: too few visitors so far
               green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old
          cutover resume                 tries again
          cutover promote --reason TEXT  goes on in spite of the gates
          cutover rollback               takes visitors back
        shift 1 of 1: 5% · step 4 of 9 · 5% of visitors on bbbbbbbb
          None a person's answer at sign-off
          green 1200 requests, 3 failed · blue 1200 requests, 3 failed
          gate sign-off asks: please look at the basket
          cutover approve sign-off                         lets it pass
          cutover approve sign-off --reject --reason TEXT  lets it fail: visitors go back
          cutover rollback                                 takes visitors back
        back: drain · 0% of visitors on bbbbbbbb
          None gate errors: green fails more often
          green 1200 requests, 3 failed · blue 1200 requests, 3 failed
        ");
    }
}
