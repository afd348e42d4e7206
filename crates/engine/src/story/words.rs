//! The words for what a rollout is made of.

use cutover_rollout::{
    Act, Cause, Change, Does, End, HeldFor, Millis, Outcome, Plan, Stage, State, Step, To, Why,
    judge::Verdict,
};

pub(super) fn stage(stage: &Stage) -> String {
    match stage {
        Stage::Shift { number, of, to } => format!("shift {number} of {of}: {}", target(to)),
        other => other.word().to_owned(),
    }
}

fn target(to: &To) -> String {
    match to {
        To::Audience(name) => format!("audience {name}"),
        share @ To::Share(_) => share.to_string(),
    }
}

pub(super) fn step(step: &Step) -> String {
    let stage = stage(&step.stage);
    match &step.does {
        Does::Act(Act::Gate(gate)) => format!("{stage}, gate {}", gate.gate),
        _ => stage,
    }
}

pub(super) fn does(does: &Does, plan: &Plan) -> String {
    match does {
        Does::Act(one) => act(one, plan),
        Does::Converge => "wait until every edge has it".to_owned(),
        Does::Hold { length: Millis(0), watch } => format!("judge {}", names(watch)),
        Does::Hold { length, watch } if watch.is_empty() => format!("hold for {length}"),
        Does::Hold { length, watch } => format!("hold for {length}, watching {}", names(watch)),
        Does::Quiet { release, closed: false } => {
            format!(
                "wait until nothing has reached {release} for {}, at most {}",
                plan.quiet, plan.drain_at_most
            )
        }
        Does::Quiet { release, closed: true } => {
            format!("wait until nothing reaches {release} although it is closed")
        }
    }
}

fn names(watch: &[cutover_rollout::Watched]) -> String {
    watch.iter().map(|gate| gate.gate.as_str()).collect::<Vec<_>>().join(", ")
}

pub(super) fn act(act: &Act, plan: &Plan) -> String {
    match act {
        Act::Prepare { release } if plan.blue == Some(*release) => format!("stand {release} up again"),
        Act::Prepare { release } => format!("stand {release} up"),
        Act::Gate(gate) => format!("run gate {}", gate.gate),
        Act::Route(change) => route(change),
        Act::Standby { release } => format!("keep {release} warm"),
        Act::Park { release } => format!("park {release}: its services end, its files stay"),
        Act::Retire { release } => format!("retire {release}: the point of no return"),
    }
}

fn route(change: &Change) -> String {
    match change {
        Change::Candidate { release } => format!("let {release} hold visitors"),
        Change::Audience { name, release } => format!("send audience {name} to {release}"),
        Change::Share { release, width } => format!("send {} of visitors to {release}", To::Share(*width)),
        Change::Promote { release } => format!("make {release} the default"),
        Change::Rollback { to, close: false } => format!("send visitors back to {to}; what is left drains"),
        Change::Rollback { to, close: true } => format!("send visitors back to {to}; what is left is closed"),
        Change::Close { release } => format!("close {release}"),
    }
}

/// What was done, afterwards.
pub(super) fn done_act(act: &Act, plan: &Plan) -> String {
    match act {
        Act::Route(Change::Share { release, width }) => {
            format!("{} of visitors go to {release}", To::Share(*width))
        }
        Act::Route(Change::Audience { name, release }) => format!("audience {name} goes to {release}"),
        Act::Route(Change::Promote { release }) => format!("{release} is the default"),
        Act::Route(Change::Rollback { to, .. }) => format!("visitors are sent back to {to}"),
        Act::Route(Change::Close { release }) => format!("{release} is closed"),
        Act::Route(Change::Candidate { release }) => format!("{release} may hold visitors"),
        Act::Prepare { release } => format!("{release} is up"),
        Act::Standby { release } => format!("{release} is kept warm"),
        Act::Park { release } => format!("{release} is parked"),
        Act::Retire { release } => format!("{release} is retired"),
        Act::Gate(_) => self::act(act, plan),
    }
}

pub(super) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { generation: Some(generation) } => format!("done, generation {generation}"),
        Outcome::Done { generation: None } => "done".to_owned(),
        Outcome::Judged { verdict, why } => format!("{}: {why}", verdict_word(*verdict)),
        Outcome::Failed { why, .. } => format!("failed: {why}"),
        Outcome::Abandoned => "stopped, its answer is not needed any more".to_owned(),
        Outcome::Unknown { why } => format!("not known: {why}"),
    }
}

pub(super) fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Insufficient => "insufficient",
        Verdict::Error => "error",
    }
}

pub(super) fn held(why: &HeldFor) -> String {
    match why {
        HeldFor::Gate { gate, verdict: Verdict::Insufficient } => {
            format!("gate {gate} has not enough evidence in its time")
        }
        HeldFor::Gate { gate, verdict: Verdict::Error } => format!("gate {gate} cannot be checked"),
        HeldFor::Gate { gate, verdict } => format!("gate {gate} says {}", verdict_word(*verdict)),
        HeldFor::Effect { why } => format!("what comes next could not be done: {why}"),
        HeldFor::NotConverging { generation } => format!("not every edge runs generation {generation}"),
        HeldFor::Unhealthy { why } => {
            format!("the release does not answer, and there is nothing to go back to: {why}")
        }
    }
}

pub(super) fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Gate { gate, why } => format!("gate {gate} failed: {why}"),
        Cause::Unhealthy { why } => format!("the release does not answer: {why}"),
        Cause::Effect { id, why } => format!("{id} could not be done: {why}"),
        Cause::Operator { by, reason, withdraw: true } => said_by("withdrawn", by, reason.as_deref()),
        Cause::Operator { by, reason, withdraw: false } => said_by("rolled back", by, reason.as_deref()),
        Cause::Superseded { by } => format!("{by} takes over"),
    }
}

pub(super) fn said_by(what: &str, by: &str, reason: Option<&str>) -> String {
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{what} by {by}{reason}")
}

pub(super) fn why(why: &Why) -> String {
    match why {
        Why::Done => String::new(),
        Why::Limit => " (draining took as long as it may)".to_owned(),
        Why::Forced { by, reason } => format!(" ({})", said_by("sent on", by, reason.as_deref())),
    }
}

pub(super) fn ended(how: &End, plan: &Plan) -> String {
    match how {
        End::Done { standby: false } => format!("done: {} is the default", plan.green),
        End::Done { standby: true } => match plan.blue {
            Some(blue) => format!("done: {} is the default, {blue} can be had back", plan.green),
            None => format!("done: {} is the default", plan.green),
        },
        End::RolledBack => match plan.blue {
            Some(blue) => format!("rolled back: visitors are on {blue}"),
            None => format!("given up: {} was never the default", plan.green),
        },
        End::Superseded { by, promoted: true } => {
            format!("superseded by {by}, after {} became the default", plan.green)
        }
        End::Superseded { by, promoted: false } => format!("superseded by {by}, visitors went back first"),
    }
}

pub(super) fn done(state: &State) -> String {
    match (&state.ended, state.plan.blue) {
        (Some(End::Done { standby: true }), Some(blue)) => {
            format!("nothing; {blue} can be had back by `cutover rollback`")
        }
        _ => "nothing".to_owned(),
    }
}

pub(super) fn superseded(state: &State) -> String {
    match &state.superseded {
        Some(by) => format!("nothing; {by} took over"),
        None => "nothing; another rollout took over".to_owned(),
    }
}
