//! Every order in which two controllers, their calls and their misfortunes can meet, tried out on the real machine.
//!
//! A rollout is run by two controllers that may die, lose their lease without noticing, stop waiting for an answer, and
//! whose calls may land at any later time, or twice. What is decided comes from the real `step` and `apply`, what is
//! written from the real edits of the routing table. The checker goes through all states that can be reached, and says
//! by which way one was reached that must not be.
//!
//! The far sides refuse what is older than what they have seen. Without that (`--sabotage`) the checker must find a
//! violation: a lease and a journal alone do not protect visitors from a call that comes late.

mod core;
mod happen;
mod properties;
mod tell;
mod world;

use std::time::Instant;

use cutover_rollout::{After, Does, Millis, Plan, PlanInput, Strategy};
use cutover_routing::{Edit, ReleaseId, Table, edit};
use serde::Serialize;
use stateright::{Checker, HasDiscoveries, Model as _};

use self::{
    core::Core,
    world::{Budget, Guards, Model},
};
use super::{Found, Setup};

const FENCED: Guards = Guards { epoch: true, generation: true };
const OPEN: Guards = Guards { epoch: false, generation: false };

/// A reduced rollout and how much goes wrong in it.
struct Case {
    name: &'static str,
    strategy: &'static str,
    after: After,
    budget: Budget,
    /// Fewer states than this: something that can happen does not happen any more.
    at_least: usize,
    /// Left out by `--quick`.
    long: bool,
}

const NOTHING: Budget = Budget { crashes: 0, leases: 0, losses: 0, repeats: 0, rollbacks: 0, ills: 0 };

const CASES: &[Case] = &[
    Case {
        name: "at once, then parked: a leader is replaced, a person goes back",
        strategy: "instant",
        after: After::Park,
        budget: Budget { leases: 1, rollbacks: 1, ..NOTHING },
        at_least: 39_000,
        long: false,
    },
    Case {
        name: "at once, then parked: an answer is lost, a person goes back twice",
        strategy: "instant",
        after: After::Park,
        budget: Budget { losses: 1, rollbacks: 2, ..NOTHING },
        at_least: 30_000,
        long: false,
    },
    Case {
        name: "in steps, then torn down: a leader dies, one is replaced",
        strategy: "50%, 100%",
        after: After::Retire,
        budget: Budget { crashes: 1, leases: 1, ..NOTHING },
        at_least: 53_000,
        long: false,
    },
    Case {
        name: "in steps, then torn down: a leader is replaced, an answer lost, a write lands twice, green falls ill",
        strategy: "50%, 100%",
        after: After::Retire,
        budget: Budget { leases: 1, losses: 1, repeats: 1, ills: 1, ..NOTHING },
        at_least: 219_000,
        long: false,
    },
    Case {
        name: "at once, then parked: a leader is replaced, an answer lost, a person goes back",
        strategy: "instant",
        after: After::Park,
        budget: Budget { leases: 1, losses: 1, rollbacks: 1, ..NOTHING },
        at_least: 490_000,
        long: true,
    },
    Case {
        name: "in steps, then torn down: a leader dies, one is replaced, an answer is lost",
        strategy: "50%, 100%",
        after: After::Retire,
        budget: Budget { crashes: 1, leases: 1, losses: 1, ..NOTHING },
        at_least: 573_000,
        long: true,
    },
    Case {
        name: "in steps, then torn down: a leader dies, one is replaced, a person goes back",
        strategy: "50%, 100%",
        after: After::Retire,
        budget: Budget { crashes: 1, leases: 1, rollbacks: 1, ..NOTHING },
        at_least: 1_400_000,
        long: true,
    },
];

/// Without the fence there is no end of states; the violations are among the first of them.
const SABOTAGED_STATES: usize = 250_000;

/// Half a fence, for the record: what each part is good for.
const HALVES: [(&str, Guards); 2] = [
    ("epochs alone", Guards { epoch: true, generation: false }),
    ("generations alone", Guards { epoch: false, generation: true }),
];

pub(super) fn run(setup: &Setup) -> Result<Found, String> {
    let guards = if setup.sabotage { OPEN } else { FENCED };
    let mut wrong = Vec::new();
    let (mut states, mut shown) = (0, false);
    for case in CASES.iter().filter(|case| !(case.long && (setup.quick || setup.sabotage))) {
        let checked = check(case, guards)?;
        println!(
            "{}: {} states, {} of the machine, up to {} steps, {:.1} s",
            case.name, checked.states, checked.machine, checked.depth, checked.seconds
        );
        for violation in &checked.violations {
            println!("  violated: {}, in {} steps", violation.property, violation.steps.len());
            for (number, step) in (1..).zip(&violation.steps) {
                setup.trace.write(&Line { case: case.name, property: violation.property, number, step });
            }
            wrong.push(format!("{}: {}", case.name, violation.property));
        }
        if let Some(violation) = checked.violations.iter().find(|found| found.property == properties::REACHED)
            && !shown
        {
            shown = true;
            let steps = (1..).zip(&violation.steps).map(|(number, step)| format!("  {number:>4} {step}"));
            println!("  how it comes to that:\n{}", steps.collect::<Vec<_>>().join("\n"));
        }
        for unreached in &checked.unreached {
            wrong.push(format!("{}: never reached: {unreached}", case.name));
        }
        if !setup.sabotage && checked.states < case.at_least {
            let (states, least) = (checked.states, case.at_least);
            wrong
                .push(format!("{}: {states} states, at least {least} before: an action was lost", case.name));
        }
        states += checked.states;
    }
    if !setup.quick && !setup.sabotage {
        halves()?;
    }
    let cases = CASES.iter().filter(|case| !(case.long && (setup.quick || setup.sabotage))).count();
    let fence = if setup.sabotage { ", fence off" } else { "" };
    Ok(Found { facts: format!("{cases} cases, {states} states{fence}"), wrong })
}

