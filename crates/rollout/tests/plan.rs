//! Plans have the steps that were meant, guarded where it was said, and nothing impossible is planned.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use cutover_rollout::{
    Act, After, At, Change, Does, Gate, Insufficient, Millis, Move, Plan, PlanError, PlanInput, Stage,
    Strategy, To,
};
use cutover_routing::ReleaseId;

fn release(id: &str) -> ReleaseId {
    id.parse().unwrap()
}

fn input<'a>(strategy: &'a Strategy, gates: &'a [Gate]) -> PlanInput<'a> {
    PlanInput {
        rollout: "ro-1".parse().unwrap(),
        blue: Some(release("blue0001")),
        green: release("green002"),
        strategy,
        hold: Millis::mins(2),
        bake: Millis::mins(10),
        quiet: Millis::mins(10),
        drain_at_most: Millis::mins(60),
        after: After::Retire,
        gates,
    }
}

fn gate(name: &str, watch: bool, at: &[At]) -> Gate {
    Gate { name: name.to_owned(), required: true, watch, at: at.to_vec(), insufficient: Insufficient::Hold }
}

fn outline(plan: &Plan) -> Vec<String> {
    let act = |act: &Act| match act {
        Act::Prepare { release } => format!("prepare {release}"),
        Act::Gate(gate) => format!("gate {}", gate.gate),
        Act::Route(Change::Candidate { release }) => format!("candidate {release}"),
        Act::Route(Change::Audience { name, .. }) => format!("audience {name}"),
        Act::Route(Change::Share { width, .. }) => format!("share {width}"),
        Act::Route(Change::Promote { release }) => format!("promote {release}"),
        Act::Route(Change::Rollback { to, .. }) => format!("rollback {to}"),
        Act::Route(Change::Close { release }) => format!("close {release}"),
        Act::Standby { release } => format!("standby {release}"),
        Act::Park { release } => format!("park {release}"),
        Act::Retire { release } => format!("retire {release}"),
    };
    let does = |does: &Does| match does {
        Does::Act(what) => act(what),
        Does::Converge => "converge".to_owned(),
        Does::Hold { length, watch } => {
            let names: Vec<&str> = watch.iter().map(|watched| watched.gate.as_str()).collect();
            format!("hold {length} watching {names:?}")
        }
        Does::Quiet { release, closed } => {
            format!("quiet {release}{}", if *closed { " after closing" } else { "" })
        }
    };
    plan.steps.iter().map(|step| format!("{}: {}", step.stage.word(), does(&step.does))).collect()
}

#[test]
fn a_gradual_plan_with_gates_in_every_place() {
    let strategy = Strategy::parse("staff, 5%, 50% for 1m, 100%", &["staff"]).unwrap();
    let gates = [
        gate("smoke", false, &[At::BeforeTraffic]),
        gate("errors", true, &[At::EveryStep, At::Bake]),
        gate("e2e", false, &[At::Step(To::Share(500)), At::Bake]),
    ];
    let plan = Plan::new(&input(&strategy, &gates)).unwrap();
    assert_eq!(
        outline(&plan),
        [
            "prepare: prepare green002",
            "test: gate smoke",
            "test: candidate green002",
            "test: converge",
            "shift: audience staff",
            "shift: converge",
            "shift: hold 2m watching [\"errors\"]",
            "shift: share 500",
            "shift: converge",
            "shift: hold 2m watching [\"errors\"]",
            "shift: gate e2e",
            "shift: share 5000",
            "shift: converge",
            "shift: hold 1m watching [\"errors\"]",
            "promote: promote green002",
            "promote: converge",
            "bake: hold 10m watching [\"errors\"]",
            "bake: gate e2e",
            "drain: quiet blue0001",
            "close: close blue0001",
            "close: converge",
            "close: quiet blue0001 after closing",
            "settle: retire blue0001",
        ]
    );
    assert_eq!(plan.shortest(), Millis::mins(15));
    assert_eq!(
        plan.moves().map(|(at, to)| (at, to.to_string())).collect::<Vec<_>>(),
        [(4, "staff".to_owned()), (7, "5%".to_owned()), (11, "50%".to_owned())]
    );
    assert_eq!(plan.steps[7].stage, Stage::Shift { number: 2, of: 3, to: To::Share(500) });
    assert_eq!(plan.pace, Millis::secs(3));
}

