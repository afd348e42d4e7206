//! What is promised about the end.

use std::collections::{BTreeMap, BTreeSet};

use cutover_rollout::{Body, End, Outcome, RolloutId};
use cutover_routing::ReleaseId;

use super::{Promise, SoFar};
use crate::fake::{
    log::{Entry, What},
    world::{Runs, share},
};

/// When the journal says that an effect is done, it is in place.
#[derive(Debug)]
pub(super) struct WhatIsDoneIsThere;

impl Promise for WhatIsDoneIsThere {
    fn name(&self) -> &'static str {
        "what is written down as done is there"
    }

    fn see(&mut self, entry: &Entry, so_far: &SoFar) -> Option<String> {
        let What::Appended { rollout, records, .. } = &entry.what else { return None };
        records.iter().find_map(|record| {
            let Body::Outcome { id, outcome: Outcome::Done { .. } } = &record.body else { return None };
            let pending = so_far.states.get(rollout)?.pending.as_ref().filter(|pending| pending.id == *id)?;
            (!so_far.in_place(&pending.act)).then(|| format!("{id}, {:?}, is not there", pending.act))
        })
    }
}

/// An effect of a rollout changes the world at most once.
#[derive(Debug, Default)]
pub(super) struct NothingIsDoneTwice {
    /// For which rollout a call was made.
    of: BTreeMap<u64, RolloutId>,
    changed: BTreeMap<(RolloutId, String), u64>,
}

impl Promise for NothingIsDoneTwice {
    fn name(&self) -> &'static str {
        "no effect of a rollout takes place twice"
    }

    fn see(&mut self, entry: &Entry, so_far: &SoFar) -> Option<String> {
        if let What::Called { call, .. } = &entry.what {
            self.of.extend(so_far.newest.clone().map(|rollout| (*call, rollout)));
        }
        let What::Landed { act, changed: true, call, .. } = &entry.what else { return None };
        let rollout = self.of.get(call)?.clone();
        let before = self.changed.insert((rollout, format!("{act:?}")), *call);
        before.map(|first| format!("call {call} after call {first}: {act:?}"))
    }
}

/// In the end every rollout is over, every intent has one outcome, and nothing is left running that nobody asked for.
#[derive(Debug)]
pub(super) struct ComesToRest;

impl Promise for ComesToRest {
    fn name(&self) -> &'static str {
        "everything comes to rest and nothing is left behind"
    }

    fn see(&mut self, _: &Entry, _: &SoFar) -> Option<String> {
        None
    }

    fn end(&mut self, so_far: &SoFar) -> Option<String> {
        for (rollout, state) in &so_far.states {
            if state.ended.is_none() {
                return Some(format!("{rollout} is {:?} at {:?}", state.situation(), state.cursor));
            }
            if let Some(pending) = &state.pending {
                return Some(format!("{} has no outcome", pending.id));
            }
        }
        let last = so_far.state()?;
        let (blue, green) = (last.plan.blue, last.plan.green);
        match &last.ended {
            Some(End::Done { .. }) if so_far.table.default != Some(green) => {
                return Some(format!("done, and the default is {:?}", so_far.table.default));
            }
            Some(End::RolledBack) if blue.is_some() && so_far.table.default != blue => {
                return Some(format!("rolled back, and the default is {:?}", so_far.table.default));
            }
            Some(End::RolledBack) if blue.is_some() && share(&so_far.table, &green) > 0 => {
                return Some("rolled back, and green has visitors".to_owned());
            }
            _ => {}
        }
        let mut wanted: BTreeSet<ReleaseId> = so_far.table.default.into_iter().collect();
        wanted.extend(so_far.states.values().flat_map(cutover_rollout::State::owes));
        wanted.extend(&so_far.warm);
        let left = so_far.releases.iter().filter(|(_, runs)| **runs == Runs::Up);
        let orphan = left.map(|(release, _)| release).find(|release| !wanted.contains(release));
        orphan.map(|release| format!("{release} is left running"))
    }
}
