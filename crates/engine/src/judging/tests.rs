use cutover_rollout::judge::{Arm, Verdict};

use super::*;
use crate::ports::Visited;

fn gate(name: &str, measure: Measure) -> Gate {
    let compare = CompareGate {
        measure,
        worse_by: "1%".to_owned(),
        min_visitors: 100,
        false_alarms: 0.01,
        missed: 0.05,
    };
    Gate::new(name, GateKind::Compare(compare))
}

fn bench() -> Bench {
    Bench::new(&[gate("errors", Measure::Errors), gate("slow", Measure::Slow)], 1, 0).unwrap()
}

/// So many new visitors on each side, of whom the first few fail or wait.
#[derive(Debug, Clone, Copy, Default)]
struct Crowd {
    visitors: u64,
    failed: u64,
    slow: u64,
}

fn of(visitors: u64) -> Crowd {
    Crowd { visitors, ..Crowd::default() }
}

fn window(number: u64, green: Crowd, blue: Crowd) -> Sampled {
    let side = |arm: Arm, crowd: Crowd| {
        (0..crowd.visitors).map(move |at| Visited {
            arm,
            visitor: number * 1_000_000 + at,
            requests: 3,
            failed: 2 * u32::from(at < crowd.failed),
            slow: u32::from(at < crowd.slow),
        })
    };
    Sampled {
        from: number * 10_000,
        to: (number + 1) * 10_000,
        complete: true,
        visits: side(Arm::Green, green).chain(side(Arm::Blue, blue)).collect(),
        synthetic: false,
    }
}

/// What the gates say after so many such windows.
fn after(bench: &mut Bench, windows: u64, green: Crowd, blue: Crowd) -> Vec<(String, Verdict)> {
    for number in 0..windows {
        bench.take(&window(number, green, blue));
    }
    let readings = bench.readings(windows * 10_000).into_iter();
    readings.map(|reading| (reading.gate, reading.verdict)).collect()
}

fn says(errors: Verdict, slow: Verdict) -> Vec<(String, Verdict)> {
    vec![("errors".to_owned(), errors), ("slow".to_owned(), slow)]
}

#[test]
fn a_green_that_is_as_good_as_blue_passes() {
    let green = Crowd { visitors: 100, failed: 1, slow: 1 };
    let blue = Crowd { visitors: 900, failed: 9, slow: 9 };
    assert_eq!(after(&mut bench(), 30, green, blue), says(Verdict::Pass, Verdict::Pass));
}

#[test]
fn a_green_with_more_errors_fails_on_errors_alone() {
    let green = Crowd { visitors: 100, failed: 12, slow: 1 };
    let blue = Crowd { visitors: 900, failed: 9, slow: 9 };
    let mut bench = bench();
    assert_eq!(after(&mut bench, 30, green, blue), says(Verdict::Fail, Verdict::Pass));
    let why = &bench.readings(300_000)[0].why;
    assert!(why.starts_with("12.00% of green's visitors failed, 1.00% of blue's"), "{why}");
}

#[test]
fn a_slow_green_fails_on_slowness_alone() {
    let green = Crowd { visitors: 100, failed: 1, slow: 12 };
    let blue = Crowd { visitors: 900, failed: 9, slow: 9 };
    assert_eq!(after(&mut bench(), 30, green, blue), says(Verdict::Pass, Verdict::Fail));
}

#[test]
fn a_blue_without_errors_is_a_baseline_like_any_other() {
    let quiet = after(&mut bench(), 30, of(50), of(950));
    assert_eq!(quiet, says(Verdict::Pass, Verdict::Pass));
    let broken = after(&mut bench(), 10, Crowd { visitors: 50, failed: 3, slow: 0 }, of(950));
    assert_eq!(broken[0].1, Verdict::Fail);
}

#[test]
fn little_traffic_is_insufficient_and_says_what_is_missing() {
    let mut bench = bench();
    assert_eq!(after(&mut bench, 10, of(2), of(38)), says(Verdict::Insufficient, Verdict::Insufficient));
    let evidence = &bench.evidence(100_000)[0];
    assert_eq!(evidence.why, "20 of at least 100 visitors seen on green");
    let needed = evidence.needed.unwrap();
    assert!(needed >= 100, "{needed}");
    // Two visitors of green in ten seconds.
    let left = evidence.left_ms.unwrap();
    assert!(left.abs_diff((needed - 20) * 5_000) <= 1_000, "{left} for {needed}");
    assert_eq!((evidence.fails_at, evidence.passes_at), (100.0, 20.0));
    // Nobody at all on green: nothing is known, nothing is shown.
    let mut empty = bench_of_one();
    assert_eq!(after(&mut empty, 5, of(0), of(500))[0].1, Verdict::Insufficient);
    let evidence = &empty.evidence(50_000)[0];
    assert_eq!((evidence.needed, evidence.left_ms), (None, None));
}

