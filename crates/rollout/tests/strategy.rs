//! Strategies are read as they are meant, and each mistake is shown where it is.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use cutover_rollout::{Millis, Move, Problem, Strategy, To, presets};
use proptest::prelude::*;

const AUDIENCES: [&str; 2] = ["staff", "beta-users"];

fn parse(text: &str) -> Strategy {
    Strategy::parse(text, &AUDIENCES).unwrap_or_else(|error| panic!("{text}: {error} at {:?}", error.span))
}

fn share(width: u16, hold: Option<Millis>) -> Move {
    Move { to: To::Share(width), hold }
}

fn audience(name: &str, hold: Option<Millis>) -> Move {
    Move { to: To::Audience(name.to_owned()), hold }
}

#[test]
fn steps_with_and_without_holds() {
    assert_eq!(parse("instant"), Strategy::INSTANT);
    assert_eq!(parse("100%"), Strategy::INSTANT);
    assert_eq!(
        parse("5%, 25% for 10m, 50%,100%").moves,
        [share(500, None), share(2_500, Some(Millis::mins(10))), share(5_000, None)]
    );
    assert_eq!(
        parse(" 0.01% , 2.5% , 33.33% , 100.00% ").moves,
        [share(1, None), share(250, None), share(3_333, None)]
    );
    assert_eq!(
        parse("50%, 100% for 1h").moves,
        [share(5_000, None), share(10_000, Some(Millis::mins(60)))],
        "a hold at 100% keeps blue the default until it is over"
    );
}

#[test]
fn audiences_come_first() {
    let expected =
        [audience("staff", None), audience("beta-users", Some(Millis::mins(30))), share(500, None)];
    for text in [
        "staff, beta-users for 30m, 5%, 100%",
        "staff, then beta-users for 30m, then 5%, 100%",
        "staff then beta-users for 30m then 5% then 100%",
    ] {
        assert_eq!(parse(text).moves, expected, "{text}");
    }
    assert_eq!(
        parse("staff, canary(10%, 5m)").moves,
        [audience("staff", None), share(1_000, Some(Millis::mins(5)))]
    );
}

#[test]
fn canary_and_linear_are_the_steps_they_stand_for() {
    assert_eq!(parse("canary(10%, 5m)"), parse("10% for 5m, 100%"));
    assert_eq!(parse("linear(25%,1m)"), parse("25% for 1m, 50% for 1m, 75% for 1m, 100%"));
    assert_eq!(parse("linear(30%, 1m)"), parse("30% for 1m, 60% for 1m, 90% for 1m, 100%"));
    assert_eq!(parse("linear(100%, 1m)"), Strategy::INSTANT);
}

#[test]
fn names_of_codedeploy_have_their_published_numbers() {
    for (name, written) in [
        ("CodeDeployDefault.AllAtOnce", "instant"),
        ("CodeDeployDefault.LambdaAllAtOnce", "instant"),
        ("CodeDeployDefault.ECSAllAtOnce", "instant"),
        ("CodeDeployDefault.LambdaCanary10Percent5Minutes", "canary(10%, 5m)"),
        ("CodeDeployDefault.LambdaCanary10Percent10Minutes", "canary(10%, 10m)"),
        ("CodeDeployDefault.LambdaCanary10Percent15Minutes", "canary(10%, 15m)"),
        ("CodeDeployDefault.LambdaCanary10Percent30Minutes", "canary(10%, 30m)"),
        ("CodeDeployDefault.LambdaLinear10PercentEvery1Minute", "linear(10%, 1m)"),
        ("CodeDeployDefault.LambdaLinear10PercentEvery2Minutes", "linear(10%, 2m)"),
        ("CodeDeployDefault.LambdaLinear10PercentEvery3Minutes", "linear(10%, 3m)"),
        ("CodeDeployDefault.LambdaLinear10PercentEvery10Minutes", "linear(10%, 10m)"),
        ("CodeDeployDefault.ECSLinear10PercentEvery1Minutes", "linear(10%, 1m)"),
        ("CodeDeployDefault.ECSLinear10PercentEvery3Minutes", "linear(10%, 3m)"),
        ("CodeDeployDefault.ECSCanary10Percent5Minutes", "canary(10%, 5m)"),
        ("CodeDeployDefault.ECSCanary10Percent15Minutes", "canary(10%, 15m)"),
    ] {
        assert_eq!(parse(name), parse(written), "{name}");
        let short = name.strip_prefix("CodeDeployDefault.").unwrap();
        assert_eq!(parse(short), parse(written), "{short}");
    }
    assert_eq!(parse("Canary10Percent5Minutes"), parse("canary(10%, 5m)"), "the short form of SAM");
    for preset in presets() {
        let strategy = parse(preset.name);
        assert!(strategy.is_instant() || strategy.moves[0].to == To::Share(1_000), "{}", preset.name);
    }
}

