//! From what a release keeps of its description to the plan of its rollout, and what such a plan will need.
//!
//! Pure. Everything a plan rests on is the new release's own: a release is rolled out by the rules it was staged with,
//! but for what the operator says otherwise now. What contradicts itself gives no plan, and so no record of one.

mod forecast;
#[cfg(test)]
mod tests;

use cutover_rollout::{
    Act, After, At, Change, Does, Insufficient, Plan, PlanError, PlanInput, RolloutId, Strategy, To,
    judge::Rule,
};
use cutover_routing::ReleaseId;

use crate::{
    config::{
        self, CompareGate, Gate, GateAt, GateKind, LowTraffic, Snapshot, Sort, duration, steps, strategy_hint,
    },
    error::{Error, ErrorKind},
    judging,
    ports::Capabilities,
};

pub use forecast::{StepForecast, Traffic, forecast};

/// What an operator says otherwise than the release's description.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// Another strategy. `instant` leaves out what gates would do at steps; another one has to have the steps that
    /// gates name.
    pub strategy: Option<Strategy>,
    /// Whether the gates before traffic are left out. Those at later steps are not.
    pub skip_gates: bool,
}

/// Makes the plan of a rollout from `blue` to `green`, by what green keeps of its description. Without a `blue` it is
/// the first release ever, which goes live at once whatever the strategy says.
///
/// # Errors
/// `CUT0109` where there is no such plan; the cause says why.
pub fn plan(
    snapshot: &Snapshot,
    overrides: &Overrides,
    rollout: RolloutId,
    blue: Option<ReleaseId>,
    green: ReleaseId,
) -> Result<Plan, Error> {
    let strategy = strategy_of(snapshot, overrides);
    audiences_exist(snapshot, strategy, green)?;
    let gates: Vec<cutover_rollout::Gate> =
        snapshot.gates.iter().filter_map(|gate| planned(gate, snapshot, overrides)).collect();
    let rules = &snapshot.rollout;
    let plan = Plan::new(&PlanInput {
        rollout,
        blue,
        green,
        strategy,
        hold: duration::millis(rules.hold),
        bake: duration::millis(rules.bake),
        quiet: duration::millis(rules.drain.quiet),
        drain_at_most: duration::millis(rules.drain.at_most),
        after: match rules.after {
            // Tearing down is housekeeping of its own: until then there is a way back.
            config::After::Retire => After::Park,
            config::After::Standby => After::Standby,
        },
        gates: &gates,
    })
    .map_err(|why| impossible(&why, strategy, green))?;
    for (gate, compare) in comparisons(snapshot) {
        if let Err(why) = rule(compare, &plan) {
            let error = refused(green).because(format!("gate {:?}: {why}", gate.name));
            return Err(error.hint("raise its `false_alarms`, or take fewer steps"));
        }
    }
    Ok(plan)
}

/// The gates that such a plan leaves out altogether, by name: those that are skipped, and those of which all places are
/// at steps that there are not. For a warning beforehand, and for the record.
pub fn left_out<'s>(snapshot: &'s Snapshot, overrides: &Overrides) -> Vec<&'s str> {
    let gates = snapshot.gates.iter();
    gates.filter(|gate| planned(gate, snapshot, overrides).is_none()).map(|gate| gate.name.as_str()).collect()
}

/// Reads a strategy that an operator has given, with the audiences of the release.
///
/// # Errors
/// `CUT0109` with the place of the mistake.
pub fn read_strategy(snapshot: &Snapshot, text: &str) -> Result<Strategy, Error> {
    let names = audiences(snapshot);
    Strategy::parse(text, &names).map_err(|why| {
        let column = text.get(..why.span.start).map_or(0, |before| before.chars().count()) + 1;
        let error = Error::new(ErrorKind::Invalid, "CUT0109", format!("cannot read the strategy {text:?}"))
            .because(format!("at character {column}: {why}"));
        match strategy_hint(&why.problem, &names) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })
}

/// Whether a router can do what a plan asks of it.
///
/// # Errors
/// `CUT0109` names the first step that it cannot do, and what it lacks.
pub fn fits(plan: &Plan, router: &Capabilities) -> Result<(), Error> {
    let lacking = plan.steps.iter().find_map(|step| match &step.does {
        Does::Act(Act::Route(Change::Share { width, .. })) if !router.shares && *width < 10_000 => {
            Some(format!("it cannot share visitors between two releases ({})", To::Share(*width)))
        }
        Does::Act(Act::Route(Change::Share { width, .. })) if *width < router.least_share => Some(format!(
            "{} is less than the least share it can send, {}",
            To::Share(*width),
            To::Share(router.least_share)
        )),
        Does::Act(Act::Route(Change::Audience { name, .. })) if !router.audiences => {
            Some(format!("it knows no audiences ({name})"))
        }
        _ => None,
    });
    lacking.map_or(Ok(()), |why| {
        Err(Error::new(ErrorKind::Refused, "CUT0109", "the router cannot do what the strategy asks")
            .because(why)
            .hint("`--strategy instant` moves everybody at once"))
    })
}

