//! The judge keeps its promises, in simulation: how often it is wrong however often one looks, how soon it is right,
//! and what it makes of visitors who fail again and again. The same harness finds judges that do not keep them.
//!
//! Every simulation is seeded and prints what it measured: `cargo test -p cutover-rollout --test judge -- --nocapture`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

use cutover_rollout::Millis;
use cutover_rollout::judge::{Arm, Cohort, Judge, Margin, Rule, Sample, Tally, Verdict, forecast};

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn chance(&mut self, p: f64) -> bool {
        ((self.next() >> 11) as f64) < p * (1_u64 << 53) as f64
    }

    fn tally(&mut self, visitors: u64, p: f64) -> Tally {
        Tally { visitors, failed: (0..visitors).filter(|_| self.chance(p)).count() as u64 }
    }
}

/// Something that looks at every window and may raise an alarm.
trait Alarm {
    fn look(&mut self, sample: &Sample) -> bool;
}

struct Careful(Judge);

impl Alarm for Careful {
    fn look(&mut self, sample: &Sample) -> bool {
        self.0.observe(sample).unwrap();
        self.0.verdict(sample.to).verdict == Verdict::Fail
    }
}

/// The control: the textbook test of two proportions at the same level, looked at after every window.
struct Naive {
    critical: f64,
    green: Tally,
    blue: Tally,
}

impl Alarm for Naive {
    fn look(&mut self, sample: &Sample) -> bool {
        self.green = self.green.plus(sample.green);
        self.blue = self.blue.plus(sample.blue);
        let (n, m) = (self.green.visitors as f64, self.blue.visitors as f64);
        let (p, q) = (self.green.failed as f64 / n, self.blue.failed as f64 / m);
        let pooled = (self.green.failed + self.blue.failed) as f64 / (n + m);
        let spread = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
        spread > 0.0 && (p - q) / spread > self.critical
    }
}

/// Alpha 5 %, so that a thousand runs show whether it is kept.
fn rule() -> Rule {
    Rule { alpha: 0.05, beta: 0.05, ..Rule::compare(Margin::worse_by("1%").unwrap()) }
}

fn careful() -> Careful {
    Careful(Judge::new(rule(), Tally::default(), 0).unwrap())
}

fn naive() -> Naive {
    Naive { critical: 1.645, green: Tally::default(), blue: Tally::default() }
}

#[derive(Clone, Copy)]
struct Traffic {
    green: u64,
    blue: u64,
    windows: u64,
}

fn sample(window: u64, green: Tally, blue: Tally) -> Sample {
    Sample { from: window * 10_000, to: (window + 1) * 10_000, green, blue }
}

/// Whether and in which window an alarm is raised, where visitors fail independently with the given rates.
fn first_alarm(
    alarm: &mut dyn Alarm,
    traffic: Traffic,
    rates: &dyn Fn(u64) -> (f64, f64),
    random: &mut Random,
) -> Option<u64> {
    (0..traffic.windows).find(|window| {
        let (green, blue) = rates(*window);
        let (green, blue) = (random.tally(traffic.green, green), random.tally(traffic.blue, blue));
        alarm.look(&sample(*window, green, blue))
    })
}

/// The share of runs with an alarm.
fn alarms<A: Alarm>(
    make: fn() -> A,
    traffic: Traffic,
    rates: &dyn Fn(u64) -> (f64, f64),
    runs: u64,
    seed: u64,
) -> f64 {
    let mut random = Random(seed);
    let count = (0..runs).filter(|_| first_alarm(&mut make(), traffic, rates, &mut random).is_some()).count();
    count as f64 / runs as f64
}

/// The promised rate and three standard deviations of the experiment.
fn promised(rate: f64, runs: u64) -> f64 {
    rate + 3.0 * (rate * (1.0 - rate) / runs as f64).sqrt()
}

const BALANCED: Traffic = Traffic { green: 60, blue: 60, windows: 100 };
const CANARY: Traffic = Traffic { green: 15, blue: 285, windows: 100 };

#[test]
fn equal_releases_fail_no_more_often_than_promised_however_often_one_looks() {
    const RUNS: u64 = 600;
    for (name, traffic) in [("half and half", BALANCED), ("a canary of 5%", CANARY)] {
        for p in [0.001, 0.02, 0.2] {
            let rate = alarms(careful, traffic, &|_| (p, p), RUNS, 1);
            println!("equal at {p}, {name}: {rate:.4} of {RUNS} runs failed, promised 0.05");
            assert!(rate <= promised(0.05, RUNS), "{name} {p}: {rate}");
        }
    }
}

#[test]
fn a_naive_judge_breaks_the_promise_in_the_same_harness() {
    for (name, traffic) in [("half and half", BALANCED), ("a canary of 5%", CANARY)] {
        let rate = alarms(naive, traffic, &|_| (0.02, 0.02), 600, 1);
        println!("repeated z-test, equal at 0.02, {name}: {rate:.4} of 600 runs failed, promised 0.05");
        assert!(rate > promised(0.05, 600) * 2.0, "the harness must be able to fail: {rate}");
    }
}

