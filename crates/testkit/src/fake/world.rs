//! The world that rollouts act on: a routing table with edges that follow it, releases that run, visitors that linger,
//! gates that say what they are told to, a journal and a lease. It outlives its controllers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cutover_engine::ports::{Compared, Fence};
use cutover_rollout::{Act, Body, Outcome, Record, RolloutId, judge::Verdict};
use cutover_routing::{Edit, ReleaseId, Table, edit};

use super::{
    fault::{AppendFault, Fault},
    landing::Edge,
    log::{Entry, What},
    time::Time,
};
use crate::rng::Rng;

/// How a world is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether the router and the platform refuse calls with an older fence.
    pub fenced: bool,
    /// So many edges.
    pub edges: usize,
    /// Visits to a release that was left go on for so long, milliseconds.
    pub linger: u64,
    /// A release must have been without requests for so long before it is torn down, milliseconds.
    pub quiet: u64,
    /// What is broken on purpose.
    pub sabotage: Option<Sabotage>,
    /// What is random is drawn from this.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { fenced: true, edges: 3, linger: 6_000, quiet: 5_000, sabotage: None, seed: 0 }
    }
}

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Nobody checks fences, and nobody waits for late calls.
    FenceOff,
    /// Whatever is looked at is said to be in place, as if nobody looked.
    NotLooking,
}

/// Whether a controller acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Alive,
    /// It does not know that it stands still until then.
    Frozen(u64),
    Dead,
}

/// Whether a release runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// Its files are there.
    Down,
    /// It runs.
    Up,
    /// It is gone for good.
    Gone,
}

/// A world; clones are the same one.
#[derive(Debug, Clone)]
pub struct World {
    pub(super) time: Time,
    inner: Arc<Mutex<Inner>>,
}

/// What is behind a [`World`].
#[derive(Debug)]
pub struct Inner {
    /// How it is.
    pub settings: Settings,
    /// The routing table in force.
    pub table: Arc<Table>,
    pub(super) edges: Vec<Edge>,
    /// What runs.
    pub releases: BTreeMap<ReleaseId, Runs>,
    /// Releases that are kept warm.
    pub warm: BTreeSet<ReleaseId>,
    /// Releases that do not answer.
    pub ill: BTreeSet<ReleaseId>,
    /// Gates that fail, with the share of green (out of 10 000) from which on they do.
    pub failing: BTreeMap<String, u16>,
    /// Gates that have too little evidence.
    pub insufficient: BTreeSet<String>,
    /// Gates that cannot be read or run.
    pub broken: BTreeSet<String>,
    /// Visitors a second, and how many out of 1 000 of them meet an error on each release.
    pub visitors: (u64, BTreeMap<ReleaseId, u64>),
    /// The definitions of the gates of every release.
    pub rules: Vec<cutover_engine::config::Gate>,
    /// What goes wrong with which call.
    pub faults: BTreeMap<u64, Fault>,
    /// What goes wrong with which append.
    pub append_faults: BTreeMap<u64, AppendFault>,
    /// The journal cannot be written before this time.
    pub disk_full_until: u64,
    /// The lease cannot be had before this time.
    pub lease_gone_until: u64,
    /// The router does not tell what edges have before this time.
    pub blind_until: u64,
    /// Calls so far.
    pub calls: u64,
    /// Appends so far.
    pub appends: u64,
    pub(super) seen: [Option<Fence>; 2],
    pub(super) stale: Vec<(Act, u32)>,
    /// Whose visitors are counted, and since when.
    pub(super) counting: Option<(Compared, u64)>,
    pub(super) journal: BTreeMap<RolloutId, Vec<String>>,
    pub(super) order: Vec<RolloutId>,
    pub(super) lease: Option<(String, u64, u64)>,
    pub(super) lives: Vec<Life>,
    /// Controllers that die at their next append, before or after it.
    pub(super) doomed: BTreeMap<usize, bool>,
    pub(super) well: bool,
    /// The release that the newest rollout moves visitors to.
    pub(super) judged: Option<ReleaseId>,
    pub(super) rng: Rng,
    /// What happened.
    pub log: Vec<Entry>,
}

