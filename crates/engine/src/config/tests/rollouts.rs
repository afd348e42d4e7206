//! `[rollout]`: strategies, times, profiles.

use cutover_rollout::Strategy;

use super::*;

fn rollout(keys: &str) -> String {
    format!("{SITE}[rollout]\n{keys}\n")
}

fn meant(keys: &str) -> AppConfig {
    read(&format!("app = \"shop\"\nhost = \"shop.test\"\n{}", rollout(keys)))
        .unwrap_or_else(|why| panic!("{why:#?}"))
}

#[test]
fn a_gradual_description_is_read() {
    let config = read(include_str!("gradual.toml")).unwrap();
    assert_eq!(config.rollout.strategy.text(), "5%, 25%, 50%, 100%");
    assert_eq!(config.rollout.hold, Duration::from_secs(120));
    let names: Vec<_> = config.gates.iter().map(|gate| (gate.name.as_str(), gate.at.as_slice())).collect();
    let watched = [GateAt::EveryStep, GateAt::Bake];
    assert_eq!(
        names,
        [
            ("smoke", [GateAt::BeforeTraffic].as_slice()),
            ("errors", watched.as_slice()),
            ("e2e", [GateAt::BeforeTraffic].as_slice())
        ]
    );
}

#[test]
fn every_form_of_a_strategy_is_read_as_the_rollout_reads_it() {
    let audience = "[[routing.audience]]\nname = \"staff\"\nheader = { name = \"x-team\" }\n";
    for text in [
        "instant",
        "5%, 25%, 50%, 100%",
        "2.5% for 10m, 100%",
        "staff, then 5%, then 100%",
        "canary(10%, 5m)",
        "linear(10%, 1m)",
        "CodeDeployDefault.LambdaCanary10Percent5Minutes",
        "ECSLinear10PercentEvery1Minutes",
        "50%, 100% for 1h",
    ] {
        let config = meant(&format!("strategy = \"{text}\"\n{audience}"));
        assert_eq!(*config.rollout.strategy.strategy(), Strategy::parse(text, &["staff"]).unwrap(), "{text}");
        let snapshot = config.snapshot();
        let back: Snapshot = serde_json::from_slice(&snapshot.canonical_bytes()).unwrap();
        assert_eq!(back, snapshot, "{text}");
    }
}

#[test]
fn what_is_wrong_with_a_strategy_has_its_own_place_and_remedy() {
    // `strategy = "` is 12 columns wide.
    for (text, column, message, hint) in [
        ("5%, 105%", 17, "a share cannot be over 100%", None),
        ("0%, 100%", 13, "a step must move somebody", None),
        ("-5%, 100%", 13, "a step must move somebody", None),
        ("50%, 25%, 100%", 18, "shares must rise", None),
        ("5%", 13, "the steps end at 5%", None),
        ("5, 100%", 13, "a share needs a percent sign", None),
        ("5% for -1m, 100%", 20, "cannot be negative", None),
        ("5% for 0s, 100%", 20, "longer than nothing", None),
        ("canary(10%)", 23, "expected a comma", Some("canary(10%, 5m)")),
        ("blue", 13, "there is no audience \"blue\"; none is configured", Some("steps such as")),
        ("instnat", 13, "there is no audience", Some("did you mean `instant`?")),
        (
            "lambdacanary10percent5minutes",
            13,
            "there is no audience",
            Some("did you mean `LambdaCanary10Percent5Minutes`?"),
        ),
        (
            "CodeDeployDefault.LambdaCanary10Percent5Minuts",
            13,
            "not a predefined configuration",
            Some("did you mean `LambdaCanary10Percent5Minutes`?"),
        ),
        ("CodeDeployDefault.Blue", 13, "not a predefined configuration", None),
        ("OneAtATime", 13, "about instances", None),
        ("", 12, "the strategy is empty", None),
        ("5%; 100%", 15, "unexpected character ';'", Some("steps such as")),
    ] {
        let error = only(&rollout(&format!("strategy = \"{text}\"")));
        assert_eq!((error.code, error.line), ("CUT0105", 6), "{text}");
        assert!(error.message.starts_with("`rollout.strategy`: "), "{text}: {error}");
        assert!(error.message.contains(message), "{text}: {error}");
        assert_eq!(error.column, column, "{text}: {error}");
        assert_eq!(error.hint.is_some(), hint.is_some(), "{text}: {:?}", error.hint);
        assert!(error.hint.unwrap_or_default().contains(hint.unwrap_or_default()), "{text}");
    }
}

#[test]
fn a_place_in_a_strategy_is_found_in_every_kind_of_string() {
    for (written, line, column) in [
        ("'5%, 105%'", 6, 17),
        ("\"\"\"5%, 105%\"\"\"", 6, 19),
        ("\"\"\"\n5%,\n105%\"\"\"", 8, 1),
        ("\"5%\\u002C 105%\"", 6, 12),
    ] {
        let error = only(&rollout(&format!("strategy = {written}")));
        assert_eq!((error.line, error.column), (line, column), "{written}: {error}");
    }
}

