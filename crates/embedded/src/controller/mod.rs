//! The controller of one machine: carries out the operations on releases.
//!
//! It promises that an operation is written down before it acts and after; that the routing table is in the journal
//! before the edge has it, and is put back where the edge refuses it; that whatever moment it is ended at, the next
//! start finishes or undoes what was begun; that visitors are served meanwhile, by the edge, without it; and that a
//! rollback never waits behind a build.
//!
//! Two locks make that true. `switch` is held while the table is changed, which takes milliseconds (longer only where
//! a release that was shut down has to come up for a rollback). `prepare` is held while files and processes of releases
//! are made or removed, which takes as long as it takes. Where both are held, `prepare` was taken first.

mod address;
mod alert;
mod commit;
mod control;
mod crash;
mod damage;
mod deed;
mod deploy;
mod evict;
mod explain;
mod gating;
mod housekeeping;
mod keys;
mod labels;
mod lock;
mod metrics;
mod opening;
mod operation;
mod outage;
mod preview;
mod promote;
mod publish;
mod readiness;
mod recover;
mod reference;
mod reserve;
mod restore;
mod retire;
mod rollback;
mod rollouts;
mod services;
mod show;
mod stage;
mod steer;
#[cfg(test)]
mod testing;
mod view;
mod withdraw;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use cutover_edge::{Edge, SiteManifest};
use cutover_engine::{
    Error, ErrorKind,
    config::{AppConfig, Snapshot},
    control::HistoryEntry,
};
use cutover_routing::{ReleaseId, Table};
use tokio::{
    sync::{Notify, broadcast},
    task::AbortHandle,
};

pub use crash::{CrashHook, CrashPoint};
use lock::StateLock;
use world::World;

use crate::{
    journal::{Journal, ReleaseRow},
    process::Supervisor,
    store::Store,
};

/// What a controller is opened with.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// The state directory; made where it is missing.
    pub state_dir: PathBuf,
    /// The app description: of it count the app, the host, `keep`, `[edge]`, and, before the first promotion, the rest.
    pub config: AppConfig,
    /// The program whose `shim` subcommand calls [`crate::process::shim_main`].
    pub exe: PathBuf,
    /// Pause between two looks at draining releases and stopped services.
    pub pace: Duration,
    /// For tests only: where to end as a crash would.
    pub crash: Option<CrashHook>,
}

impl EmbeddedOptions {
    /// Usual values: the running program is the shim, a look every second.
    pub fn new(state_dir: impl Into<PathBuf>, config: AppConfig) -> Self {
        Self {
            state_dir: state_dir.into(),
            config,
            exe: PathBuf::from("/proc/self/exe"),
            pace: Duration::from_secs(1),
            crash: None,
        }
    }
}

/// The controller. Dropping the last handle ends the services; the edge serves on with what it has.
#[derive(Debug)]
pub struct Embedded {
    inner: Arc<Inner>,
    background: Vec<AbortHandle>,
}

/// What operations work with. Shared by operations that run on although nobody waits for them any more.
#[derive(Debug)]
struct Inner {
    options: EmbeddedOptions,
    journal: Arc<Journal>,
    store: Arc<Store>,
    supervisor: Supervisor,
    edge: Edge,
    world: RwLock<World>,
    /// What is read from the store, once per release.
    loaded: Mutex<BTreeMap<ReleaseId, Arc<Loaded>>>,
    /// Releases that operations work on, and how many: nobody else may remove them.
    busy: Mutex<BTreeMap<ReleaseId, u32>>,
    /// Releases whose services are being started behind everything else.
    starting: Mutex<BTreeSet<ReleaseId>>,
    /// Trouble by its subject, for `status`.
    problems: Mutex<BTreeMap<String, String>>,
    /// Room for the way out of a release that fills the disk.
    reserve: Arc<reserve::Reserve>,
    /// What a person made the outage page say.
    outage_override: Mutex<Option<outage::Override>>,
    events: broadcast::Sender<HistoryEntry>,
    switch: tokio::sync::Mutex<()>,
    prepare: tokio::sync::Mutex<()>,
    /// The rollouts and what is known of them.
    rolling: rollouts::Rolling,
    publishing: tokio::sync::Mutex<()>,
    /// No operation begins any more.
    closing: AtomicBool,
    /// Rung when a service answers at another address.
    moved: Arc<Notify>,
    /// Unix milliseconds.
    opened_at: u64,
    /// Declared last, so that it is given back last.
    _lock: StateLock,
}