/// The release that visitors are on.
pub fn blue() -> ReleaseId {
    known("blue0001")
}

/// The release that they move to.
pub fn green() -> ReleaseId {
    known("green002")
}

/// The one after it.
pub fn third() -> ReleaseId {
    known("third003")
}

/// Releases for more rollouts, staged like [`green`] and [`third`].
pub fn spare() -> [ReleaseId; 3] {
    ["fourth04", "fifth005", "sixth006"].map(known)
}

fn known(id: &str) -> ReleaseId {
    id.parse().unwrap_or_else(|_| unreachable!("a release id: {id}"))
}

impl World {
    /// A world with [`blue`] active and the others staged; without it, where `with_blue` is false.
    pub fn new(time: Time, settings: Settings, with_blue: bool) -> Self {
        let mut edits = Vec::new();
        if with_blue {
            edits.push(Edit::Stage { release: blue(), slot: None });
            edits.push(Edit::MakeCandidate { release: blue() });
            edits.push(Edit::Promote { release: blue() });
        }
        let staged = || [green(), third()].into_iter().chain(spare());
        edits.extend(staged().map(|release| Edit::Stage { release, slot: None }));
        let mut table = Table::empty();
        for change in edits {
            let generation = cutover_routing::next_generation(table.generation, time.now() / 1_000);
            table = edit(&table, &change, generation)
                .unwrap_or_else(|refused| unreachable!("the first table: {refused}"));
        }
        let table = Arc::new(table);
        let now = time.now();
        let mut releases: BTreeMap<ReleaseId, Runs> = staged().map(|release| (release, Runs::Down)).collect();
        if with_blue {
            releases.insert(blue(), Runs::Up);
        }
        let edges = (0..settings.edges).map(|_| Edge::new(&table, now)).collect();
        let rng = Rng::seeded(settings.seed);
        let inner = Inner {
            settings,
            table,
            edges,
            releases,
            warm: BTreeSet::new(),
            ill: BTreeSet::new(),
            failing: BTreeMap::new(),
            insufficient: BTreeSet::new(),
            broken: BTreeSet::new(),
            visitors: (0, BTreeMap::new()),
            rules: Vec::new(),
            faults: BTreeMap::new(),
            append_faults: BTreeMap::new(),
            disk_full_until: 0,
            lease_gone_until: 0,
            blind_until: 0,
            calls: 0,
            appends: 0,
            seen: [None, None],
            stale: Vec::new(),
            counting: None,
            journal: BTreeMap::new(),
            order: Vec::new(),
            lease: None,
            lives: Vec::new(),
            doomed: BTreeMap::new(),
            well: true,
            judged: None,
            rng,
            log: Vec::new(),
        };
        let world = Self { time, inner: Arc::new(Mutex::new(inner)) };
        let mut inner = world.lock();
        for edge in 0..inner.edges.len() {
            let table = Arc::clone(&inner.table);
            inner.note(now, 0, What::Edge { edge, table });
        }
        drop(inner);
        world
    }

    /// Its time.
    pub fn time(&self) -> &Time {
        &self.time
    }