#[test]
fn times_are_longer_than_nothing_but_for_the_bake() {
    for (keys, code) in [
        ("hold = \"0s\"", "CUT0105"),
        ("hold = \"-2m\"", "CUT0105"),
        ("hold = \"31d\"", "CUT0105"),
        ("bake = \"-2m\"", "CUT0105"),
        ("bake = \"31d\"", "CUT0105"),
        ("slow = \"0s\"", "CUT0105"),
        ("slow = \"11m\"", "CUT0105"),
        ("drain = { quiet = \"2h\", at_most = \"1h\" }", "CUT0107"),
    ] {
        assert_eq!(only(&rollout(keys)).code, code, "{keys}");
    }
    assert!(only(&rollout("hold = \"-2m\"")).message.contains("cannot be negative"));
    let config = meant("bake = \"0s\"\nslow = \"250ms\"");
    assert_eq!((config.rollout.bake, config.rollout.slow), (Duration::ZERO, Duration::from_millis(250)));
}

#[test]
fn low_traffic_has_four_answers() {
    for (text, policy) in [
        ("hold", LowTraffic::Hold),
        ("extend 10m", LowTraffic::Extend(Duration::from_secs(600))),
        ("ask", LowTraffic::Ask),
        ("synthetic", LowTraffic::Synthetic),
    ] {
        let config = meant(&format!("low_traffic = \"{text}\""));
        assert_eq!(config.rollout.low_traffic, policy);
        assert_eq!(serde_json::to_value(policy).unwrap(), text);
        assert_eq!(serde_json::from_value::<LowTraffic>(text.into()).unwrap(), policy);
    }
    for (text, why, hint) in [
        ("extend", "says not how long", ""),
        ("extend 0s", "extends by nothing", ""),
        ("extend 31d", "more than 30 days", ""),
        ("extend 1w", "unknown unit", ""),
        ("holt", "is none of", "did you mean \"hold\"?"),
        ("never", "is none of", "it is one of"),
        ("", "is none of", "it is one of"),
    ] {
        let error = only(&rollout(&format!("low_traffic = {text:?}")));
        assert_eq!((error.code, error.line, error.column), ("CUT0105", 6, 15), "{text}");
        assert!(error.message.contains(why), "{error}");
        assert!(error.hint.as_ref().unwrap().contains(hint), "{text}: {error:?}");
    }
}

#[test]
fn the_quick_profile_is_the_default_and_as_it_always_was() {
    let nothing = meant("");
    assert_eq!(meant("profile = \"quick\"").snapshot(), nothing.snapshot());
    assert!(nothing.rollout.strategy.strategy().is_instant());
    assert_eq!(
        (nothing.rollout.hold, nothing.rollout.bake),
        (Duration::from_secs(120), Duration::from_secs(600))
    );
    assert_eq!(nothing.rollout.readiness, ReadinessPolicy::Warn);
    assert!(nothing.gates.is_empty());
}

#[test]
fn standard_and_paranoid_move_in_steps_and_compare() {
    for (profile, strategy, hold, bake, readiness, rates) in [
        ("standard", "5%, 25%, 50%, 100%", 120, 600, ReadinessPolicy::Warn, (0.01, 0.05)),
        ("paranoid", "1%, 5%, 10%, 25%, 50%, 100%", 600, 3_600, ReadinessPolicy::Refuse, (0.001, 0.01)),
    ] {
        let config = meant(&format!("profile = {profile:?}"));
        assert_eq!(config.rollout.strategy.text(), strategy);
        assert_eq!((config.rollout.hold.as_secs(), config.rollout.bake.as_secs()), (hold, bake));
        assert_eq!(config.rollout.readiness, readiness);
        let compared: Vec<_> = config
            .gates
            .iter()
            .map(|gate| match &gate.kind {
                GateKind::Compare(compare) => {
                    assert_eq!((compare.false_alarms, compare.missed), rates);
                    assert!(gate.required && crate::judging::rule(compare, 7).is_ok());
                    (gate.name.as_str(), compare.measure, compare.worse_by.as_str())
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(compared, [("errors", Measure::Errors, "1%"), ("slow", Measure::Slow, "5%")]);
    }
}

#[test]
fn what_is_written_wins_over_the_profile() {
    let config = meant(
        "profile = \"paranoid\"\nstrategy = \"canary(10%, 5m)\"\nhold = \"1m\"\nbake = \"0s\"\nreadiness = \"warn\"\n\
         [[gate]]\nname = \"slow\"\nrun = \"./measure\"\n\
         [[gate]]\nname = \"mine\"\ncompare = { metric = \"errors\", worse_by = \"2x\" }",
    );
    assert_eq!(config.rollout.strategy.text(), "10% for 5m, 100%");
    assert_eq!((config.rollout.hold.as_secs(), config.rollout.bake.as_secs()), (60, 0));
    assert_eq!(config.rollout.readiness, ReadinessPolicy::Warn);
    let gates: Vec<_> =
        config.gates.iter().map(|gate| (gate.name.as_str(), gate.kind.word(), gate.at.clone())).collect();
    assert_eq!(
        gates,
        [
            ("slow", "run", vec![GateAt::BeforeTraffic]),
            ("mine", "compare", vec![GateAt::EveryStep]),
            ("errors", "compare", vec![GateAt::EveryStep]),
        ]
    );
    let GateKind::Compare(mine) = &config.gates[1].kind else { panic!() };
    assert_eq!((mine.false_alarms, mine.missed), (0.001, 0.01), "the profile's rates where none is written");
}

#[test]
fn profiles_that_cannot_be_are_refused() {
    let error = only(&rollout("profile = \"standart\""));
    assert_eq!((error.code, error.hint.as_deref()), ("CUT0105", Some("did you mean \"standard\"?")));
    let error = only(&rollout("profile = \"standard\"\nstrategy = \"instant\"\nbake = \"0s\""));
    assert_eq!((error.code, error.line, error.column), ("CUT0107", 6, 11), "{error}");
}
