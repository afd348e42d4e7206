//! The start: what the journal, the store and the edge say is brought together, and what was begun is ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, RwLock, atomic::AtomicBool},
};

use cutover_edge::Edge;
use cutover_engine::{
    Error, ErrorKind,
    control::{Outside, Progress},
    rollout::Record,
};
use cutover_routing::{Edit, ReleaseId, ReleaseState, Table, edit, next_generation};
use tokio::sync::{Notify, broadcast};

use super::{
    EmbeddedOptions, Inner,
    keys::{self, Keys},
    lock::StateLock,
    operation::{Operation, SELF},
    outage,
    reserve::Reserve,
    restore, rollouts, unix_ms, unix_secs,
    world::World,
};
use crate::{
    journal::{Intent, Journal, JournalError, Memory, NewRecord, RecordKind, Write},
    process::{Supervisor, SupervisorOptions},
    store::Store,
};

/// How many history entries a slow listener may lag behind before it loses some.
const EVENTS: usize = 1024;

/// Takes the lock and reads everything. Nothing runs and nothing is published yet.
pub(super) async fn open(options: EmbeddedOptions, edge: Edge) -> Result<Inner, Error> {
    let (inner, options) = tokio::task::spawn_blocking(move || {
        let state = read_state(&options);
        (state, options)
    })
    .await
    .map_err(|error| {
        Error::new(ErrorKind::Internal, "CUT0599", "opening the state directory ended early").because(error)
    })?;
    let State { lock, journal, store, memory, newest, keys, outage, reserve } = inner?;
    let mut supervision = SupervisorOptions::new(&options.state_dir);
    supervision.exe.clone_from(&options.exe);
    let supervisor = Supervisor::new(supervision);
    let moved = Arc::new(Notify::new());
    let ring = Arc::clone(&moved);
    supervisor.on_address_change(move |_| ring.notify_one());
    let rolling = rollouts::Rolling::default();
    rolling.ledger.read(&newest);
    let world = World {
        table: Arc::new(memory.table.unwrap_or_default()),
        rows: memory.releases.into_iter().map(|row| (row.id, row)).collect(),
        last_switch: memory.last_switch,
        keys,
    };
    Ok(Inner {
        options,
        journal: Arc::new(journal),
        store: Arc::new(store),
        supervisor,
        edge,
        world: RwLock::new(world),
        loaded: Mutex::new(BTreeMap::new()),
        busy: Mutex::new(BTreeMap::new()),
        starting: Mutex::new(BTreeSet::new()),
        problems: Mutex::new(BTreeMap::new()),
        outage_override: Mutex::new(outage),
        reserve: Arc::new(reserve),
        events: broadcast::channel(EVENTS).0,
        switch: tokio::sync::Mutex::new(()),
        prepare: tokio::sync::Mutex::new(()),
        publishing: tokio::sync::Mutex::new(()),
        closing: AtomicBool::new(false),
        moved,
        rolling,
        opened_at: unix_ms(),
        _lock: lock,
    })
}

struct State {
    lock: StateLock,
    journal: Journal,
    store: Store,
    memory: Memory,
    /// The records of the newest rollout.
    newest: Vec<Record>,
    keys: Keys,
    outage: Option<outage::Override>,
    reserve: Reserve,
}

fn read_state(options: &EmbeddedOptions) -> Result<State, Error> {
    let dir = &options.state_dir;
    std::fs::create_dir_all(dir).map_err(|error| {
        Error::new(ErrorKind::Failed, "CUT0601", format!("cannot make the state directory {}", dir.display()))
            .because(error)
    })?;
    let reserve = Reserve::of(dir);
    // Opening takes some room too, and what is to be left may have filled the disk before this start.
    reserve.give_back_if_full();
    let lock = StateLock::take(dir)?;
    let journal = Journal::open(&dir.join("journal.db"))?;
    let store = Store::open(dir)?;
    let memory = journal.read()?;
    let keys = match journal.meta(keys::META)? {
        Some(text) => serde_json::from_str(&text).map_err(|error| {
            Error::new(ErrorKind::Failed, "CUT0602", "the journal's preview keys cannot be read")
                .because(error)
        })?,
        None => {
            let keys = Keys::fresh(unix_secs())?;
            journal.write(&Write { meta: vec![(keys::META, keys::text(&keys)?)], ..Write::default() })?;
            keys
        }
    };
    // A text that is not understood is that of a past outage; the release has its own.
    let outage = journal.meta(outage::META)?.and_then(|text| serde_json::from_str(&text).ok());
    let newest = match journal.rollouts(1)?.first().map(|rollout| journal.rollout(rollout)) {
        Some(Ok(records)) => records,
        // It is set aside: one rollout that cannot be read keeps no service from running. One of a newer version does.
        Some(Err(JournalError::Damaged { .. })) | None => Vec::new(),
        Some(Err(error)) => return Err(error.into()),
    };
    reserve.keep();
    Ok(State { lock, journal, store, memory, newest, keys, outage, reserve })
}

