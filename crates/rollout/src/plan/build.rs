//! From a strategy and its gates to steps.

use std::collections::BTreeSet;

use cutover_routing::ReleaseId;

use super::{Act, After, Change, Does, Insufficient, Plan, RolloutId, Stage, Step, VERSION, Watched, digest};
use crate::{LONGEST, Millis, Move, Strategy, To};

/// What a plan is made of.
#[derive(Debug, Clone)]
pub struct PlanInput<'a> {
    /// Which rollout.
    pub rollout: RolloutId,
    /// The release visitors are on; none for the first release ever, which goes live at once whatever the strategy says.
    pub blue: Option<ReleaseId>,
    /// The release they move to.
    pub green: ReleaseId,
    /// In which steps.
    pub strategy: &'a Strategy,
    /// How long a step is held that does not say so itself.
    pub hold: Millis,
    /// How long both are watched after promotion; zero: not at all.
    pub bake: Millis,
    /// How long without traffic is quiet.
    pub quiet: Millis,
    /// How long draining may last.
    pub drain_at_most: Millis,
    /// What becomes of blue.
    pub after: After,
    /// What guards the steps.
    pub gates: &'a [Gate],
}

/// A gate and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Its name, unique.
    pub name: String,
    /// Whether anything depends on it. The verdict of another is recorded and stops nothing.
    pub required: bool,
    /// Whether it is judged all through a hold (comparisons, metrics) instead of being run once at its end.
    pub watch: bool,
    /// Where it stands; at least one place.
    pub at: Vec<At>,
    /// What to do where there is too little traffic to judge.
    pub insufficient: Insufficient,
}

/// Where a gate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// Before any visitor reaches green.
    BeforeTraffic,
    /// At every move.
    EveryStep,
    /// At one move.
    Step(To),
    /// During the bake.
    Bake,
}

/// Why there is no such plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Green is blue.
    #[error("release {0} is active already: there is nobody to move")]
    AlreadyActive(ReleaseId),
    /// A hold of no length for a gradual strategy.
    #[error("the hold of a step must be longer than nothing")]
    NoHold,
    /// A time beyond what can be waited for.
    #[error("{what} is longer than 400 days")]
    TooLong {
        /// Which time.
        what: &'static str,
    },
    /// The strategy was not made by [`Strategy::parse`], and is not one.
    #[error("impossible step: {0}")]
    Step(String),
    /// Quiet can never be reached.
    #[error(
        "the quiet time {quiet} is longer than the drain may last ({at_most}): it could never be reached"
    )]
    Quiet {
        /// The quiet time.
        quiet: Millis,
        /// The limit.
        at_most: Millis,
    },
    /// Two gates of one name.
    #[error("there are two gates named {0:?}")]
    GateTwice(String),
    /// A gate that stands nowhere.
    #[error("gate {0:?} stands nowhere; say where it runs: before traffic, at steps, or during the bake")]
    GateNowhere(String),
    /// A gate at a step that the strategy does not have.
    #[error("gate {gate:?} runs at {to}, but the strategy has no such step")]
    NoSuchStep {
        /// Which gate.
        gate: String,
        /// Where it would stand.
        to: To,
    },
    /// A comparison without anybody to compare.
    #[error("gate {0:?} compares visitors and cannot run before there are any")]
    NobodyYet(String),
    /// A gate during a bake that does not happen.
    #[error("gate {0:?} runs during the bake, but the bake has no length")]
    NoBake(String),
}

/// Never looks more often than this while waiting, and never less often than `SLOWEST`.
const FASTEST: Millis = Millis(1_000);
const SLOWEST: Millis = Millis(30_000);

impl Plan {
    /// Makes the plan.
    ///
    /// # Errors
    /// Where the parts contradict each other. Nothing impossible is ever planned.
    pub fn new(input: &PlanInput<'_>) -> Result<Plan, PlanError> {
        check_times(input)?;
        check_moves(&input.strategy.moves)?;
        check_gates(input)?;
        if input.blue == Some(input.green) {
            return Err(PlanError::AlreadyActive(input.green));
        }
        let mut plan = Plan {
            version: VERSION,
            rollout: input.rollout.clone(),
            blue: input.blue,
            green: input.green,
            quiet: input.quiet,
            drain_at_most: input.drain_at_most,
            pace: pace(input),
            steps: steps(input),
            digest: String::new(),
        };
        plan.digest = digest::of(&plan);
        Ok(plan)
    }
}

fn check_times(input: &PlanInput<'_>) -> Result<(), PlanError> {
    if !input.strategy.is_instant() && input.hold == Millis(0) {
        return Err(PlanError::NoHold);
    }
    let holds = input.strategy.moves.iter().filter_map(|step| step.hold).map(|hold| ("a hold", hold));
    let times = [
        ("the hold", input.hold),
        ("the bake", input.bake),
        ("the quiet time", input.quiet),
        ("the drain's limit", input.drain_at_most),
    ];
    for (what, time) in times.into_iter().chain(holds) {
        if time > LONGEST {
            return Err(PlanError::TooLong { what });
        }
    }
    if input.quiet > input.drain_at_most {
        return Err(PlanError::Quiet { quiet: input.quiet, at_most: input.drain_at_most });
    }
    Ok(())
}

