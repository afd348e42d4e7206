//! What has changed between two looks at a rollout, in lines: for logs, and as the trace above a live picture.

use cutover_engine::control::{GateView, RolloutView};

use super::{gates, help, standing, stands};

/// One line for each thing that changed; all there is to say where nothing was seen before.
///
/// What changes all the time (counts, the seconds of a hold) is no change.
pub(crate) fn changes(before: Option<&RolloutView>, now: &RolloutView) -> Vec<String> {
    let Some(before) = before.filter(|before| before.id == now.id) else {
        let from = now.blue.map(|blue| format!(" from {blue}")).unwrap_or_default();
        let mut lines = vec![format!("rollout {}{from} to {}", now.id, now.green), stands(now, true)];
        lines.extend(now.gates.iter().map(gate));
        lines.extend(help::sentence(&help::help(now)));
        return lines;
    };
    let mut lines = Vec::new();
    let moved = before.phase != now.phase || before.step != now.step;
    if moved || before.held != now.held || before.paused != now.paused || before.undo != now.undo {
        lines.push(stands(now, before.undo != now.undo || before.phase != now.phase));
    } else if let (Some(was), Some(is)) = (&before.hold, &now.hold)
        && was.counting != is.counting
    {
        lines.push(if is.counting {
            format!("{}; time counts now", now.step)
        } else {
            format!("{}; {}", now.step, standing(now))
        });
    }
    lines.extend(now.gates.iter().filter(|gate| is_news(before, gate, before.step != now.step)).map(gate));
    let helps = help::help(now);
    if help::help(before) != helps {
        lines.extend(help::sentence(&helps));
    }
    lines
}

/// At a new step a gate begins anew; without a verdict it has nothing to say but a question.
fn is_news(before: &RolloutView, gate: &GateView, new_step: bool) -> bool {
    let was = before.gates.iter().find(|was| was.gate == gate.gate).filter(|_| !new_step);
    match was {
        Some(was) => was.verdict != gate.verdict,
        None => gate.verdict.is_some() || gate.asks,
    }
}

fn gate(gate: &GateView) -> String {
    let numbers = gates::numbers(gate).map(|numbers| format!(" ({numbers})"));
    format!("gate {}{}", gates::line(gate), numbers.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use cutover_engine::control::{Hold, Verdict};

    use super::*;
    use crate::view::rollout::fixtures;

    fn told(views: &[RolloutView]) -> String {
        let mut before = None;
        let mut text = String::new();
        for view in views {
            for line in changes(before, view) {
                text.push_str(&anstream::adapter::strip_str(&line).to_string());
                text.push('\n');
            }
            before = Some(view);
        }
        text
    }

    #[test]
    fn a_good_rollout_is_told_once_a_step() {
        let mut later = fixtures::holding();
        later.hold = Some(Hold { counted_ms: 110_000, length_ms: 120_000, counting: true });
        later.gates[0].evidence = None;
        let views = [
            fixtures::preparing(),
            fixtures::testing(),
            fixtures::starved(),
            fixtures::holding(),
            later,
            fixtures::baking(),
            fixtures::draining(),
            fixtures::done(),
            fixtures::done(),
        ];
        insta::assert_snapshot!(told(&views), @r"
        rollout ro-7 from aaaaaaaa to bbbbbbbb
        prepare; green is stood up
        test: smoke; gate smoke runs
        shift 1 of 1: 5%; 1m48s to go, not counting: errors: too few visitors so far
        gate errors insufficient: too few visitors so far (green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old)
        shift 1 of 1: 5%; time counts now
        gate errors pass: green is not worse by 1% (green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old)
        bake; 10m to go
        gate errors pass: green is not worse by 1% (green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old)
        drain; aaaaaaaa has 3 open requests
        done: visitors are on bbbbbbbb
        ");
    }

    #[test]
    fn trouble_is_told_with_what_helps() {
        let mut broken = fixtures::holding();
        broken.gates[0] = fixtures::errors(Verdict::Error, "the source is silent");
        let views = [
            fixtures::holding(),
            broken,
            fixtures::paused(),
            fixtures::held(),
            fixtures::asking(),
            fixtures::going_back(),
            fixtures::back(),
            fixtures::rolled_back(),
        ];
        insta::assert_snapshot!(told(&views), @r"
        rollout ro-7 from aaaaaaaa to bbbbbbbb
        shift 1 of 1: 5%; 48s to go
        gate errors pass: green is not worse by 1% (green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old)
        gate errors error: the source is silent (green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old)
        shift 1 of 1: 5%; paused by ann: lunch
        gate errors pass: green is not worse by 1% (green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old)
        what helps: cutover resume (lets it go on), cutover rollback (takes visitors back)
        shift 1 of 1: 5%; held: gate errors has not enough evidence after 2m
        gate errors insufficient: too few visitors so far (green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old)
        what helps: cutover resume (tries again), cutover promote --reason TEXT (goes on in spite of the gates), cutover rollback (takes visitors back)
        shift 1 of 1: 5%; a person's answer at sign-off
        gate sign-off asks: please look at the basket
        what helps: cutover approve sign-off (lets it pass), cutover approve sign-off --reject --reason TEXT (lets it fail: visitors go back), cutover rollback (takes visitors back)
        back: aaaaaaaa; going back: gate errors: green fails more often
        gate errors fail: green fails more often (green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old)
        back: drain; bbbbbbbb has 1 open request
        rolled back: gate errors: green fails more often
        ");
    }
}
