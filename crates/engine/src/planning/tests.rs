use std::path::Path;

use cutover_rollout::{Stage, Strategy};

use super::*;
use crate::rollout::Millis;

mod properties;

const HEAD: &str = "app = \"shop\"\nhost = \"shop.test\"\n[site]\ndir = \"dist\"\n\
                    [[routing.audience]]\nname = \"staff\"\nheader = { name = \"x-team\" }\n";

fn snapshot(text: &str) -> Snapshot {
    let text = format!("{HEAD}{text}");
    config::parse(&text, Path::new("/srv/cutover.toml")).unwrap_or_else(|why| panic!("{why:#?}")).snapshot()
}

fn gate(name: &str, keys: &str) -> String {
    format!("[[gate]]\nname = \"{name}\"\n{keys}\n")
}

fn blue() -> ReleaseId {
    "blue0000".parse().unwrap()
}

fn green() -> ReleaseId {
    "green000".parse().unwrap()
}

fn with(snapshot: &Snapshot, overrides: &Overrides) -> Result<Plan, Error> {
    plan(snapshot, overrides, "ro-1".parse().unwrap(), Some(blue()), green())
}

fn strategy(text: &str) -> Overrides {
    Overrides { strategy: Some(Strategy::parse(text, &["staff", "other"]).unwrap()), ..Overrides::default() }
}

/// `stage: gates`, one a line, for every step that has gates.
fn gates(plan: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    for step in &plan.steps {
        let stage = match &step.stage {
            Stage::Shift { to, .. } => to.to_string(),
            other => other.word().to_owned(),
        };
        let gates: Vec<String> = match &step.does {
            Does::Act(Act::Gate(gate)) => vec![gate.gate.clone()],
            Does::Hold { watch, .. } => watch.iter().map(|gate| format!("~{}", gate.gate)).collect(),
            _ => continue,
        };
        if !gates.is_empty() {
            found.push(format!("{stage}: {}", gates.join(" ")));
        }
    }
    found
}

fn whole() -> Snapshot {
    snapshot(
        &[
            "[rollout]\nstrategy = \"staff, 5% for 1m, 25%, 100% for 1h\"\nhold = \"3m\"\nbake = \"20m\"\n\
             drain = { quiet = \"1m\", at_most = \"2h\" }\nlow_traffic = \"extend 30m\"\n"
                .to_owned(),
            gate("smoke", "http = { path = \"/\" }"),
            gate("look", "http = { path = \"/\" }\nat = [\"steps\", \"bake\"]\nrequired = false"),
            gate("errors", "compare = { metric = \"errors\", worse_by = \"1%\" }"),
            gate(
                "slow",
                "compare = { metric = \"slow\", worse_by = \"1%\" }\nat = [\"25%\"]\nlow_traffic = \"ask\"",
            ),
            gate("p95", "metrics = { edge = \"p95\", max = 1 }\nlow_traffic = \"synthetic\""),
            gate("go", "approval = {}\nat = [\"25%\"]"),
        ]
        .concat(),
    )
}

#[test]
fn a_plan_has_every_gate_where_it_was_put() {
    let plan = with(&whole(), &Overrides::default()).unwrap();
    assert!(plan.sealed());
    assert_eq!(
        gates(&plan),
        [
            "test: smoke",
            "staff: ~p95",
            "staff: look",
            "5%: ~errors ~p95",
            "5%: look",
            "25%: ~errors ~slow ~p95",
            "25%: look",
            "25%: go",
            "100%: ~p95",
            "100%: look",
            "bake: ~errors ~p95",
            "bake: look",
        ],
        "comparisons leave audiences and everybody out"
    );
    assert_eq!((plan.quiet, plan.drain_at_most), (Millis::mins(1), Millis::mins(120)));
    let holds: Vec<u64> = plan
        .steps
        .iter()
        .filter_map(|step| match step.does {
            Does::Hold { length, .. } => Some(length.0 / 60_000),
            _ => None,
        })
        .collect();
    assert_eq!(holds, [3, 1, 3, 60, 20]);
    assert_eq!(judged_holds(&plan), 5);
}