#[test]
fn troubles_that_come_and_go_for_both_are_no_evidence() {
    let storm = |window: u64| if (30..60).contains(&window) { (0.3, 0.3) } else { (0.01, 0.01) };
    for traffic in [BALANCED, CANARY] {
        let rate = alarms(careful, traffic, &storm, 400, 2);
        println!("both failing 30% for a while: {rate:.4} of 400 runs failed, promised 0.05");
        assert!(rate <= promised(0.05, 400), "{rate}");
    }
}

#[test]
fn a_release_just_inside_the_line_passes_no_more_often_than_promised() {
    const RUNS: u64 = 400;
    let mut random = Random(3);
    for (p, green) in [(0.0, 0.01), (0.02, 0.03), (0.1, 0.11)] {
        let passed = (0..RUNS)
            .filter(|_| {
                let mut judge = careful().0;
                (0..100).any(|window| {
                    let (green, blue) = (random.tally(60, green), random.tally(240, p));
                    judge.observe(&sample(window, green, blue)).unwrap();
                    judge.verdict((window + 1) * 10_000).verdict == Verdict::Pass
                })
            })
            .count();
        let rate = passed as f64 / RUNS as f64;
        println!(
            "worse by exactly the margin of 1% (blue at {p}): {rate:.4} of {RUNS} runs passed, promised 0.05"
        );
        assert!(rate <= promised(0.05, RUNS), "{rate}");
    }
}

/// The middle of what was needed, in visitor-windows of green, and the share of runs that came to it.
fn median(mut needed: Vec<Option<u64>>) -> (f64, u64) {
    let found = needed.iter().flatten().count() as f64 / needed.len() as f64;
    needed.sort_by_key(|needed| needed.unwrap_or(u64::MAX));
    (found, needed[needed.len() / 2].unwrap_or(u64::MAX))
}

#[test]
fn a_doubled_error_rate_is_found_and_about_when_it_was_forecast() {
    // Of a difference that is within the margin nobody wants to hear, so the margin is below the one to be found.
    for (p, green, blue, margin) in
        [(0.02, 50, 450, "1%"), (0.02, 100, 100, "1%"), (0.1, 20, 180, "1%"), (0.005, 200, 1_800, "0.3%")]
    {
        let rule = Rule { pass_under: Margin::worse_by(margin).unwrap(), ..rule() };
        let traffic = Traffic { green, blue, windows: 200 };
        let mut random = Random(4);
        let needed = (0..60)
            .map(|_| {
                let mut judge = Careful(Judge::new(rule.clone(), Tally::default(), 0).unwrap());
                let window = first_alarm(&mut judge, traffic, &|_| (2.0 * p, p), &mut random)?;
                Some((window + 1) * green)
            })
            .collect();
        let (found, median) = median(needed);
        let share = green as f64 / (green + blue) as f64;
        let forecast = forecast(&rule, p, 2.0 * p, share).to_fail.unwrap();
        println!(
            "{p} doubled, {green} of {}: found in {found:.2} of runs, median {median} visitors, forecast {forecast}",
            green + blue
        );
        assert!(found >= 0.9, "{p}: {found}");
        let ratio = median as f64 / forecast as f64;
        assert!((0.4..2.5).contains(&ratio), "{p}: median {median}, forecast {forecast}");
    }
}

#[test]
fn an_equal_release_passes_about_when_it_was_forecast() {
    for (p, green, blue) in [(0.0, 20, 180), (0.001, 20, 180), (0.01, 50, 450), (0.02, 100, 100)] {
        let mut random = Random(5);
        let needed = (0..60)
            .map(|_| {
                let mut judge = careful().0;
                let window = (0..200).find(|window| {
                    let (green, blue) = (random.tally(green, p), random.tally(blue, p));
                    judge.observe(&sample(*window, green, blue)).unwrap();
                    judge.verdict((window + 1) * 10_000).verdict == Verdict::Pass
                })?;
                Some((window + 1) * green)
            })
            .collect();
        let (found, median) = median(needed);
        let forecast = forecast(&rule(), p, p, green as f64 / (green + blue) as f64).to_pass.unwrap();
        println!("equal at {p}: passed in {found:.2} of runs, median {median} visitors, forecast {forecast}");
        assert!(found >= 0.85, "{p}: {found}");
        let ratio = median as f64 / forecast as f64;
        assert!((0.4..2.5).contains(&ratio), "{p}: median {median}, forecast {forecast}");
    }
}

#[test]
fn a_release_that_turns_bad_after_a_long_good_time_is_found_soon() {
    for (turned, most) in [(0.05, 12), (0.1, 5), (0.5, 2)] {
        for good in [10, 100, 400] {
            let traffic = Traffic { green: 100, blue: 900, windows: good + 100 };
            let rates = |window: u64| (if window < good { 0.01 } else { turned }, 0.01);
            let mut random = Random(8);
            let needed = (0..30)
                .map(|_| {
                    let window = first_alarm(&mut careful(), traffic, &rates, &mut random)?;
                    window.checked_sub(good).map(|windows| windows + 1)
                })
                .collect();
            let (found, median) = median(needed);
            println!(
                "good for {good} windows, then {turned}: found in {found:.2} of runs, median {median} windows"
            );
            assert!(found >= 0.9 && median <= most, "{turned} after {good}: {found}, {median}");
        }
    }
}

