use cutover_rollout::{
    After, At, EffectId, Event, Facts, Gate, Health, Insufficient, Millis, Outcome, PlanInput, Reading,
    Strategy, fold, step,
};
use cutover_routing::ReleaseId;

use super::*;

const START: u64 = 1_800_000_000_000;

fn id(text: &str) -> ReleaseId {
    text.parse().unwrap()
}

fn plan() -> Plan {
    let strategy = Strategy::parse("5%, 100%", &[]).unwrap();
    let gates = [Gate {
        name: "errors".to_owned(),
        required: true,
        watch: true,
        at: vec![At::EveryStep],
        insufficient: Insufficient::Hold,
    }];
    Plan::new(&PlanInput {
        rollout: "ro-story".parse().unwrap(),
        blue: Some(id("blue0001")),
        green: id("green002"),
        strategy: &strategy,
        hold: Millis::mins(2),
        bake: Millis(0),
        quiet: Millis::mins(1),
        drain_at_most: Millis::mins(10),
        after: After::Park,
        gates: &gates,
    })
    .unwrap()
}

/// A rollout that is told what happens to it; effects succeed at once.
struct Told {
    records: Vec<Record>,
    now: u64,
    readings: Vec<Reading>,
}

impl Told {
    fn open() -> Told {
        let mut told = Told { records: Vec::new(), now: START, readings: Vec::new() };
        told.happens(Event::Open { plan: Box::new(plan()), by: "ann".to_owned() });
        told
    }

    fn state(&self) -> Option<State> {
        fold(&self.records).unwrap()
    }

    fn happens(&mut self, event: Event) {
        let next = step(self.state().as_ref(), &event, self.now).unwrap();
        self.records.extend(next.records);
        for effect in next.effects {
            if let cutover_rollout::Effect::Do { id, act } = effect {
                let generation = matches!(act, Act::Route(_)).then_some(7);
                self.answer(id, Outcome::Done { generation });
            }
        }
    }

    fn answer(&mut self, id: EffectId, outcome: Outcome) {
        self.happens(Event::Outcome { id, outcome });
    }

    fn look(&mut self, verdict: Verdict, why: &str) {
        self.now += 5_000;
        let reading = Reading { gate: "errors".to_owned(), verdict, why: why.to_owned(), age: 900 };
        self.readings = vec![reading];
        let facts = Facts {
            converged: Some(7),
            green: Health::Healthy,
            readings: self.readings.clone(),
            ..Facts::default()
        };
        self.happens(Event::Looked(facts));
    }

    fn view(&self) -> RolloutView {
        let now = crate::runner::now_from(&self.records).unwrap().unwrap();
        view(&Now { readings: self.readings.clone(), ..now })
    }
}

#[test]
fn a_hold_says_how_far_it_is_and_what_it_waits_for() {
    let mut told = Told::open();
    told.look(Verdict::Insufficient, "12 of at least 100 visitors seen on green");
    told.look(Verdict::Insufficient, "12 of at least 100 visitors seen on green");
    let view = told.view();
    assert_eq!((view.phase, view.share), (Phase::Shifting, 500));
    assert_eq!(view.step, "shift 1 of 1: 5%");
    assert!(view.waiting.contains("not counting: errors: 12 of at least 100 visitors"), "{}", view.waiting);
    assert_eq!(view.hold, Some(Hold { counted_ms: 0, length_ms: 120_000, counting: false }));
    assert_eq!(view.gates[0].verdict, Some(control::Verdict::Insufficient));
    let now: Vec<&StepView> = view.plan.iter().filter(|step| step.at == StepAt::Now).collect();
    assert_eq!(now.len(), 1);
    assert_eq!(now[0].does, "hold for 2m, watching errors");

    for _ in 0..5 {
        told.look(Verdict::Pass, "well");
    }
    let view = told.view();
    let hold = view.hold.unwrap();
    assert!(hold.counting && hold.counted_ms >= 15_000, "{hold:?}");
    assert!(view.waiting.ends_with("to go"), "{}", view.waiting);
}

#[test]
fn a_failed_gate_is_told_with_its_facts() {
    let mut told = Told::open();
    told.look(Verdict::Pass, "well");
    told.look(Verdict::Pass, "well");
    told.look(Verdict::Fail, "9% of green's visitors failed, 1% of blue's");
    let view = told.view();
    assert_eq!((view.phase, view.share), (Phase::GoingBack, 0));
    assert_eq!(view.undo.as_deref(), Some("gate errors failed: 9% of green's visitors failed, 1% of blue's"));
    assert!(!view.promoted && !view.baked);
    let told_lines = lines(&told.records);
    let back = told_lines.iter().find(|line| line.says.starts_with("going back")).unwrap();
    assert!(back.facts.iter().any(|fact| fact.what == "errors" && fact.age_ms == 900), "{back:?}");
    assert!(told_lines.iter().all(|line| !line.says.is_empty()));
    let heads: Vec<String> = told
        .records
        .iter()
        .filter_map(|record| headline(record, &told.state().unwrap()).map(|(says, _)| says))
        .collect();
    assert!(
        heads.iter().any(|head| head.contains("ro-story opened: to green002 from blue0001")),
        "{heads:?}"
    );
    assert!(heads.iter().any(|head| head == "5% of visitors go to green002"), "{heads:?}");
    assert!(heads.iter().any(|head| head.starts_with("going back: gate errors failed")), "{heads:?}");
}

#[test]
fn who_waits_for_a_release_is_told_when_its_bake_is_over() {
    let mut told = Told::open();
    for _ in 0..200 {
        told.look(Verdict::Pass, "well");
        if told.state().unwrap().promoted {
            break;
        }
    }
    assert!(told.state().unwrap().promoted);
    told.look(Verdict::Pass, "well");
    let view = told.view();
    assert!(view.promoted && view.baked, "there is no bake: {view:?}");
    assert_eq!((view.phase, view.share), (Phase::Draining, 10_000));
}

#[test]
fn a_pause_names_who_and_why() {
    let mut told = Told::open();
    told.happens(Event::Pause { by: "bob".to_owned(), reason: Some("lunch".to_owned()) });
    let view = told.view();
    assert_eq!(view.phase, Phase::Paused);
    assert_eq!(view.paused.as_deref(), Some("paused by bob: lunch"));
}

#[test]
fn the_steps_that_were_done_stay_done_on_the_way_back_and_after_it() {
    let mut told = Told::open();
    told.look(Verdict::Pass, "well");
    told.look(Verdict::Pass, "well");
    let forward = told.view().plan;
    let here = forward.iter().position(|step| step.at == StepAt::Now).unwrap();
    assert!(here > 2, "{forward:?}");
    told.look(Verdict::Fail, "bad");
    let back = told.view();
    assert_eq!(back.phase, Phase::GoingBack);
    for (place, step) in back.plan.iter().enumerate() {
        let wanted = if place < here { StepAt::Done } else { StepAt::Next };
        assert_eq!(step.at, wanted, "{place}: {}", step.does);
    }
}