/// Tells what each part of the fence does by itself. Nothing depends on it.
fn halves() -> Result<(), String> {
    for case in CASES.iter().filter(|case| !case.long) {
        for (name, guards) in HALVES {
            let checked = check(case, guards)?;
            let violated: Vec<&str> = checked.violations.iter().map(|found| found.property).collect();
            let told = if violated.is_empty() { "nothing".to_owned() } else { violated.join("; ") };
            println!("{name}, {}: {} states, violated: {told}", case.name, checked.states);
        }
    }
    Ok(())
}

/// One step of a way to a violation, for the trace.
#[derive(Serialize)]
struct Line<'a> {
    case: &'a str,
    property: &'a str,
    number: usize,
    step: &'a str,
}

/// What the checker has found.
struct Checked {
    states: usize,
    machine: usize,
    depth: usize,
    seconds: f64,
    violations: Vec<Violation>,
    unreached: Vec<&'static str>,
}

struct Violation {
    property: &'static str,
    steps: Vec<String>,
}

fn check(case: &Case, guards: Guards) -> Result<Checked, String> {
    let started = Instant::now();
    let model = model(case, guards)?;
    let checker = model.checker();
    let checker = match guards == FENCED {
        // Every state is gone through, or all up to the first violation.
        true => checker.finish_when(HasDiscoveries::AnyFailures),
        false => checker.target_state_count(SABOTAGED_STATES),
    };
    let checker = checker.spawn_bfs().join();
    let mut violations = Vec::new();
    let mut unreached = Vec::new();
    let mut discoveries = checker.discoveries();
    for property in checker.model().properties() {
        let found = discoveries.remove(property.name);
        match (property.expectation, found) {
            (stateright::Expectation::Sometimes, None) => unreached.push(property.name),
            (stateright::Expectation::Sometimes, Some(_)) | (_, None) => {}
            (_, Some(path)) => {
                let steps = tell::way(checker.model(), path.into_vec());
                violations.push(Violation { property: property.name, steps });
            }
        }
    }
    if !violations.is_empty() {
        unreached.clear();
    }
    Ok(Checked {
        states: checker.unique_state_count(),
        machine: checker.model().core.machine_states(),
        depth: checker.max_depth(),
        seconds: started.elapsed().as_secs_f64(),
        violations,
        unreached,
    })
}

fn model(case: &Case, guards: Guards) -> Result<Model, String> {
    let wrong = |e: &dyn std::fmt::Display| format!("{}: {e}", case.name);
    let release = |name: &str| name.parse::<ReleaseId>().map_err(|e| wrong(&e));
    let (blue, green) = (release("blue0001")?, release("green002")?);
    let plan = Plan::new(&PlanInput {
        rollout: "ro-1".parse().map_err(|e| wrong(&e))?,
        blue: Some(blue),
        green,
        strategy: &Strategy::parse(case.strategy, &[]).map_err(|e| wrong(&e))?,
        hold: Millis::secs(1),
        bake: Millis(0),
        quiet: Millis::secs(1),
        drain_at_most: Millis::secs(1),
        after: case.after,
        gates: &[],
    })
    .map_err(|e| wrong(&e))?;
    let mut table = Table::empty();
    for (generation, change) in (1..).zip([
        Edit::Stage { release: blue, slot: None },
        Edit::MakeCandidate { release: blue },
        Edit::Promote { release: blue },
        Edit::Stage { release: green, slot: None },
    ]) {
        table = edit(&table, &change, generation).map_err(|e| wrong(&e))?;
    }
    let core = Core::new(plan);
    Ok(Model { core, guards, budget: case.budget, releases: [blue, green], table })
}

impl Model {
    /// Whether blue can be had back after the rollout was done.
    fn parks(&self) -> bool {
        self.core
            .plan
            .steps
            .last()
            .is_some_and(|step| !matches!(step.does, Does::Act(cutover_rollout::Act::Retire { .. })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_order_of_calls_harms_visitors_while_the_router_refuses_what_is_older() {
        let checked = check(&CASES[0], FENCED).unwrap();
        let violated: Vec<_> = checked.violations.iter().map(|found| found.property).collect();
        assert!(violated.is_empty() && checked.unreached.is_empty(), "{violated:?} {:?}", checked.unreached);
        assert!(checked.states >= CASES[0].at_least, "{} states: an action was lost", checked.states);
    }

    #[test]
    fn without_the_fence_the_checker_finds_a_stopped_release_with_visitors_on_it() {
        let checked = check(&CASES[2], OPEN).unwrap();
        let violated: Vec<_> = checked.violations.iter().map(|found| found.property).collect();
        assert!(
            violated.contains(&properties::REACHED) && violated.contains(&properties::OLDER),
            "{violated:?}"
        );
    }
}
