//! What calls do when they take effect, and how edges and visitors follow.

use std::{collections::BTreeMap, sync::Arc};

use cutover_engine::ports::{Fence, Trouble};
use cutover_rollout::{Act, Traffic};
use cutover_routing::{Edit, EditRefused, ReleaseId, ReleaseState, Table, edit, next_generation};

use super::{
    log::What,
    world::{Inner, Runs, Sabotage, World, share},
};

/// Requests to a release that was closed end within this time, milliseconds.
const LAST_REQUESTS: u64 = 400;

/// An edge: the table it runs and the visitors it has.
#[derive(Debug, Clone)]
pub(super) struct Edge {
    pub(super) table: Arc<Table>,
    /// It hears nothing before this time.
    pub(super) cut_off_until: u64,
    /// Until when each release has visitors here that nobody else is known to end; `u64::MAX`: new ones come.
    busy: BTreeMap<ReleaseId, u64>,
}

impl Edge {
    pub(super) fn new(table: &Arc<Table>, now: u64) -> Self {
        let mut edge = Self { table: Arc::clone(table), cut_off_until: 0, busy: BTreeMap::new() };
        edge.count(now, 0);
        edge
    }

    /// Works out who comes and who goes under the table it has now.
    fn count(&mut self, now: u64, linger: u64) {
        for (release, entry) in &self.table.releases {
            let before = self.busy.get(release).copied();
            let until = match (share(&self.table, release), entry.state) {
                (1.., _) => Some(u64::MAX),
                (0, ReleaseState::Closed) => before.map(|until| until.min(now + LAST_REQUESTS)),
                (0, _) => before.map(|until| if until == u64::MAX { now + linger } else { until }),
            };
            if let Some(until) = until {
                self.busy.insert(*release, until);
            }
        }
    }
}

impl World {
    /// A call takes effect, or is turned away.
    pub(super) fn land(
        &self,
        who: usize,
        call: u64,
        act: &Act,
        fence: Fence,
    ) -> Result<Option<u64>, Trouble> {
        let now = self.time.now();
        let (answer, spread) = {
            let mut inner = self.lock();
            let before = Arc::clone(&inner.table);
            let answer = inner.take_effect(who, call, act, fence, now);
            let changed = inner.table.generation != before.generation;
            (answer, changed.then(|| (Arc::clone(&inner.table), inner.edges.len())))
        };
        if let Some((table, edges)) = spread {
            for edge in 0..edges {
                self.tell_edge(edge, Arc::clone(&table));
            }
        }
        answer
    }

    /// Tells an edge of a table, which it hears a little later.
    fn tell_edge(&self, edge: usize, table: Arc<Table>) {
        let delay = {
            let mut inner = self.lock();
            50 + inner.rng.below(200) * (edge as u64 + 1)
        };
        let world = self.clone();
        tokio::spawn(async move {
            world.time.sleep(delay).await;
            loop {
                let until = world.lock().edges[edge].cut_off_until;
                if until <= world.time.now() {
                    break;
                }
                world.time.sleep_until(until).await;
            }
            let now = world.time.now();
            let mut inner = world.lock();
            if table.generation > inner.edges[edge].table.generation {
                inner.run_table(edge, table, now);
            }
        });
    }

    /// An edge hears nothing for so many milliseconds.
    pub fn cut_off(&self, edge: usize, length: u64) {
        let until = self.time.now() + length;
        if let Some(edge) = self.lock().edges.get_mut(edge) {
            edge.cut_off_until = until;
        }
    }
}

impl Inner {
    fn run_table(&mut self, edge: usize, table: Arc<Table>, now: u64) {
        let linger = self.settings.linger;
        self.edges[edge].table = Arc::clone(&table);
        self.edges[edge].count(now, linger);
        self.note(now, 0, What::Edge { edge, table });
    }

    /// What reaches a release, over all edges.
    pub fn traffic(&self, release: &ReleaseId, now: u64) -> Traffic {
        let ends = self.edges.iter().filter_map(|edge| edge.busy.get(release)).copied();
        let open = ends.clone().filter(|until| *until > now).count();
        let last_request = ends.map(|until| until.min(now)).max();
        Traffic { in_flight: open as u64, streams: 0, last_request, watched_since: None }
    }

    /// The lowest generation that any edge runs.
    pub fn converged(&self) -> Option<u64> {
        self.edges.iter().map(|edge| edge.table.generation).min()
    }

