//! What the edge is given: the table, the settings of the release in force, and how each release is served.

use std::{collections::BTreeMap, sync::Arc};

use cutover_edge::{Publication, ReleaseServing, ServiceServing, ServingSet};
use cutover_engine::{
    Error, ErrorKind,
    config::{Snapshot, SourceSnapshot},
};
use cutover_routing::{ReleaseId, ReleaseState, Settings, Slot, Table};

use super::{
    Inner, Loaded,
    damage::{self, outage},
    locked,
};

/// Stands for a service that has no address: nothing listens on port 1, so that the edge finds it unhealthy.
pub(super) const NOWHERE: &str = "127.0.0.1:1";

/// The code of a publication that the edge refused.
pub(super) const NOT_PUBLISHED: &str = "CUT0506";

impl Inner {
    /// Gives the edge the present table. Publications leave in the order of their tables.
    pub(super) async fn publish(&self) -> Result<(), Error> {
        let _held = self.publishing.lock().await;
        let table = self.current_table();
        // First, because what follows may fail, and then this text is all that visitors get.
        self.apply_outage();
        let publication = self.publication(&table).await?;
        let edge = self.edge.clone();
        let published = tokio::task::spawn_blocking(move || edge.publish(publication)).await;
        match published {
            Ok(Ok(ack)) => {
                tracing::info!(generation = ack.generation, "published");
                self.trouble("edge", None);
                self.trouble("edge's copy on disk", ack.not_kept);
                Ok(())
            }
            Ok(Err(nack)) => Err(Error::new(
                ErrorKind::Failed,
                NOT_PUBLISHED,
                format!("publishing generation {} of the routing table to the edge", table.generation),
            )
            .because(nack)
            .hint("the edge serves on with the table it has")),
            Err(error) => {
                Err(Error::new(ErrorKind::Internal, "CUT0599", "publishing to the edge ended early")
                    .because(error))
            }
        }
    }

    /// Publishes again because something beside the table changed; trouble is a warning.
    pub(super) async fn republish(&self) {
        if self.current_table().generation == 0 {
            return;
        }
        let trouble = self.publish().await.err();
        self.trouble("edge", trouble.map(|error| error.to_string()));
    }

    async fn publication(&self, table: &Arc<Table>) -> Result<Publication, Error> {
        let mut releases = BTreeMap::new();
        for (id, entry) in &table.releases {
            if entry.state == ReleaseState::Closed {
                continue;
            }
            let loaded = match self.load(id).await {
                Ok(loaded) => loaded,
                Err(error) if entry.state == ReleaseState::Active => {
                    let problem = format!("{error}; visitors get the outage page: roll back");
                    self.trouble(format!("files of {id}"), Some(problem));
                    releases.insert(*id, outage());
                    continue;
                }
                Err(error) => return Err(error),
            };
            releases.insert(*id, self.serving(id, entry.slot, &loaded));
        }
        Ok(Publication {
            table: Table::clone(table),
            settings: self.settings(),
            serving: ServingSet { blobs: self.store.blobs().to_owned(), releases },
        })
    }

    fn serving(&self, id: &ReleaseId, slot: Option<Slot>, loaded: &Loaded) -> ReleaseServing {
        let running = self.supervisor.status(id);
        let services = loaded
            .snapshot
            .services
            .iter()
            .map(|service| ServiceServing {
                name: service.name.clone(),
                routes: service.routes.clone(),
                upstream: match &service.source {
                    SourceSnapshot::Process { .. } => running
                        .iter()
                        .find(|status| status.component == service.name)
                        .and_then(|status| status.addr)
                        .map_or_else(|| NOWHERE.to_owned(), |addr| addr.to_string()),
                    SourceSnapshot::Upstream(upstream) => match slot {
                        Some(Slot::Green) => upstream.green.clone(),
                        Some(Slot::Blue) | None => upstream.blue.clone(),
                    },
                },
                health: service.health.clone(),
            })
            .chain(damage::instead_of_files(loaded))
            .collect();
        ReleaseServing { site: loaded.site.clone(), services }
    }

    /// The settings `decide` reads: those of the active release.
    pub(super) fn settings(&self) -> Settings {
        let keys = self.with_world(|world| world.keys.verifying());
        let config = &self.options.config;
        self.governing().settings(&config.host, config.edge.scheme.secure(), keys)
    }

    /// The description in force: the active release's, before the first promotion that of `up`.
    pub(super) fn governing(&self) -> Snapshot {
        let active = self.with_world(|world| world.table.default);
        active
            .and_then(|id| locked(&self.loaded).get(&id).map(|loaded| loaded.snapshot.clone()))
            .unwrap_or_else(|| self.options.config.snapshot())
    }

    /// A release as it lies in the store, read once.
    pub(super) async fn load(&self, id: &ReleaseId) -> Result<Arc<Loaded>, Error> {
        if let Some(loaded) = locked(&self.loaded).get(id) {
            return Ok(Arc::clone(loaded));
        }
        let (store, release) = (Arc::clone(&self.store), *id);
        let staged = tokio::task::spawn_blocking(move || store.load(&release)).await.map_err(|error| {
            Error::new(ErrorKind::Internal, "CUT0599", format!("reading release {id} ended early"))
                .because(error)
        })??;
        let loaded = Arc::new(Loaded {
            site: staged.manifest.map(Arc::new),
            mended: None,
            snapshot: staged.snapshot,
            services_dir: staged.services_dir,
            files: staged.files,
            bytes: staged.bytes,
        });
        locked(&self.loaded).insert(*id, Arc::clone(&loaded));
        Ok(loaded)
    }

    /// Forgets what was read from the store.
    pub(super) fn unload(&self, id: &ReleaseId) {
        locked(&self.loaded).remove(id);
    }
}