#[test]
fn what_follows_from_too_little_evidence_is_each_gates_own() {
    let plan = with(&whole(), &Overrides::default()).unwrap();
    let mut policies = std::collections::BTreeMap::new();
    for step in &plan.steps {
        let gates: &[cutover_rollout::Watched] = match &step.does {
            Does::Act(Act::Gate(gate)) => std::slice::from_ref(gate),
            Does::Hold { watch, .. } => watch,
            _ => &[],
        };
        for gate in gates {
            policies.insert(gate.gate.as_str(), (gate.insufficient, gate.required));
        }
    }
    let expected = [
        ("errors", (Insufficient::Extend(Millis::mins(30)), true)),
        ("go", (Insufficient::Hold, true)),
        ("look", (Insufficient::Hold, false)),
        ("p95", (Insufficient::Hold, true)),
        ("slow", (Insufficient::Ask, true)),
        ("smoke", (Insufficient::Hold, true)),
    ];
    assert_eq!(policies, expected.into());
}

#[test]
fn blue_is_parked_or_kept_warm_and_never_torn_down_by_a_plan() {
    for (after, last) in
        [("retire", Act::Park { release: blue() }), ("standby", Act::Standby { release: blue() })]
    {
        let plan =
            with(&snapshot(&format!("[rollout]\nafter = \"{after}\"\n")), &Overrides::default()).unwrap();
        assert_eq!(plan.steps.last().unwrap().does, Does::Act(last));
        assert!(!plan.steps.iter().any(|step| matches!(step.does, Does::Act(Act::Retire { .. }))));
    }
}

#[test]
fn the_first_release_goes_live_at_once_after_its_gates() {
    let plan = plan(&whole(), &Overrides::default(), "ro-1".parse().unwrap(), None, green()).unwrap();
    assert_eq!(gates(&plan), ["test: smoke"]);
    assert!(matches!(
        plan.steps[plan.promotion().unwrap()].does,
        Does::Act(Act::Route(Change::Promote { .. }))
    ));
}

#[test]
fn an_operator_may_be_instant_whatever_gates_the_release_has() {
    let whole = whole();
    let instant = strategy("instant");
    let plan = with(&whole, &instant).unwrap();
    assert_eq!(gates(&plan), ["test: smoke", "bake: ~errors ~p95", "bake: look"]);
    assert_eq!(left_out(&whole, &instant), ["slow", "go"]);
    assert_eq!(left_out(&whole, &Overrides::default()), Vec::<&str>::new());
}

#[test]
fn skipping_gates_leaves_out_those_before_traffic_only() {
    let release = snapshot(
        &[
            "[rollout]\nstrategy = \"5%, 100%\"\n".to_owned(),
            gate("smoke", "http = { path = \"/\" }"),
            gate("both", "http = { path = \"/\" }\nat = [\"before\", \"steps\"]"),
        ]
        .concat(),
    );
    let skip = Overrides { skip_gates: true, ..Overrides::default() };
    assert_eq!(gates(&with(&release, &skip).unwrap()), ["5%: both"]);
    assert_eq!(left_out(&release, &skip), ["smoke"]);
}

#[test]
fn another_strategy_takes_the_gates_along() {
    let release = snapshot(
        &[
            "[rollout]\nprofile = \"standard\"\n",
            "[[gate]]\nname = \"g\"\nhttp = { path = \"/\" }\nat = [\"steps\"]\n",
        ]
        .concat(),
    );
    let plan = with(&release, &strategy("staff, canary(10%, 5m)")).unwrap();
    assert_eq!(gates(&plan), ["staff: g", "10%: ~errors ~slow", "10%: g", "bake: ~errors ~slow"]);
}

/// Kind, cause and hint of a refusal.
fn refusal(snapshot: &Snapshot, overrides: &Overrides) -> (ErrorKind, String, String) {
    let error = with(snapshot, overrides).unwrap_err();
    assert_eq!(error.code, "CUT0109");
    assert_eq!(error.message, "cannot plan the rollout of release green000");
    (error.kind, error.causes.join("; "), error.hints.join("; "))
}

