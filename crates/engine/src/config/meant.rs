//! The app description as meant: every value checked, every default filled in, every path absolute.
//!
//! The rest of Cutover reads these types only; how they are written in `cutover.toml` is not its business.

mod gate;
mod rollout;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use cutover_routing::{AudienceRule, Cookieless, PathPattern, Policy};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub(crate) use gate::Sort;
pub use gate::{
    ApprovalGate, CompareGate, EdgeMetric, Gate, GateAt, GateKind, LoadGate, Measure, MetricsGate,
    MetricsSource,
};
pub(super) use rollout::DEFAULT_SLOW;
pub use rollout::{
    After, Drain, LowTraffic, NotLowTraffic, Profile, ReadinessPolicy, RolloutConfig, StrategyText,
};

/// One app, as `cutover.toml` describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct AppConfig {
    /// The file it was read from.
    pub file: PathBuf,
    /// The directory of that file: relative paths in it start here.
    pub base: PathBuf,
    /// The app's name, `[a-z][a-z0-9-]*`.
    pub app: String,
    /// The host visitors use, lower case, without port.
    pub host: String,
    /// Releases retained at once, at least 2.
    pub keep: u32,
    /// The static site, if the app has one.
    pub site: Option<SiteConfig>,
    /// The services, in the order written. An app has a site or at least one service.
    pub services: Vec<ServiceConfig>,
    /// How visitors are held on a release.
    pub routing: RoutingConfig,
    /// Where this machine listens; belongs to `up`, not to a release.
    pub edge: EdgeConfig,
    /// What visitors read when no release can serve.
    pub outage: OutageConfig,
    /// How a release replaces another.
    pub rollout: RolloutConfig,
    /// Checks on a release before visitors come, in the order written.
    pub gates: Vec<Gate>,
}

/// The static site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteConfig {
    /// Absolute directory of the build output.
    pub dir: PathBuf,
    /// File that answers navigations to paths nobody owns, relative to `dir`, e.g. `index.html`.
    pub fallback: Option<String>,
    /// Globs of the paths that name their content, relative to `dir`; see [`super::Globs`].
    pub fingerprinted: Vec<String>,
    /// A bundler's manifest whose files are fingerprinted too, relative to `dir`.
    pub manifest: Option<String>,
    /// Whether documents get the release marker and `visit.js`, which keep tabs on different releases apart.
    pub tabs: bool,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Its name, `[a-z][a-z0-9-]*`, unique.
    pub name: String,
    /// Paths it owns; at least one, none owned twice.
    pub routes: Vec<PathPattern>,
    /// Who runs it.
    pub source: Source,
    /// Path that answers 2xx when the service can serve; none: an accepted connection is enough.
    pub health: Option<String>,
    /// How long it may take from start to healthy.
    pub start_timeout: Duration,
    /// How long it may take from being asked to stop until it is ended.
    pub stop_timeout: Duration,
    /// Variables added to its environment.
    pub env: BTreeMap<String, String>,
}

/// Who runs a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Cutover does, from a copy of a directory.
    Process {
        /// Absolute directory that is copied into the release.
        dir: PathBuf,
        /// Shell command that runs in the copy.
        run: String,
    },
    /// Somebody else does, at one fixed address per slot.
    Upstream(Upstream),
}

/// The fixed addresses of a service that somebody else runs, each `host:port`, spoken to in clear HTTP/1.1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// The address in slot blue.
    pub blue: String,
    /// The address in slot green.
    pub green: String,
}

/// How visitors are held on a release.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RoutingConfig {
    /// When a visitor moves to the release their bucket points to.
    pub policy: Policy,
    /// What requests without a cookie get.
    pub cookieless: Cookieless,
    /// Paths on which a servable pin is always kept.
    pub keep: Vec<PathPattern>,
    /// Rules that send some visitors to a release of their own, first match wins.
    pub audiences: Vec<AudienceRule>,
    /// Whether previews may install service workers.
    pub preview_service_worker: bool,
}

/// Where this machine listens.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeConfig {
    /// Address for visitors.
    pub listen: SocketAddr,
    /// Address of the control API.
    pub control: SocketAddr,
    /// Certificate and key, where TLS ends here.
    pub tls: Option<TlsConfig>,
    /// The scheme visitors use, which is https behind a TLS balancer too.
    pub scheme: Scheme,
    /// Proxies in front whose `Forwarded` and `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Worker threads; none: one per core.
    pub workers: Option<usize>,
    /// Where the access log goes.
    pub access_log: AccessLog,
}

/// Certificate files, PEM, absolute paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate, followed by its chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The scheme visitors use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTPS: cookies are `Secure`.
    Https,
}

impl Scheme {
    /// Whether cookies may be `Secure`.
    pub fn secure(self) -> bool {
        self == Self::Https
    }

    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// Standard output, one JSON line per request.
    Stdout,
    /// Appended to a file, absolute path.
    File(PathBuf),
}

/// What visitors read when no release can serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageConfig {
    /// One or two sentences.
    pub message: String,
    /// Where to ask, one line each.
    pub contacts: Vec<String>,
}
