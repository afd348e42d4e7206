//! A rollout in the middle of things, for the fake to answer with.

use cutover_engine::control::{
    EvidenceView, FactView, GateView, Hold, Phase, PlanReport, Readiness, ReadinessCheck, RolloutReport,
    RolloutStory, RolloutView, StepAt, StepView, StoryLine, Verdict,
};

use crate::fake::release;

pub(crate) fn rollout() -> RolloutView {
    RolloutView {
        id: "ro-1".to_owned(),
        blue: Some("hgfedcba".parse().unwrap()),
        green: release(),
        phase: Phase::Shifting,
        step: "shift 1 of 2: 5%".to_owned(),
        waiting: "holds for 2m".to_owned(),
        share: 500,
        opened_at: 1,
        opened_by: "me".to_owned(),
        entered_at: 2,
        hold: Some(Hold { counted_ms: 3, length_ms: 4, counting: true }),
        gates: vec![GateView {
            gate: "errors".to_owned(),
            required: true,
            verdict: Some(Verdict::Insufficient),
            why: "too few visitors".to_owned(),
            age_ms: 5,
            asks: false,
            evidence: Some(EvidenceView {
                green_visitors: 6,
                green_failed: 0,
                blue_visitors: 90,
                blue_failed: 1,
                against: 0.5,
                fails_at: 20.0,
                in_favour: 1.5,
                passes_at: 20.0,
            }),
        }],
        held: None,
        paused: None,
        undo: None,
        superseded_by: None,
        promoted: false,
        baked: false,
        ended_at: None,
        plan: vec![step()],
    }
}

fn step() -> StepView {
    StepView {
        stage: "shift".to_owned(),
        does: "5% of visitors get green".to_owned(),
        at: StepAt::Now,
        hold_ms: Some(4),
        calls: Vec::new(),
        forecast: Vec::new(),
    }
}

pub(crate) fn report(message: &str) -> RolloutReport {
    RolloutReport { rollout: rollout(), changed: true, message: message.to_owned() }
}

pub(crate) fn plan() -> PlanReport {
    PlanReport {
        blue: None,
        green: Some(release()),
        strategy: "5%, 100%".to_owned(),
        steps: vec![step()],
        shortest_ms: 8,
        visitors_per_second: Some(0.5),
        warnings: Vec::new(),
    }
}

pub(crate) fn story() -> RolloutStory {
    RolloutStory {
        rollout: rollout(),
        lines: vec![StoryLine {
            seq: 0,
            at: 1,
            who: Some("me".to_owned()),
            says: "it was opened".to_owned(),
            facts: vec![FactView { what: "blue".to_owned(), says: "healthy".to_owned(), age_ms: 9 }],
        }],
        history: Vec::new(),
    }
}

pub(crate) fn readiness() -> Readiness {
    Readiness {
        ready: true,
        to: Some("hgfedcba".parse().unwrap()),
        expected_ms: Some(7),
        checks: vec![ReadinessCheck { what: "blue".to_owned(), ok: true, detail: "healthy".to_owned() }],
    }
}
