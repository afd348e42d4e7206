//! What happened in a rollout, record by record.

use cutover_rollout::{Body, Cursor, Fact, Record, State, apply};

use super::words;
use crate::control::{FactView, StoryLine};

/// The story that records tell, oldest first. Records that only mark time are left out; from one that has no place on,
/// nothing is told.
pub fn lines(records: &[Record]) -> Vec<StoryLine> {
    let mut state: Option<State> = None;
    let mut lines = Vec::new();
    for record in records {
        let Ok(next) = apply(state, record) else { return lines };
        if let Some(line) = line(record, &next) {
            lines.push(line);
        }
        state = Some(next);
    }
    lines
}

fn line(record: &Record, state: &State) -> Option<StoryLine> {
    let plan = &state.plan;
    let told = |says: String| (says, None, Vec::new());
    let by = |says: String, who: &str| (says, Some(who.to_owned()), Vec::new());
    let (says, who, facts) = match &record.body {
        Body::Opened { plan, by: who } => {
            let from = plan.blue.map(|blue| format!(" from {blue}")).unwrap_or_default();
            let steps = plan.steps.len();
            by(format!("opened: to {}{from}, in {steps} steps", plan.green), who)
        }
        Body::Intent { id, act } => told(format!("{id}: about to {}", words::act(act, plan))),
        Body::Outcome { id, outcome } => told(format!("{id}: {}", words::outcome(outcome))),
        Body::InDoubt { id, why, .. } => told(format!("{id}: not known whether it happened: {why}")),
        Body::Observing { id } => told(format!("{id}: looking whether it happened")),
        Body::Converged { generation } => told(format!("every edge runs generation {generation}")),
        Body::Judged { gate, verdict, why, age } => (
            format!("gate {gate}: {} ({why})", words::verdict_word(*verdict)),
            None,
            vec![FactView { what: gate.clone(), says: why.clone(), age_ms: *age }],
        ),
        Body::Watched { .. } => return None,
        Body::Held { why } => told(format!("held, a person is needed: {}", words::held(why))),
        Body::Paused { by: who, reason } => by(words::said_by("paused", who, reason.as_deref()), who),
        Body::Resumed { by: who } => by(format!("resumed by {who}"), who),
        Body::Advanced { to, why, facts, .. } => {
            let (why, who) = (words::why(why), forced(why));
            (format!("on to {}{why}", place(state, Cursor::Forward(*to))), who, views(facts))
        }
        Body::UndoStarted { cause, close, facts, round, .. } => {
            let again = if *round > 1 { " more strictly" } else { "" };
            let left = if *close { "closed at once" } else { "drained" };
            let says = format!("going back{again}: {}; {} is {left}", words::cause(cause), plan.green);
            (says, None, views(facts))
        }
        Body::UndoAdvanced { to, why, facts, .. } => {
            let round = state.undo.as_ref().map_or(0, |undo| undo.round);
            let place = place(state, Cursor::Undo { round, step: *to });
            (format!("on the way back, on to {place}{}", words::why(why)), None, views(facts))
        }
        Body::SupersedeAsked { by } => told(format!("{by} asks it to give way")),
        Body::Restarted => told("the controller came up and took over".to_owned()),
        Body::Ended { how } => told(words::ended(how, plan)),
    };
    Some(StoryLine { seq: record.seq, at: record.at, who, says, facts })
}

fn forced(why: &cutover_rollout::Why) -> Option<String> {
    match why {
        cutover_rollout::Why::Forced { by, .. } => Some(by.clone()),
        _ => None,
    }
}

fn place(state: &State, cursor: Cursor) -> String {
    state.step_at(cursor).map_or_else(String::new, |step| {
        format!("{}: {}", words::stage(&step.stage), words::does(&step.does, &state.plan))
    })
}

fn views(facts: &[Fact]) -> Vec<FactView> {
    let view = |fact: &Fact| FactView { what: fact.what.clone(), says: fact.says.clone(), age_ms: fact.age };
    facts.iter().map(view).collect()
}
