//! What the edge's tests share: a small upstream, a client that shows the bytes as they are, publications.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses a part of it")]

pub mod client;
pub mod upstream;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use cutover_edge::{
    Blob, Edge, EdgeOptions, Publication, ReleaseServing, ServiceServing, ServingSet, SiteFile, SiteManifest,
    Timeouts,
};
use cutover_routing::{Entry, PathPattern, PreviewKey, ReleaseId, ReleaseState, Settings, Table};
use sha2::{Digest, Sha256};

pub const BLUE: &str = "blue0001";
pub const GREEN: &str = "green002";
pub const HOST: &str = "shop.example";

pub fn id(text: &str) -> ReleaseId {
    text.parse().unwrap()
}

/// Options for a test: a free port, two workers, short deadlines that are still far from the tests' own pace.
pub fn options() -> EdgeOptions {
    EdgeOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        workers: 2,
        timeouts: Timeouts { health_interval: Duration::from_millis(50), ..Timeouts::default() },
        ..EdgeOptions::default()
    }
}

pub fn start() -> Edge {
    Edge::start(options()).unwrap()
}

/// Waits until something is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A publication in the making.
pub struct Plan {
    pub table: Table,
    pub settings: Settings,
    pub serving: ServingSet,
}

impl Plan {
    pub fn new(generation: u64) -> Self {
        let mut settings = Settings::new(HOST);
        settings.keys.push(key());
        Self { table: Table { generation, ..Table::empty() }, settings, serving: ServingSet::default() }
    }

    pub fn release(mut self, release: &str, state: ReleaseState, serving: ReleaseServing) -> Self {
        self.table.releases.insert(id(release), Entry { state, slot: None });
        if state == ReleaseState::Active {
            self.table.default = Some(id(release));
        }
        self.serving.releases.insert(id(release), serving);
        self
    }

    pub fn blobs(mut self, blobs: &Path) -> Self {
        self.serving.blobs = blobs.to_owned();
        self
    }

    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    pub fn done(self) -> Publication {
        Publication { table: self.table, settings: self.settings, serving: self.serving }
    }
}

pub fn key() -> PreviewKey {
    PreviewKey { kid: "k1".into(), secret: vec![7; 32] }
}

/// One service `api` on everything below `/api`.
pub fn api(upstream: &str) -> ReleaseServing {
    service(upstream, "/api/*", None)
}

pub fn service(upstream: &str, route: &str, health: Option<&str>) -> ReleaseServing {
    ReleaseServing {
        site: None,
        services: vec![ServiceServing {
            name: "api".into(),
            routes: vec![PathPattern::parse(route).unwrap()],
            upstream: upstream.into(),
            health: health.map(str::to_owned),
        }],
    }
}

/// A site of files; those below `/assets/` are fingerprinted.
pub fn site(blobs: &Path, files: &[(&str, &str)]) -> Arc<SiteManifest> {
    let mut manifest = SiteManifest { files: BTreeMap::new(), fallback: Some("/index.html".into()) };
    for (path, content) in files {
        let sha256: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        let blob = Blob { sha256, size: content.len() as u64 };
        let file = blob.path(blobs);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
        let html = path.ends_with(".html");
        let content_type = match path.rsplit('.').next().unwrap_or_default() {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            _ => "application/octet-stream",
        };
        manifest.files.insert(
            (*path).into(),
            SiteFile {
                content_type: content_type.into(),
                fingerprinted: path.starts_with("/assets/"),
                html,
                identity: blob,
                br: None,
                zstd: None,
                gzip: None,
            },
        );
    }
    Arc::new(manifest)
}

/// A release with a page that names itself and one hashed chunk.
pub fn shop(blobs: &Path, name: &str) -> ReleaseServing {
    let page = format!("<!doctype html><title>{name}</title>");
    let (chunk, content) = (format!("/assets/{name}.js"), format!("export default '{name}'"));
    let site = site(
        blobs,
        &[("/index.html", &page), (&chunk, &content), ("/robots.txt", name), ("/docs/index.html", &page)],
    );
    ReleaseServing { site: Some(site), services: Vec::new() }
}

/// A browser's navigation.
pub const NAVIGATE: [(&str, &str); 3] =
    [("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate"), ("accept", "text/html")];

/// The same with more headers.
pub fn navigate<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    NAVIGATE.iter().chain(more).copied().collect()
}

pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// A log of what the edge says about itself, for tests that want it to be loud.
pub fn temp() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}
