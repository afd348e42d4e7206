//! The judge keeps its promises, in simulation: how often it is wrong however often one looks, how soon it is right,
//! and what it makes of visitors who fail again and again. The same harness finds judges that do not keep them.
//!
//! Every simulation is seeded and prints what it measured: `cargo test -p cutover-rollout --test judge -- --nocapture`.
//! `cargo xtask prove judge` runs the same experiments longer and with fresh seeds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

use cutover_rollout::Millis;
use cutover_rollout::judge::{Judge, Margin, Rule, Tally, Verdict, forecast};
use cutover_testkit::{
    rng::Rng,
    simulation::{
        self, CANARY, HALVES, Traffic, careful, detection, ever, habits, loud, naive, passing, promised,
        sample, turned,
    },
};

fn rule() -> Rule {
    simulation::rule("1%")
}

#[test]
fn equal_releases_fail_no_more_often_than_promised_however_often_one_looks() {
    const RUNS: u64 = 600;
    for (name, traffic) in [("half and half", HALVES), ("a canary of 5%", CANARY)] {
        for p in [0.001, 0.02, 0.2] {
            let mut rng = Rng::seeded(1);
            let rate = ever(careful, &rule(), traffic, &|_| (p, p), Verdict::Fail, (RUNS, &mut rng));
            println!("equal at {p}, {name}: {rate:.4} of {RUNS} runs failed, promised 0.05");
            assert!(rate <= promised(0.05, RUNS), "{name} {p}: {rate}");
        }
    }
}

#[test]
fn a_naive_judge_breaks_the_promise_in_the_same_harness() {
    for (name, traffic) in [("half and half", HALVES), ("a canary of 5%", CANARY)] {
        let mut rng = Rng::seeded(1);
        let rate = ever(naive, &rule(), traffic, &|_| (0.02, 0.02), Verdict::Fail, (600, &mut rng));
        println!("repeated z-test, equal at 0.02, {name}: {rate:.4} of 600 runs failed, promised 0.05");
        assert!(rate > promised(0.05, 600) * 2.0, "the harness must be able to fail: {rate}");
    }
}

#[test]
fn troubles_that_come_and_go_for_both_are_no_evidence() {
    let storm = |window: u64| if (30..60).contains(&window) { (0.3, 0.3) } else { (0.01, 0.01) };
    for traffic in [HALVES, CANARY] {
        let mut rng = Rng::seeded(2);
        let rate = ever(careful, &rule(), traffic, &storm, Verdict::Fail, (400, &mut rng));
        println!("both failing 30% for a while: {rate:.4} of 400 runs failed, promised 0.05");
        assert!(rate <= promised(0.05, 400), "{rate}");
    }
}

#[test]
fn a_release_just_inside_the_line_passes_no_more_often_than_promised() {
    const RUNS: u64 = 400;
    let traffic = Traffic { green: 60, blue: 240, windows: 100 };
    for (p, green) in [(0.0, 0.01), (0.02, 0.03), (0.1, 0.11)] {
        let mut rng = Rng::seeded(3);
        let rate = ever(careful, &rule(), traffic, &|_| (green, p), Verdict::Pass, (RUNS, &mut rng));
        println!(
            "worse by exactly the margin of 1% (blue at {p}): {rate:.4} of {RUNS} runs passed, promised 0.05"
        );
        assert!(rate <= promised(0.05, RUNS), "{rate}");
    }
}

#[test]
fn a_doubled_error_rate_is_found_and_about_when_it_was_forecast() {
    // Of a difference that is within the margin nobody wants to hear, so the margin is below the one to be found.
    for (p, green, blue, margin) in
        [(0.02, 50, 450, "1%"), (0.02, 100, 100, "1%"), (0.1, 20, 180, "1%"), (0.005, 200, 1_800, "0.3%")]
    {
        let traffic = Traffic { green, blue, windows: 200 };
        let rule = simulation::rule(margin);
        let soon = detection(careful, &rule, (p, 2.0 * p), traffic, (60, &mut Rng::seeded(4)));
        println!("{p} doubled, {green} of {}: {soon:?}", green + blue);
        assert!(soon.found >= 0.9, "{p}: {soon:?}");
        assert!((0.4..2.5).contains(&soon.ratio()), "{p}: {soon:?}");
    }
}

#[test]
fn an_equal_release_passes_about_when_it_was_forecast() {
    for (p, green, blue) in [(0.0, 20, 180), (0.001, 20, 180), (0.01, 50, 450), (0.02, 100, 100)] {
        let traffic = Traffic { green, blue, windows: 200 };
        let soon = passing(careful, &rule(), p, traffic, (60, &mut Rng::seeded(5)));
        println!("equal at {p}: {soon:?}");
        assert!(soon.found >= 0.85, "{p}: {soon:?}");
        assert!((0.4..2.5).contains(&soon.ratio()), "{p}: {soon:?}");
    }
}

