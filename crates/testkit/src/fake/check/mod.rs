//! What must hold whatever goes wrong, checked on the log of a world: one checker for each promise.
//!
//! Two promises lie below what this world has and are shown elsewhere: that a cached answer of one release is never
//! served as another's (`cargo xtask prove switches`, `visits`), and that a schema loses nothing before blue is gone
//! (rollouts have no such step yet).

mod order;
pub mod population;
mod rest;
mod visitors;
mod watching;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cutover_rollout::{Act, Body, Record, RolloutId, State, apply};
use cutover_routing::{EditRefused, ReleaseId, Table, edit};

use super::{
    log::{Entry, What},
    world::{Runs, World},
};

/// A promise that is checked entry by entry.
pub(super) trait Promise {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What is wrong with an entry after all those before it.
    fn see(&mut self, entry: &Entry, so_far: &SoFar) -> Option<String>;

    /// What is wrong with how it all ended.
    fn end(&mut self, _so_far: &SoFar) -> Option<String> {
        None
    }
}

/// What the log has told so far.
#[derive(Debug)]
pub(super) struct SoFar {
    pub(super) states: BTreeMap<RolloutId, State>,
    pub(super) newest: Option<RolloutId>,
    pub(super) table: Arc<Table>,
    pub(super) releases: BTreeMap<ReleaseId, Runs>,
    pub(super) warm: BTreeSet<ReleaseId>,
    /// What each call asked for.
    pub(super) calls: BTreeMap<u64, Act>,
    pub(super) last_at: u64,
}

impl SoFar {
    pub(super) fn state(&self) -> Option<&State> {
        self.states.get(self.newest.as_ref()?)
    }

    pub(super) fn in_place(&self, act: &Act) -> bool {
        let runs = |release: &ReleaseId| self.releases.get(release).copied().unwrap_or(Runs::Gone);
        match act {
            Act::Prepare { release } => runs(release) == Runs::Up,
            Act::Standby { release } => self.warm.contains(release),
            Act::Gate(_) => true,
            Act::Route(change) => {
                let next = edit(&self.table, &change.edit(), self.table.generation + 1);
                matches!(next, Err(EditRefused::NoChange(_)))
            }
            Act::Park { release } => runs(release) != Runs::Up,
            Act::Retire { release } => runs(release) == Runs::Gone,
        }
    }

    /// Takes an entry in.
    fn take(&mut self, entry: &Entry) -> Result<(), String> {
        self.last_at = entry.at;
        match &entry.what {
            What::Appended { rollout, records, .. } => {
                for record in records {
                    self.record(rollout, record)?;
                }
            }
            What::Called { call, act, .. } => {
                self.calls.insert(*call, act.clone());
            }
            What::Landed { act, table, .. } => {
                self.table = Arc::clone(table);
                match act {
                    Act::Prepare { release } => self.releases.insert(*release, Runs::Up),
                    Act::Park { release } if self.releases.get(release) == Some(&Runs::Up) => {
                        self.releases.insert(*release, Runs::Down)
                    }
                    Act::Retire { release } => self.releases.insert(*release, Runs::Gone),
                    Act::Standby { release } => {
                        self.warm.insert(*release);
                        None
                    }
                    _ => None,
                };
            }
            _ => {}
        }
        Ok(())
    }

    fn record(&mut self, rollout: &RolloutId, record: &Record) -> Result<(), String> {
        let state = self.states.remove(rollout);
        if matches!(record.body, Body::Opened { .. }) {
            self.newest = Some(rollout.clone());
        }
        let state = apply(state, record).map_err(|illegal| format!("rollout {rollout}: {illegal}"))?;
        self.states.insert(rollout.clone(), state);
        Ok(())
    }
}

/// All promises, by name.
fn promises() -> Vec<Box<dyn Promise>> {
    vec![
        Box::new(visitors::OnlyAfterTheGates::default()),
        Box::new(visitors::TablesAreWellFormed),
        Box::new(visitors::NothingGoesUnderTraffic),
        Box::new(visitors::MoveOnlyToGreenOrBack),
        Box::new(visitors::EdgesNeverGoBack::default()),
        Box::new(order::TheWayBackIsOpen::default()),
        Box::new(order::TheDeposedChangeNothing::default()),
        Box::new(order::CallsTakeEffectInOrder::default()),
        Box::new(order::SharesMoveAlongThePlan),
        Box::new(order::NothingIsDoneThatIsNotWrittenDown),
        Box::new(order::DecisionsCarryTheirFacts),
        Box::new(watching::UnwatchedTimeIsNotHeld::default()),
        Box::new(watching::NothingRunsHot::default()),
        Box::new(rest::WhatIsDoneIsThere),
        Box::new(rest::NothingIsDoneTwice::default()),
        Box::new(rest::ComesToRest),
    ]
}

/// The names of all promises.
pub fn names() -> Vec<&'static str> {
    promises().iter().map(|promise| promise.name()).collect()
}

/// What is broken in a world: at most one breach of each promise, in order. `at_rest`: everything should be over.
pub fn breaches(world: &World, at_rest: bool) -> Vec<String> {
    let inner = world.lock();
    breaches_of(&inner.log, at_rest)
}

/// The same, of a log.
pub fn breaches_of(log: &[Entry], at_rest: bool) -> Vec<String> {
    let mut so_far = SoFar {
        states: BTreeMap::new(),
        newest: None,
        table: Arc::new(Table::empty()),
        releases: BTreeMap::new(),
        warm: BTreeSet::new(),
        calls: BTreeMap::new(),
        last_at: 0,
    };
    if let Some(Entry { what: What::Edge { table, .. }, .. }) = log.first() {
        so_far.table = Arc::clone(table);
        so_far.releases = table.releases.keys().map(|release| (*release, Runs::Down)).collect();
        so_far.releases.extend(table.default.map(|default| (default, Runs::Up)));
    }
    let mut open = promises();
    let mut found = Vec::new();
    for entry in log {
        open.retain_mut(|promise| match promise.see(entry, &so_far) {
            None => true,
            Some(why) => {
                found.push(format!("{}: {why} ({})", promise.name(), entry.line()));
                false
            }
        });
        if let Err(why) = so_far.take(entry) {
            found.push(format!("the journal adds up: {why}"));
            return found;
        }
    }
    if at_rest {
        for promise in &mut open {
            if let Some(why) = promise.end(&so_far) {
                found.push(format!("{}: {why}", promise.name()));
            }
        }
    }
    found
}
