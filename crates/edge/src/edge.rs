//! The handle of a running edge.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use cutover_routing::ReleaseId;
use tokio::sync::watch;

use crate::{
    access_log, health,
    last_good::{self, Found},
    latency::LatencyTotals,
    listen::listen,
    live::Live,
    metrics,
    options::{EdgeOptions, Outage},
    pages::OutagePage,
    publish::{Ack, Nack, prepare},
    serving::Publication,
    stats::{Stats, Usage},
    streams::Ending,
    tls::{Tls, TlsError},
    upstream::ComponentHealth,
    visits::{VisitWindow, Visits, WatchOptions},
    worker::{self, Shared},
};

/// Why an edge cannot start, or cannot take over new certificates.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else listens there.
    #[error("listening on {0}: the port is taken by another process; choose another, or end that process")]
    PortTaken(SocketAddr),
    /// The address cannot be listened on.
    #[error("listening on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// The certificate files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The access log cannot be opened.
    #[error("opening the access log: {0}")]
    AccessLog(io::Error),
    /// A thread cannot be started.
    #[error("starting a worker: {0}")]
    Thread(io::Error),
    /// The options contradict themselves.
    #[error("{0}")]
    Options(&'static str),
}

/// A running edge. Clones are handles of the same edge; it stops with [`Edge::shutdown`], or abruptly with its last
/// handle.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    local: SocketAddr,
    /// Held while publishing; the highest generation ever taken.
    publishing: Mutex<()>,
    floor: AtomicU64,
    stop: watch::Sender<Option<Instant>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Edge {
    /// Starts listening and serving. Serves the last good publication where there is one, else says that there is no
    /// release yet.
    ///
    /// # Errors
    /// Where the port is taken, the certificate cannot be used, or the system refuses what is needed.
    pub fn start(options: EdgeOptions) -> Result<Self, StartError> {
        if options.workers == 0 {
            return Err(StartError::Options("an edge needs at least one worker"));
        }
        if options.timeouts.health_interval.is_zero() {
            return Err(StartError::Options("the interval of health checks must not be zero"));
        }
        let address = options.listen;
        let tls = options.tls.clone().map(Tls::load).transpose()?;
        let (local, listeners) = listen(address, options.workers).map_err(|cause| match cause.kind() {
            io::ErrorKind::AddrInUse => StartError::PortTaken(address),
            _ => StartError::Listen { address, cause },
        })?;
        let log = access_log::open(&options.access_log).map_err(StartError::AccessLog)?;
        let (stop, _) = watch::channel(None);
        let shared = Arc::new(Shared {
            live: ArcSwap::from_pointee(Live::none()),
            outage: ArcSwap::from_pointee(OutagePage::new(&options.outage)),
            stats: Arc::new(Stats::new(options.workers)),
            visits: Visits::new(options.workers),
            endings: (0..options.workers).map(|_| Mutex::default()).collect(),
            tls,
            options,
        });
        let edge = Self(Arc::new(Inner {
            shared,
            local,
            publishing: Mutex::default(),
            floor: AtomicU64::new(0),
            stop,
            threads: Mutex::default(),
        }));
        edge.restore();
        let (sink, writer) = log.unzip();
        edge.spawn(listeners, sink).map_err(StartError::Thread)?;
        edge.threads().extend(writer);
        Ok(edge)
    }

    fn spawn(&self, listeners: Vec<std::net::TcpListener>, sink: Option<access_log::Sink>) -> io::Result<()> {
        for (index, listener) in listeners.into_iter().enumerate() {
            let (shared, sink, stop) = (Arc::clone(&self.0.shared), sink.clone(), self.0.stop.subscribe());
            let thread = Builder::new().name(format!("cutover-edge-{index}")).spawn(move || {
                if let Err(error) = worker::run(index, shared, listener, sink, stop) {
                    tracing::error!(%error, worker = index, "a worker of the edge has ended");
                }
            })?;
            self.threads().push(thread);
        }
        let (shared, stop) = (Arc::clone(&self.0.shared), self.0.stop.subscribe());
        let thread = Builder::new().name("cutover-health".to_owned()).spawn(move || {
            if let Err(error) = health::run(&shared, stop) {
                tracing::error!(%error, "health checks have ended");
            }
        })?;
        self.threads().push(thread);
        Ok(())
    }

    fn threads(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.0.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves the last good publication, if there is one.
    fn restore(&self) {
        let Some(file) = &self.0.shared.options.last_good else { return };
        let stats = &self.0.shared.stats;
        match last_good::read(file) {
            Found::Nothing => {}
            Found::Publication(publication) => {
                let generation = publication.table.generation;
                // Even where it cannot be served: an edge never goes back behind what it has taken.
                if publication.table.validate().is_ok() {
                    self.0.floor.store(generation, Relaxed);
                }
                match self.take(*publication, false) {
                    Ok(_) => tracing::info!(generation, "serving the last good state"),
                    Err(nack) => {
                        stats.last_good_failures.fetch_add(1, Relaxed);
                        tracing::error!(file = %file.display(), %nack, "the last good state cannot be served; serving no release until one is published");
                    }
                }
            }
            Found::Corrupt { why, aside } => {
                stats.last_good_failures.fetch_add(1, Relaxed);
                let aside = aside.as_deref().unwrap_or(file);
                tracing::error!(file = %file.display(), kept = %aside.display(), why, "the last good state is corrupt; serving no release until one is published");
            }
        }
    }

    /// Where the edge listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local
    }

    /// What is in force; none before the first publication.
    pub fn publication(&self) -> Option<Arc<Publication>> {
        self.0.shared.live.load().publication.clone()
    }

    /// The highest generation this edge has taken, now or as its last good state says; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.0.floor.load(Relaxed).max(self.0.shared.live.load().table.generation)
    }

    /// Takes a publication: when this returns, every request that comes is answered by it. Requests under way finish on
    /// the one they began with. Publishing the same again is harmless; so is the same table with other upstream addresses.
    ///
    /// Blocks on files: call it from a thread that may.
    ///
    /// # Errors
    /// Where it cannot be served, is older than what is in force, or contradicts it. What is in force then stays.
    pub fn publish(&self, publication: Publication) -> Result<Ack, Nack> {
        let stats = &self.0.shared.stats;
        self.take(publication, true).inspect_err(|nack| {
            stats.nacks.fetch_add(1, Relaxed);
            if matches!(nack, Nack::Conflict { .. }) {
                stats.conflicts.fetch_add(1, Relaxed);
                tracing::error!(%nack, "a conflicting publication was kept out");
            } else {
                tracing::warn!(%nack, "a publication was refused");
            }
        })
    }

    fn take(&self, publication: Publication, keep: bool) -> Result<Ack, Nack> {
        let shared = &self.0.shared;
        let _one_at_a_time = self.0.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let current = shared.live.load_full();
        let floor = self.0.floor.load(Relaxed);
        let live = prepare(publication, &current, floor, shared.options.limits.site_memory, &shared.stats)?;
        let mut not_kept = None;
        if let (true, Some(file), Some(publication)) = (keep, &shared.options.last_good, &live.publication)
            && let Err(error) = last_good::write(file, publication)
        {
            shared.stats.last_good_failures.fetch_add(1, Relaxed);
            tracing::error!(file = %file.display(), %error, "the last good state cannot be written");
            not_kept = Some(format!("writing {}: {error}", file.display()));
        }
        let ack = Ack { generation: live.table.generation, digest: live.digest.clone(), not_kept };
        self.0.floor.store(ack.generation, Relaxed);
        shared.live.store(Arc::new(live));
        Ok(ack)
    }

    /// How much a release is used, since this edge started.
    pub fn usage(&self, release: &ReleaseId) -> Usage {
        self.0.shared.stats.find(release).map(|stats| stats.usage()).unwrap_or_default()
    }

    /// How fast and how well a release has answered its visitors, since this edge started.
    pub fn latency(&self, release: &ReleaseId) -> LatencyTotals {
        self.0.shared.stats.find(release).map(|stats| stats.answers().0).unwrap_or_default()
    }

    /// Begins to count what each visitor meets on two releases, or stops and forgets it. The same options again change
    /// nothing; others begin a new window.
    pub fn watch(&self, options: Option<WatchOptions>) {
        self.0.shared.visits.watch(options);
    }

    /// What was counted since the last call, or since the watch began; nothing where nothing is watched.
    pub fn take_window(&self) -> VisitWindow {
        self.0.shared.visits.take()
    }

    /// Ends the open streams of a release, each at a moment of its own within `over`, so that those who come back do not
    /// come at once. Event streams end cleanly, WebSockets are closed. Requests under way are left alone, and so is a
    /// stream that is opened later. Called again: streams that have their moment keep it, unless it is later than the new
    /// one allows. Returns how many are open.
    pub fn end_streams(&self, release: &ReleaseId, over: Duration) -> u64 {
        let open = self.usage(release).open_streams;
        let asked = Instant::now();
        for endings in &self.0.shared.endings {
            let mut endings = endings.lock().unwrap_or_else(PoisonError::into_inner);
            endings.push(Ending { release: *release, over, asked });
        }
        open
    }

    /// The health of every service of the publication in force.
    pub fn health(&self) -> Vec<ComponentHealth> {
        let live = self.0.shared.live.load();
        let of = |release: &Arc<crate::live::Release>| {
            let id = release.id;
            let each = release.services.iter().map(move |service| ComponentHealth {
                release: id,
                component: service.name.clone(),
                healthy: service.upstream.healthy(),
                problem: service.upstream.problem(),
            });
            each.collect::<Vec<_>>()
        };
        live.releases.values().flat_map(of).collect()
    }

    /// Everything this edge counts, as Prometheus text.
    pub fn metrics(&self) -> String {
        metrics::text(&self.0.shared)
    }

    /// Replaces what visitors read when no release can serve.
    pub fn set_outage(&self, outage: Outage) {
        self.0.shared.outage.store(Arc::new(OutagePage::new(&outage)));
    }

    /// Reads the certificate files again, without waiting for the edge to notice that they changed.
    ///
    /// # Errors
    /// Where they cannot be used; the certificate in force stays.
    pub fn reload_tls(&self) -> Result<(), StartError> {
        match &self.0.shared.tls {
            Some(tls) => Ok(tls.reload()?),
            None => Err(StartError::Options("this edge has no TLS")),
        }
    }

    /// Stops: takes no new connections, lets requests under way finish, asks HTTP/2 clients to go, closes what is idle.
    /// What is left after `deadline`, open WebSockets too, is closed. Blocks until then at most.
    pub fn shutdown(self, deadline: Duration) {
        self.0.stop.send_replace(Some(Instant::now() + deadline));
        let threads = std::mem::take(&mut *self.threads());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the edge has panicked");
            }
        }
    }
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge").field("listen", &self.0.local).field("generation", &self.generation()).finish()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.send_replace(Some(Instant::now()));
    }
}
