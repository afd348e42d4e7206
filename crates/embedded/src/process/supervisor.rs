//! All services of all releases of one state directory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak},
};

use cutover_engine::{Error, ErrorKind};
use cutover_routing::ReleaseId;
use tokio::{
    sync::{OnceCell, watch},
    task::spawn_blocking,
    time::timeout,
};

use super::{
    keeper::{self, Leaving, OnAddressChange, Phase, Service},
    launch::Launcher,
    leftovers::{self, Leftover},
    ports::Ports,
    spec::{AddressChange, ProcessState, ProcessStatus, Running, ServiceSpec, SupervisorOptions},
};

type Key = (ReleaseId, String);
type Services = Mutex<HashMap<Key, Entry>>;

/// The only strong hold on a service's `stop` is here: without its supervisor a service ends.
struct Entry {
    service: Arc<Service>,
    stop: watch::Sender<bool>,
}

/// Runs services under shims and keeps them up. To be used inside a tokio runtime.
///
/// Dropping it ends every service; [`stop_all`](Self::stop_all) does so too and waits. One state directory belongs to
/// one supervisor at a time, which the caller ensures (a lock): the first start ends what an earlier run left behind.
pub struct Supervisor {
    launcher: Arc<Launcher>,
    services: Arc<Services>,
    changed: Arc<RwLock<Option<OnAddressChange>>>,
    cleared: OnceCell<()>,
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor").field("options", &self.launcher.options).finish_non_exhaustive()
    }
}

impl Supervisor {
    /// A supervisor without services. Touches nothing yet.
    pub fn new(options: SupervisorOptions) -> Self {
        Self {
            launcher: Arc::new(Launcher { options, ports: Ports::default() }),
            services: Arc::default(),
            changed: Arc::default(),
            cleared: OnceCell::new(),
        }
    }

