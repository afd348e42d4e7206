//! Releases that cannot serve, and what visitors get instead.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

mod support;

use std::sync::atomic::Ordering::SeqCst;

use cutover_edge::{Edge, EdgeOptions, Outage, ReleaseServing};
use cutover_routing::{Pin, ReleaseState};
use support::{
    BLUE, GREEN, NAVIGATE, Plan, client::get, id, navigate, options, service, shop, start, temp, until,
    upstream::Upstream,
};

fn healthy(edge: &Edge, release: &str) -> bool {
    edge.health().iter().any(|one| one.release == id(release) && one.healthy)
}

#[test]
fn an_unhealthy_release_s_pages_come_from_the_default_and_its_requests_fail() {
    let blobs = temp();
    let (blue_api, green_api) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = start();
    let serving = |name: &str, upstream: &Upstream| {
        let mut serving = shop(blobs.path(), name);
        serving.services = service(&upstream.at(), "/api/*", Some("/healthz")).services;
        serving
    };
    edge.publish(
        Plan::new(5)
            .blobs(blobs.path())
            .release(BLUE, ReleaseState::Draining, serving("blue", &blue_api))
            .release(GREEN, ReleaseState::Active, serving("green", &green_api))
            // Keeps visitors on blue as long as it can serve.
            .settings(|settings| settings.policy = cutover_routing::Policy::Sticky)
            .done(),
    )
    .unwrap();
    let at = edge.local_addr();
    let cookie = format!("cutover={}", Pin { release: id(BLUE), bucket: 9, generation: 5 });
    let page = || get(at, "/", &navigate(&[("cookie", &cookie), ("if-none-match", "*")]));
    assert_eq!(page().release(), BLUE);

    blue_api.state.healthy.store(false, SeqCst);
    until("blue is unhealthy", || !healthy(&edge, BLUE));
    let problem = edge.health().into_iter().find(|one| one.release == id(BLUE)).unwrap().problem.unwrap();
    assert!(problem.contains("503"), "{problem}");
    let instead = page();
    assert_eq!((instead.status, instead.release(), instead.reason()), (200, GREEN, "unhealthy"));
    let moved = Pin::parse(instead.cookie("cutover").unwrap()).unwrap();
    assert_eq!((moved.release, moved.bucket), (id(GREEN), 9), "what the page loads comes from green too");
    let sub = get(at, "/api/version", &[("cookie", &cookie)]);
    assert_eq!((sub.status, sub.release(), sub.header("cache-control")), (503, BLUE, "no-store"));
    assert!(!sub.header("retry-after").is_empty());
    assert_eq!(get(at, "/assets/blue.js", &[("cookie", &cookie)]).status, 200, "the site itself can serve");
    assert!(
        edge.metrics()
            .contains(&format!("cutover_component_healthy{{release=\"{BLUE}\",component=\"api\"}} 0"))
    );

    blue_api.state.healthy.store(true, SeqCst);
    until("blue is healthy again", || healthy(&edge, BLUE));
    assert_eq!(page().release(), BLUE);
}

#[test]
fn when_no_release_can_serve_there_is_the_outage_page() {
    let mut upstream = Upstream::start("blue");
    let outage = Outage {
        message: "Closed for <today>.".into(),
        contacts: vec!["mailto:help@shop.example".into()],
        retry_after: 77,
    };
    let edge = Edge::start(EdgeOptions { outage, ..options() }).unwrap();
    edge.publish(
        Plan::new(1)
            .release(BLUE, ReleaseState::Active, service(&upstream.at(), "/*", Some("/healthz")))
            .done(),
    )
    .unwrap();
    assert_eq!(get(edge.local_addr(), "/page", &NAVIGATE).status, 200);
    upstream.stop();
    until("it is unhealthy", || !healthy(&edge, BLUE));
    let page = get(edge.local_addr(), "/page", &NAVIGATE);
    assert_eq!(
        (page.status, page.header("retry-after"), page.header("cache-control")),
        (503, "77", "no-store")
    );
    assert!(
        page.text().contains("Closed for &lt;today&gt;.")
            && page.text().contains("href=\"mailto:help@shop.example\"")
    );
    assert_eq!(page.all("set-cookie").count(), 0);
    let other = get(edge.local_addr(), "/x", &[]);
    let value: serde_json::Value = serde_json::from_slice(&other.body).unwrap();
    assert_eq!(
        (other.status, &value["message"], &value["retry_after"]),
        (503, &"Closed for <today>.".into(), &77.into())
    );
    edge.set_outage(Outage { message: "Another.".into(), ..Outage::default() });
    assert!(get(edge.local_addr(), "/page", &NAVIGATE).text().contains("Another."));
}

#[test]
fn without_a_check_refused_connections_tell_and_a_connection_heals() {
    let mut upstream = Upstream::start("one");
    let edge = start();
    edge.publish(
        Plan::new(1).release(BLUE, ReleaseState::Active, service(&upstream.at(), "/*", None)).done(),
    )
    .unwrap();
    let address = upstream.address;
    upstream.stop();
    let page = get(edge.local_addr(), "/x", &NAVIGATE);
    assert_eq!((page.status, page.header("content-type")), (503, "text/html; charset=utf-8"));
    assert!(!page.header("retry-after").is_empty(), "a person gets the outage page at once");
    let statuses: Vec<_> = (0..3).map(|_| get(edge.local_addr(), "/x", &[]).status).collect();
    assert_eq!(statuses[0], 502);
    until("it is given up", || !healthy(&edge, BLUE));
    assert_eq!(get(edge.local_addr(), "/x", &[]).status, 503);
    let _second = Upstream::on("two", address);
    until("it is back", || healthy(&edge, BLUE));
    assert_eq!(get(edge.local_addr(), "/x", &[]).text(), "two");
}

#[test]
fn staged_releases_are_checked_too_and_start_as_healthy() {
    let upstream = Upstream::start("blue");
    upstream.state.healthy.store(false, SeqCst);
    let blobs = temp();
    let edge = start();
    let with_api = ReleaseServing {
        services: service(&upstream.at(), "/api/*", Some("/healthz")).services,
        ..shop(blobs.path(), "green")
    };
    edge.publish(
        Plan::new(1)
            .blobs(blobs.path())
            .release(BLUE, ReleaseState::Active, shop(blobs.path(), "blue"))
            .release(GREEN, ReleaseState::Staged, with_api)
            .done(),
    )
    .unwrap();
    until("the staged release is found unhealthy", || !healthy(&edge, GREEN));
    assert_eq!(get(edge.local_addr(), "/", &NAVIGATE).status, 200);
}