fn bench_of_one() -> Bench {
    Bench::new(&[gate("errors", Measure::Errors)], 1, 0).unwrap()
}

#[test]
fn a_visitor_fails_a_release_once_however_often_they_come_back() {
    let mut bench = bench_of_one();
    for number in 0..60 {
        let mut sampled = window(number, of(20), of(380));
        let loud = Visited { arm: Arm::Green, visitor: 7, requests: 90, failed: 90, slow: 0 };
        sampled.visits.push(loud);
        bench.take(&sampled);
    }
    let evidence = &bench.evidence(600_000)[0];
    assert_eq!(evidence.green.failed, 1);
    assert_eq!(evidence.verdict, Verdict::Pass, "{evidence:?}");
}

#[test]
fn windows_that_overlap_or_go_backwards_are_not_counted() {
    let mut bench = bench_of_one();
    let bad = Crowd { visitors: 50, failed: 25, slow: 0 };
    for number in 0..10 {
        bench.take(&window(number, of(50), of(450)));
    }
    let before = bench.evidence(100_000)[0].clone();
    let mut backwards = window(10, bad, of(450));
    (backwards.from, backwards.to) = (backwards.to, backwards.from);
    for refused in [window(9, bad, of(450)), window(0, bad, of(450)), backwards] {
        bench.take(&refused);
        let now = &bench.evidence(100_000)[0];
        assert_eq!(now.verdict, Verdict::Error, "{}", now.why);
        assert_eq!((now.green, now.blue, now.windows), (before.green, before.blue, 10));
    }
    // The next good window is counted again, and who was seen failing in a refused one is counted as new.
    let mut next = window(10, of(50), of(450));
    let again = Visited { arm: Arm::Green, visitor: 9_000_000, requests: 1, failed: 1, slow: 0 };
    next.visits.push(again);
    bench.take(&next);
    let now = &bench.evidence(110_000)[0];
    assert_ne!(now.verdict, Verdict::Error);
    assert_eq!((now.green.visitors, now.green.failed), (551, 1));
}

#[test]
fn a_window_that_contradicts_itself_is_an_error() {
    let mut bench = bench_of_one();
    bench.take(&window(0, of(50), of(450)));
    let mut sampled = window(1, of(50), of(450));
    sampled.visits[3].failed = 9;
    bench.take(&sampled);
    let reading = &bench.readings(20_000)[0];
    assert_eq!(reading.verdict, Verdict::Error, "{}", reading.why);
    assert_eq!(bench.evidence(20_000)[0].green.visitors, 50);
}

#[test]
fn silence_is_an_error() {
    let mut bench = bench_of_one();
    assert_eq!(bench.readings(60_001)[0].verdict, Verdict::Error, "nothing ever came");
    for number in 0..30 {
        bench.take(&window(number, of(50), of(450)));
    }
    assert_eq!(bench.readings(300_000)[0].verdict, Verdict::Pass);
    let late = &bench.readings(300_000 + 60_001)[0];
    assert_eq!((late.verdict, late.age), (Verdict::Error, 60_001));
}

#[test]
fn incomplete_windows_and_made_up_visitors_are_told() {
    let mut bench = bench_of_one();
    for number in 0..30 {
        let mut sampled = window(number, of(50), of(450));
        sampled.complete = number % 3 != 0;
        sampled.synthetic = number > 27;
        bench.take(&sampled);
    }
    let reading = &bench.readings(300_000)[0];
    assert_eq!(reading.verdict, Verdict::Pass);
    assert!(reading.why.contains("; in 10 of 30 windows not every visitor was counted"), "{}", reading.why);
    assert!(reading.why.ends_with("; some visitors are made up, in 2 of 30 windows"), "{}", reading.why);
    let evidence = &bench.evidence(300_000)[0];
    assert_eq!((evidence.partial, evidence.synthetic), (10, 2));
    assert_eq!(evidence.why, reading.why);
}

