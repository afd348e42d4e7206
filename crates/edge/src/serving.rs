//! The serving set: what an edge needs beside the table to serve the releases the table names.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use cutover_routing::{PathPattern, ReleaseId, Settings, Table};
use serde::{Deserialize, Serialize};

use crate::manifest::SiteManifest;

/// Everything an edge needs to serve: one immutable document, swapped whole.
///
/// It is what [`crate::Edge::publish`] takes, and what is kept on disk as the last good state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Publication {
    /// The routing table.
    pub table: Table,
    /// The settings `decide` reads beside the table. The preview keys in it are secrets: the file is kept 0600.
    pub settings: Settings,
    /// How each release of the table is served.
    pub serving: ServingSet,
}

/// Release to manifest and upstreams.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServingSet {
    /// Directory of the content-addressed blobs that manifests point to.
    pub blobs: PathBuf,
    /// One entry for every release the table names, except closed ones that are kept cold.
    pub releases: BTreeMap<ReleaseId, ReleaseServing>,
}

/// How one release is served.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReleaseServing {
    /// The static site, if the app has one. Shared, because a publication is cloned on every switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Arc<SiteManifest>>,
    /// The services, most specific routes decide whatever the order.
    #[serde(default)]
    pub services: Vec<ServiceServing>,
}

/// One service of one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceServing {
    /// The component's name.
    pub name: String,
    /// Paths it owns, before the site.
    pub routes: Vec<PathPattern>,
    /// `host:port` of the upstream, spoken to in clear HTTP/1.1.
    pub upstream: String,
    /// Path of the health check; none means that only passive health counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
}