#[test]
fn the_first_release_goes_live_at_once_and_leaves_nobody() {
    let strategy = Strategy::parse("5%, 100%", &[]).unwrap();
    let plan = Plan::new(&PlanInput { blue: None, ..input(&strategy, &[]) }).unwrap();
    assert_eq!(
        outline(&plan),
        [
            "prepare: prepare green002",
            "test: candidate green002",
            "promote: promote green002",
            "promote: converge"
        ]
    );
}

#[test]
fn an_instant_plan_without_bake_that_keeps_blue_warm() {
    let plan =
        Plan::new(&PlanInput { bake: Millis(0), after: After::Standby, ..input(&Strategy::INSTANT, &[]) })
            .unwrap();
    assert_eq!(
        outline(&plan)[4..],
        [
            "promote: converge",
            "drain: quiet blue0001",
            "close: close blue0001",
            "close: converge",
            "close: quiet blue0001 after closing",
            "settle: standby blue0001",
        ]
    );
}

#[test]
fn no_visitor_before_the_gates() {
    let strategy = Strategy::parse("staff, 5%, 100%", &["staff"]).unwrap();
    let gates = [gate("a", false, &[At::BeforeTraffic]), gate("b", false, &[At::BeforeTraffic])];
    let plan = Plan::new(&input(&strategy, &gates)).unwrap();
    let last_gate = plan.steps.iter().rposition(|step| matches!(step.does, Does::Act(Act::Gate(_)))).unwrap();
    assert!(last_gate < plan.first_visitors().unwrap());
    assert!(plan.first_visitors().unwrap() < plan.promotion().unwrap());
}

#[test]
fn what_cannot_be_is_not_planned() {
    let strategy = Strategy::parse("5%, 100%", &[]).unwrap();
    let refused = |input: &PlanInput<'_>| Plan::new(input).unwrap_err();
    let base = input(&strategy, &[]);
    assert_eq!(
        refused(&PlanInput { blue: Some(release("green002")), ..base.clone() }),
        PlanError::AlreadyActive(release("green002"))
    );
    assert_eq!(refused(&PlanInput { hold: Millis(0), ..base.clone() }), PlanError::NoHold);
    assert_eq!(
        refused(&PlanInput { bake: Millis(u64::MAX), ..base.clone() }),
        PlanError::TooLong { what: "the bake" }
    );
    assert_eq!(
        refused(&PlanInput { drain_at_most: Millis::mins(1), ..base.clone() }),
        PlanError::Quiet { quiet: Millis::mins(10), at_most: Millis::mins(1) }
    );
    for (gates, why) in [
        (vec![gate("a", false, &[])], PlanError::GateNowhere("a".into())),
        (
            vec![gate("a", false, &[At::Bake]), gate("a", false, &[At::EveryStep])],
            PlanError::GateTwice("a".into()),
        ),
        (vec![gate("a", true, &[At::BeforeTraffic])], PlanError::NobodyYet("a".into())),
        (
            vec![gate("a", true, &[At::Step(To::Share(700))])],
            PlanError::NoSuchStep { gate: "a".into(), to: To::Share(700) },
        ),
    ] {
        assert_eq!(refused(&PlanInput { gates: &gates, ..base.clone() }), why);
    }
    let gates = [gate("a", true, &[At::Bake])];
    assert_eq!(
        refused(&PlanInput { bake: Millis(0), gates: &gates, ..base.clone() }),
        PlanError::NoBake("a".into())
    );
    for moves in [vec![0_u16], vec![10_001], vec![500, 500], vec![500, 100]] {
        let moves = moves.into_iter().map(|width| Move { to: To::Share(width), hold: None }).collect();
        let strategy = Strategy { moves };
        assert!(matches!(refused(&input(&strategy, &[])), PlanError::Step(_)), "{strategy:?}");
    }
}

#[test]
fn an_altered_plan_shows() {
    let strategy = Strategy::parse("5%, 100%", &[]).unwrap();
    let plan = Plan::new(&input(&strategy, &[])).unwrap();
    assert!(plan.sealed());
    assert_eq!(plan.digest, "a7f7259d4d3aa306dba6e389220d369f", "plans in journals keep their digest");
    let json = serde_json::to_string(&plan).unwrap();
    let again: Plan = serde_json::from_str(&json).unwrap();
    assert_eq!(again, plan);
    assert!(again.sealed());
    let altered: Plan = serde_json::from_str(&json.replace("\"width\":500", "\"width\":9000")).unwrap();
    assert!(!altered.sealed());
    let other = Plan::new(&PlanInput { rollout: "ro-2".parse().unwrap(), ..input(&strategy, &[]) }).unwrap();
    assert_ne!(other.digest, plan.digest);
}
