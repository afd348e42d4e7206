//! A way through the model, for people.

use super::{
    core::{Happens, Todo},
    world::{Action, Model, World},
};

/// Each step in one line.
pub(super) fn way(model: &Model, path: Vec<(World, Option<Action>)>) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    let mut path = path.into_iter().peekable();
    while let Some((world, action)) = path.next() {
        let (Some(action), Some((after, _))) = (action, path.peek()) else { break };
        steps.push(step(model, &world, action, after));
    }
    steps
}

fn step(model: &Model, world: &World, action: Action, after: &World) -> String {
    let who = |number: u8| ["A", "B"][usize::from(number.min(1))];
    let lead = |number: u8| world.controllers[usize::from(number)].as_ref();
    let told = match action {
        Action::Acquire(number) => format!("{} takes the lease, epoch {}", who(number), after.lease_epoch),
        Action::Deliver(number) => {
            let mail = lead(number).and_then(|lead| lead.mail);
            let what = mail.map_or_else(String::new, |mail| happens(model, mail));
            let fate = match after.journal == world.journal {
                true => "nothing is recorded",
                false => "recorded",
            };
            format!("{} {what}: {fate}", who(number))
        }
        Action::Send(number) => {
            let todo = lead(number).and_then(|lead| lead.todo.first().copied());
            match todo {
                Some(Todo::Do(effect)) if after.flight.len() > world.flight.len() => {
                    format!("{} sends [{}]", who(number), model.core.name(effect))
                }
                Some(Todo::Do(effect)) => {
                    format!(
                        "{} finds that nothing has to be sent for [{}]",
                        who(number),
                        model.core.name(effect)
                    )
                }
                Some(Todo::Observe(effect)) => {
                    format!("{} looks for [{}]", who(number), model.core.name(effect))
                }
                None => format!("{} has nothing to do", who(number)),
            }
        }
        Action::GiveUp(number) => format!("{} stops waiting for the answer", who(number)),
        Action::LoseAnswer(number) => {
            format!("what {} waits for is done, and the answer is lost", who(number))
        }
        Action::Look(number, look) => format!(
            "{} looks round: the edge runs generation {}{}",
            who(number),
            look.converged,
            if look.healthy { "" } else { ", green is ill" }
        ),
        Action::Operator(number, close) => {
            format!("a person tells {} to roll back{}", who(number), if close { " at once" } else { "" })
        }
        Action::Crash(number) => format!("{} dies", who(number)),
        Action::Land(number) | Action::LandAndStay(number) => {
            let call = world.flight[usize::from(number)];
            let fate = match (world.store == after.store, world.running == after.running) {
                (true, true) => " and changes nothing",
                _ => "",
            };
            let stays = if matches!(action, Action::LandAndStay(_)) { ", and will land again" } else { "" };
            format!(
                "the call of {} under epoch {} lands{fate}: [{}]{stays}",
                who(call.by),
                call.fence.0,
                model.core.name(call.effect)
            )
        }
        Action::Follow => "the edge follows".to_owned(),
    };
    let shown = |world: &World| {
        (world.store, world.edge, world.running, world.writer, model.core.situation(world.journal))
    };
    if shown(world) == shown(after) {
        return told;
    }
    let generation = |table| model.core.with_table(table, |table: &cutover_routing::Table| table.generation);
    format!(
        "{told}  -> generation {} with {} on green, edge {}, blue {}, green {}, {:?}",
        generation(after.store),
        percent(model.on_green(after.store)),
        generation(after.edge),
        if after.running[0] { "runs" } else { "is stopped" },
        if after.running[1] { "runs" } else { "is stopped" },
        model.core.situation(after.journal)
    )
}

fn percent(width: u16) -> String {
    format!("{}%", f64::from(width) / 100.0)
}

fn happens(model: &Model, what: Happens) -> String {
    let name = |effect| model.core.name(effect);
    match what {
        Happens::Restarted => "reads the journal".to_owned(),
        Happens::Rollback { .. } => "is told to roll back".to_owned(),
        Happens::Done(effect, _) => format!("hears that [{}] is done", name(effect)),
        Happens::Failed(effect) => format!("hears that [{}] is refused", name(effect)),
        Happens::Passed(effect) => format!("hears that [{}] has passed", name(effect)),
        Happens::Unknown(effect) => format!("does not know what became of [{}]", name(effect)),
        Happens::InPlace(effect, _) => format!("sees that [{}] is in place", name(effect)),
        Happens::Absent(effect) => format!("sees that [{}] is not in place", name(effect)),
        Happens::Looked(_) => "weighs what it saw".to_owned(),
    }
}
