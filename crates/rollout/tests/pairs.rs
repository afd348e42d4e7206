//! Every event in every situation is legal or refused by name, and the table of it is written here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use cutover_rollout::{
    Act, After, Does, EffectId, Event, Facts, Outcome, Refused, Seen, Situation, State, fold, step,
};
use support::{FAULTS, Run, by, gradual, plan, rollback, world};

const SITUATIONS: [Situation; 18] = [
    Situation::Acting,
    Situation::Retiring,
    Situation::InDoubt,
    Situation::Due,
    Situation::Converging,
    Situation::Holding,
    Situation::Draining,
    Situation::Held,
    Situation::Paused,
    Situation::UndoActing,
    Situation::UndoInDoubt,
    Situation::UndoDue,
    Situation::UndoConverging,
    Situation::UndoDraining,
    Situation::Done,
    Situation::Standby,
    Situation::RolledBack,
    Situation::Superseded,
];

/// Every event there is, for a state: its own answers, a stranger's, and what people say.
fn events(state: &State) -> Vec<(&'static str, Event)> {
    // Nothing but an exhaustive match says when an event is added and forgotten here.
    let name = |event: &Event| match event {
        Event::Open { .. } => "open",
        Event::Restarted => "restarted",
        Event::Looked(_) => "looked",
        Event::Outcome { .. } => "answer",
        Event::Observed { .. } => "seen",
        Event::Promote { reason: None, .. } => "promote",
        Event::Promote { .. } => "promote, reason",
        Event::Pause { .. } => "pause",
        Event::Resume { .. } => "resume",
        Event::Rollback { now: None, .. } => "rollback",
        Event::Rollback { .. } => "rollback now",
        Event::Withdraw { .. } => "withdraw",
        Event::Supersede { .. } => "supersede",
    };
    let reason = || Some("because".to_owned());
    let stranger = EffectId { rollout: "ro-9".parse().unwrap(), step: state.cursor, attempt: 1 };
    let id = state.pending.as_ref().map_or(stranger, |pending| pending.id.clone());
    let outcome = match state.pending.as_ref().map(|pending| &pending.act) {
        Some(Act::Gate(_)) => {
            Outcome::Judged { verdict: cutover_rollout::judge::Verdict::Pass, why: "well".to_owned() }
        }
        Some(Act::Route(_)) => Outcome::Done { generation: Some(state.generation + 1) },
        _ => Outcome::Done { generation: None },
    };
    let events = vec![
        Event::Open { plan: Box::new(state.plan.clone()), by: by() },
        Event::Restarted,
        Event::Looked(Facts::default()),
        Event::Outcome { id: id.clone(), outcome },
        Event::Observed { id, seen: Seen::Absent },
        Event::Promote { by: by(), reason: None, full: false },
        Event::Promote { by: by(), reason: reason(), full: true },
        Event::Pause { by: by(), reason: None },
        Event::Resume { by: by() },
        rollback(None),
        rollback(Some(true)),
        Event::Withdraw { by: by(), reason: reason() },
        Event::Supersede { by: "ro-2".parse().unwrap() },
    ];
    events.into_iter().map(|event| (name(&event), event)).collect()
}

/// States of all situations, thousands of them, from many runs.
fn states() -> Vec<State> {
    let mut states = Vec::new();
    let mut starts = vec![gradual(), Run::open(world(true), &plan("instant", After::Standby, true))];
    starts.push(Run::open(world(false), &plan("instant", After::Retire, false)));
    for (gate, from) in [("errors", 2_500), ("smoke", 0)] {
        let mut run = gradual();
        run.world.failing.insert(gate.to_owned(), from);
        starts.push(run);
    }
    for interruption in 0..5 {
        for turns in (0..90).step_by(6) {
            let mut run = gradual();
            for _ in 0..turns {
                run.turn();
            }
            let event = match interruption {
                0 => rollback(None),
                1 => Event::Pause { by: by(), reason: None },
                2 => Event::Supersede { by: "ro-2".parse().unwrap() },
                3 => Event::Withdraw { by: by(), reason: None },
                _ => {
                    run.world.insufficient.insert("errors".to_owned());
                    Event::Restarted
                }
            };
            run.happen(&event);
            starts.push(run);
        }
    }
    let mut late = gradual();
    late.until(|run| run.situation() == Situation::Draining);
    // The second effect from there is tearing down.
    starts.push(late);
    for start in starts {
        for fault in FAULTS.into_iter().map(Some).chain([None]) {
            let mut run = start.clone();
            run.record_states = true;
            run.world.fault = fault.map(|fault| (run.world.performed + 1, fault));
            run.rest();
            states.append(&mut run.states);
        }
    }
    states
}