/// How many holds of the plan are judged: what the rate of false alarms is shared by.
pub fn judged_holds(plan: &Plan) -> u32 {
    let judged = |does: &Does| matches!(does, Does::Hold { watch, .. } if !watch.is_empty());
    u32::try_from(plan.steps.iter().filter(|step| judged(&step.does)).count()).unwrap_or(u32::MAX)
}

fn rule(compare: &CompareGate, plan: &Plan) -> Result<Rule, String> {
    judging::rule(compare, judged_holds(plan).max(1))
}

fn comparisons(snapshot: &Snapshot) -> impl Iterator<Item = (&Gate, &CompareGate)> {
    snapshot.gates.iter().filter_map(|gate| match &gate.kind {
        GateKind::Compare(compare) => Some((gate, compare)),
        _ => None,
    })
}

fn strategy_of<'s>(snapshot: &'s Snapshot, overrides: &'s Overrides) -> &'s Strategy {
    overrides.strategy.as_ref().unwrap_or_else(|| snapshot.rollout.strategy.strategy())
}

fn audiences(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.routing.audiences.iter().map(|audience| audience.name.as_str()).collect()
}

/// A strategy that was given may name what the release does not define.
fn audiences_exist(snapshot: &Snapshot, strategy: &Strategy, green: ReleaseId) -> Result<(), Error> {
    let names = audiences(snapshot);
    for step in &strategy.moves {
        if let To::Audience(name) = &step.to
            && !names.contains(&name.as_str())
        {
            let why = format!("the strategy moves the audience {name:?}, which the release does not define");
            let hint = match names.as_slice() {
                [] => "it defines none; use shares such as `5%, 100%`".to_owned(),
                names => format!("it defines {}", names.join(", ")),
            };
            return Err(refused(green).because(why).hint(hint));
        }
    }
    Ok(())
}

/// A gate as the plan has it; none where no place is left for it.
fn planned(gate: &Gate, snapshot: &Snapshot, overrides: &Overrides) -> Option<cutover_rollout::Gate> {
    let strategy = strategy_of(snapshot, overrides);
    let sort = gate.kind.sort();
    let mut places: Vec<At> = Vec::new();
    for at in &gate.at {
        match at {
            GateAt::BeforeTraffic if overrides.skip_gates => {}
            GateAt::BeforeTraffic => places.push(At::BeforeTraffic),
            GateAt::EveryStep if sort == Sort::Compare => {
                places.extend(steps::steps(sort, strategy).into_iter().cloned().map(At::Step));
            }
            GateAt::EveryStep if strategy.is_instant() => {}
            GateAt::EveryStep => places.push(At::EveryStep),
            // An instant rollout was asked for: there are no steps, and that is not a mistake.
            GateAt::Step(_) if overrides.strategy.as_ref().is_some_and(Strategy::is_instant) => {}
            GateAt::Step(to) => places.push(At::Step(to.clone())),
            GateAt::Bake => places.push(At::Bake),
        }
    }
    (!places.is_empty()).then(|| cutover_rollout::Gate {
        name: gate.name.clone(),
        required: gate.required,
        watch: sort.watched(),
        at: places,
        insufficient: match gate.low_traffic.unwrap_or(snapshot.rollout.low_traffic) {
            // A gate that is run once does not depend on traffic: it is asked again until it knows.
            _ if !sort.watched() => Insufficient::Hold,
            // Where the visitors come from is the probe's part; for the plan it is waiting.
            LowTraffic::Hold | LowTraffic::Synthetic => Insufficient::Hold,
            LowTraffic::Extend(by) => Insufficient::Extend(duration::millis(by)),
            LowTraffic::Ask => Insufficient::Ask,
        },
    })
}

fn refused(green: ReleaseId) -> Error {
    Error::new(ErrorKind::Invalid, "CUT0109", format!("cannot plan the rollout of release {green}"))
}

fn impossible(why: &PlanError, strategy: &Strategy, green: ReleaseId) -> Error {
    let mut error = refused(green).because(why);
    let hint = match why {
        PlanError::AlreadyActive(_) => {
            error.kind = ErrorKind::Refused;
            Some("stage what has changed as a new release, or promote another one".to_owned())
        }
        PlanError::NoSuchStep { .. } => Some(format!(
            "the strategy is \"{strategy}\"; give it the step, or use `instant`, which has none"
        )),
        PlanError::NobodyYet(_) => {
            Some("let it run at \"steps\", at one step, or in the \"bake\"".to_owned())
        }
        PlanError::NoBake(_) => Some("give `rollout.bake` a length".to_owned()),
        PlanError::GateNowhere(_) => Some("say where it runs with `at`".to_owned()),
        PlanError::NoHold => Some("give `rollout.hold` a length".to_owned()),
        PlanError::Quiet { .. } => Some("raise `rollout.drain.at_most`".to_owned()),
        PlanError::TooLong { .. } | PlanError::Step(_) | PlanError::GateTwice(_) => None,
    };
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
