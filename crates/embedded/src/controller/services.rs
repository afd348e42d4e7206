//! The services of a release: brought up, looked at, taken down.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use cutover_engine::{
    Error, ErrorKind,
    config::{ServiceSnapshot, SourceSnapshot},
    control::Progress,
};
use cutover_routing::{ReleaseId, Slot};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use super::{Inner, Loaded};
use crate::process::{ProcessState, ServiceSpec, http};

/// How long one look at a service may take.
const LOOK: Duration = Duration::from_secs(2);

/// Pause between two looks at a service somebody else starts.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

impl Inner {
    /// Starts what does not run yet and waits until every service answers. Returns whether anything had to be started.
    pub(super) async fn bring_up(
        self: &Arc<Self>,
        id: &ReleaseId,
        slot: Option<Slot>,
        progress: &Progress,
    ) -> Result<bool, Error> {
        if self.closing.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "CUT0607", "the program is ending"));
        }
        let loaded = self.load(id).await?;
        let before = self.running(id);
        let mut starting = JoinSet::new();
        for service in &loaded.snapshot.services {
            let (inner, service, loaded) = (Arc::clone(self), service.clone(), Arc::clone(&loaded));
            let (id, progress) = (*id, progress.clone());
            starting.spawn(async move { inner.bring_up_one(&id, slot, &loaded, &service, &progress).await });
        }
        while let Some(result) = starting.join_next().await {
            // Dropping the set ends the starts that are not done.
            result.unwrap_or_else(|error| {
                Err(Error::new(ErrorKind::Internal, "CUT0599", "starting a service ended early")
                    .because(error))
            })?;
        }
        self.trouble(format!("release {id}"), None);
        Ok(self.running(id) > before)
    }

    fn running(&self, id: &ReleaseId) -> usize {
        self.supervisor.status(id).iter().filter(|status| status.state == ProcessState::Healthy).count()
    }

    async fn bring_up_one(
        &self,
        id: &ReleaseId,
        slot: Option<Slot>,
        loaded: &Loaded,
        service: &ServiceSnapshot,
        progress: &Progress,
    ) -> Result<(), Error> {
        let name = &service.name;
        match &service.source {
            SourceSnapshot::Process { run } => {
                progress.say(format!("service {name}: starting `{run}`"));
                let spec = ServiceSpec {
                    release: *id,
                    component: name.clone(),
                    dir: loaded.services_dir.join(name),
                    run: run.clone(),
                    health: service.health.clone(),
                    env: service.env.clone(),
                    start_timeout: service.start_timeout,
                    stop_timeout: service.stop_timeout,
                };
                let running = self.supervisor.start(spec).await?;
                progress.say(format!("service {name}: healthy at {}", running.addr));
            }
            SourceSnapshot::Upstream(upstream) => {
                let address = at(upstream, slot);
                progress.say(format!("service {name}: waiting for {address}"));
                wait_for(id, service, address).await?;
                progress.say(format!("service {name}: healthy at {address}"));
            }
        }
        Ok(())
    }

    /// Where each service of a release answers, `host:port` by name; what does not run is not among them.
    pub(super) fn addresses(
        &self,
        id: &ReleaseId,
        slot: Option<Slot>,
        loaded: &Loaded,
    ) -> BTreeMap<String, String> {
        let running = self.supervisor.status(id);
        let address = |service: &ServiceSnapshot| match &service.source {
            SourceSnapshot::Upstream(upstream) => Some(at(upstream, slot).to_owned()),
            SourceSnapshot::Process { .. } => {
                let status = running.iter().find(|status| status.component == service.name)?;
                status.addr.map(|addr| addr.to_string())
            }
        };
        let services = loaded.snapshot.services.iter();
        services.filter_map(|service| Some((service.name.clone(), address(service)?))).collect()
    }

    /// Asks every service of a release once, directly, whether it can serve.
    pub(super) async fn look(&self, id: &ReleaseId, slot: Option<Slot>) -> Result<(), Error> {
        let loaded = self.load(id).await?;
        let running = self.supervisor.status(id);
        let mut looks = JoinSet::new();
        for service in &loaded.snapshot.services {
            let address = match &service.source {
                SourceSnapshot::Upstream(upstream) => at(upstream, slot).to_owned(),
                SourceSnapshot::Process { .. } => {
                    let status = running.iter().find(|status| status.component == service.name);
                    match status.and_then(|status| status.addr) {
                        Some(addr) => addr.to_string(),
                        None => return Err(unhealthy(id, &service.name, "it does not run")),
                    }
                }
            };
            let (id, service) = (*id, service.clone());
            looks.spawn(async move {
                let why = look_at(&address, service.health.as_deref(), LOOK).await.err()?;
                Some(unhealthy(&id, &service.name, why))
            });
        }
        while let Some(result) = looks.join_next().await {
            if let Ok(Some(error)) = result {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Makes sure that a release can serve: a look, and where that fails, a start.
    pub(super) async fn ready(
        self: &Arc<Self>,
        id: &ReleaseId,
        slot: Option<Slot>,
        progress: &Progress,
    ) -> Result<bool, Error> {
        if self.look(id, slot).await.is_ok() {
            return Ok(false);
        }
        let started = self.bring_up(id, slot, progress).await?;
        self.look(id, slot).await?;
        Ok(started)
    }

    /// The same for a release that visitors are to go back to, also where the disk is full: starting takes some room.
    pub(super) async fn ready_again(
        self: &Arc<Self>,
        id: &ReleaseId,
        slot: Option<Slot>,
    ) -> Result<(), Error> {
        let progress = Progress::none();
        match self.ready(id, slot, &progress).await {
            Err(_) if self.reserve.give_back_if_full() => self.ready(id, slot, &progress).await?,
            other => other?,
        };
        Ok(())
    }

    /// Ends the services of a release and waits until nothing of them is left.
    pub(super) async fn take_down(&self, id: &ReleaseId) {
        self.supervisor.stop_release(id).await;
        self.trouble(format!("release {id}"), None);
    }
}

fn at(upstream: &cutover_engine::config::Upstream, slot: Option<Slot>) -> &str {
    match slot {
        Some(Slot::Green) => &upstream.green,
        Some(Slot::Blue) | None => &upstream.blue,
    }
}

async fn wait_for(id: &ReleaseId, service: &ServiceSnapshot, address: &str) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        match look_at(address, service.health.as_deref(), LOOK).await {
            Ok(()) => return Ok(()),
            Err(why) if began.elapsed() >= service.start_timeout => {
                return Err(unhealthy(id, &service.name, why).hint(format!(
                    "somebody else runs this service; it has to answer at {address} before the release is staged"
                )));
            }
            Err(_) => tokio::time::sleep(BETWEEN_LOOKS).await,
        }
    }
}

/// One look: a 2xx answer of the health path, or an accepted connection where there is none.
async fn look_at(address: &str, health: Option<&str>, within: Duration) -> Result<(), String> {
    let found: SocketAddr = timeout(within, tokio::net::lookup_host(address))
        .await
        .map_err(|_| format!("the name in {address} is not resolved in time"))?
        .map_err(|error| format!("{address}: {error}"))?
        .next()
        .ok_or_else(|| format!("{address} has no address"))?;
    let Some(target) = health else {
        return match timeout(within, TcpStream::connect(found)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("cannot connect to {address}: {error}")),
            Err(_) => Err(format!("no connection to {address} within {} ms", within.as_millis())),
        };
    };
    let got = http::get(http::Get {
        addr: found,
        tls: None,
        host: address,
        target,
        headers: &[],
        within,
        limit: 4096,
    })
    .await
    .map_err(|error| error.to_string())?;
    if got.status.is_success() {
        return Ok(());
    }
    Err(format!("{target} answers {}", got.status.as_u16()))
}

fn unhealthy(id: &ReleaseId, component: &str, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Failed, "CUT0507", format!("service `{component}` of release {id} cannot serve"))
        .because(why)
}
