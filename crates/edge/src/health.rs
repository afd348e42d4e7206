//! Asks every upstream of the publication in force whether it can serve.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use cutover_routing::ReleaseId;
use tokio::sync::watch;

use crate::{legs::client, upstream::Upstream, worker::Shared};

/// How often certificate files are looked at.
const TLS_POLL: Duration = Duration::from_secs(1);

/// Checks health and certificate files until told to stop. Blocks its thread.
pub(crate) fn run(shared: &Arc<Shared>, mut stop: watch::Receiver<Option<Instant>>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let timeouts = &shared.options.timeouts;
        let mut health = tokio::time::interval(timeouts.health_interval);
        let mut files = tokio::time::interval(TLS_POLL);
        health.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        files.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(Option::is_some) => return,
                _ = health.tick() => round(shared, timeouts.health_timeout),
                _ = files.tick() => certificates(shared),
            }
        }
    });
    Ok(())
}

fn round(shared: &Shared, limit: Duration) {
    let live = shared.live.load();
    for release in live.releases.values() {
        for service in &release.services {
            let upstream = &service.upstream;
            // A check that is still waiting is as good as another one.
            if upstream.needs_check() && !upstream.checking.swap(true, Relaxed) {
                let (upstream, id, name) = (Arc::clone(upstream), release.id, service.name.clone());
                tokio::task::spawn_local(async move {
                    check(&upstream, id, &name, limit).await;
                    upstream.checking.store(false, Relaxed);
                });
            }
        }
    }
}

async fn check(upstream: &Upstream, release: ReleaseId, component: &str, limit: Duration) {
    let asking = async {
        match &upstream.check {
            Some(path) => match client::status(upstream, path).await {
                Ok(status) if status.is_success() => Ok(()),
                Ok(status) => Err(format!("{path} answered {}", status.as_u16())),
                Err(error) => Err(format!("{path}: {error}")),
            },
            None => client::dial(upstream).await.map(drop),
        }
    };
    let late = || Err(format!("no answer within {limit:?}"));
    match tokio::time::timeout(limit, asking).await.unwrap_or_else(|_| late()) {
        Ok(()) => {
            if upstream.check_passed() {
                tracing::info!(%release, component, "healthy again");
            }
        }
        Err(problem) => {
            if upstream.check_failed(problem.clone()) {
                tracing::warn!(%release, component, %problem, "unhealthy");
            }
        }
    }
}

fn certificates(shared: &Shared) {
    let Some(tls) = shared.tls.as_ref().filter(|tls| tls.changed()) else { return };
    match tls.reload() {
        Ok(()) => tracing::info!("the certificate has been replaced"),
        Err(error) => {
            shared.stats.tls_failures.fetch_add(1, Relaxed);
            tracing::error!(%error, "the new certificate cannot be used; the old one stays in force");
        }
    }
}
