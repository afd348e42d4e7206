//! Rollouts at every phase, for tests of how they look.

use cutover_engine::control::{EvidenceView, GateView, Hold, Phase, RolloutView, StepAt, StepView, Verdict};

fn step(stage: &str, does: &str, hold_ms: Option<u64>) -> StepView {
    StepView {
        stage: stage.to_owned(),
        does: does.to_owned(),
        at: StepAt::Next,
        hold_ms,
        calls: Vec::new(),
        forecast: Vec::new(),
    }
}

pub(crate) fn plan() -> Vec<StepView> {
    vec![
        step("prepare", "stand green up", None),
        step("test", "gate smoke", None),
        step("shift", "5% of visitors get green", None),
        step("shift", "hold 5%", Some(120_000)),
        step("promote", "green becomes the default", None),
        step("bake", "hold", Some(600_000)),
        step("drain", "wait until blue is quiet", Some(30_000)),
        step("close", "close blue", None),
        step("settle", "park blue", None),
    ]
}

/// At a step of the plan.
fn at(phase: Phase, step: usize, says: &str, waiting: &str) -> RolloutView {
    let mut plan = plan();
    for (number, one) in plan.iter_mut().enumerate() {
        one.at = match number.cmp(&step) {
            std::cmp::Ordering::Less => StepAt::Done,
            std::cmp::Ordering::Equal => StepAt::Now,
            std::cmp::Ordering::Greater => StepAt::Next,
        };
    }
    RolloutView {
        id: "ro-7".to_owned(),
        blue: Some("aaaaaaaa".parse().unwrap()),
        green: "bbbbbbbb".parse().unwrap(),
        phase,
        step: says.to_owned(),
        waiting: waiting.to_owned(),
        share: 500,
        opened_at: 60_000,
        opened_by: "ann".to_owned(),
        entered_at: 90_000,
        hold: None,
        gates: Vec::new(),
        held: None,
        paused: None,
        undo: None,
        superseded_by: None,
        promoted: false,
        baked: false,
        ended_at: None,
        plan,
    }
}

pub(crate) fn errors(verdict: Verdict, why: &str) -> GateView {
    GateView {
        gate: "errors".to_owned(),
        required: true,
        verdict: Some(verdict),
        why: why.to_owned(),
        age_ms: 900,
        asks: false,
        evidence: Some(EvidenceView {
            green_visitors: 120,
            green_failed: 1,
            blue_visitors: 2280,
            blue_failed: 11,
            against: 1.0,
            fails_at: 20.0,
            in_favour: 4.472_135_954_999_58,
            passes_at: 20.0,
        }),
    }
}

pub(crate) fn preparing() -> RolloutView {
    RolloutView { share: 0, ..at(Phase::Preparing, 0, "prepare", "green is stood up") }
}

pub(crate) fn testing() -> RolloutView {
    RolloutView { share: 0, ..at(Phase::Testing, 1, "test: smoke", "gate smoke runs") }
}

pub(crate) fn holding() -> RolloutView {
    RolloutView {
        hold: Some(Hold { counted_ms: 72_000, length_ms: 120_000, counting: true }),
        gates: vec![errors(Verdict::Pass, "green is not worse by 1%")],
        ..at(Phase::Shifting, 3, "shift 1 of 1: 5%", "48s to go")
    }
}

/// Time does not count.
pub(crate) fn starved() -> RolloutView {
    RolloutView {
        hold: Some(Hold { counted_ms: 12_000, length_ms: 120_000, counting: false }),
        gates: vec![errors(Verdict::Insufficient, "too few visitors so far")],
        waiting: "1m48s to go, not counting: errors: too few visitors so far".to_owned(),
        ..holding()
    }
}

pub(crate) fn held() -> RolloutView {
    RolloutView {
        phase: Phase::Held,
        held: Some("gate errors has not enough evidence after 2m".to_owned()),
        ..starved()
    }
}

pub(crate) fn paused() -> RolloutView {
    RolloutView {
        phase: Phase::Paused,
        paused: Some("paused by ann: lunch".to_owned()),
        hold: Some(Hold { counted_ms: 72_000, length_ms: 120_000, counting: false }),
        waiting: "paused until it is resumed".to_owned(),
        ..holding()
    }
}

pub(crate) fn asking() -> RolloutView {
    let gate = GateView {
        gate: "sign-off".to_owned(),
        required: true,
        verdict: None,
        why: "please look at the basket".to_owned(),
        age_ms: 0,
        asks: true,
        evidence: None,
    };
    RolloutView {
        gates: vec![gate],
        ..at(Phase::Shifting, 3, "shift 1 of 1: 5%", "a person's answer at sign-off")
    }
}

pub(crate) fn baking() -> RolloutView {
    RolloutView {
        share: 10_000,
        promoted: true,
        hold: Some(Hold { counted_ms: 0, length_ms: 600_000, counting: true }),
        gates: vec![errors(Verdict::Pass, "green is not worse by 1%")],
        ..at(Phase::Baking, 5, "bake", "10m to go")
    }
}

pub(crate) fn draining() -> RolloutView {
    RolloutView {
        share: 10_000,
        promoted: true,
        baked: true,
        ..at(Phase::Draining, 6, "drain", "aaaaaaaa has 3 open requests")
    }
}

pub(crate) fn done() -> RolloutView {
    RolloutView {
        share: 10_000,
        promoted: true,
        baked: true,
        ended_at: Some(110_000),
        ..at(Phase::Done, 9, "done", "nothing")
    }
}

/// The way back has begun, visitors are not back yet.
pub(crate) fn going_back() -> RolloutView {
    RolloutView {
        phase: Phase::GoingBack,
        step: "back: aaaaaaaa".to_owned(),
        waiting: "the routing write".to_owned(),
        undo: Some("gate errors: green fails more often".to_owned()),
        gates: vec![errors(Verdict::Fail, "green fails more often")],
        hold: None,
        ..holding()
    }
}

/// Visitors are back, the rest is still being settled.
pub(crate) fn back() -> RolloutView {
    RolloutView {
        share: 0,
        step: "back: drain".to_owned(),
        waiting: "bbbbbbbb has 1 open request".to_owned(),
        gates: Vec::new(),
        ..going_back()
    }
}

pub(crate) fn rolled_back() -> RolloutView {
    RolloutView {
        phase: Phase::RolledBack,
        step: "rolled back".to_owned(),
        ended_at: Some(110_000),
        ..back()
    }
}

pub(crate) fn superseded() -> RolloutView {
    RolloutView {
        phase: Phase::Superseded,
        superseded_by: Some("ro-8".to_owned()),
        ended_at: Some(110_000),
        gates: Vec::new(),
        hold: None,
        ..holding()
    }
}