#[test]
fn a_release_that_turns_bad_after_a_long_good_time_is_found_soon() {
    for (bad, most) in [(0.05, 12), (0.1, 5), (0.5, 2)] {
        for good in [10, 100, 400] {
            let (found, median) = turned(careful, good, bad, (30, &mut Rng::seeded(8)));
            println!(
                "good for {good} windows, then {bad}: found in {found:.2} of runs, median {median} windows"
            );
            assert!(found >= 0.9 && median <= most, "{bad} after {good}: {found}, {median}");
        }
    }
}

#[test]
fn visitors_who_fail_again_and_again_are_no_evidence_but_their_requests_would_be() {
    const RUNS: u64 = 200;
    let fooled = habits(careful, (RUNS, &mut Rng::seeded(6)));
    println!("prone visitors: {fooled:?}");
    assert!(fooled.by_visitor <= promised(0.05, RUNS), "{fooled:?}");
    assert!(fooled.by_request > promised(0.05, RUNS) * 2.0, "the harness must be able to fail: {fooled:?}");
}

#[test]
fn one_visitor_who_makes_a_tenth_of_all_errors_cannot_fail_a_release() {
    const RUNS: u64 = 200;
    let loud = loud(careful, (RUNS, &mut Rng::seeded(7)));
    println!("one loud visitor: {loud:?}");
    assert!((0.09..0.11).contains(&loud.part), "{loud:?}");
    assert!(loud.fooled.by_visitor <= promised(0.05, RUNS), "{loud:?}");
    assert!(loud.fooled.by_request > 0.5, "the harness must be able to fail: {loud:?}");
}

/// Visitors and how many of them failed.
type Seen = (u64, u64);

fn judged(rule: Rule, windows: &[(Seen, Seen)]) -> (Judge, u64) {
    let mut judge = Judge::new(rule, Tally::default(), 0).unwrap();
    for (window, (green, blue)) in (0..).zip(windows) {
        let tally = |(visitors, failed): (u64, u64)| Tally { visitors, failed };
        judge.observe(&sample(window, tally(*green), tally(*blue))).unwrap();
    }
    (judge, windows.len() as u64 * 10_000)
}

#[test]
fn a_blue_without_errors_is_a_baseline_like_any_other() {
    let quiet = [((20, 0), (380, 0)); 30];
    let (judge, now) = judged(rule(), &quiet);
    assert_eq!(judge.verdict(now).verdict, Verdict::Pass, "{:?}", judge.verdict(now));

    let mut broken = quiet[..5].to_vec();
    broken.extend([((20, 2), (380, 0)); 3]);
    let (judge, now) = judged(rule(), &broken);
    assert_eq!(judge.verdict(now).verdict, Verdict::Fail, "{:?}", judge.verdict(now));
    assert!(judge.verdict(now).why.contains("of green's visitors failed"), "{}", judge.verdict(now).why);
}

#[test]
fn too_little_traffic_is_not_evidence() {
    let (judge, now) = judged(rule(), &[((1, 0), (10, 0)); 20]);
    let judgement = judge.verdict(now);
    assert_eq!(judgement.verdict, Verdict::Insufficient);
    assert_eq!(judgement.why, "20 of at least 100 visitors seen on green");
    // All on one side: nothing to compare with.
    let (judge, now) = judged(rule(), &[((500, 0), (0, 0)); 20]);
    assert_eq!(judge.verdict(now).verdict, Verdict::Insufficient);
    // Two failing visitors are two visitors, whatever the arithmetic says.
    let (judge, now) = judged(rule(), &[((2, 0), (5_000, 0)), ((2, 2), (5_000, 0))]);
    let judgement = judge.verdict(now);
    assert!(judgement.against > 1_000.0, "{judgement:?}");
    assert_eq!(judgement.verdict, Verdict::Insufficient);
}

#[test]
fn missing_or_stale_data_is_an_error_and_harm_stays_harm() {
    let judge = Judge::new(rule(), Tally::default(), 1_000).unwrap();
    assert_eq!(judge.verdict(2_000).verdict, Verdict::Insufficient, "data may still come");
    assert_eq!(judge.verdict(61_001).verdict, Verdict::Error);

    let (mut judge, now) = judged(rule(), &[((50, 0), (950, 0)); 30]);
    assert_eq!(judge.verdict(now).verdict, Verdict::Pass);
    assert_eq!(judge.verdict(now + 60_000).verdict, Verdict::Pass);
    let stale = judge.verdict(now + 60_001);
    assert_eq!((stale.verdict, stale.age), (Verdict::Error, Some(60_001)));
    let twice = sample(29, Tally::default(), Tally::default());
    assert!(judge.observe(&twice).is_err());
    assert_eq!(judge.verdict(now).verdict, Verdict::Error, "a source that repeats itself is not trusted");
    let more = Tally { visitors: 1, failed: 2 };
    assert!(judge.observe(&sample(30, more, Tally::default())).is_err());
    judge
        .observe(&sample(30, Tally { visitors: 50, failed: 0 }, Tally { visitors: 950, failed: 1 }))
        .unwrap();
    assert_eq!(judge.verdict(310_000).verdict, Verdict::Pass);

    let (judge, now) = judged(rule(), &[((50, 20), (950, 1)); 3]);
    assert_eq!(judge.verdict(now).verdict, Verdict::Fail);
    assert_eq!(judge.verdict(now + 3_600_000).verdict, Verdict::Fail);
}