    fn take_effect(
        &mut self,
        who: usize,
        call: u64,
        act: &Act,
        fence: Fence,
        now: u64,
    ) -> Result<Option<u64>, Trouble> {
        let side = usize::from(matches!(act, Act::Route(_)));
        let refused = |why: String, lasting: bool| {
            if lasting { Trouble::Lasting(why) } else { Trouble::Passing(why) }
        };
        let checks = self.settings.fenced && self.settings.sabotage != Some(Sabotage::FenceOff);
        if checks && self.seen[side].is_some_and(|seen| fence < seen) {
            let why = "a newer call was seen".to_owned();
            self.note(now, who, What::TurnedAway { call, why: why.clone() });
            return Err(refused(why, false));
        }
        self.seen[side] = self.seen[side].max(Some(fence));
        let (before, runs) = (Arc::clone(&self.table), (self.releases.clone(), self.warm.clone()));
        let wrong = self.wrong(act, now);
        match self.change(act, now) {
            Ok(()) => {}
            Err((why, lasting)) => {
                self.note(now, who, What::TurnedAway { call, why: why.clone() });
                return Err(refused(why, lasting));
            }
        }
        let changed =
            before.generation != self.table.generation || runs.0 != self.releases || runs.1 != self.warm;
        let table = Arc::clone(&self.table);
        let wrong = wrong.filter(|_| changed);
        self.note(now, who, What::Landed { call, act: act.clone(), fence, changed, table, wrong });
        self.note_well(now);
        Ok(matches!(act, Act::Route(_)).then_some(self.table.generation))
    }

    /// What is wrong with doing it now.
    fn wrong(&self, act: &Act, now: u64) -> Option<String> {
        let (Act::Park { release } | Act::Retire { release }) = act else { return None };
        let traffic = self.traffic(release, now);
        let quiet = if matches!(act, Act::Retire { .. }) { self.settings.quiet } else { 0 };
        let visited: Vec<usize> =
            (0..self.edges.len()).filter(|edge| share(&self.edges[*edge].table, release) > 0).collect();
        if self.share(release) > 0 || !visited.is_empty() {
            return Some(format!("{release} has visitors by the table or at edges {visited:?}"));
        }
        let idle = traffic.idle_since(now.saturating_sub(quiet));
        (!idle).then(|| format!("{release} still has traffic at {now}: {traffic:?}"))
    }

    fn change(&mut self, act: &Act, now: u64) -> Result<(), (String, bool)> {
        let runs =
            |inner: &Self, release: &ReleaseId| inner.releases.get(release).copied().unwrap_or(Runs::Gone);
        match act {
            Act::Route(change) => self.write(&change.edit(), now),
            Act::Prepare { release } => {
                if runs(self, release) == Runs::Gone {
                    return Err((format!("{release} is gone"), true));
                }
                self.releases.insert(*release, Runs::Up);
                Ok(())
            }
            Act::Standby { release } if runs(self, release) == Runs::Gone => {
                Err((format!("{release} is gone"), true))
            }
            Act::Standby { release } => {
                self.warm.insert(*release);
                Ok(())
            }
            Act::Gate(_) => Ok(()),
            Act::Park { release } => {
                self.warm.remove(release);
                if runs(self, release) == Runs::Up {
                    self.releases.insert(*release, Runs::Down);
                }
                Ok(())
            }
            Act::Retire { release } => {
                if runs(self, release) == Runs::Gone {
                    return Ok(());
                }
                if self.traffic(release, now).in_flight > 0 {
                    return Err((format!("{release} still has requests"), false));
                }
                self.write(&Edit::Retire { release: *release }, now)?;
                self.releases.insert(*release, Runs::Gone);
                Ok(())
            }
        }
    }

    /// Puts an effect in place, edges included, as if long ago.
    pub(super) fn put_in_place(&mut self, act: Option<&Act>, now: u64) {
        let Some(act) = act else { return };
        let _ = self.change(act, now);
        let table = Arc::clone(&self.table);
        for edge in 0..self.edges.len() {
            self.run_table(edge, Arc::clone(&table), now);
        }
    }

    /// Edits the table by hand; what cannot be is left out.
    pub fn edit(&mut self, change: &Edit) {
        let now = super::time::BEGINNING;
        let _ = self.write(change, now);
    }

    fn write(&mut self, change: &Edit, now: u64) -> Result<(), (String, bool)> {
        let generation = next_generation(self.table.generation, now / 1_000);
        match edit(&self.table, change, generation) {
            Ok(table) => {
                self.table = Arc::new(table);
                Ok(())
            }
            Err(EditRefused::NoChange(_)) => Ok(()),
            Err(refused) => Err((refused.to_string(), true)),
        }
    }

    /// Whether an effect is in place.
    pub fn in_place(&self, act: &Act) -> bool {
        let runs = |release: &ReleaseId| self.releases.get(release).copied().unwrap_or(Runs::Gone);
        match act {
            Act::Prepare { release } => runs(release) == Runs::Up,
            Act::Standby { release } => self.warm.contains(release),
            Act::Gate(_) => false,
            Act::Route(change) => {
                let next = edit(&self.table, &change.edit(), self.table.generation + 1);
                matches!(next, Err(EditRefused::NoChange(_)))
            }
            Act::Park { release } => runs(release) != Runs::Up,
            Act::Retire { release } => runs(release) == Runs::Gone,
        }
    }
}