#[test]
fn what_does_not_fit_together_gives_no_plan() {
    let (kind, why, hint) = refusal(&whole(), &strategy("10%, 100%"));
    assert_eq!(kind, ErrorKind::Invalid);
    assert_eq!(why, "gate \"slow\" runs at 25%, but the strategy has no such step");
    assert!(hint.contains("\"10%, 100%\""), "{hint}");

    let (_, why, hint) = refusal(&whole(), &strategy("other, 25%, 100%"));
    assert!(why.contains("the audience \"other\"") && hint == "it defines staff", "{why} {hint}");

    let mut by_hand = strategy("10%, 100%");
    by_hand.strategy.as_mut().unwrap().moves[0].to = To::Share(20_000);
    assert!(refusal(&snapshot(""), &by_hand).1.contains("over 100%"));
    by_hand.strategy.as_mut().unwrap().moves[0].hold = Some(Millis(0));
    assert!(refusal(&snapshot(""), &by_hand).1.contains("longer than nothing"));

    let fine = "compare = { metric = \"errors\", worse_by = \"1%\", false_alarms = \"0.0001%\" }";
    let (_, why, hint) = refusal(&snapshot(&gate("errors", fine)), &strategy("linear(10%, 1m)"));
    assert!(why.contains("shared by 10 holds") && hint.contains("false_alarms"), "{why} {hint}");

    let error = plan(&snapshot(""), &Overrides::default(), "ro-1".parse().unwrap(), Some(green()), green())
        .unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0109"));
    assert!(error.causes[0].contains("active already") && !error.hints.is_empty());
}

/// What no description that was checked says, but a file that was altered may.
#[test]
fn an_altered_snapshot_gives_no_plan() {
    let whole = whole();
    let altered = |change: &dyn Fn(&mut Snapshot)| {
        let mut altered = whole.clone();
        change(&mut altered);
        refusal(&altered, &Overrides::default()).1
    };
    let why = altered(&|altered| altered.gates[2].at = vec![GateAt::BeforeTraffic]);
    assert!(why.contains("cannot run before there are any"), "{why}");
    let why = altered(&|altered| altered.rollout.bake = std::time::Duration::ZERO);
    assert!(why.contains("the bake has no length"), "{why}");
    let why = altered(&|altered| altered.rollout.hold = std::time::Duration::ZERO);
    assert!(why.contains("longer than nothing"), "{why}");
    let why = altered(&|altered| altered.rollout.drain.quiet = std::time::Duration::from_secs(999_999));
    assert!(why.contains("could never be reached"), "{why}");
    let why = altered(&|altered| altered.rollout.bake = std::time::Duration::MAX);
    assert!(why.contains("longer than 400 days"), "{why}");
    let why = altered(&|altered| altered.gates[0].name = "look".to_owned());
    assert!(why.contains("two gates named"), "{why}");
    let why = altered(&|altered| altered.routing.audiences.clear());
    assert!(why.contains("does not define"), "{why}");
    let why = altered(&|altered| {
        if let GateKind::Compare(compare) = &mut altered.gates[2].kind {
            compare.worse_by = "nonsense".to_owned();
        }
    });
    assert!(why.contains("gate \"errors\"") && why.contains("not a margin"), "{why}");
}

#[test]
fn a_strategy_of_the_command_line_is_read_with_the_audiences_of_the_release() {
    let release = snapshot("");
    assert_eq!(read_strategy(&release, "staff, 5%, 100%").unwrap().to_string(), "staff, 5%, 100%");
    for (text, cause, hint) in [
        ("5%, 105%", "at character 5: a share cannot be over 100%", ""),
        (
            "staf, 5%, 100%",
            "at character 1: there is no audience \"staf\"; there is staff",
            "did you mean `staff`?",
        ),
        ("ä5%", "at character 1: unexpected character 'ä'", "write `instant`"),
        ("", "at character 1: the strategy is empty", ""),
    ] {
        let error = read_strategy(&release, text).unwrap_err();
        assert_eq!((error.code.as_str(), error.kind), ("CUT0109", ErrorKind::Invalid));
        assert!(error.causes[0].starts_with(cause), "{error}");
        assert!(error.hints.join("").contains(hint), "{error:?}");
    }
}

