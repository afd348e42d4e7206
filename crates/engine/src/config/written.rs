//! The app description as written: the keys of `cutover.toml` and what sort of value each takes, nothing more.
//!
//! These types are the source of the published JSON Schema, and of the shape check that runs before them; a field that
//! is an `Option` only to be checked later is marked `required` for both. Doc comments here are what editors show.

use std::collections::BTreeMap;

use cutover_routing::{Cookieless, Policy};
use schemars::JsonSchema;
use serde::Deserialize;

use super::place::At;

mod gate;

pub(super) use gate::{
    ApprovalGate, CompareGate, EdgeMetric, Gate, HttpGate, LoadGate, Measure, MetricsGate,
};

/// Describes one app to Cutover: what it consists of, how it is routed, and how releases replace each other.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "cutover.toml")]
pub(super) struct File {
    /// The app's name: lower-case letters, digits and dashes.
    #[schemars(required)]
    pub(super) app: Option<At<String>>,
    /// The host visitors use, without scheme and port.
    #[schemars(required)]
    pub(super) host: Option<At<String>>,
    /// Releases retained at once; 3 where nothing is said. Belongs to `up`, not to a release.
    #[schemars(range(min = 2, max = 100))]
    pub(super) keep: Option<At<i64>>,
    /// The static site.
    pub(super) site: Option<At<Site>>,
    /// A service: something that answers HTTP below some paths.
    #[serde(default)]
    pub(super) service: Vec<At<Service>>,
    /// How visitors are held on a release.
    #[serde(default)]
    pub(super) routing: Routing,
    /// Where this machine listens. Belongs to `up`, not to a release.
    #[serde(default)]
    pub(super) edge: Edge,
    /// What visitors read when no release can serve.
    #[serde(default)]
    pub(super) outage: Outage,
    /// How a release replaces another.
    #[serde(default)]
    pub(super) rollout: Rollout,
    /// A check on a release: before visitors come, while they move, or after.
    #[serde(default)]
    pub(super) gate: Vec<At<Gate>>,
}

/// The static site.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Site {
    /// Directory of the build output, relative to this file.
    #[schemars(required)]
    pub(super) dir: Option<At<String>>,
    /// File in `dir` that answers navigations to paths nobody owns: a single-page app's `index.html`.
    pub(super) fallback: Option<At<String>>,
    /// Globs of files whose path names their content (a content hash), relative to `dir`: cached for ever.
    #[serde(default)]
    pub(super) fingerprinted: Vec<At<String>>,
    /// A bundler's manifest in `dir` (JSON) whose files are fingerprinted too.
    pub(super) manifest: Option<At<String>>,
    /// Whether documents get the release marker and `visit.js`, which keep tabs on different releases apart; true where
    /// nothing is said.
    pub(super) tabs: Option<bool>,
}

/// A service: either `dir` and `run`, or `upstream`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    /// Its name: lower-case letters, digits and dashes.
    #[schemars(required)]
    pub(super) name: Option<At<String>>,
    /// Paths it owns, e.g. `/api/*`, which is `/api` and everything below.
    #[schemars(required)]
    pub(super) routes: Option<At<Vec<At<String>>>>,
    /// Directory that is copied into the release, relative to this file.
    pub(super) dir: Option<At<String>>,
    /// Command that runs in the copy. It gets PORT, CUTOVER_RELEASE, CUTOVER_COMPONENT and CUTOVER_DATA.
    pub(super) run: Option<At<String>>,
    /// Fixed addresses of a service that somebody else runs.
    pub(super) upstream: Option<At<Upstream>>,
    /// Path that answers 2xx when the service can serve.
    pub(super) health: Option<At<String>>,
    /// How long it may take from start to healthy; `30s` where nothing is said.
    pub(super) start_timeout: Option<At<String>>,
    /// How long it may take to stop when asked, then it is ended; `10s` where nothing is said.
    pub(super) stop_timeout: Option<At<String>>,
    /// Variables added to its environment. No place for secrets: they are kept with the release.
    #[serde(default)]
    pub(super) env: BTreeMap<String, At<String>>,
}

/// Fixed addresses, one per slot.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Upstream {
    /// Address in slot blue, e.g. `http://10.0.0.5:3000`.
    #[schemars(required)]
    pub(super) blue: Option<At<String>>,
    /// Address in slot green.
    #[schemars(required)]
    pub(super) green: Option<At<String>>,
}

/// How visitors are held on a release.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Routing {
    /// When a visitor follows a promotion; `navigation` where nothing is said.
    pub(super) policy: Option<Policy>,
    /// What requests without a cookie get; `default` where nothing is said.
    pub(super) cookieless: Option<Cookieless>,
    /// Paths on which a visitor's release is always kept, such as login callbacks.
    #[serde(default)]
    pub(super) keep: Vec<At<String>>,
    /// Whether previews may install service workers; false where nothing is said.
    pub(super) preview_service_worker: Option<bool>,
    /// Visitors who get a release of their own; the first rule that matches decides.
    #[serde(default)]
    pub(super) audience: Vec<At<Audience>>,
}

