//! Rollouts in words: what one is doing now, what it has done and why, what it is going to do.

mod lines;
#[cfg(test)]
mod tests;
mod words;

use cutover_rollout::{
    Act, Body, Change, Cursor, Does, End, HeldFor, Plan, Record, Situation, Stage, State, Watched,
    judge::Verdict,
};

pub use lines::lines;

use crate::{
    control::{self, GateView, Hold, Phase, RolloutView, StepAt, StepView},
    judging::Evidence,
    runner::Now,
};

/// A rollout as people and their tools see it.
pub fn view(now: &Now) -> RolloutView {
    let state = &now.state;
    let step = state.step();
    let phase = phase(state);
    RolloutView {
        id: state.plan.rollout.to_string(),
        blue: state.plan.blue,
        green: state.plan.green,
        phase,
        step: step.map(words::step).unwrap_or_default(),
        waiting: waiting(now, phase),
        share: state.share,
        opened_at: now.opened_at,
        opened_by: now.opened_by.clone(),
        entered_at: state.entered,
        hold: hold(state),
        gates: gates(now),
        held: state.held.as_ref().map(|held| words::held(&held.why)),
        paused: state
            .paused
            .as_ref()
            .map(|paused| words::said_by("paused", &paused.by, paused.reason.as_deref())),
        undo: state.undo.as_ref().map(|undo| words::cause(&undo.cause)),
        superseded_by: state.superseded.as_ref().map(ToString::to_string),
        promoted: state.promoted && !state.going_back(),
        baked: baked(state),
        ended_at: state.ended.is_some().then_some(now.changed_at),
        plan: steps(&state.plan, Some(state)),
    }
}

/// A rollout from its records, where nobody looks after it any more.
///
/// # Errors
/// Where the records do not add up.
pub fn view_of(records: &[Record]) -> Result<Option<RolloutView>, cutover_rollout::Illegal> {
    Ok(crate::runner::now_from(records)?.as_ref().map(view))
}

/// The steps of a plan; with a state, where it is.
pub fn steps(plan: &Plan, state: Option<&State>) -> Vec<StepView> {
    let reached = state.map_or(0, |state| match state.ended {
        Some(End::Done { .. }) => plan.steps.len(),
        _ => state.reached,
    });
    // What was done was done, also where it is taken back.
    let here = state.filter(|state| state.ended.is_none() && !state.going_back()).map(|_| reached);
    let at = |place: usize| match here {
        _ if place < reached => StepAt::Done,
        Some(here) if place == here => StepAt::Now,
        _ => StepAt::Next,
    };
    let view = |(place, step): (usize, &cutover_rollout::Step)| StepView {
        stage: words::stage(&step.stage),
        does: words::does(&step.does, plan),
        at: at(place),
        hold_ms: match &step.does {
            Does::Hold { length, .. } => Some(length.0),
            _ => None,
        },
        calls: Vec::new(),
        forecast: Vec::new(),
    };
    plan.steps.iter().enumerate().map(view).collect()
}

/// Whether green is the default and nobody is watching it any more: for who waits for a release, it is done.
pub fn baked(state: &State) -> bool {
    if state.going_back() || !state.promoted {
        return false;
    }
    match &state.ended {
        Some(End::Done { .. }) => return true,
        Some(_) => return false,
        None => {}
    }
    let Cursor::Forward(at) = state.cursor else { return false };
    let watched = |step: &cutover_rollout::Step| matches!(step.stage, Stage::Promote | Stage::Bake);
    !state.plan.steps[at.min(state.plan.steps.len())..].iter().any(watched)
}

fn phase(state: &State) -> Phase {
    match state.situation() {
        Situation::Done | Situation::Standby => return Phase::Done,
        Situation::RolledBack => return Phase::RolledBack,
        Situation::Superseded => return Phase::Superseded,
        Situation::Paused => return Phase::Paused,
        Situation::Held => return Phase::Held,
        _ => {}
    }
    if state.going_back() {
        return Phase::GoingBack;
    }
    match state.step().map(|step| &step.stage) {
        Some(Stage::Prepare) | None => Phase::Preparing,
        Some(Stage::Test) => Phase::Testing,
        Some(Stage::Shift { .. }) => Phase::Shifting,
        Some(Stage::Promote) => Phase::Promoting,
        Some(Stage::Bake) => Phase::Baking,
        Some(Stage::Drain) => Phase::Draining,
        Some(Stage::Close | Stage::Settle) => Phase::Closing,
        Some(Stage::Return) => Phase::GoingBack,
    }
}

fn hold(state: &State) -> Option<Hold> {
    let asked = match state.step().map(|step| &step.does)? {
        Does::Hold { length, .. } => *length,
        Does::Quiet { .. } => state.plan.quiet,
        _ => return None,
    };
    if state.ended.is_some() {
        return None;
    }
    Some(Hold {
        counted_ms: state.watch.counted.min(asked.0),
        length_ms: asked.0,
        counting: state.watch.good && state.paused.is_none(),
    })
}

fn gates(now: &Now) -> Vec<GateView> {
    let state = &now.state;
    if state.ended.is_some() {
        return Vec::new();
    }
    match state.step().map(|step| &step.does) {
        Some(Does::Hold { watch, .. }) => watch.iter().map(|gate| watched(now, gate)).collect(),
        Some(Does::Act(Act::Gate(gate))) => {
            let (verdict, why) = match &state.failed {
                Some(cutover_rollout::Outcome::Judged { verdict, why }) => (Some(*verdict), why.clone()),
                _ => (None, "running".to_owned()),
            };
            vec![GateView {
                gate: gate.gate.clone(),
                required: gate.required,
                verdict: verdict.map(word),
                why,
                age_ms: 0,
                asks: false,
                evidence: None,
            }]
        }
        _ => Vec::new(),
    }
}