/// A release as it lies in the store.
#[derive(Debug)]
struct Loaded {
    site: Option<Arc<SiteManifest>>,
    /// Paths that are not in `site` because their files are damaged; none where it is as it was staged.
    mended: Option<Vec<String>>,
    snapshot: Snapshot,
    services_dir: PathBuf,
    files: u64,
    bytes: u64,
}

impl Embedded {
    /// Opens the state directory, recovers from whatever happened before, and publishes to the edge.
    ///
    /// Returns as soon as the active release serves; the others are started behind it. Trouble with them is shown as
    /// warnings by `status` and keeps nothing from serving.
    ///
    /// # Errors
    /// `CUT0600` where another controller has the state directory, `CUT0601` where it cannot be used, `CUT0602` and on
    /// where the journal cannot be read.
    pub async fn open(options: EmbeddedOptions, edge: Edge) -> Result<Arc<Self>, Error> {
        let inner = Arc::new(recover::open(options, edge).await?);
        inner.recover().await?;
        inner.start_rollouts().await?;
        let background = vec![
            housekeeping::watch(&inner).abort_handle(),
            housekeeping::follow_addresses(&inner).abort_handle(),
        ];
        Inner::start_others(&inner);
        Ok(Arc::new(Self { inner, background }))
    }

    /// Ends the services and waits until they are gone. The edge is the caller's to shut down, before this.
    ///
    /// Operations asked for afterwards are refused. A build that is under way is cut; the next start cleans up.
    pub async fn shutdown(&self) {
        self.inner.closing.store(true, Ordering::SeqCst);
        self.stop_background();
        // A routing write that is under way is let end, and its outcome written down.
        if let Ok(runner) = self.inner.runner() {
            runner.stop().await;
        }
        // Whoever changes the table finishes first.
        let _held = self.inner.switch.lock().await;
        self.inner.supervisor.stop_all().await;
    }

    fn stop_background(&self) {
        for task in &self.background {
            task.abort();
        }
    }

    /// Runs an operation to its end even where the caller goes away, e.g. because a client hung up.
    async fn run<T, F>(&self, operation: impl FnOnce(Arc<Inner>) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        if self.inner.closing.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "CUT0607", "the program is ending"));
        }
        match tokio::spawn(operation(Arc::clone(&self.inner))).await {
            Ok(result) => result,
            Err(error) => {
                Err(Error::new(ErrorKind::Internal, "CUT0599", "the operation ended early").because(error))
            }
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.stop_background();
    }
}

impl Inner {
    fn with_world<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.world.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change_world(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn current_table(&self) -> Arc<Table> {
        self.with_world(|world| Arc::clone(&world.table))
    }

    fn row(&self, release: &ReleaseId) -> Option<ReleaseRow> {
        self.with_world(|world| world.rows.get(release).cloned())
    }

    fn resolve(&self, text: &str) -> Result<ReleaseRow, Error> {
        self.with_world(|world| {
            let id = reference::find(text, world.rows.values())?;
            world.rows.get(&id).cloned().ok_or_else(|| missing(&id))
        })
    }

    /// Notes trouble for `status`, or that it is over.
    fn trouble(&self, subject: impl Into<String>, problem: Option<String>) {
        let (mut problems, subject) = (locked(&self.problems), subject.into());
        match problem {
            Some(problem) => {
                tracing::warn!(subject, problem, "trouble");
                problems.insert(subject, problem);
            }
            None => {
                problems.remove(&subject);
            }
        }
    }

    async fn pass(&self, point: CrashPoint) {
        if let Some(hook) = &self.options.crash {
            hook.pass(point).await;
        }
    }

    /// Marks a release as worked on until the mark is dropped.
    fn work_on(self: &Arc<Self>, release: ReleaseId) -> Busy {
        *locked(&self.busy).entry(release).or_default() += 1;
        Busy { inner: Arc::clone(self), release }
    }

    /// True while an operation works on the release.
    fn is_busy(&self, release: &ReleaseId) -> bool {
        locked(&self.busy).contains_key(release)
    }
}

/// A release that an operation works on.
struct Busy {
    inner: Arc<Inner>,
    release: ReleaseId,
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut busy = locked(&self.inner.busy);
        if let Some(count) = busy.get_mut(&self.release) {
            *count -= 1;
            if *count == 0 {
                busy.remove(&self.release);
            }
        }
    }
}

fn missing(release: &ReleaseId) -> Error {
    Error::new(ErrorKind::NotFound, "CUT0501", format!("there is no release {release}"))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is replaced whole, so that a panic elsewhere leaves it sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn unix_secs() -> u64 {
    unix_ms() / 1000
}
