//! A rollout and the readiness of a rollback within `cutover status`.

use cutover_engine::control::{Phase, Readiness, RolloutView};

use super::{countdown, gates, help, phase, standing, step_of, way};
use crate::view::{
    page::{DIM, GREEN, Page, RED, YELLOW, paint},
    text,
};

/// Characters of a bar.
const BAR: u64 = 24;

/// Draws a rollout: a line where it is over, the whole of it while it goes on.
pub(crate) fn rollout(page: &mut Page, rollout: &RolloutView) {
    page.field("rollout", format_args!("{}  {}  {}", rollout.id, way(rollout), phase(rollout.phase)));
    if rollout.phase.is_over() {
        let why = match rollout.phase {
            Phase::Done => String::new(),
            _ => standing(rollout),
        };
        let ended = rollout.ended_at.map(|at| page.ago(at)).unwrap_or_default();
        let parts: Vec<String> = [ended, why].into_iter().filter(|part| !part.is_empty()).collect();
        if !parts.is_empty() {
            page.field("ended", parts.join(", "));
        }
        return;
    }
    let number = step_of(rollout).map(|(at, of)| paint(DIM, format!(" (step {at} of {of})")));
    page.field("step", format_args!("{}{}", rollout.step, number.unwrap_or_default()));
    page.field("share", format_args!("{} of visitors on {}", text::share(rollout.share), rollout.green));
    if let (Some(hold), Some(far)) = (&rollout.hold, countdown(rollout)) {
        page.field("hold", format_args!("[{}] {far}", bar(hold.counted_ms, hold.length_ms)));
    }
    if !rollout.waiting.trim().is_empty() {
        page.field("waiting", text::one_line(&rollout.waiting));
    }
    for gate in &rollout.gates {
        page.field("gate", gates::line(gate));
        if let Some(numbers) = gates::numbers(gate) {
            page.field("", numbers);
        }
    }
    for (name, why) in [("held", &rollout.held), ("paused", &rollout.paused), ("going back", &rollout.undo)] {
        if let Some(why) = why {
            let why = text::one_line(why);
            let why = why.strip_prefix(name).map_or(why.as_str(), str::trim_start);
            page.field(name, paint(YELLOW, why));
        }
    }
    for (number, line) in help::lines(&help::help(rollout)).enumerate() {
        page.field(if number == 0 { "what helps" } else { "" }, line);
    }
}

/// Draws whether a rollback would work, and what was looked at.
pub(crate) fn readiness(page: &mut Page, readiness: &Readiness) {
    let mut line = if readiness.ready { paint(GREEN, "ready") } else { paint(RED, "not ready") };
    if let Some(to) = readiness.to {
        line.push_str(&format!(", to {to}"));
    }
    if let Some(expected) = readiness.expected_ms {
        line.push_str(&format!(", in about {}", text::span(expected)));
    }
    page.field("rollback", line);
    for check in &readiness.checks {
        let ok = if check.ok { paint(GREEN, "ok     ") } else { paint(RED, "missing") };
        page.field("", format_args!("{ok}  {}: {}", check.what, text::one_line(&check.detail)));
    }
}

