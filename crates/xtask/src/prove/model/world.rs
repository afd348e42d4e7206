//! Two controllers, a journal, a lease, a router with one edge, a platform, and calls that land whenever they like.
//!
//! What can happen: a routing write lands late, even when its sender has died or somebody else has taken over; it lands
//! twice; its sender stops waiting for it; a controller dies; a lease runs out without its holder noticing; a person
//! wants to go back; green falls ill; the edge follows later. How often these come is bounded; when is not.
//!
//! Two things are taken for granted, because the ports promise them: the journal refuses a writer whose lease somebody
//! else has been given, and a call to the platform ends by its deadline, which is inside the lease.

use cutover_rollout::Does;
use cutover_routing::{ReleaseId, ReleaseState, Table};

use super::core::{Core, EffectNo, Happens, Look, StateNo, TableNo, Todo};

/// What the far sides check before they let a call take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Guards {
    /// The router refuses writes under an older epoch than it has seen.
    pub(super) epoch: bool,
    /// The router and the edge refuse tables that are not newer than what they have.
    pub(super) generation: bool,
}

/// How often each disturbance may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    /// Deaths of controllers.
    pub(super) crashes: u8,
    /// Leases that are taken from a living holder.
    pub(super) leases: u8,
    /// Answers that nobody waits for any more.
    pub(super) losses: u8,
    /// Calls that land twice.
    pub(super) repeats: u8,
    /// People who want to go back.
    pub(super) rollbacks: u8,
    /// Looks at a green that is ill.
    pub(super) ills: u8,
}

/// Blue and green in arrays.
pub(super) const BLUE: usize = 0;
pub(super) const GREEN: usize = 1;

/// Everything there is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    /// The sum of the records, and who has written last.
    pub(super) journal: StateNo,
    pub(super) writer: u8,
    /// Who was given the lease last, and its epoch.
    pub(super) holder: u8,
    pub(super) lease_epoch: u8,
    /// Who thinks that it leads.
    pub(super) controllers: [Option<Lead>; 2],
    /// The table in force, and the one that the edge runs.
    pub(super) store: TableNo,
    pub(super) edge: TableNo,
    /// Which release runs, and which is torn down.
    pub(super) running: [bool; 2],
    pub(super) gone: [bool; 2],
    /// The highest epoch the router has seen.
    pub(super) seen: u8,
    /// Calls that have not landed.
    pub(super) flight: Vec<Call>,
    pub(super) budget: Budget,
    pub(super) told: Told,
}

/// A controller that thinks that it leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Lead {
    pub(super) epoch: u8,
    /// What it knows of the rollout.
    pub(super) state: StateNo,
    pub(super) todo: Vec<Todo>,
    /// The call whose answer it waits for.
    pub(super) awaits: Option<EffectNo>,
    /// What it has learned and not recorded yet.
    pub(super) mail: Option<Happens>,
}

/// A call on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Call {
    /// Under which epoch it was made, and when: the number of records then.
    pub(super) fence: (u8, u16),
    pub(super) by: u8,
    pub(super) effect: EffectNo,
    /// Of a routing write: the whole table.
    pub(super) table: Option<TableNo>,
}

/// What the onlooker remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Told {
    /// The newest write that is in force.
    pub(super) newest: (u8, u16),
    /// Whether visitors were sent back.
    pub(super) returned: bool,
    /// Whether the rollout was done before.
    pub(super) was_done: bool,
    /// Whether a late call was refused.
    pub(super) refused: bool,
    /// What went wrong first.
    pub(super) wrong: Option<Wrong>,
}

/// What must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Wrong {
    /// An older write moved visitors after a newer one.
    Older,
    /// A write moved visitors neither along the plan nor back.
    OffPlan,
    /// Two controllers have written the journal at the same time.
    TwoWriters,
    /// A rollback was refused before the point of no return.
    NoWayBack,
    /// The machine contradicts itself.
    Defect,
}

/// What happens next. The number says to which controller, or to which call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Acquire(u8),
    Deliver(u8),
    Send(u8),
    GiveUp(u8),
    LoseAnswer(u8),
    Look(u8, Look),
    Operator(u8, bool),
    Crash(u8),
    Land(u8),
    LandAndStay(u8),
    Follow,
}