    /// What it is made of, to look at or to change.
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, who: usize, what: What) {
        let now = self.time.now();
        self.lock().note(now, who, what);
    }

    /// Whether a controller was killed.
    pub fn is_dead(&self, controller: usize) -> bool {
        self.lock().lives.get(controller) == Some(&Life::Dead)
    }

    /// Kills a controller: nothing it does gets any further. What it has sent is on its way.
    pub fn kill(&self, controller: usize) {
        let now = self.time.now();
        let mut inner = self.lock();
        if let Some(life) = inner.lives.get_mut(controller).filter(|life| **life != Life::Dead) {
            *life = Life::Dead;
            inner.note(now, controller, What::Died);
        }
    }

    /// Stops a controller for so many milliseconds without its knowing.
    pub fn freeze(&self, controller: usize, length: u64) {
        let now = self.time.now();
        let mut inner = self.lock();
        if let Some(life) = inner.lives.get_mut(controller).filter(|life| **life != Life::Dead) {
            *life = Life::Frozen(now + length);
            inner.note(now, controller, What::Frozen(now + length));
        }
    }

    /// Changes what gates and releases say from now on.
    pub fn tell(&self, change: impl FnOnce(&mut Inner)) {
        let now = self.time.now();
        let mut inner = self.lock();
        change(&mut inner);
        inner.note_well(now);
    }

    /// Puts the records of an earlier controller into the journal, and the world where they say it is; `landed`: also what
    /// was under way.
    pub fn remember(&self, rollout: &RolloutId, records: &[Record], landed: bool) {
        let mut inner = self.lock();
        let mut intent = None;
        let last = records.last().map_or(0, |record| record.at);
        for record in records {
            match &record.body {
                Body::Intent { act, .. } => intent = Some(act.clone()),
                Body::Outcome { outcome, .. } => {
                    let done = intent.take().filter(|_| matches!(outcome, Outcome::Done { .. }));
                    inner.put_in_place(done.as_ref(), record.at);
                }
                _ => {}
            }
        }
        inner.put_in_place(intent.as_ref().filter(|_| landed), last);
        inner.order.insert(0, rollout.clone());
        inner.journal.insert(rollout.clone(), records.iter().map(line).collect());
    }

    /// The records of a rollout.
    pub fn records(&self, rollout: &RolloutId) -> Vec<Record> {
        self.lock().records(rollout)
    }

    /// The rollouts of the journal, oldest first.
    pub fn rollouts(&self) -> Vec<RolloutId> {
        self.lock().order.iter().rev().cloned().collect()
    }
}

pub(super) fn line(record: &Record) -> String {
    serde_json::to_string(record).unwrap_or_else(|_| unreachable!("records are data"))
}

impl Inner {
    pub(super) fn note(&mut self, at: u64, who: usize, what: What) {
        self.log.push(Entry { at, who, what });
    }

    pub(super) fn records(&self, rollout: &RolloutId) -> Vec<Record> {
        let lines = self.journal.get(rollout).into_iter().flatten();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| unreachable!("it was written so")))
            .collect()
    }

    /// What a gate says now.
    pub(super) fn verdict(&self, gate: &str, release: &ReleaseId) -> Verdict {
        let share = self.share(release);
        if self.broken.contains(gate) {
            Verdict::Error
        } else if self.failing.get(gate).is_some_and(|from| share >= *from) {
            Verdict::Fail
        } else if self.insufficient.contains(gate) {
            Verdict::Insufficient
        } else {
            Verdict::Pass
        }
    }

    /// A release's part of the visitors by the table in force, out of 10 000; 1 where only an audience goes there.
    pub fn share(&self, release: &ReleaseId) -> u16 {
        share(&self.table, release)
    }

    /// Notes it where what watched gates and health say has changed.
    pub(super) fn note_well(&mut self, now: u64) {
        let bad = |release| self.ill.contains(&release) || self.verdict(WATCHED, &release) != Verdict::Pass;
        let well = !self.judged.is_some_and(bad);
        if well != self.well {
            self.well = well;
            self.note(now, 0, What::Well(well));
        }
    }
}

/// The gate that is watched in holds.
pub(super) const WATCHED: &str = "errors";

/// A release's part of the visitors by a table, out of 10 000; 1 where only an audience goes there.
pub fn share(table: &Table, release: &ReleaseId) -> u16 {
    if table.default == Some(*release) {
        return 10_000;
    }
    let audience = table.audiences.values().any(|to| to == release);
    let share = table.shares.iter().find(|share| share.release == *release).map_or(0, |share| share.width);
    share.max(u16::from(audience))
}
