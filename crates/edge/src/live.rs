//! A publication made ready to serve: everything a request needs is looked up, nothing is computed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use cutover_routing::{PathPattern, ReleaseId, Settings, Table};
use http::HeaderValue;

use crate::{
    serving::{Publication, ReleaseServing, ServiceServing},
    site::Site,
    stats::{ReleaseStats, SERVICES, Stats},
    upstream::Upstream,
};

/// The publication in force.
pub(crate) struct Live {
    /// None before the first.
    pub(crate) publication: Option<Arc<Publication>>,
    pub(crate) table: Table,
    pub(crate) settings: Settings,
    pub(crate) digest: String,
    pub(crate) releases: BTreeMap<ReleaseId, Arc<Release>>,
    /// Fingerprinted path to a servable release that has it.
    commons: HashMap<Box<str>, Arc<Release>>,
    /// The answer of `/.cutover/state`.
    pub(crate) state: Bytes,
}

/// One release, ready.
pub(crate) struct Release {
    pub(crate) id: ReleaseId,
    /// Value of `x-cutover-release`.
    pub(crate) header: HeaderValue,
    pub(crate) serving: ReleaseServing,
    pub(crate) site: Option<Arc<Site>>,
    pub(crate) services: Vec<Service>,
    /// Most specific first.
    routes: Vec<(PathPattern, usize)>,
    pub(crate) stats: Arc<ReleaseStats>,
}

/// One service, ready.
pub(crate) struct Service {
    pub(crate) name: String,
    /// Value of `x-cutover-component`.
    pub(crate) header: HeaderValue,
    /// Its index among the counters.
    pub(crate) component: usize,
    pub(crate) upstream: Arc<Upstream>,
}

impl Release {
    /// Makes a release ready; upstreams that have not changed are kept, with their health and their connections.
    pub(crate) fn new(
        id: ReleaseId,
        serving: ReleaseServing,
        site: Option<Arc<Site>>,
        before: Option<&Release>,
        stats: &Stats,
    ) -> Self {
        let names: Vec<String> = serving.services.iter().map(|service| service.name.clone()).collect();
        let services: Vec<Service> = serving
            .services
            .iter()
            .enumerate()
            .map(|(index, service)| Service {
                name: service.name.clone(),
                header: HeaderValue::try_from(&service.name).unwrap_or(HeaderValue::from_static("service")),
                component: SERVICES + index,
                upstream: upstream(service, before),
            })
            .collect();
        let mut routes: Vec<(PathPattern, usize)> = serving
            .services
            .iter()
            .enumerate()
            .flat_map(|(index, service)| service.routes.iter().map(move |route| (route.clone(), index)))
            .collect();
        // Stable, so that of two equal ones the first written wins.
        routes.sort_by_key(|(route, _)| std::cmp::Reverse(route.specificity()));
        Self {
            id,
            header: HeaderValue::try_from(id.as_str()).unwrap_or(HeaderValue::from_static("unknown")),
            site,
            services,
            routes,
            stats: stats.of(id, &names),
            serving,
        }
    }

    /// The service that owns a normalised path.
    pub(crate) fn service(&self, path: &str) -> Option<&Service> {
        let (_, index) = self.routes.iter().find(|(route, _)| route.matches(path))?;
        self.services.get(*index)
    }

    /// True where every component can serve, as far as is known.
    pub(crate) fn healthy(&self) -> bool {
        self.services.iter().all(|service| service.upstream.healthy())
    }
}

fn upstream(service: &ServiceServing, before: Option<&Release>) -> Arc<Upstream> {
    before
        .and_then(|release| release.services.iter().find(|old| old.name == service.name))
        .map(|old| &old.upstream)
        .filter(|old| old.authority == service.upstream && old.check == service.health)
        .cloned()
        .unwrap_or_else(|| Arc::new(Upstream::new(service.upstream.clone(), service.health.clone())))
}

impl Live {
    /// Before the first publication.
    pub(crate) fn none() -> Self {
        let table = Table::empty();
        Self {
            publication: None,
            state: state(&table),
            digest: table.digest(),
            table,
            settings: Settings::new(""),
            releases: BTreeMap::new(),
            commons: HashMap::new(),
        }
    }

    pub(crate) fn new(
        publication: Arc<Publication>,
        releases: BTreeMap<ReleaseId, Arc<Release>>,
        digest: String,
    ) -> Self {
        let table = publication.table.clone();
        let mut commons = HashMap::new();
        // The active release first: most open pages are its own.
        let rest = releases.keys().filter(|id| Some(**id) != table.default);
        for id in table.default.iter().chain(rest).filter(|id| table.servable(id)) {
            let Some(release) = releases.get(id) else { continue };
            for path in release.site.iter().flat_map(|site| site.fingerprinted_paths()) {
                commons.entry(path.into()).or_insert_with(|| Arc::clone(release));
            }
        }
        let settings = publication.settings.clone();
        Self {
            state: state(&table),
            publication: Some(publication),
            table,
            settings,
            digest,
            releases,
            commons,
        }
    }

    /// The release new visitors get.
    pub(crate) fn default(&self) -> Option<&Arc<Release>> {
        self.table.default.as_ref().and_then(|id| self.releases.get(id))
    }

    /// A servable release that has this fingerprinted file.
    pub(crate) fn common(&self, path: &str) -> Option<&Arc<Release>> {
        self.commons.get(path)
    }
}

fn state(table: &Table) -> Bytes {
    let state = serde_json::json!({ "generation": table.generation, "default": table.default });
    state.to_string().into()
}
