//! Metrics and the access log.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

mod support;

use cutover_edge::{AccessLog, Edge, EdgeOptions};
use cutover_routing::ReleaseState;
use support::{
    BLUE, GREEN, HOST, NAVIGATE, Plan, api,
    client::{get, raw, request},
    id, key, navigate, now, options, shop, start, temp, until,
    upstream::Upstream,
};

#[test]
fn requests_are_counted_by_release_component_asker_kind_and_class() {
    let blobs = temp();
    let upstream = Upstream::start("blue");
    let edge = start();
    let mut blue = shop(blobs.path(), "blue");
    blue.services = api(&upstream.at()).services;
    edge.publish(
        Plan::new(5)
            .blobs(blobs.path())
            .release(BLUE, ReleaseState::Active, blue)
            .release(GREEN, ReleaseState::Staged, shop(blobs.path(), "green"))
            .done(),
    )
    .unwrap();
    let at = edge.local_addr();
    get(at, "/", &NAVIGATE);
    get(at, "/", &navigate(&[("user-agent", "Googlebot/2.1")]));
    get(at, "/api/version", &[]);
    get(at, "/api/error", &NAVIGATE);
    get(at, "/none.js", &[]);
    get(at, "/.cutover/state", &[]);
    raw(at, b"GET / HTTP/1.1\r\n\r\n");
    let token = cutover_routing::PreviewToken {
        kid: "k1".into(),
        release: id(GREEN),
        expiry: now() + 60,
        tid: "t".into(),
    };
    get(at, "/", &navigate(&[("cookie", &format!("cutover-preview={}", token.sign_cookie(&key(), HOST)))]));
    until("all are counted", || {
        edge.metrics().contains("cutover_requests_in_flight{release=\"blue0001\"} 0")
    });
    let metrics = edge.metrics();
    let of = |release, component, who, kind, class| {
        format!(
            "cutover_requests_total{{release=\"{release}\",component=\"{component}\",who=\"{who}\",kind=\"{kind}\",class=\"{class}\"}}"
        )
    };
    for (series, count) in [
        (of(BLUE, "site", "visitor", "navigation", "2xx"), 1),
        (of(BLUE, "site", "bot", "navigation", "2xx"), 1),
        (of(BLUE, "api", "visitor", "sub", "2xx"), 1),
        (of(BLUE, "api", "visitor", "navigation", "5xx"), 1),
        (of(BLUE, "site", "visitor", "sub", "4xx"), 1),
        (of(GREEN, "site", "preview", "navigation", "2xx"), 1),
        (of("none", "edge", "visitor", "sub", "2xx"), 1),
        (of("none", "edge", "visitor", "sub", "4xx"), 1),
        ("cutover_request_duration_seconds_count{release=\"blue0001\"}".into(), 5),
        ("cutover_request_duration_seconds_bucket{release=\"blue0001\",le=\"+Inf\"}".into(), 5),
        ("cutover_pins_set_total{release=\"blue0001\"}".into(), 1),
        ("cutover_release_state{release=\"green002\",state=\"staged\"}".into(), 1),
        ("cutover_component_healthy{release=\"blue0001\",component=\"api\"}".into(), 1),
        ("cutover_table_generation".into(), 5),
        ("cutover_publications_refused_total".into(), 0),
    ] {
        assert!(
            metrics.lines().any(|line| line == format!("{series} {count}")),
            "{series} {count} is not in\n{metrics}"
        );
    }
    let usage = edge.usage(&id(BLUE));
    assert_eq!((usage.requests, usage.server_errors, usage.previews), (5, 1, 0));
    assert!(usage.last_request_at.unwrap() / 1000 >= now() - 30);
    // Every line is a comment or a sample, and every sample's name is announced.
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = series.split('{').next().unwrap();
        let base =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(
            metrics.contains(&format!("# TYPE {base} ")) || metrics.contains(&format!("# TYPE {name} ")),
            "{line}"
        );
    }
}

#[test]
fn the_access_log_has_a_line_for_every_request_and_no_queries() {
    let (state, blobs) = (temp(), temp());
    let upstream = Upstream::start("blue");
    let file = state.path().join("access.log");
    let edge = Edge::start(EdgeOptions { access_log: AccessLog::File(file.clone()), ..options() }).unwrap();
    let mut blue = shop(blobs.path(), "blue");
    blue.services = api(&upstream.at()).services;
    edge.publish(Plan::new(5).blobs(blobs.path()).release(BLUE, ReleaseState::Active, blue).done()).unwrap();
    let at = edge.local_addr();
    get(at, "/?secret=1", &NAVIGATE);
    get(at, "/api/version?secret=1", &[]);
    get(at, "/.cutover/preview?token=secret", &[]);
    get(at, "/a\"%22b", &[]);
    request(at, "HEAD", "/robots.txt", &[], b"");
    raw(at, b"GET /refused HTTP/1.1\r\n\r\n");
    let read = || std::fs::read_to_string(&file).unwrap();
    until("all are written", || read().lines().count() == 6);
    let log = read();
    assert!(!log.contains("secret"), "{log}");
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = |path: &str| {
        lines.iter().find(|line| line["path"] == path).unwrap_or_else(|| panic!("{path} is not in {log}"))
    };
    let page = line("/");
    assert_eq!(
        (&page["method"], &page["status"], &page["release"]),
        (&"GET".into(), &200.into(), &BLUE.into())
    );
    assert_eq!(
        (&page["reason"], &page["component"], &page["client"]),
        (&"new".into(), &"site".into(), &"127.0.0.1".into())
    );
    assert_eq!(page["bytes"], "<!doctype html><title>blue</title>".len());
    assert!(page["duration_us"].is_u64() && page["time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(page["id"].as_str().unwrap().len(), 16);
    assert_eq!(
        (&line("/api/version")["component"], &line("/api/version")["bytes"]),
        (&"api".into(), &4.into())
    );
    assert_eq!(
        (&line("/.cutover/preview")["status"], &line("/.cutover/preview")["release"]),
        (&403.into(), &"".into())
    );
    assert_eq!((&line("/robots.txt")["bytes"], &line("/refused")["reason"]), (&0.into(), &"refused".into()));
    edge.shutdown(std::time::Duration::ZERO);
}

#[test]
fn the_log_is_whole_after_the_end_of_the_edge() {
    let state = temp();
    let file = state.path().join("access.log");
    let edge = Edge::start(EdgeOptions { access_log: AccessLog::File(file.clone()), ..options() }).unwrap();
    for _ in 0..20 {
        get(edge.local_addr(), "/x", &[]);
    }
    edge.shutdown(std::time::Duration::from_secs(5));
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 20);
}