#[test]
fn visitors_without_requests_are_nobody() {
    let mut bench = bench_of_one();
    let mut sampled = window(0, of(5), of(5));
    sampled.visits.iter_mut().for_each(|visit| (visit.requests, visit.failed) = (0, 0));
    bench.take(&sampled);
    assert_eq!(bench.evidence(10_000)[0].green.visitors, 0);
}

#[test]
fn the_promise_is_for_all_holds_of_the_plan_together() {
    let GateKind::Compare(compare) = gate("errors", Measure::Errors).kind else { unreachable!() };
    assert_eq!(rule(&compare, 1).unwrap().alpha, 0.01);
    assert_eq!(rule(&compare, 5).unwrap().alpha, 0.002);
    assert_eq!(rule(&compare, 5).unwrap().beta, 0.05, "each step has to be passed by itself");
    let bench = Bench::new(&[gate("errors", Measure::Errors)], 5, 0).unwrap();
    assert_eq!(bench.evidence(0)[0].fails_at, 500.0);
    let few = CompareGate { false_alarms: 1e-5, ..compare };
    let refused = rule(&few, 50).unwrap_err();
    assert!(refused.contains("shared by 50 holds"), "{refused}");
}

#[test]
fn gates_that_compare_nothing_have_no_judge_and_bad_ones_are_named() {
    let approval =
        Gate::new("go", GateKind::Approval(crate::config::ApprovalGate { message: None, timeout: None }));
    let bench = Bench::new(&[approval], 1, 0).unwrap();
    assert!(bench.is_empty() && bench.readings(0).is_empty());
    let mut bad = gate("errors", Measure::Errors);
    let GateKind::Compare(compare) = &mut bad.kind else { unreachable!() };
    compare.worse_by = "much".to_owned();
    let refused = Bench::new(&[bad], 1, 0).unwrap_err();
    assert!(refused.starts_with("gate \"errors\" cannot be judged by: not a margin"), "{refused}");
}

#[test]
fn evidence_can_be_stored_and_shown() {
    let mut bench = bench_of_one();
    for number in 0..5 {
        bench.take(&window(number, of(50), Crowd { visitors: 450, failed: 4, slow: 0 }));
    }
    let evidence = bench.evidence(50_000).remove(0);
    let again: Evidence = serde_json::from_str(&serde_json::to_string(&evidence).unwrap()).unwrap();
    assert_eq!((&again.gate, again.green, again.blue), (&evidence.gate, evidence.green, evidence.blue));
    let view = evidence.view();
    assert_eq!((view.green_visitors, view.blue_visitors, view.blue_failed), (250, 2_250, 20));
    assert!(view.against < view.fails_at);
}

#[test]
fn forecasts_grow_with_the_rate_and_shrink_with_the_margin() {
    let GateKind::Compare(compare) = gate("errors", Measure::Errors).kind else { unreachable!() };
    let rule = rule(&compare, 1).unwrap();
    let clean = needs(&rule, 0.0, 0.1, Some(50.0));
    let dirty = needs(&rule, 0.05, 0.1, Some(50.0));
    assert!(clean.to_pass < dirty.to_pass && clean.to_fail < dirty.to_fail, "{clean:?} {dirty:?}");
    // Five visitors of green a second.
    assert_eq!(clean.time_to_pass.map(|time| time.0), clean.to_pass.map(|visitors| visitors * 200));
    assert_eq!(needs(&rule, 0.0, 0.1, None).time_to_pass, None);
}

#[test]
fn after_the_promotion_green_is_judged_by_what_blue_was_like() {
    let margin = Margin::worse_by("1%").unwrap();
    let seen = |visitors, failed| Tally { visitors, failed };
    assert!((limit(margin, seen(0, 0)) - 0.01).abs() < 1e-9, "nothing is known of blue: the margin alone");
    let known = limit(margin, seen(100_000, 1_000));
    assert!((0.02..0.022).contains(&known), "one percent and one more: {known}");
    let hardly = limit(margin, seen(100, 1));
    assert!(hardly > known, "little is known of blue: {hardly}");
    let factor = Margin::worse_by("2x").unwrap();
    assert!((0.02..0.023).contains(&limit(factor, seen(100_000, 1_000))));
    assert!((limit(factor, seen(0, 0)) - 0.01).abs() < 1e-9);
}
