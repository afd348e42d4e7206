//! What caches in front of the edge, and in browsers, may keep.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

mod support;

use std::{collections::HashMap, net::SocketAddr};

use cutover_routing::{Pin, PreviewToken, ReleaseState};
use support::{
    BLUE, GREEN, HOST, NAVIGATE, Plan, api,
    client::{Reply, get, request},
    id, key, navigate, now, shop, start, temp,
    upstream::{TARGETED, Upstream},
};

/// What it is called, its method and its headers.
type Way = (&'static str, &'static str, Vec<(&'static str, &'static str)>);

/// Every way in which a document may be asked for.
fn ways() -> Vec<Way> {
    vec![
        ("navigation", "GET", navigate(&[])),
        ("prefetch", "GET", navigate(&[("sec-purpose", "prefetch")])),
        ("prefetched link", "GET", vec![("sec-purpose", "prefetch"), ("sec-fetch-dest", "empty")]),
        ("frame", "GET", vec![("sec-fetch-dest", "iframe"), ("sec-fetch-mode", "navigate")]),
        ("head", "HEAD", navigate(&[])),
        ("bare head", "HEAD", vec![]),
        ("fetch", "GET", vec![("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors"), ("accept", "*/*")]),
        ("tool", "GET", vec![("user-agent", "curl/8"), ("accept", "*/*")]),
        ("nothing said", "GET", vec![]),
    ]
}

#[test]
fn documents_and_redirects_are_private_whatever_they_are_asked_as() {
    let upstream = Upstream::start("blue");
    let edge = start();
    edge.publish(Plan::new(5).release(BLUE, ReleaseState::Active, api(&upstream.at())).done()).unwrap();
    for (way, method, headers) in ways() {
        for path in
            ["/api/page", "/api/redirect", "/api/missing", "/api/error", "/api/cdn-page", "/api/attachment"]
        {
            let reply = request(edge.local_addr(), method, path, &headers, b"");
            assert_eq!(reply.header("cache-control"), "private, no-cache", "{way} {path}");
            for name in TARGETED {
                assert_eq!(reply.all(name).count(), 0, "{way} {path} {name}");
            }
            assert_eq!(reply.all("expires").count(), 0, "{way} {path}");
        }
        let never = request(edge.local_addr(), method, "/api/no-store-page", &headers, b"");
        assert_eq!(
            (never.header("cache-control"), never.all("cdn-cache-control").count()),
            ("no-store", 0),
            "{way}"
        );
        let data = request(edge.local_addr(), method, "/api/data", &headers, b"");
        let theirs = (data.header("cache-control"), data.header("cdn-cache-control"));
        assert_eq!(
            theirs,
            ("public, max-age=600", "max-age=600"),
            "{way}: what is no document is the service's business"
        );
    }
    let untyped = get(edge.local_addr(), "/api/untyped", &NAVIGATE);
    assert_eq!(
        (untyped.header("cache-control"), untyped.all("cdn-cache-control").count()),
        ("private, no-cache", 0)
    );
}

#[test]
fn a_304_does_not_make_a_stored_document_public() {
    let upstream = Upstream::start("blue");
    let edge = start();
    edge.publish(Plan::new(5).release(BLUE, ReleaseState::Active, api(&upstream.at())).done()).unwrap();
    let pin = format!("cutover={}", Pin { release: id(BLUE), bucket: 7, generation: 5 });
    let known = navigate(&[("cookie", &pin), ("if-none-match", "\"1\"")]);
    let reply = get(edge.local_addr(), "/api/revalidated", &known);
    assert_eq!((reply.status, reply.header("cache-control")), (304, "private, no-cache"));
}

#[test]
fn files_of_a_staged_release_are_not_stored() {
    let blobs = temp();
    let edge = start();
    edge.publish(
        Plan::new(5)
            .blobs(blobs.path())
            .release(BLUE, ReleaseState::Active, shop(blobs.path(), "blue"))
            .release(GREEN, ReleaseState::Staged, shop(blobs.path(), "green"))
            .done(),
    )
    .unwrap();
    let token = PreviewToken { kid: "k1".into(), release: id(GREEN), expiry: now() + 60, tid: "t".into() };
    let cookie = format!("cutover-preview={}", token.sign_cookie(&key(), HOST));
    for path in ["/_r/green002/assets/green.js", "/assets/green.js"] {
        let file = get(edge.local_addr(), path, &[("cookie", &cookie)]);
        assert_eq!((file.status, file.header("cache-control")), (200, "no-store"), "{path}");
    }
}

