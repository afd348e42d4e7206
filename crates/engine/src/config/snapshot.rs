//! What a release keeps of the app description it was staged from, so that blue keeps blue's routes and gates.
//!
//! Paths of the machine that staged it are not part of it: the same content has the same id everywhere.

use std::{collections::BTreeMap, time::Duration};

use cutover_routing::{PathPattern, PreviewKey, Settings};
use serde::{Deserialize, Serialize};

use super::{
    duration,
    meant::{AppConfig, Gate, OutageConfig, RolloutConfig, RoutingConfig, Source, Upstream},
};

/// Version of the written form; a reader refuses those it does not know.
const FORMAT: u32 = 1;

/// Everything of the app description but `[edge]` and `keep`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Version of this form.
    #[serde(deserialize_with = "known_format")]
    format: u32,
    /// The app's name.
    pub app: String,
    /// The host visitors use.
    pub host: String,
    /// The static site, if there is one.
    pub site: Option<SiteSnapshot>,
    /// The services, by name.
    pub services: Vec<ServiceSnapshot>,
    /// How visitors are held on a release.
    pub routing: RoutingConfig,
    /// What visitors read when no release can serve.
    pub outage: OutageConfig,
    /// How a release replaces another.
    pub rollout: RolloutConfig,
    /// Checks before visitors come.
    pub gates: Vec<Gate>,
}

/// The static site without its place on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteSnapshot {
    /// See [`super::SiteConfig::fallback`].
    pub fallback: Option<String>,
    /// See [`super::SiteConfig::fingerprinted`].
    pub fingerprinted: Vec<String>,
    /// See [`super::SiteConfig::manifest`].
    pub manifest: Option<String>,
    /// See [`super::SiteConfig::tabs`].
    pub tabs: bool,
}

/// One service without its place on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSnapshot {
    /// Its name.
    pub name: String,
    /// Paths it owns.
    pub routes: Vec<PathPattern>,
    /// Who runs it.
    pub source: SourceSnapshot,
    /// Path of its health check.
    pub health: Option<String>,
    /// How long it may take from start to healthy.
    #[serde(with = "duration::serde_text")]
    pub start_timeout: Duration,
    /// How long it may take to stop.
    #[serde(with = "duration::serde_text")]
    pub stop_timeout: Duration,
    /// Variables added to its environment.
    pub env: BTreeMap<String, String>,
}

/// Who runs a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceSnapshot {
    /// Cutover does, in the release's own copy of the directory.
    Process {
        /// Shell command.
        run: String,
    },
    /// Somebody else does.
    Upstream(Upstream),
}

impl Snapshot {
    /// What a release staged from this description keeps.
    pub fn of(config: &AppConfig) -> Self {
        let mut services: Vec<_> = config
            .services
            .iter()
            .map(|service| ServiceSnapshot {
                name: service.name.clone(),
                routes: service.routes.clone(),
                source: match &service.source {
                    Source::Process { run, .. } => SourceSnapshot::Process { run: run.clone() },
                    Source::Upstream(upstream) => SourceSnapshot::Upstream(upstream.clone()),
                },
                health: service.health.clone(),
                start_timeout: service.start_timeout,
                stop_timeout: service.stop_timeout,
                env: service.env.clone(),
            })
            .collect();
        services.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            format: FORMAT,
            app: config.app.clone(),
            host: config.host.clone(),
            site: config.site.as_ref().map(|site| SiteSnapshot {
                fallback: site.fallback.clone(),
                fingerprinted: site.fingerprinted.clone(),
                manifest: site.manifest.clone(),
                tabs: site.tabs,
            }),
            services,
            routing: config.routing.clone(),
            outage: config.outage.clone(),
            rollout: config.rollout.clone(),
            gates: config.gates.clone(),
        }
    }

    /// The bytes that stand for this snapshot in a release's digest: the same for the same meaning, however the file
    /// was laid out.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        // Field order is the order of declaration and every map is sorted, so that serde_json is already canonical.
        // Nothing in it can fail to serialise: all keys are strings.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The settings the routing decision reads when this release's description is in force.
    pub fn settings(&self, host: &str, secure: bool, keys: Vec<PreviewKey>) -> Settings {
        let mut settings = Settings::new(host);
        settings.secure = secure;
        settings.policy = self.routing.policy;
        settings.cookieless = self.routing.cookieless;
        settings.keep = self.routing.keep.clone();
        settings.audiences = self.routing.audiences.clone();
        settings.keys = keys;
        settings.preview_service_worker = self.routing.preview_service_worker;
        settings
    }
}

impl AppConfig {
    /// What a release staged from this description keeps of it.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(self)
    }
}

fn known_format<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let format = u32::deserialize(from)?;
    if format == FORMAT {
        return Ok(format);
    }
    Err(serde::de::Error::custom(format!(
        "the release's description has format {format}; this version of Cutover reads format {FORMAT}"
    )))
}