/// Holds for every strategy that was parsed; strategies can be written by hand, too.
fn check_moves(moves: &[Move]) -> Result<(), PlanError> {
    let wrong = |what: String| Err(PlanError::Step(what));
    let mut before = 0;
    let mut names = BTreeSet::new();
    for step in moves {
        if step.hold == Some(Millis(0)) {
            return Err(PlanError::NoHold);
        }
        match &step.to {
            To::Share(0) => return wrong("a share of nobody".to_owned()),
            To::Share(width) if *width > 10_000 => return wrong(format!("{} is over 100%", step.to)),
            To::Share(width) if *width <= before => return wrong(format!("{} does not rise", step.to)),
            To::Share(width) => before = *width,
            To::Audience(name) if before > 0 => return wrong(format!("audience {name} comes after a share")),
            To::Audience(name) if !names.insert(name) => return wrong(format!("audience {name} twice")),
            To::Audience(_) => {}
        }
    }
    Ok(())
}

fn check_gates(input: &PlanInput<'_>) -> Result<(), PlanError> {
    let mut names = BTreeSet::new();
    for gate in input.gates {
        if !names.insert(&gate.name) {
            return Err(PlanError::GateTwice(gate.name.clone()));
        }
        if gate.at.is_empty() {
            return Err(PlanError::GateNowhere(gate.name.clone()));
        }
        for at in &gate.at {
            match at {
                At::BeforeTraffic if gate.watch => return Err(PlanError::NobodyYet(gate.name.clone())),
                At::Bake if input.bake == Millis(0) => return Err(PlanError::NoBake(gate.name.clone())),
                At::Step(to) if !input.strategy.moves.iter().any(|step| step.to == *to) => {
                    return Err(PlanError::NoSuchStep { gate: gate.name.clone(), to: to.clone() });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// About twenty looks in the shortest wait.
fn pace(input: &PlanInput<'_>) -> Millis {
    let holds = input.strategy.moves.iter().map(|step| step.hold.unwrap_or(input.hold));
    let shortest = holds.chain([input.bake, input.quiet]).filter(|time| time.0 > 0).min().unwrap_or(SLOWEST);
    Millis(shortest.0 / 20).clamp(FASTEST, SLOWEST)
}

fn steps(input: &PlanInput<'_>) -> Vec<Step> {
    let (green, blue) = (input.green, input.blue);
    let mut steps = vec![Step { stage: Stage::Prepare, does: Does::Act(Act::Prepare { release: green }) }];
    let mut add = |stage: &Stage, does: Does| steps.push(Step { stage: stage.clone(), does });
    let route = |change: Change| Does::Act(Act::Route(change));

    for gate in gates(input, false, |at| *at == At::BeforeTraffic) {
        add(&Stage::Test, Does::Act(Act::Gate(gate)));
    }
    add(&Stage::Test, route(Change::Candidate { release: green }));
    if blue.is_some() {
        // Make before break: who was sent to green by one edge is not sent back by another that does not know it yet.
        add(&Stage::Test, Does::Converge);
    }

    // Without a default there is nobody to share visitors with.
    let moves: &[Move] = if blue.is_some() { &input.strategy.moves } else { &[] };
    let of = u16::try_from(moves.len()).unwrap_or(u16::MAX);
    for (number, step) in (1..).zip(moves) {
        let stage = Stage::Shift { number, of, to: step.to.clone() };
        let here = |at: &At| *at == At::EveryStep || *at == At::Step(step.to.clone());
        add(
            &stage,
            route(match &step.to {
                To::Audience(name) => Change::Audience { name: name.clone(), release: green },
                To::Share(width) => Change::Share { release: green, width: *width },
            }),
        );
        add(&stage, Does::Converge);
        let length = step.hold.unwrap_or(input.hold);
        add(&stage, Does::Hold { length, watch: gates(input, true, here) });
        for gate in gates(input, false, here) {
            add(&stage, Does::Act(Act::Gate(gate)));
        }
    }

    add(&Stage::Promote, route(Change::Promote { release: green }));
    add(&Stage::Promote, Does::Converge);
    let Some(blue) = blue else { return steps };
    if input.bake > Millis(0) {
        add(&Stage::Bake, Does::Hold { length: input.bake, watch: gates(input, true, |at| *at == At::Bake) });
        for gate in gates(input, false, |at| *at == At::Bake) {
            add(&Stage::Bake, Does::Act(Act::Gate(gate)));
        }
    }
    add(&Stage::Drain, Does::Quiet { release: blue, closed: false });
    add(&Stage::Close, route(Change::Close { release: blue }));
    add(&Stage::Close, Does::Converge);
    add(&Stage::Close, Does::Quiet { release: blue, closed: true });
    add(
        &Stage::Settle,
        Does::Act(match input.after {
            After::Retire => Act::Retire { release: blue },
            After::Standby => Act::Standby { release: blue },
            After::Park => Act::Park { release: blue },
        }),
    );
    steps
}

fn gates(input: &PlanInput<'_>, watch: bool, here: impl Fn(&At) -> bool) -> Vec<Watched> {
    let gates = input.gates.iter().filter(|gate| gate.watch == watch && gate.at.iter().any(&here));
    gates
        .map(|gate| Watched {
            gate: gate.name.clone(),
            required: gate.required,
            insufficient: gate.insufficient,
        })
        .collect()
}