fn refusal(refused: &Refused) -> String {
    let text = format!("{refused:?}");
    text.split(['(', ' ', '{']).next().unwrap().to_owned()
}

/// What each event may lead to in each situation. `ok` is legal; the rest are names of refusals. Where there are several,
/// it depends on the step (a gate, a wait, a write), on what was said before, or on whether there is a blue.
const TABLE: &str = include_str!("pairs.txt");

#[test]
fn every_event_in_every_situation_is_legal_or_refused_by_name() {
    let mut seen: BTreeMap<(Situation, usize), BTreeSet<String>> = BTreeMap::new();
    let mut names = Vec::new();
    let (mut pairs, mut known) = (0, BTreeSet::new());
    for state in states() {
        // The same state need not be asked twice.
        if !known.insert(format!("{:?}", State { seq: 0, entered: 0, not_before: 0, ..state.clone() })) {
            continue;
        }
        let situation = state.situation();
        let events = events(&state);
        names = events.iter().map(|(name, _)| *name).collect();
        for (column, (name, event)) in events.iter().enumerate() {
            let now = state.watch.mark.max(state.entered) + 1_000;
            let word = match step(Some(&state), event, now) {
                Ok(next) => {
                    assert_eq!(next.state.seq, state.seq + next.records.len() as u64);
                    let acts = next
                        .effects
                        .iter()
                        .filter(|effect| matches!(effect, cutover_rollout::Effect::Do { .. }));
                    assert!(acts.count() <= 1, "one effect at a time");
                    "ok".to_owned()
                }
                Err(Refused::Defect(illegal)) => panic!("{situation:?}, {name}: {illegal}"),
                Err(refused) => {
                    assert!(refused.to_string().len() > 10, "a refusal says why: {refused}");
                    refusal(&refused)
                }
            };
            seen.entry((situation, column)).or_default().insert(word);
            pairs += 1;
        }
    }
    println!("{pairs} pairs of state and event");
    let mut table = String::new();
    for situation in SITUATIONS {
        table.push_str(&format!("{situation:?}\n"));
        for (column, name) in names.iter().enumerate() {
            let words =
                seen.get(&(situation, column)).unwrap_or_else(|| panic!("{situation:?} was never reached"));
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            table.push_str(&format!("    {name:<16} {}\n", words.join(", ")));
        }
    }
    println!("{table}");
    assert_eq!(table.trim(), TABLE.trim(), "the table has changed");
}

/// I4: until blue is torn down, going back is accepted wherever there is something to go back from.
#[test]
fn going_back_is_never_refused_before_the_point_of_no_return() {
    let mut asked = 0;
    for state in states() {
        let over = matches!(
            state.situation(),
            Situation::RolledBack | Situation::Superseded | Situation::Done | Situation::Retiring
        );
        if over || state.going_back() || state.way_back().is_err() {
            continue;
        }
        let next = step(Some(&state), &rollback(None), state.watch.mark + 1_000).unwrap();
        assert!(next.state.going_back());
        let first = next.state.step().map(|step| &step.does);
        assert!(matches!(first, Some(Does::Act(_))), "the first thing is the routing write: {first:?}");
        asked += 1;
    }
    println!("asked {asked} states");
    assert!(asked > 1_000, "{asked}");
}

#[test]
fn a_state_is_the_sum_of_its_records_wherever_it_stands() {
    let mut run = gradual();
    while run.state().ended.is_none() {
        run.turn();
        assert_eq!(fold(&run.records).unwrap(), run.state);
    }
}