    /// Says whom to tell when a service came back on another address. It is called from the service's task and must
    /// not block.
    pub fn on_address_change(&self, callback: impl Fn(AddressChange) + Send + Sync + 'static) {
        *self.changed.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(callback));
    }

    /// Ends what an earlier run with this state directory left behind, once; says what it was. The first
    /// [`start`](Self::start) does it where nobody did.
    pub async fn end_leftovers(&self) -> Vec<Leftover> {
        let mut ended = Vec::new();
        self.cleared
            .get_or_init(|| async {
                let records = self.launcher.records();
                ended = spawn_blocking(move || leftovers::end_all(&records)).await.unwrap_or_default();
            })
            .await;
        ended
    }

    /// Starts a service and waits until it is healthy. A service that runs already is left alone.
    ///
    /// Dropping the future before it is ready ends the service again.
    ///
    /// # Errors
    ///
    /// `CUT0301` it cannot be started, `CUT0302` it ended early, `CUT0303` it was not healthy in time, `CUT0304` its port
    /// is held by somebody else, `CUT0305` the state directory cannot be used, `CUT0306` it was stopped meanwhile. After
    /// an error nothing of it is left.
    pub async fn start(&self, spec: ServiceSpec) -> Result<Running, Error> {
        self.end_leftovers().await;
        let (service, ours) = loop {
            match self.find_or_make(&spec) {
                Found::Made(service, ours) => break (service, Some(ours)),
                Found::Kept(service) => break (service, None),
                Found::Stopping(phase) => until_gone(phase).await,
            }
        };
        let mut phase = service.phase();
        let settled = async {
            match phase.wait_for(|phase| *phase != Phase::Pending).await.as_deref() {
                Ok(Phase::Up(running)) => Ok(running.clone()),
                _ => Err(service.failure()),
            }
        };
        match ours {
            // Its task ends by itself where it does not come up.
            Some(ours) => {
                let result = settled.await;
                ours.keep();
                result
            }
            // It may be in a long pause between two starts.
            None => timeout(spec.start_timeout, settled).await.unwrap_or_else(|_| {
                let status = service.status(&self.launcher.options.backoff);
                let what = format!("service `{}` of release {} is not healthy", spec.component, spec.release);
                let error = Error::new(ErrorKind::Unavailable, "CUT0303", what);
                Err(error
                    .because(status.problem.unwrap_or_else(|| "it is still starting".to_owned()))
                    .hint(format!("its whole log is {}", status.log.display())))
            }),
        }
    }

    /// One look under one lock: two who ask at once get the same service.
    fn find_or_make(&self, spec: &ServiceSpec) -> Found {
        let key = (spec.release, spec.component.clone());
        let mut services = self.lock();
        if let Some(entry) = services.get(&key) {
            let stopping = *entry.stop.borrow();
            return if stopping {
                Found::Stopping(entry.service.phase())
            } else {
                Found::Kept(Arc::clone(&entry.service))
            };
        }
        let service = Arc::new(Service::new(spec.clone(), &self.launcher));
        let (stop, stopped) = watch::channel(false);
        let leaving = Leaving {
            service: Arc::clone(&service),
            forget: forget(Arc::downgrade(&self.services), key.clone()),
        };
        let (launcher, changed) = (Arc::clone(&self.launcher), Arc::clone(&self.changed));
        let tell = move |change| {
            let callback = changed.read().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(callback) = callback {
                callback(change);
            }
        };
        tokio::spawn(async move {
            keeper::keep(&leaving.service, &launcher, stopped, tell).await;
            drop(leaving);
        });
        services.insert(key, Entry { service: Arc::clone(&service), stop: stop.clone() });
        Found::Made(service, EndUnlessKept(Some(stop)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the services of a release are; nothing for those that were stopped.
    pub fn status(&self, release: &ReleaseId) -> Vec<ProcessStatus> {
        let backoff = self.launcher.options.backoff;
        let mut found: Vec<ProcessStatus> = self
            .lock()
            .values()
            .filter(|entry| entry.service.spec.release == *release)
            .map(|entry| {
                let mut status = entry.service.status(&backoff);
                if *entry.stop.borrow() {
                    status.state = ProcessState::Stopping;
                }
                status
            })
            .collect();
        found.sort_by(|one, other| one.component.cmp(&other.component));
        found
    }

    /// Ends the services of a release, all at the same time, and waits until nothing of them is left.
    pub async fn stop_release(&self, release: &ReleaseId) {
        self.stop_where(|key| key.0 == *release).await;
    }

    /// Ends one service and waits until nothing of it is left.
    pub async fn stop(&self, release: &ReleaseId, component: &str) {
        self.stop_where(|key| key.0 == *release && key.1 == component).await;
    }

    /// Ends all services at the same time and waits until nothing of them is left.
    pub async fn stop_all(&self) {
        self.stop_where(|_| true).await;
    }

    async fn stop_where(&self, which: impl Fn(&Key) -> bool) {
        let phases: Vec<watch::Receiver<Phase>> = self
            .lock()
            .iter()
            .filter(|(key, _)| which(key))
            .map(|(_, entry)| {
                let phase = entry.service.phase();
                entry.stop.send_replace(true);
                phase
            })
            .collect();
        for phase in phases {
            until_gone(phase).await;
        }
    }
}

enum Found {
    Made(Arc<Service>, EndUnlessKept),
    Kept(Arc<Service>),
    Stopping(watch::Receiver<Phase>),
}

/// Ends a service whose starter went away before it was up.
struct EndUnlessKept(Option<watch::Sender<bool>>);

impl EndUnlessKept {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for EndUnlessKept {
    fn drop(&mut self) {
        if let Some(stop) = &self.0 {
            stop.send_replace(true);
        }
    }
}

/// Takes an ended service out of the map, if the map is still there.
fn forget(services: Weak<Services>, key: Key) -> impl FnMut() {
    move || {
        if let Some(services) = services.upgrade() {
            services.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        }
    }
}

async fn until_gone(mut phase: watch::Receiver<Phase>) {
    // An error says that nobody can change it any more, which is the same.
    let _ = phase.wait_for(|phase| *phase == Phase::Gone).await;
}