/// The headers the answer varies by with their values, and the answer.
type Stored = (Vec<(String, String)>, Reply);

/// A shared cache that stores whatever it may (RFC 9111 section 3, RFC 9213), and asks again only if it must.
struct Cache {
    at: SocketAddr,
    stored: HashMap<String, Vec<Stored>>,
    hits: usize,
}

impl Cache {
    fn new(at: SocketAddr) -> Self {
        Self { at, stored: HashMap::new(), hits: 0 }
    }

    fn get(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> (Reply, bool) {
        let value = |name: &str| {
            headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| *value)
        };
        let fits = |vary: &[(String, String)]| vary.iter().all(|(name, have)| value(name) == have);
        if let Some((_, hit)) = self.stored.get(path).and_then(|all| all.iter().find(|(vary, _)| fits(vary)))
        {
            self.hits += 1;
            return (hit.clone(), true);
        }
        let reply = request(self.at, method, path, headers, b"");
        let targeted = TARGETED.iter().map(|name| reply.header(name)).find(|value| !value.is_empty());
        let control = targeted.unwrap_or(reply.header("cache-control")).to_ascii_lowercase();
        let has = |word: &str| control.split(',').any(|item| item.trim().starts_with(word));
        let cacheable =
            matches!(reply.status, 200 | 203 | 204 | 300 | 301 | 302 | 303 | 307 | 308 | 404 | 405 | 410);
        let fresh =
            has("max-age=") || has("s-maxage=") || !reply.header("expires").is_empty() || !has("no-cache");
        let vary = reply.header("vary").to_ascii_lowercase();
        if cacheable
            && fresh
            && !has("private")
            && !has("no-store")
            && !has("no-cache")
            && !vary.contains('*')
        {
            let names = vary.split(',').map(str::trim).filter(|name| !name.is_empty());
            let key = names.map(|name| (name.to_owned(), value(name).to_owned())).collect();
            self.stored.entry(path.to_owned()).or_default().push((key, reply.clone()));
        }
        (reply, false)
    }
}

#[test]
fn a_shared_cache_gives_nothing_of_the_old_release_but_its_fingerprinted_files() {
    let blobs = temp();
    let (blue_api, green_api) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = start();
    let serving = |name: &str, upstream: &Upstream| {
        let mut serving = shop(blobs.path(), name);
        serving.services = api(&upstream.at()).services;
        serving
    };
    let (blue, green) = (serving("blue", &blue_api), serving("green", &green_api));
    edge.publish(Plan::new(1).blobs(blobs.path()).release(BLUE, ReleaseState::Active, blue.clone()).done())
        .unwrap();
    let documents = [
        "/",
        "/docs/",
        "/docs",
        "/some/route",
        "/api/page",
        "/api/cdn-page",
        "/api/no-store-page",
        "/api/redirect",
        "/api/untyped",
        "/api/missing",
        "/api/error",
        "/assets/none.js",
        "/api/hostile",
        "/robots.txt",
    ];
    let mut cache = Cache::new(edge.local_addr());
    for (_, method, headers) in ways() {
        for path in documents {
            cache.get(method, path, &headers);
        }
        cache.get("GET", "/assets/blue.js", &[]);
    }
    assert!(
        !cache
            .stored
            .values()
            .flatten()
            .any(|(_, reply)| reply.all("set-cookie").any(|line| line.contains("cutover")))
    );
    edge.publish(
        Plan::new(2)
            .blobs(blobs.path())
            .release(BLUE, ReleaseState::Draining, blue)
            .release(GREEN, ReleaseState::Active, green)
            .done(),
    )
    .unwrap();
    cache.hits = 0;
    for (way, method, headers) in ways() {
        for path in documents {
            let (reply, stored) = cache.get(method, path, &headers);
            assert!(!stored, "{way} {path} came from the cache: {reply:?}");
            assert_eq!(reply.release(), GREEN, "{way} {path}");
        }
    }
    assert_eq!(cache.hits, 0);
    let (chunk, stored) = cache.get("GET", "/assets/blue.js", &[]);
    assert!(stored && chunk.text().contains("blue"), "fingerprinted files stay");
    assert_eq!(chunk.all("set-cookie").count(), 0);
}