#[test]
fn a_small_difference_that_is_surely_within_the_margin_passes() {
    // 1.3% against 1.0%, with so many visitors that the difference is beyond doubt; the margin is one point.
    let (judge, now) = judged(rule(), &[((10_000, 130), (10_000, 100)); 100]);
    let judgement = judge.verdict(now);
    assert!(judgement.against > 1e6, "{judgement:?}");
    assert_eq!(judgement.verdict, Verdict::Pass, "{judgement:?}");
    let strict = Rule { pass_under: Margin::worse_by("0.1%").unwrap(), ..rule() };
    let (judge, now) = judged(strict, &[((10_000, 130), (10_000, 100)); 100]);
    assert_eq!(judge.verdict(now).verdict, Verdict::Fail);
}

#[test]
fn an_absolute_limit_needs_no_blue() {
    let limit = Rule { alpha: 0.05, ..Rule::limit(0.05) };
    for (failed, verdict) in [(1, Verdict::Pass), (10, Verdict::Insufficient), (30, Verdict::Fail)] {
        let (judge, now) = judged(limit.clone(), &[((200, failed), (0, 0)); 10]);
        assert_eq!(judge.verdict(now).verdict, verdict, "{failed}: {:?}", judge.verdict(now));
    }
}

#[test]
fn a_stored_judge_goes_on_where_it_was() {
    let windows = [((50, 1), (950, 9)), ((40, 0), (900, 12)), ((60, 3), (980, 7))];
    let (mut judge, _) = judged(rule(), &windows);
    let mut again: Judge = serde_json::from_str(&serde_json::to_string(&judge).unwrap()).unwrap();
    let next = sample(3, Tally { visitors: 50, failed: 2 }, Tally { visitors: 950, failed: 8 });
    judge.observe(&next).unwrap();
    again.observe(&next).unwrap();
    let (now, then) = (judge.verdict(40_000), again.verdict(40_000));
    assert_eq!(now.verdict, then.verdict);
    assert!(
        (now.against / then.against - 1.0).abs() < 1e-9
            && (now.in_favour / then.in_favour - 1.0).abs() < 1e-9
    );
}

#[test]
fn margins_are_read_and_nonsense_is_refused() {
    assert_eq!(Margin::worse_by("1%").unwrap().to_string(), "blue + 1%");
    assert_eq!(Margin::worse_by("0.25%").unwrap().at(0.01), 0.0125);
    assert_eq!(Margin::worse_by("1.5x").unwrap().to_string(), "blue x 1.5");
    assert_eq!(Margin::limit(0.02).to_string(), "2%");
    for text in ["", "1", "-1%", "0%", "1x", "0.5x", "60%", "1e9%", "inf%", "nanx", "101x", "%"] {
        assert!(Margin::worse_by(text).is_err(), "{text}");
    }
    let bad = |rule: Rule| Judge::new(rule, Tally::default(), 0).is_err();
    assert!(bad(Rule { alpha: 0.0, ..rule() }));
    assert!(bad(Rule { beta: 0.9, ..rule() }));
    assert!(bad(Rule { alpha: f64::NAN, ..rule() }));
    assert!(bad(Rule { pass_under: Margin { times: 0.9, plus: 0.0 }, ..rule() }));
    assert!(bad(Rule { fail_over: Margin::limit(0.0), ..rule() }));
}

#[test]
fn forecasts_say_never_where_it_is_never() {
    let never = forecast(&rule(), 0.02, 0.02, 0.1);
    assert_eq!(never.to_fail, None, "an equal release is not found out");
    let share = |share| forecast(&rule(), 0.02, 0.04, share).to_fail.unwrap();
    assert!(share(0.5) > share(0.05), "the larger blue, the fewer visitors of green are needed");
    let time = cutover_rollout::judge::Forecast::time(600, 10.0, 0.1);
    assert_eq!(time, Some(Millis::mins(10)));
    assert_eq!(cutover_rollout::judge::Forecast::time(600, 0.0, 0.1), None);
}

#[test]
fn several_measures_pass_only_together() {
    use Verdict::{Error, Fail, Insufficient, Pass};
    assert_eq!(Verdict::together([Pass, Pass]), Pass);
    assert_eq!(Verdict::together([Pass, Insufficient]), Insufficient);
    assert_eq!(Verdict::together([Insufficient, Error, Pass]), Error);
    assert_eq!(Verdict::together([Error, Fail]), Fail);
    assert_eq!(Verdict::together([]), Error);
}