/// The mistake is marked in the text with `[` and `]`.
#[test]
fn each_mistake_is_refused_where_it_stands() {
    let before_now = |before: &str, now: &str| Problem::Falling { before: before.into(), now: now.into() };
    for (marked, problem) in [
        ("[]", Problem::Empty),
        ("5%, [101%], 100%", Problem::Over),
        ("[100.01%]", Problem::Over),
        ("[99999999999%]", Problem::Over),
        ("[0%], 100%", Problem::NoShare),
        ("[-5%], 100%", Problem::NoShare),
        ("25%, [5%], 100%", before_now("25%", "5%")),
        ("5%, [5%], 100%", before_now("5%", "5%")),
        ("100%, [100%]", Problem::AfterAll),
        ("5%, 100%, [staff]", Problem::AfterAll),
        ("[5], 100%", Problem::NoPercent("5".into())),
        ("[1.234%], 100%", Problem::TooFine),
        ("[1e2%]", Problem::NotAShare),
        ("[5.%], 100%", Problem::NotAShare),
        ("5%, [25%]", Problem::NotAll("25%".into())),
        ("[staff]", Problem::NotAll("staff".into())),
        ("5% for [0s], 100%", Problem::NoHold),
        ("5% for [-2m], 100%", Problem::Hold(cutover_rollout::NotMillis::Negative)),
        ("5% for [2], 100%", Problem::Hold(cutover_rollout::NotMillis::NoUnit)),
        ("5% for [31d], 100%", Problem::HoldTooLong),
        ("canary(10%, [0m])", Problem::NoHold),
        ("canary([0%], 5m)", Problem::NoShare),
        ("canary([100%], 5m)", Problem::AfterAll),
        ("linear([110%], 5m)", Problem::Over),
        ("linear([0.01%], 1m)", Problem::TooMany),
        ("20%, canary([10%], 5m)", before_now("20%", "10%")),
        ("canary(10%, 5m), [50%]", Problem::AfterAll),
        ("5%, [staff], 100%", Problem::LateAudience),
        ("staff, [staff], 100%", Problem::AudienceTwice("staff".into())),
        ("[ECSCanary20Percent5Minutes]", Problem::UnknownPreset("ECSCanary20Percent5Minutes".into())),
        ("[CodeDeployDefault.Fast]", Problem::UnknownPreset("CodeDeployDefault.Fast".into())),
        ("[CodeDeployDefault.HalfAtATime]", Problem::Instances("CodeDeployDefault.HalfAtATime".into())),
        ("[instant], 5%", Problem::Alone("instant".into())),
        ("5%, [ECSAllAtOnce]", Problem::Alone("ECSAllAtOnce".into())),
        ("5%[;] 100%", Problem::Character(';')),
        ("5% [25%]", Problem::Expected { expected: "a comma, `then` or `for`" }),
        ("5%, [,] 100%", Problem::Expected { expected: "a share such as `5%` or an audience" }),
        ("canary(10%, 5m[]", Problem::Expected { expected: "`)`" }),
        (
            "5%,[]",
            Problem::Expected {
                expected: "a share such as `5%`, an audience, `canary(...)` or `linear(...)`",
            },
        ),
    ] {
        let text = marked.replace(['[', ']'], "");
        let start = marked.find('[').unwrap();
        let end = marked.find(']').unwrap() - 1;
        let error = Strategy::parse(&text, &AUDIENCES).expect_err(&text);
        assert_eq!(error.problem, problem, "{text}");
        assert_eq!(error.span, start..end, "{text}: {error}");
    }
    let error = Strategy::parse("stuff, 5%, 100%", &AUDIENCES).unwrap_err();
    assert_eq!(error.to_string(), r#"there is no audience "stuff"; there is staff, beta-users"#);
    assert_eq!(error.span, 0..5);
}

proptest! {
    #[test]
    fn a_strategy_that_is_written_out_is_read_again(
        shares in proptest::collection::btree_set(1_u16..=10_000, 0..20),
        holds in proptest::collection::vec(proptest::option::of(1_u64..10_000_000), 20),
        staff: bool,
    ) {
        let mut moves: Vec<Move> = shares
            .iter()
            .zip(&holds)
            .map(|(width, hold)| share(*width, hold.map(Millis)))
            .filter(|step| step.to != To::Share(10_000) || step.hold.is_some())
            .collect();
        if staff {
            moves.insert(0, audience("staff", None));
        }
        let strategy = Strategy { moves };
        prop_assert_eq!(parse(&strategy.to_string()), strategy);
    }

    #[test]
    fn no_text_confuses_the_reader(text in "[a-z0-9%,.() -]{0,40}|\\PC{0,20}") {
        if let Err(error) = Strategy::parse(&text, &AUDIENCES) {
            prop_assert!(error.span.start <= error.span.end && error.span.end <= text.len());
            prop_assert!(text.is_char_boundary(error.span.start) && text.is_char_boundary(error.span.end));
        }
    }
}