/// An audience: a name and exactly one condition.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Audience {
    /// Its name: lower-case letters, digits and dashes.
    #[schemars(required)]
    pub(super) name: Option<At<String>>,
    /// The path matches, e.g. `/beta/*`.
    pub(super) path: Option<At<String>>,
    /// A request header is there, with this value if one is given.
    pub(super) header: Option<At<Pair>>,
    /// A cookie is there, with this value if one is given.
    pub(super) cookie: Option<At<Pair>>,
    /// A query parameter is there, with this value if one is given.
    pub(super) query: Option<At<Pair>>,
    /// The country a trusted proxy reports is one of these (ISO 3166-1 alpha-2).
    pub(super) country: Option<At<Vec<At<String>>>>,
    /// The visitor's address is inside one of these networks.
    pub(super) cidr: Option<At<Vec<At<String>>>>,
}

/// A name and perhaps a value.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Pair {
    /// The name.
    #[schemars(required)]
    pub(super) name: Option<At<String>>,
    /// The exact value; where it is absent, any value will do.
    pub(super) value: Option<At<String>>,
}

/// Where this machine listens.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Edge {
    /// Address and port for visitors; `127.0.0.1:8080` where nothing is said.
    pub(super) listen: Option<At<String>>,
    /// Address and port of the control API; `127.0.0.1:9400` where nothing is said.
    pub(super) control: Option<At<String>>,
    /// Certificate and key, where TLS ends here.
    pub(super) tls: Option<At<Tls>>,
    /// The scheme visitors use: `https` with `tls` or behind a TLS balancer.
    pub(super) scheme: Option<At<Scheme>>,
    /// Addresses or networks of proxies in front whose forwarding headers are believed.
    #[serde(default)]
    pub(super) trusted_proxies: Vec<At<String>>,
    /// Worker threads; one per core where nothing is said.
    #[schemars(range(min = 1, max = 1024))]
    pub(super) workers: Option<At<i64>>,
    /// Where the access log goes: `off`, `stdout` or a file relative to this one; `off` where nothing is said.
    pub(super) access_log: Option<At<String>>,
}

/// PEM files, relative to this file; read again when they change.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    /// The certificate followed by its chain.
    #[schemars(required)]
    pub(super) cert: Option<At<String>>,
    /// The private key.
    #[schemars(required)]
    pub(super) key: Option<At<String>>,
}

/// The scheme visitors use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTPS.
    Https,
}

/// What visitors read when no release can serve.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Outage {
    /// One or two sentences.
    pub(super) message: Option<At<String>>,
    /// Where to ask, one line each.
    #[serde(default)]
    pub(super) contacts: Vec<At<String>>,
}

/// How a release replaces another.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rollout {
    /// Where what is not written comes from; `quick` where nothing is said.
    pub(super) profile: Option<At<Profile>>,
    /// In which steps visitors move: `instant`, `5%, 25%, 100%`, `canary(10%, 5m)`, `linear(10%, 1m)`, or a name of
    /// CodeDeploy.
    pub(super) strategy: Option<At<String>>,
    /// How long each step of a gradual strategy is held at least; `2m` where nothing is said.
    pub(super) hold: Option<At<String>>,
    /// How long both releases are kept warm and watched after promotion; `10m` where nothing is said, `0s`: not at all.
    pub(super) bake: Option<At<String>>,
    /// When the release that was left is closed.
    pub(super) drain: Option<At<Drain>>,
    /// What becomes of it then; `retire` where nothing is said.
    pub(super) after: Option<After>,
    /// An answer that takes longer is slow; `1s` where nothing is said.
    pub(super) slow: Option<At<String>>,
    /// What gates do that have too little evidence when a hold is over: `hold`, `extend 10m`, `ask` or `synthetic`;
    /// `hold` where nothing is said.
    pub(super) low_traffic: Option<At<String>>,
    /// What a promotion does while a rollback would not be possible; `warn` where nothing is said.
    pub(super) readiness: Option<Readiness>,
}

/// Defaults for rollouts.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Profile {
    /// Everybody at once, after the gates.
    Quick,
    /// In four steps, errors and slow answers compared.
    Standard,
    /// In six long steps, compared with rarer mistakes of the judge.
    Paranoid,
}

/// What a promotion does while a rollback would not be possible.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Readiness {
    /// Says so and goes on.
    Warn,
    /// Does not promote.
    Refuse,
}

/// When a release that was left is closed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Drain {
    /// After no request and no open stream for this long; `10m` where nothing is said.
    pub(super) quiet: Option<At<String>>,
    /// After this long at the latest; `24h` where nothing is said.
    pub(super) at_most: Option<At<String>>,
}

/// What becomes of a drained release.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum After {
    /// Its services end, and beyond `keep` its files go.
    Retire,
    /// It stays warm, ready for a rollback.
    Standby,
}