impl Inner {
    /// Ends what was begun, brings the active release up, and publishes.
    pub(super) async fn recover(self: &Arc<Self>) -> Result<(), Error> {
        for leftover in self.supervisor.end_leftovers().await {
            if !leftover.left.is_empty() {
                let problem = format!("processes of an earlier run cannot be ended: {:?}", leftover.left);
                self.trouble(format!("service {}", leftover.label), Some(problem));
            }
        }
        restore::adopt(self).await?;
        self.reconcile().await?;
        let table = self.current_table();
        if let Some(active) = table.default {
            // The edge may be serving its last good state already: its outage page is not to wait for the services. A
            // release that cannot be read has no text of its own.
            drop(self.load(&active).await);
            self.apply_outage();
            if let Err(error) = self.bring_up(&active, table.slot(&active), &Progress::none()).await {
                self.trouble(format!("release {active}"), Some(error.to_string()));
            }
        }
        // An edge that never had a table needs none before there is a release.
        if table.releases.is_empty() && (self.edge.publication().is_none() || table.generation == 0) {
            return Ok(());
        }
        if let Err(error) = self.publish().await {
            // One damaged release must not keep the others from being served.
            self.close_damaged().await?;
            let error = self.publish().await.err().map(|_| error.to_string());
            self.trouble("edge", error);
        }
        Ok(())
    }

    /// Closes what cannot be served because its files are damaged. The active release, which only a person can replace, is
    /// served without them.
    async fn close_damaged(&self) -> Result<(), Error> {
        let switch = self.switch.lock().await;
        let table = self.current_table();
        let mut closed = table.as_ref().clone();
        let mut records = Vec::new();
        for (id, entry) in &table.releases {
            if entry.state == ReleaseState::Closed {
                continue;
            }
            if entry.state == ReleaseState::Active {
                if let Some(message) = self.leave_out_damaged(id).await {
                    records.push(own_note(Some(*id), message)?);
                }
                continue;
            }
            let (store, release) = (Arc::clone(&self.store), *id);
            let verified = tokio::task::spawn_blocking(move || store.verify(&release)).await;
            let Ok(Err(error)) = verified else { continue };
            if let Ok(next) = edit(&closed, &Edit::Close { release }, closed.generation + 1) {
                closed = next;
                let message = format!("closed {id}: its files are damaged: {error}");
                self.trouble(format!("files of {id}"), Some(message.clone()));
                records.push(own_note(Some(release), message)?);
            }
        }
        if closed == *table {
            if !records.is_empty() {
                self.write_for(true, Write { records, ..Write::default() }).await?;
            }
        } else {
            closed.generation = next_generation(self.edge.generation().max(table.generation), unix_secs())
                .max(closed.generation);
            let write = Write { table: Some(closed.clone()), records, ..Write::default() };
            self.write_for(true, write).await?;
            self.change_world(|world| world.table = Arc::new(closed));
        }
        drop(switch);
        Ok(())
    }

