//! Taking a publication, or refusing it with reasons.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use cutover_routing::{ReleaseId, ReleaseState};

use crate::{
    live::{Live, Release},
    serving::{Publication, ReleaseServing, ServiceServing},
    site::Site,
    stats::Stats,
};

/// A publication is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Generation of its table.
    pub generation: u64,
    /// Digest of its table.
    pub digest: String,
    /// Why it could not be kept on disk, if so. It is served all the same: a full disk must not stand in the way of a
    /// rollback. Until the next publication an edge that restarts alone would start from the one before.
    pub not_kept: Option<String>,
}

/// A publication is refused; what was in force stays in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Nack {
    /// Its generation is lower than the one in force.
    #[error("generation {offered} is older than generation {current}, which is in force")]
    Old {
        /// What was offered.
        offered: u64,
        /// What is in force.
        current: u64,
    },
    /// Its generation is the one in force, but the table is another one: two controllers, or a damaged one.
    #[error(
        "generation {generation} is in force with digest {current}, not {offered}: there are two writers"
    )]
    Conflict {
        /// The generation of both.
        generation: u64,
        /// Digest of the table in force.
        current: String,
        /// Digest of the table offered.
        offered: String,
    },
    /// It cannot be served as it is.
    #[error("generation {generation} cannot be served: {}", reasons.join("; "))]
    Unservable {
        /// What was offered.
        generation: u64,
        /// Everything that is wrong with it.
        reasons: Vec<String>,
    },
}

/// Checks a publication against the one in force and makes it ready. Loads what is new, reuses what is not.
///
/// `floor` is the highest generation this edge has ever taken, in this process or as its last good state says.
pub(crate) fn prepare(
    publication: Publication,
    current: &Live,
    floor: u64,
    site_memory: u64,
    stats: &Stats,
) -> Result<Live, Nack> {
    let table = &publication.table;
    let generation = table.generation;
    if let Err(error) = table.validate() {
        return Err(Nack::Unservable { generation, reasons: vec![error.to_string()] });
    }
    if generation < floor.max(current.table.generation) {
        return Err(Nack::Old { offered: generation, current: floor.max(current.table.generation) });
    }
    let digest = table.digest();
    if current.publication.is_some() && generation == current.table.generation && digest != current.digest {
        return Err(Nack::Conflict { generation, current: current.digest.clone(), offered: digest });
    }
    let mut reasons = Vec::new();
    if publication.settings.host.is_empty() {
        reasons.push("the settings name no host".to_owned());
    }
    let mut releases = BTreeMap::new();
    let blobs = &publication.serving.blobs;
    let same_blobs = current.publication.as_ref().is_some_and(|before| before.serving.blobs == *blobs);
    for (id, entry) in &table.releases {
        let Some(serving) = publication.serving.releases.get(id) else {
            if entry.state != ReleaseState::Closed {
                reasons
                    .push(format!("release {id} is {} but there is nothing to serve it with", entry.state));
            }
            continue;
        };
        let before = current.releases.get(id).map(AsRef::as_ref);
        check(id, serving, &mut reasons);
        match site(serving, blobs, before.filter(|_| same_blobs), site_memory) {
            Ok(site) => {
                let release = Release::new(*id, serving.clone(), site, before, stats);
                releases.insert(*id, Arc::new(release));
            }
            // A closed release serves nobody: it may be kept cold.
            Err(_) if entry.state == ReleaseState::Closed => {}
            Err(error) => reasons.push(format!("the site of release {id}: {error}")),
        }
    }
    if !reasons.is_empty() {
        return Err(Nack::Unservable { generation, reasons });
    }
    Ok(Live::new(Arc::new(publication), releases, digest))
}

fn site(
    serving: &ReleaseServing,
    blobs: &Path,
    before: Option<&Release>,
    memory: u64,
) -> Result<Option<Arc<Site>>, crate::site::LoadError> {
    let Some(manifest) = &serving.site else { return Ok(None) };
    if let Some(before) = before
        && let (Some(old), Some(site)) = (&before.serving.site, &before.site)
        && (Arc::ptr_eq(old, manifest) || old == manifest)
    {
        return Ok(Some(Arc::clone(site)));
    }
    Site::load(manifest, blobs, memory).map(|site| Some(Arc::new(site)))
}

fn check(id: &ReleaseId, serving: &ReleaseServing, reasons: &mut Vec<String>) {
    if serving.site.is_none() && serving.services.is_empty() {
        reasons.push(format!("release {id} has neither a site nor a service"));
    }
    let mut names = BTreeSet::new();
    for service in &serving.services {
        let ServiceServing { name, routes, upstream, health } = service;
        if !names.insert(name) {
            reasons.push(format!("release {id} has two services named {name}"));
        }
        if routes.is_empty() {
            reasons.push(format!("service {name} of release {id} has no routes"));
        }
        let port = upstream.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if !port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port != 0)) {
            reasons
                .push(format!("service {name} of release {id}: the upstream {upstream:?} is not host:port"));
        }
        if health.as_ref().is_some_and(|path| !path.starts_with('/') || http::Uri::try_from(path).is_err()) {
            reasons.push(format!("service {name} of release {id}: the health check is no path"));
        }
    }
}