#[test]
fn a_forecast_tells_what_each_step_needs() {
    let release = snapshot("[rollout]\nprofile = \"standard\"\n");
    let plan = with(&release, &Overrides::default()).unwrap();
    let traffic = Traffic { per_second: Some(20.0), errors: 0.005, slow: 0.02 };
    let found = forecast(&release, &plan, &traffic);
    // Three shares and the bake, two comparisons each.
    assert_eq!(found.len(), 8);
    for one in &found {
        assert!(matches!(plan.steps[one.step].does, Does::Hold { length, .. } if length == one.hold));
        let (visitors, time) = (one.to_pass.unwrap(), one.time_to_pass.unwrap());
        assert!(visitors >= 100 && time.0 > 0, "{one:?}");
    }
    let errors: Vec<_> = found.iter().filter(|one| one.gate == "errors").collect();
    let times: Vec<u64> = errors.iter().map(|one| one.time_to_pass.unwrap().0).collect();
    assert!(times[0] > times[1] && times[1] > times[2], "the larger the share, the sooner: {times:?}");
    assert!(errors[0].longer_than_hold(), "5% of 20 a second for 2 minutes are 120: {:?}", errors[0]);
    assert!(errors[0].to_string().ends_with("longer than its hold of 2m"), "{}", errors[0]);
    assert!(errors[0].to_fail.is_some() && errors[0].time_to_fail.is_some());

    let unknown = forecast(&release, &plan, &Traffic { per_second: None, ..traffic });
    assert!(unknown.iter().all(|one| one.time_to_pass.is_none() && one.to_pass.is_some()));
    assert!(!unknown[0].longer_than_hold() && !unknown[0].to_string().contains('('));
}

#[test]
fn a_forecast_says_what_can_never_be_shown() {
    let release = snapshot(
        &[
            "[rollout]\nstrategy = \"10%, 100%\"\n".to_owned(),
            gate("f", "compare = { metric = \"errors\", worse_by = \"1.5x\" }"),
        ]
        .concat(),
    );
    let plan = with(&release, &Overrides::default()).unwrap();
    let busy = Traffic { per_second: Some(1e6), errors: 0.0, slow: 0.0 };
    for one in forecast(&release, &plan, &busy) {
        // A factor of nothing is nothing: only rates below a millionth of blue's would do.
        assert!(one.to_pass.is_none_or(|visitors| visitors > 100_000), "{one:?}");
    }
    for nothing in [0.0, f64::NAN, f64::INFINITY, -1.0] {
        let odd = Traffic { per_second: Some(nothing), errors: nothing, slow: nothing };
        for one in forecast(&release, &plan, &odd) {
            let _ = one.to_string();
        }
    }
}

#[test]
fn a_router_that_cannot_do_it_is_found_before_anything_is_done() {
    let audiences = ["staff"];
    let plan = |text: &str| {
        let strategy = Some(Strategy::parse(text, &audiences).unwrap());
        with(&whole(), &Overrides { strategy, skip_gates: false })
    };
    let able = Capabilities {
        shares: true,
        pins: true,
        audiences: true,
        least_share: 0,
        settles: Millis(0),
        fenced: true,
    };
    let steps = plan("staff, 5%, 25%, 100%").unwrap();
    assert_eq!(fits(&steps, &able), Ok(()));
    for (router, why) in [
        (Capabilities { shares: false, ..able }, "share visitors"),
        (Capabilities { audiences: false, ..able }, "no audiences (staff)"),
        (Capabilities { least_share: 1_000, ..able }, "5% is less than"),
    ] {
        let error = fits(&steps, &router).unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0109"));
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(fits(&plan("instant").unwrap(), &router), Ok(()));
    }
}