fn bar(part: u64, whole: u64) -> String {
    let full = (part.min(whole) * BAR).checked_div(whole).unwrap_or(BAR);
    (0..BAR).map(|at| if at < full { '#' } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use cutover_engine::control::ReadinessCheck;

    use super::*;
    use crate::view::rollout::fixtures;

    fn drawn(rollouts: &[RolloutView]) -> String {
        let mut page = Page::at(120_000);
        for one in rollouts {
            page.gap();
            rollout(&mut page, one);
        }
        anstream::adapter::strip_str(&page.into_text()).to_string()
    }

    #[test]
    fn every_phase_on_the_way_forward() {
        insta::assert_snapshot!(drawn(&[
            fixtures::preparing(),
            fixtures::testing(),
            fixtures::holding(),
            fixtures::starved(),
            fixtures::baking(),
            fixtures::draining(),
            fixtures::done(),
        ]), @r"
        rollout     ro-7  aaaaaaaa -> bbbbbbbb  preparing
        step        prepare (step 1 of 9)
        share       0% of visitors on bbbbbbbb
        waiting     green is stood up

        rollout     ro-7  aaaaaaaa -> bbbbbbbb  testing
        step        test: smoke (step 2 of 9)
        share       0% of visitors on bbbbbbbb
        waiting     gate smoke runs

        rollout     ro-7  aaaaaaaa -> bbbbbbbb  shifting
        step        shift 1 of 1: 5% (step 4 of 9)
        share       5% of visitors on bbbbbbbb
        hold        [##############----------] 1m12s of 2m, 48s left
        waiting     48s to go
        gate        errors pass: green is not worse by 1%
                    green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old

        rollout     ro-7  aaaaaaaa -> bbbbbbbb  shifting
        step        shift 1 of 1: 5% (step 4 of 9)
        share       5% of visitors on bbbbbbbb
        hold        [##----------------------] 12s of 2m
        waiting     1m48s to go, not counting: errors: too few visitors so far
        gate        errors insufficient: too few visitors so far
                    green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old

        rollout     ro-7  aaaaaaaa -> bbbbbbbb  baking
        step        bake (step 6 of 9)
        share       100% of visitors on bbbbbbbb
        hold        [------------------------] 0s of 10m, 10m left
        waiting     10m to go
        gate        errors pass: green is not worse by 1%
                    green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old

        rollout     ro-7  aaaaaaaa -> bbbbbbbb  draining
        step        drain (step 7 of 9)
        share       100% of visitors on bbbbbbbb
        waiting     aaaaaaaa has 3 open requests

        rollout     ro-7  aaaaaaaa -> bbbbbbbb  done
        ended       10s ago
        ");
    }

    #[test]
    fn every_phase_that_needs_somebody_or_goes_back() {
        insta::assert_snapshot!(drawn(&[
            fixtures::held(),
            fixtures::paused(),
            fixtures::asking(),
            fixtures::going_back(),
            fixtures::back(),
            fixtures::rolled_back(),
            fixtures::superseded(),
        ]), @r"
        rollout     ro-7  aaaaaaaa -> bbbbbbbb  held
        step        shift 1 of 1: 5% (step 4 of 9)
        share       5% of visitors on bbbbbbbb
        hold        [##----------------------] 12s of 2m
        waiting     1m48s to go, not counting: errors: too few visitors so far
        gate        errors insufficient: too few visitors so far
                    green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old
        held        gate errors has not enough evidence after 2m
        what helps  cutover resume                 tries again
                    cutover promote --reason TEXT  goes on in spite of the gates
                    cutover rollback               takes visitors back

        rollout     ro-7  aaaaaaaa -> bbbbbbbb  paused
        step        shift 1 of 1: 5% (step 4 of 9)
        share       5% of visitors on bbbbbbbb
        hold        [##############----------] 1m12s of 2m
        waiting     paused until it is resumed
        gate        errors pass: green is not worse by 1%
                    green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old
        paused      by ann: lunch
        what helps  cutover resume    lets it go on
                    cutover rollback  takes visitors back

        rollout     ro-7  aaaaaaaa -> bbbbbbbb  shifting
        step        shift 1 of 1: 5% (step 4 of 9)
        share       5% of visitors on bbbbbbbb
        waiting     a person's answer at sign-off
        gate        sign-off asks: please look at the basket
        what helps  cutover approve sign-off                         lets it pass
                    cutover approve sign-off --reject --reason TEXT  lets it fail: visitors go back
                    cutover rollback                                 takes visitors back

        rollout     ro-7  aaaaaaaa -> bbbbbbbb  going back
        step        back: aaaaaaaa
        share       5% of visitors on bbbbbbbb
        waiting     the routing write
        gate        errors fail: green fails more often
                    green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old
        going back  gate errors: green fails more often

        rollout     ro-7  aaaaaaaa -> bbbbbbbb  going back
        step        back: drain
        share       0% of visitors on bbbbbbbb
        waiting     bbbbbbbb has 1 open request
        going back  gate errors: green fails more often

        rollout     ro-7  aaaaaaaa -> bbbbbbbb  rolled back
        ended       10s ago, gate errors: green fails more often

        rollout     ro-7  aaaaaaaa -> bbbbbbbb  superseded
        ended       10s ago, by ro-8
        ");
    }

    #[test]
    fn readiness_names_what_was_looked_at() {
        let check = |what: &str, ok| ReadinessCheck {
            what: what.to_owned(),
            ok,
            detail: if ok { "it answers" } else { "no space left\non the disk" }.to_owned(),
        };
        let mut one = Readiness {
            ready: true,
            to: Some("aaaaaaaa".parse().unwrap()),
            expected_ms: Some(12),
            checks: vec![check("blue", true), check("journal", true)],
        };
        let mut page = Page::at(0);
        readiness(&mut page, &one);
        one.ready = false;
        one.checks[1] = check("journal", false);
        readiness(&mut page, &one);
        insta::assert_snapshot!(anstream::adapter::strip_str(&page.into_text()).to_string(), @r"
        rollback    ready, to aaaaaaaa, in about 12ms
                    ok       blue: it answers
                    ok       journal: it answers
        rollback    not ready, to aaaaaaaa, in about 12ms
                    ok       blue: it answers
                    missing  journal: no space left on the disk
        ");
    }

    #[test]
    fn a_bar_is_full_at_the_end_and_never_longer() {
        assert_eq!(bar(0, 10), "-".repeat(24));
        assert_eq!(bar(5, 10), format!("{}{}", "#".repeat(12), "-".repeat(12)));
        assert_eq!((bar(10, 10), bar(99, 10), bar(0, 0)), ("#".repeat(24), "#".repeat(24), "#".repeat(24)));
    }
}