    /// Makes table, journal and store agree, and writes the outcome of every operation that has none.
    async fn reconcile(&self) -> Result<(), Error> {
        let memory = self.journal.blocking(Journal::read).await?;
        let stored = self.stored().await?;
        let mut records: Vec<NewRecord> = memory.unfinished.iter().map(|intent| self.ended(intent)).collect();
        let world = self.with_world(Clone::clone);
        let (table, lost) = self.servable(&world.table, &stored);
        for (id, what) in lost {
            self.trouble(format!("files of {id}"), Some(what.clone()));
            records.push(own_note(Some(id), what)?);
        }
        let table = self.above_the_edge(table, &world.table);
        let mut rows = Vec::new();
        for row in world.rows.values().filter(|row| row.retained()) {
            if table.state(&row.id).is_none() {
                rows.push(crate::journal::ReleaseRow { outside: Some(Outside::Retired), ..row.clone() });
            }
        }
        let changed = table != *world.table;
        if changed || !rows.is_empty() || !records.is_empty() {
            let write = Write {
                table: changed.then(|| table.clone()),
                releases: rows.clone(),
                records,
                ..Write::default()
            };
            self.write_for(true, write).await?;
            self.change_world(|world| {
                world.table = Arc::new(table.clone());
                for row in rows {
                    world.rows.insert(row.id, row);
                }
            });
        }
        // What is not in the table was never staged to the end, or was being removed.
        let held = self.prepare.lock().await;
        for id in stored.iter().filter(|id| table.state(id).is_none()) {
            let removed = self.remove_files(&held, id).await;
            self.trouble(format!("files of {id}"), removed.err().map(|error| error.to_string()));
        }
        Ok(())
    }

    /// The last line of an operation that was cut.
    fn ended(&self, intent: &Intent) -> NewRecord {
        let verb = &intent.verb;
        let goes_on =
            intent.release.and_then(|release| self.under_way(&release)).filter(|_| verb == "deploy");
        let (kind, message) = match (intent.committed, goes_on) {
            (Some(generation), _) => (
                RecordKind::Outcome,
                format!("{verb} was cut short after generation {generation}; completed at the next start"),
            ),
            (None, Some(known)) => (
                RecordKind::Outcome,
                format!("{verb} was cut short; rollout {} goes on", known.state.plan.rollout),
            ),
            (None, None) => (
                RecordKind::Failure,
                format!("{verb} was cut short; undone at the next start, nothing has changed"),
            ),
        };
        NewRecord {
            kind,
            operation: Some(intent.operation.clone()),
            at: unix_ms(),
            who: intent.who.clone(),
            verb: verb.clone(),
            release: intent.release,
            message,
            reason: None,
            generation: intent.committed,
        }
    }

    pub(super) async fn stored(&self) -> Result<BTreeSet<ReleaseId>, Error> {
        let store = Arc::clone(&self.store);
        let list = tokio::task::spawn_blocking(move || store.list()).await.map_err(|error| {
            Error::new(ErrorKind::Internal, "CUT0599", "listing the releases ended early").because(error)
        })??;
        Ok(list.into_iter().collect())
    }

    /// The table without what the store has not: such releases are closed or dropped, but for the active one, which
    /// only a person can replace.
    fn servable(&self, table: &Table, stored: &BTreeSet<ReleaseId>) -> (Table, Vec<(ReleaseId, String)>) {
        let (mut next, mut lost) = (table.clone(), Vec::new());
        let apply = |next: &mut Table, change: Edit| {
            if let Ok(table) = edit(next, &change, next.generation + 1) {
                *next = table;
            }
        };
        for (id, entry) in &table.releases {
            if stored.contains(id) {
                continue;
            }
            let release = *id;
            match entry.state {
                ReleaseState::Active => {
                    lost.push((
                        release,
                        format!("the files of {id}, which is active, are missing; roll back"),
                    ));
                    continue;
                }
                ReleaseState::Staged | ReleaseState::Closed => {}
                ReleaseState::Candidate | ReleaseState::Draining => apply(&mut next, Edit::Close { release }),
            }
            apply(&mut next, Edit::Retire { release });
            lost.push((release, format!("retired {id}: its files are missing")));
        }
        (next, lost)
    }

    /// The table under a generation that the edge accepts: its own where the edge has the same or nothing newer.
    fn above_the_edge(&self, mut table: Table, stored: &Table) -> Table {
        let edge = self.edge.generation();
        let same = self.edge.publication().is_some_and(|known| {
            known.table.generation == stored.generation && known.table.digest() == stored.digest()
        });
        let changed = table != *stored;
        let behind = edge > stored.generation || (edge == stored.generation && edge > 0 && !same);
        if changed || behind {
            table.generation =
                next_generation(edge.max(stored.generation), unix_secs()).max(table.generation);
        }
        table
    }
}

pub(super) fn own_note(release: Option<ReleaseId>, message: String) -> Result<NewRecord, Error> {
    Ok(Operation::new(SELF, "recover", release, None)?.record(RecordKind::Note, message, None))
}