/// The model: the machine, the guards, and how much may go wrong.
pub(super) struct Model {
    pub(super) core: Core,
    pub(super) guards: Guards,
    pub(super) budget: Budget,
    pub(super) releases: [ReleaseId; 2],
    pub(super) table: Table,
}

impl Model {
    pub(super) fn first(&self) -> World {
        let opened = self.core.open();
        let table = self.core.first_table(self.table.clone());
        let lead = Lead { epoch: 1, state: opened.state, todo: opened.todo, awaits: None, mail: None };
        World {
            journal: opened.state,
            writer: 1,
            holder: 0,
            lease_epoch: 1,
            controllers: [Some(lead), None],
            store: table,
            edge: table,
            running: [true, false],
            gone: [false; 2],
            seen: 1,
            flight: Vec::new(),
            budget: self.budget,
            told: Told::default(),
        }
    }

    pub(super) fn possible(&self, world: &World, actions: &mut Vec<Action>) {
        let over = self.core.with_state(world.journal, |state| state.ended.is_some());
        for (number, controller) in (0..).zip(&world.controllers) {
            let Some(lead) = controller else {
                let free = world.controllers[usize::from(world.holder)].is_none();
                if (free || world.budget.leases > 0) && (!over || world.budget.rollbacks > 0) {
                    actions.push(Action::Acquire(number));
                }
                continue;
            };
            if lead.mail.is_some() {
                actions.push(Action::Deliver(number));
            } else if !lead.todo.is_empty() {
                actions.push(Action::Send(number));
            } else if lead.awaits.is_some() {
                if world.budget.losses > 0 {
                    actions.push(Action::GiveUp(number));
                    if self.operation(world, number).is_some() {
                        actions.push(Action::LoseAnswer(number));
                    }
                }
            } else {
                self.looks(world, lead, |look| actions.push(Action::Look(number, look)));
            }
            if world.budget.rollbacks > 0 {
                actions.extend([Action::Operator(number, false), Action::Operator(number, true)]);
            }
            if world.budget.crashes > 0 {
                actions.push(Action::Crash(number));
            }
        }
        for (number, call) in (0..).zip(&world.flight) {
            actions.push(Action::Land(number));
            if world.budget.repeats > 0 && call.table.is_some() {
                actions.push(Action::LandAndStay(number));
            }
        }
        let (store, edge) = (self.generation(world.store), self.generation(world.edge));
        if store > edge || (!self.guards.generation && world.store != world.edge) {
            actions.push(Action::Follow);
        }
    }

    /// The looks that change something: where nothing has come of waiting yet, nothing is to be seen.
    fn looks(&self, world: &World, lead: &Lead, mut look: impl FnMut(Look)) {
        let (waits, wanted) = self.core.with_state(lead.state, |state| {
            let waits = state.step().filter(|_| state.ended.is_none() && state.pending.is_none());
            (waits.map(|step| step.does.clone()), state.generation)
        });
        let Some(waits) = waits else { return };
        let converged = self.generation(world.edge);
        let state =
            |release: usize| self.core.with_table(world.edge, |table| table.state(&self.releases[release]));
        let served =
            |release: usize| matches!(state(release), Some(ReleaseState::Active | ReleaseState::Candidate));
        let seen = Look { converged, healthy: true, busy: [served(BLUE), served(GREEN)] };
        if world.budget.ills > 0 {
            look(Look { healthy: false, ..seen });
        }
        match waits {
            Does::Converge if converged < wanted => {}
            Does::Quiet { release, closed } => {
                let which = usize::from(release == self.releases[GREEN]);
                if closed && (seen.busy[which] || state(which) == Some(ReleaseState::Draining)) {
                    return;
                }
                look(seen);
                if !closed {
                    let mut lingering = seen;
                    lingering.busy[which] = true;
                    look(lingering);
                }
            }
            _ => look(seen),
        }
    }

    pub(super) fn generation(&self, table: TableNo) -> u64 {
        self.core.with_table(table, |table| table.generation)
    }

    /// Green's part of the visitors, out of 10 000.
    pub(super) fn on_green(&self, table: TableNo) -> u16 {
        let green = self.releases[GREEN];
        self.core.with_table(table, |table| match table.default {
            Some(default) if default == green => 10_000,
            _ => table.shares.iter().find(|share| share.release == green).map_or(0, |share| share.width),
        })
    }
}