/// Visitors with habits: most fail never, some fail often, and all of them make many requests over many windows.
struct Crowd {
    /// Which release and how often each fails, by number.
    visitors: Vec<(Arm, f64)>,
}

impl Crowd {
    fn new(random: &mut Random, size: usize, share: f64, prone: f64, habit: f64) -> Crowd {
        let visitors = (0..size).map(|_| {
            let arm = if random.chance(share) { Arm::Green } else { Arm::Blue };
            (arm, if random.chance(prone) { habit } else { 0.001 })
        });
        Crowd { visitors: visitors.collect() }
    }

    /// One window: a third of the visitors make three requests each. Once as visitor-windows, once as bare requests.
    fn window(&self, random: &mut Random, cohort: &mut Cohort) -> (Tally, Tally) {
        let mut requests = (Tally::default(), Tally::default());
        for (number, (arm, habit)) in self.visitors.iter().enumerate() {
            if !random.chance(0.33) {
                continue;
            }
            for _ in 0..3 {
                let failed = random.chance(*habit);
                cohort.request(*arm, number as u64, failed);
                let tally = if *arm == Arm::Green { &mut requests.0 } else { &mut requests.1 };
                *tally = tally.plus(Tally { visitors: 1, failed: u64::from(failed) });
            }
        }
        requests
    }
}

#[test]
fn visitors_who_fail_again_and_again_are_no_evidence_but_their_requests_would_be() {
    const RUNS: u64 = 200;
    let mut random = Random(6);
    let (mut by_visitor, mut by_request) = (0, 0);
    for _ in 0..RUNS {
        // One visitor in fifty has a broken browser: nine out of ten of their requests fail, on whichever release.
        let crowd = Crowd::new(&mut random, 600, 0.2, 0.02, 0.9);
        let mut cohort = Cohort::default();
        let (mut judge, mut fooled) = (careful(), careful());
        let (mut visitor, mut request) = (false, false);
        for window in 0..60 {
            let (green, blue) = crowd.window(&mut random, &mut cohort);
            request |= fooled.look(&sample(window, green, blue));
            let (green, blue) = cohort.close();
            visitor |= judge.look(&sample(window, green, blue));
        }
        by_visitor += u64::from(visitor);
        by_request += u64::from(request);
    }
    let rate = |count: u64| count as f64 / RUNS as f64;
    println!(
        "prone visitors: {:.3} of runs failed by visitors, {:.3} by requests",
        rate(by_visitor),
        rate(by_request)
    );
    assert!(rate(by_visitor) <= promised(0.05, RUNS), "{by_visitor}");
    assert!(rate(by_request) > promised(0.05, RUNS) * 2.0, "the harness must be able to fail: {by_request}");
}

#[test]
fn one_visitor_who_makes_a_tenth_of_all_errors_cannot_fail_a_release() {
    const RUNS: u64 = 200;
    let mut random = Random(7);
    let (mut by_visitor, mut by_request) = (0, 0);
    for _ in 0..RUNS {
        let mut cohort = Cohort::default();
        let (mut judge, mut fooled) = (careful(), careful());
        let (mut visitor, mut request) = (false, false);
        let mut next = 1_u64;
        for window in 0..60 {
            let mut requests = (Tally::default(), Tally::default());
            // 300 visitors, 1% of whom fail; and number 0, always on green, who makes a third of a failure a window.
            for _ in 0..300 {
                let (arm, tally) = if random.chance(0.05) {
                    (Arm::Green, &mut requests.0)
                } else {
                    (Arm::Blue, &mut requests.1)
                };
                let failed = random.chance(0.01);
                cohort.request(arm, next, failed);
                *tally = tally.plus(Tally { visitors: 1, failed: u64::from(failed) });
                next += 1;
            }
            if random.chance(0.33) {
                cohort.request(Arm::Green, 0, true);
                requests.0 = requests.0.plus(Tally { visitors: 1, failed: 1 });
            }
            request |= fooled.look(&sample(window, requests.0, requests.1));
            let (green, blue) = cohort.close();
            visitor |= judge.look(&sample(window, green, blue));
        }
        by_visitor += u64::from(visitor);
        by_request += u64::from(request);
    }
    let rate = |count: u64| count as f64 / RUNS as f64;
    println!(
        "one loud visitor: {:.3} of runs failed by visitors, {:.3} by requests",
        rate(by_visitor),
        rate(by_request)
    );
    assert!(rate(by_visitor) <= promised(0.05, RUNS), "{by_visitor}");
    assert!(rate(by_request) > 0.5, "the harness must be able to fail: {by_request}");
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