fn watched(now: &Now, gate: &Watched) -> GateView {
    let reading = now.readings.iter().find(|reading| reading.gate == gate.gate);
    let last = now.state.watch.verdicts.get(&gate.gate).copied();
    let evidence = now.evidence.iter().find(|evidence| evidence.gate == gate.gate);
    GateView {
        gate: gate.gate.clone(),
        required: gate.required,
        verdict: reading.map(|reading| reading.verdict).or(last).map(word),
        why: reading.map_or_else(|| "not read yet".to_owned(), |reading| reading.why.clone()),
        age_ms: reading.map_or(0, |reading| reading.age),
        asks: false,
        evidence: evidence.map(Evidence::view),
    }
}

fn word(verdict: Verdict) -> control::Verdict {
    match verdict {
        Verdict::Pass => control::Verdict::Pass,
        Verdict::Fail => control::Verdict::Fail,
        Verdict::Insufficient => control::Verdict::Insufficient,
        Verdict::Error => control::Verdict::Error,
    }
}

/// What it is waiting for and why, one sentence.
fn waiting(now: &Now, phase: Phase) -> String {
    let state = &now.state;
    if let Some(trouble) = &now.trouble {
        return trouble.clone();
    }
    match phase {
        Phase::Done => return words::done(state),
        Phase::RolledBack => return "visitors are on the release they came from".to_owned(),
        Phase::Superseded => return words::superseded(state),
        Phase::Held => {
            let why = state.held.as_ref().map(|held| words::held(&held.why)).unwrap_or_default();
            return format!("a person is needed: {why}");
        }
        Phase::Paused => return "paused until it is resumed".to_owned(),
        _ => {}
    }
    if let Some(pending) = &state.pending {
        let act = words::act(&pending.act, &state.plan);
        return match pending.look {
            Some(_) => format!("looking whether this has happened: {act}"),
            None => act,
        };
    }
    if let Some(failed) = &state.failed {
        return format!("trying again: {}", words::outcome(failed));
    }
    match state.step().map(|step| &step.does) {
        Some(Does::Converge) => format!("every edge has to run generation {}", state.generation),
        Some(Does::Hold { watch, .. }) => holding(now, watch),
        Some(Does::Quiet { release, .. }) => {
            format!("{release} has to be without requests and streams for {}", state.plan.quiet)
        }
        Some(does) => words::does(does, &state.plan),
        None => String::new(),
    }
}

fn holding(now: &Now, watch: &[Watched]) -> String {
    let left = now.state.left().unwrap_or(cutover_rollout::Millis(0));
    let open: Vec<String> = watch
        .iter()
        .filter(|gate| gate.required)
        .filter_map(|gate| {
            let view = watched(now, gate);
            (view.verdict != Some(control::Verdict::Pass)).then(|| format!("{}: {}", gate.gate, view.why))
        })
        .collect();
    match (open.is_empty(), now.state.watch.good) {
        (false, _) => format!("{left} to go, not counting: {}", open.join("; ")),
        (true, false) => format!("{left} to go, not counting yet"),
        (true, true) => format!("{left} to go"),
    }
}

/// One line of history for what a record says, where people should know of it: the sentence, and who did it.
pub fn headline(record: &Record, state: &State) -> Option<(String, Option<String>)> {
    let plan = &state.plan;
    let line = match &record.body {
        Body::Opened { plan, by } => {
            let from = plan.blue.map(|blue| format!(" from {blue}")).unwrap_or_default();
            return Some((format!("{} opened: to {}{from}", plan.rollout, plan.green), Some(by.clone())));
        }
        Body::Paused { by, reason } => {
            return Some((words::said_by("paused", by, reason.as_deref()), Some(by.clone())));
        }
        Body::Resumed { by } => return Some((format!("resumed by {by}"), Some(by.clone()))),
        Body::Outcome { outcome: cutover_rollout::Outcome::Done { .. }, id } => {
            let act = state.step_at(id.step).map(|step| &step.does);
            match act {
                Some(Does::Act(act @ Act::Route(Change::Share { .. } | Change::Audience { .. }))) => {
                    words::done_act(act, plan)
                }
                _ => return None,
            }
        }
        Body::Judged { gate, verdict: Verdict::Fail, why, .. } => format!("gate {gate} fails: {why}"),
        Body::Held { why } => format!("held, a person is needed: {}", words::held(why)),
        Body::UndoStarted { cause, .. } => format!("going back: {}", words::cause(cause)),
        Body::Ended { how } => words::ended(how, plan),
        Body::Advanced { why: cutover_rollout::Why::Forced { by, reason }, .. } => {
            return Some((words::said_by("sent on", by, reason.as_deref()), Some(by.clone())));
        }
        _ => return None,
    };
    Some((line, None))
}

/// What a person can do about a rollout that is held.
pub fn help(held: &HeldFor) -> &'static str {
    match held {
        HeldFor::Gate { .. } => {
            "`cutover resume` gives the gate another try, `cutover promote --reason ...` goes on without it, `cutover \
             rollback` gives the release up"
        }
        HeldFor::Effect { .. } | HeldFor::NotConverging { .. } => {
            "`cutover resume` tries again once the cause is gone, `cutover rollback` goes back"
        }
        HeldFor::Unhealthy { .. } => "mend the release or promote another: there is nothing to go back to",
    }
}
