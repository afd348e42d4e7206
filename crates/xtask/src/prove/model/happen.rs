//! What each action does to the world: deciding, recording, sending, landing.

use cutover_rollout::{Act, Change, Situation};
use cutover_routing::ReleaseId;

use super::{
    core::{Answer, Edited, Happens, StateNo, TableNo, Todo},
    world::{Action, Call, GREEN, Lead, Model, World, Wrong},
};

impl Model {
    pub(super) fn next(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Acquire(number) => {
                if world.controllers[usize::from(world.holder)].is_some() {
                    world.budget.leases -= 1;
                }
                world.lease_epoch += 1;
                world.holder = number;
                // The lease ran out: so have the deadlines of the calls to the platform that were made under it.
                world.flight.retain(|call| call.table.is_some());
                let lead = taken_over(world.lease_epoch, world.journal);
                world.controllers[usize::from(number)] = Some(lead);
            }
            Action::Deliver(number) => {
                let mail = world.controllers[usize::from(number)].as_mut()?.mail.take()?;
                self.record(&mut world, number, mail);
            }
            Action::Operator(number, close) => {
                world.budget.rollbacks -= 1;
                self.record(&mut world, number, Happens::Rollback { close });
            }
            Action::Send(number) => self.send(&mut world, number)?,
            Action::GiveUp(number) | Action::LoseAnswer(number) => {
                world.budget.losses -= 1;
                // A call to the platform has ended by now, in one way or the other.
                if let Some(at) = self.operation(&world, number) {
                    let call = world.flight.remove(at);
                    if matches!(action, Action::LoseAnswer(_)) {
                        self.operate(&mut world, call);
                    }
                }
                let lead = world.controllers[usize::from(number)].as_mut()?;
                lead.mail = Some(Happens::Unknown(lead.awaits.take()?));
            }
            Action::Look(number, look) => {
                world.budget.ills -= u8::from(!look.healthy);
                world.controllers[usize::from(number)].as_mut()?.mail = Some(Happens::Looked(look));
            }
            Action::Crash(number) => {
                world.budget.crashes -= 1;
                world.controllers[usize::from(number)] = None;
            }
            Action::Land(number) => {
                let call = world.flight.remove(usize::from(number));
                self.land(&mut world, call);
            }
            Action::LandAndStay(number) => {
                world.budget.repeats -= 1;
                let call = world.flight[usize::from(number)];
                self.land(&mut world, call);
            }
            Action::Follow => world.edge = world.store,
        }
        self.forget(&mut world);
        (world != *before).then_some(world)
    }

    /// Decides, appends, and only then has something to do.
    fn record(&self, world: &mut World, number: u8, what: Happens) {
        let (journal, granted) = (world.journal, world.lease_epoch);
        let Some(lead) = world.controllers[usize::from(number)].as_mut() else { return };
        let follows = match self.core.happen(lead.state, what) {
            Answer::Next(follows) => follows,
            Answer::Nothing => return,
            Answer::NoWayBack => {
                let no_return = self.core.with_state(lead.state, |state| state.retiring);
                world.told.wrong = world.told.wrong.or((!no_return).then_some(Wrong::NoWayBack));
                return;
            }
            Answer::Defect(_) => {
                world.told.wrong = world.told.wrong.or(Some(Wrong::Defect));
                return;
            }
        };
        if follows.records > 0 {
            if granted > lead.epoch {
                // Refused: somebody else leads.
                world.controllers[usize::from(number)] = None;
                return;
            }
            if journal != lead.state {
                world.told.wrong = world.told.wrong.or(Some(Wrong::TwoWriters));
                return;
            }
            (world.journal, world.writer) = (follows.state, lead.epoch);
        }
        lead.state = follows.state;
        lead.todo.extend(follows.todo);
        let done = matches!(self.core.situation(world.journal), Situation::Done | Situation::Standby);
        world.told.was_done |= done;
    }

    /// Makes the first call that is to be made.
    fn send(&self, world: &mut World, number: u8) -> Option<()> {
        let (store, running, gone, granted) = (world.store, world.running, world.gone, world.lease_epoch);
        let lead = world.controllers[usize::from(number)].as_mut()?;
        let todo = lead.todo.remove(0);
        let seq = self.core.with_state(lead.state, |state| u16::try_from(state.seq).unwrap_or(u16::MAX));
        let (Todo::Do(effect) | Todo::Observe(effect)) = todo;
        let act = self.core.act(effect);
        let routed = matches!(act, Act::Route(_)).then(|| self.core.edit(store, effect));
        let generation = self.generation(store);
        let call = Call { fence: (lead.epoch, seq), by: number, effect, table: None };
        let sent = match (todo, routed) {
            (Todo::Observe(_), Some(Edited::InPlace)) => Err(Happens::InPlace(effect, Some(generation))),
            (Todo::Observe(_), Some(_)) => Err(Happens::Absent(effect)),
            (Todo::Observe(_), None) => Err(match in_place(&act, &self.releases, running, gone) {
                true => Happens::InPlace(effect, None),
                false => Happens::Absent(effect),
            }),
            (Todo::Do(_), Some(Edited::Table(table))) => Ok(Call { table: Some(table), ..call }),
            (Todo::Do(_), Some(Edited::InPlace)) => Err(Happens::Done(effect, Some(generation))),
            (Todo::Do(_), Some(Edited::Refused)) => Err(Happens::Failed(effect)),
            (Todo::Do(_), None) if matches!(act, Act::Gate(_)) => Err(Happens::Passed(effect)),
            // Its lease has run out, and with it the deadline.
            (Todo::Do(_), None) if lead.epoch < granted => Err(Happens::Failed(effect)),
            (Todo::Do(_), None) => Ok(call),
        };
        match sent {
            Ok(call) => {
                lead.awaits = Some(effect);
                world.flight.push(call);
                world.flight.sort_unstable();
            }
            Err(known) => lead.mail = Some(known),
        }
        Some(())
    }

    /// A call reaches the far side, which may refuse it.
    fn land(&self, world: &mut World, call: Call) {
        let done = match call.table {
            Some(table) => self.write(world, call, table),
            None => self.operate(world, call),
        };
        world.told.refused |= !done;
        let generation = call.table.map(|table| self.generation(table));
        let Some(lead) = world.controllers[usize::from(call.by)].as_mut() else { return };
        if lead.epoch == call.fence.0 && lead.awaits == Some(call.effect) {
            lead.awaits = None;
            lead.mail = Some(match done {
                true => Happens::Done(call.effect, generation),
                false => Happens::Failed(call.effect),
            });
        }
    }

    /// Leaves out calls that will be refused whenever they land and whose answer nobody waits for: whether they do
    /// makes no difference.
    fn forget(&self, world: &mut World) {
        let (seen, now) = (world.seen, self.generation(world.store));
        let mut flight = std::mem::take(&mut world.flight);
        let all = flight.len();
        flight.retain(|call| {
            let refused = call.table.is_some_and(|table| {
                (self.guards.epoch && call.fence.0 < seen)
                    || (self.guards.generation && self.generation(table) <= now)
            });
            let lead = world.controllers[usize::from(call.by)].as_ref();
            let awaited =
                lead.is_some_and(|lead| lead.epoch == call.fence.0 && lead.awaits == Some(call.effect));
            awaited || !refused
        });
        world.told.refused |= flight.len() < all;
        world.flight = flight;
    }

    /// A routing write lands.
    fn write(&self, world: &mut World, call: Call, table: TableNo) -> bool {
        let (now, next) = (self.generation(world.store), self.generation(table));
        if self.guards.epoch && call.fence.0 < world.seen {
            return false;
        }
        world.seen = world.seen.max(call.fence.0);
        if self.guards.generation && next <= now {
            // The same table again is the same table.
            return table == world.store;
        }
        let (before, after) = (self.on_green(world.store), self.on_green(table));
        if before != after {
            if call.fence < world.told.newest {
                world.told.wrong = world.told.wrong.or(Some(Wrong::Older));
            }
            let back = matches!(self.core.act(call.effect), Act::Route(Change::Rollback { .. }));
            let along = after > before && !world.told.returned;
            if !(along || back && after == 0) {
                world.told.wrong = world.told.wrong.or(Some(Wrong::OffPlan));
            }
        }
        world.told.newest = world.told.newest.max(call.fence);
        world.told.returned |= matches!(self.core.act(call.effect), Act::Route(Change::Rollback { .. }));
        world.store = table;
        true
    }

    /// A call to the platform lands.
    fn operate(&self, world: &mut World, call: Call) -> bool {
        let which = |release: ReleaseId| usize::from(release == self.releases[GREEN]);
        match self.core.act(call.effect) {
            Act::Prepare { release } if world.gone[which(release)] => return false,
            Act::Prepare { release } => world.running[which(release)] = true,
            Act::Park { release } => world.running[which(release)] = false,
            Act::Retire { release } => {
                (world.running[which(release)], world.gone[which(release)]) = (false, true);
            }
            Act::Standby { .. } | Act::Gate(_) | Act::Route(_) => {}
        }
        true
    }

    /// The call to the platform that a controller waits for.
    pub(super) fn operation(&self, world: &World, number: u8) -> Option<usize> {
        let lead = world.controllers[usize::from(number)].as_ref()?;
        let own = |call: &Call| call.table.is_none() && call.by == number && call.fence.0 == lead.epoch;
        world.flight.iter().position(own)
    }
}

fn taken_over(epoch: u8, journal: StateNo) -> Lead {
    Lead { epoch, state: journal, todo: Vec::new(), awaits: None, mail: Some(Happens::Restarted) }
}

/// What a look at the platform shows of an effect.
fn in_place(act: &Act, releases: &[ReleaseId; 2], running: [bool; 2], gone: [bool; 2]) -> bool {
    let which = |release: &ReleaseId| usize::from(*release == releases[GREEN]);
    match act {
        Act::Prepare { release } => running[which(release)],
        Act::Park { release } => !running[which(release)],
        Act::Retire { release } => gone[which(release)],
        Act::Standby { .. } => true,
        Act::Gate(_) | Act::Route(_) => false,
    }
}
