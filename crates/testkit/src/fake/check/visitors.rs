//! What visitors are promised.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cutover_rollout::{Act, Body, Change, Does, Stage, State, Why, judge::Verdict};
use cutover_routing::{ReleaseId, Table};

use super::{Promise, SoFar};
use crate::fake::{
    log::{Entry, What},
    world::{Runs, share},
};

/// Visitors reach a release only when it runs and its required gates passed, or a person said why not.
#[derive(Debug, Default)]
pub(super) struct OnlyAfterTheGates {
    passed: BTreeSet<(ReleaseId, String)>,
}

fn required(state: &State) -> impl Iterator<Item = &str> {
    state.plan.steps.iter().filter(|step| step.stage == Stage::Test).filter_map(|step| match &step.does {
        Does::Act(Act::Gate(gate)) if gate.required => Some(gate.gate.as_str()),
        _ => None,
    })
}

impl Promise for OnlyAfterTheGates {
    fn name(&self) -> &'static str {
        "visitors reach a release only after its gates passed and while it runs"
    }

    fn see(&mut self, entry: &Entry, so_far: &SoFar) -> Option<String> {
        match &entry.what {
            What::Judged { release, gate, verdict: Verdict::Pass } => {
                self.passed.insert((*release, gate.clone()));
                None
            }
            What::Appended { rollout, records, .. } => {
                let green = so_far.states.get(rollout)?.plan.green;
                for record in records {
                    if let Body::Advanced { why: Why::Forced { reason: Some(_), .. }, facts, .. } =
                        &record.body
                    {
                        self.passed.extend(facts.iter().map(|fact| (green, fact.what.clone())));
                    }
                }
                None
            }
            What::Landed { act, table, changed: true, .. } => {
                for release in table.releases.keys().filter(|release| share(table, release) > 0) {
                    let down = match act {
                        Act::Park { release: parked } | Act::Retire { release: parked } => parked == release,
                        Act::Prepare { release: up } if up == release => false,
                        _ => so_far.releases.get(release) != Some(&Runs::Up),
                    };
                    if down {
                        return Some(format!("{release} has visitors and does not run"));
                    }
                }
                let state = so_far.state()?;
                let green = state.plan.green;
                let new = share(table, &green) > share(&so_far.table, &green);
                let going_there =
                    matches!(act, Act::Route(change) if !matches!(change, Change::Rollback { .. }));
                let open = required(state).find(|gate| !self.passed.contains(&(green, (*gate).to_owned())));
                open.filter(|_| new && going_there).map(|gate| format!("{gate} has not passed for {green}"))
            }
            _ => None,
        }
    }
}

/// Every table is valid and names nothing that is gone.
#[derive(Debug)]
pub(super) struct TablesAreWellFormed;

impl Promise for TablesAreWellFormed {
    fn name(&self) -> &'static str {
        "every routing table is well formed and names nothing that is gone"
    }

    fn see(&mut self, entry: &Entry, so_far: &SoFar) -> Option<String> {
        let (What::Landed { table, .. } | What::Edge { table, .. }) = &entry.what else { return None };
        if let Err(why) = table.validate() {
            return Some(why.to_string());
        }
        if !matches!(entry.what, What::Landed { .. }) {
            return None;
        }
        let gone = |release: &&ReleaseId| so_far.releases.get(release) == Some(&Runs::Gone);
        table.releases.keys().find(gone).map(|release| format!("{release} is gone and in the table"))
    }
}

/// Nothing is parked or torn down while it has visitors, nor torn down before it was quiet for long enough.
#[derive(Debug)]
pub(super) struct NothingGoesUnderTraffic;

impl Promise for NothingGoesUnderTraffic {
    fn name(&self) -> &'static str {
        "nothing is parked or torn down under traffic"
    }

    fn see(&mut self, entry: &Entry, _: &SoFar) -> Option<String> {
        match &entry.what {
            What::Landed { wrong, .. } => wrong.clone(),
            _ => None,
        }
    }
}

/// A visitor's bucket moves to green while the plan goes forward and to blue when it goes back; else it stays.
#[derive(Debug)]
pub(super) struct MoveOnlyToGreenOrBack;

impl Promise for MoveOnlyToGreenOrBack {
    fn name(&self) -> &'static str {
        "visitors stay where they are unless they move to green or everybody goes back"
    }

    fn see(&mut self, entry: &Entry, so_far: &SoFar) -> Option<String> {
        let What::Landed { act, table, changed: true, .. } = &entry.what else { return None };
        let to = match act {
            Act::Route(
                Change::Share { release, .. }
                | Change::Promote { release }
                | Change::Audience { release, .. },
            ) => Some(*release),
            Act::Route(Change::Rollback { to, .. }) => Some(*to),
            _ => None,
        };
        for bucket in (0..10_000).step_by(97) {
            let (before, after) = (so_far.table.target(bucket), table.target(bucket));
            if before != after && (after != to || to.is_none()) {
                return Some(format!("bucket {bucket} moved from {before:?} to {after:?}"));
            }
        }
        None
    }
}

/// An edge's generation only rises, and it runs what was written, whatever has become of controllers.
#[derive(Debug, Default)]
pub(super) struct EdgesNeverGoBack {
    edges: BTreeMap<usize, u64>,
    written: BTreeMap<u64, Arc<Table>>,
}

impl Promise for EdgesNeverGoBack {
    fn name(&self) -> &'static str {
        "edges never go back and run what was written"
    }

    fn see(&mut self, entry: &Entry, so_far: &SoFar) -> Option<String> {
        match &entry.what {
            What::Landed { table, .. } => {
                let generation = table.generation;
                let other = self.written.insert(generation, Arc::clone(table));
                if generation < so_far.table.generation {
                    return Some(format!("generation {generation} after {}", so_far.table.generation));
                }
                let other = other.filter(|other| **other != **table);
                other.map(|_| format!("two tables of generation {generation}"))
            }
            What::Edge { edge, table } => {
                let before = self.edges.insert(*edge, table.generation);
                if before.is_some_and(|before| before >= table.generation) {
                    return Some(format!("edge {edge} went from {before:?} to {}", table.generation));
                }
                let known = before.is_none() || self.written.get(&table.generation) == Some(table);
                (!known).then(|| format!("edge {edge} runs a table that nobody wrote"))
            }
            _ => None,
        }
    }
}
