//! What is counted of visitors while two releases are compared, and what is not.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    net::{Shutdown, SocketAddr},
    sync::atomic::Ordering::SeqCst,
    time::Duration,
};

use cutover_edge::{Edge, EdgeOptions, ReleaseServing, Timeouts, Visit, VisitWindow, WatchOptions};
use cutover_routing::{PreviewToken, ReleaseState};
use support::{
    BLUE, GREEN, HOST, NAVIGATE, Plan, api,
    client::{Client, get, raw},
    id, key, navigate, now, options, shop, start, temp, until,
    upstream::Upstream,
};

const OTHER: &str = "other003";

/// Longer than any test runs.
const LONG: Duration = Duration::from_secs(3600);

fn watch(edge: &Edge, slow_over: Duration) {
    edge.watch(Some(WatchOptions { slow_over, releases: [id(BLUE), id(GREEN)] }));
}

/// Waits until nothing is under way and this many requests have been answered.
fn settled(edge: &Edge, requests: u64) {
    until("all are counted", || {
        let usage = [BLUE, GREEN, OTHER].map(|release| edge.usage(&id(release)));
        usage.iter().map(|usage| usage.requests + usage.previews).sum::<u64>() == requests
            && usage.iter().all(|usage| usage.in_flight == 0)
    });
}

/// Requests, failed and slow ones over all visitors of a release, and how many these are.
fn sums(window: &VisitWindow, release: &str) -> (u32, u32, u32, usize) {
    let of: Vec<&Visit> = window.visits.iter().filter(|visit| visit.release == id(release)).collect();
    let sum = |what: fn(&Visit) -> u32| of.iter().map(|visit| what(visit)).sum();
    (sum(|visit| visit.requests), sum(|visit| visit.failed), sum(|visit| visit.slow), of.len())
}

fn pinned(release: &str, bucket: u16) -> String {
    format!("cutover=1.{release}.{bucket}.1")
}

/// Blue serves, green is a candidate; both have a site and a service.
fn two(edge: &Edge, blobs: &std::path::Path, blue: &Upstream, green: &Upstream) {
    let serving = |name: &str, upstream: &Upstream| ReleaseServing {
        services: api(&upstream.at()).services,
        ..shop(blobs, name)
    };
    edge.publish(
        Plan::new(1)
            .blobs(blobs)
            .release(BLUE, ReleaseState::Active, serving("blue", blue))
            .release(GREEN, ReleaseState::Candidate, serving("green", green))
            .release(OTHER, ReleaseState::Draining, shop(blobs, "other"))
            .done(),
    )
    .unwrap();
}

#[test]
fn nothing_is_counted_while_nobody_watches() {
    let blobs = temp();
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = start();
    two(&edge, blobs.path(), &blue, &green);
    let at = edge.local_addr();
    get(at, "/", &NAVIGATE);
    settled(&edge, 1);
    let window = edge.take_window();
    assert!(window.visits.is_empty() && window.complete && window.from == window.to);
    watch(&edge, LONG);
    get(at, "/", &NAVIGATE);
    settled(&edge, 2);
    assert_eq!(sums(&edge.take_window(), BLUE), (1, 0, 0, 1));
    get(at, "/", &NAVIGATE);
    settled(&edge, 3);
    edge.watch(None);
    assert!(edge.take_window().visits.is_empty(), "what was counted is forgotten");
}

#[test]
fn what_says_nothing_about_the_two_releases_is_not_counted() {
    let blobs = temp();
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = start();
    two(&edge, blobs.path(), &blue, &green);
    watch(&edge, Duration::ZERO);
    let at = edge.local_addr();
    let preview = PreviewToken { kid: "k1".into(), release: id(GREEN), expiry: now() + 60, tid: "t".into() };
    let preview = format!("cutover-preview={}", preview.sign_cookie(&key(), HOST));
    assert_eq!(get(at, "/api/error", &navigate(&[("cookie", &preview)])).release(), GREEN);
    assert_eq!(get(at, "/api/die", &[("cookie", &preview)]).status, 502);
    assert_eq!(get(at, "/api/error", &navigate(&[("user-agent", "Googlebot/2.1")])).status, 500);
    assert_eq!(get(at, "/.cutover/state", &[]).status, 200);
    assert_eq!(get(at, &format!("/_r/{BLUE}/robots.txt"), &[]).status, 200);
    // Blue's visitor gets a file of green's: it says nothing about who is on green.
    let reply = get(at, "/assets/green.js", &[("cookie", &pinned(BLUE, 7))]);
    assert_eq!((reply.release(), reply.reason()), (GREEN, "commons"));
    assert_eq!(get(at, "/robots.txt", &[("cookie", &pinned(OTHER, 7))]).release(), OTHER);
    raw(at, b"GET / HTTP/1.1\r\n\r\n");
    settled(&edge, 6);
    assert_eq!(edge.take_window().visits, []);
    for release in [BLUE, GREEN] {
        assert_eq!(edge.latency(&id(release)).requests, 0, "{release}");
    }
}

#[test]
fn connections_and_the_first_pin_do_not_make_another_visitor() {
    let blobs = temp();
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = start();
    two(&edge, blobs.path(), &blue, &green);
    watch(&edge, LONG);
    let at = edge.local_addr();
    let mut first = Client::connect(at);
    let page = first.get("/", &navigate(&[("user-agent", "one")]));
    let cookie = format!("cutover={}", page.cookie("cutover").unwrap());
    for _ in 0..50 {
        assert_eq!(first.get("/api/x", &[("cookie", &cookie)]).status, 200);
    }
    // More connections than workers, and another spelling of the browser's name.
    for _ in 0..8 {
        get(at, "/robots.txt", &[("cookie", &cookie), ("user-agent", "two")]);
    }
    settled(&edge, 59);
    let window = edge.take_window();
    assert_eq!(sums(&window, BLUE), (59, 0, 0, 1));
    // Other buckets, and other addresses with the same one, are others.
    for bucket in 1..=5 {
        get(at, "/robots.txt", &[("cookie", &pinned(BLUE, bucket))]);
    }
    settled(&edge, 64);
    assert_eq!(sums(&edge.take_window(), BLUE).3, 5);
}

#[test]
fn behind_a_proxy_that_is_believed_visitors_are_told_apart_by_their_own_address() {
    let blobs = temp();
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge =
        Edge::start(EdgeOptions { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..options() })
            .unwrap();
    two(&edge, blobs.path(), &blue, &green);
    watch(&edge, LONG);
    let cookie = pinned(BLUE, 7);
    for address in ["192.0.2.1", "192.0.2.2", "192.0.2.1", "2001:db8::1", "2001:db8::ffff"] {
        get(edge.local_addr(), "/robots.txt", &[("cookie", &cookie), ("x-forwarded-for", address)]);
    }
    settled(&edge, 5);
    assert_eq!(sums(&edge.take_window(), BLUE), (5, 0, 0, 3));
}

#[test]
fn visitors_without_a_pin_are_few_however_often_they_come() {
    let blobs = temp();
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = start();
    two(&edge, blobs.path(), &blue, &green);
    watch(&edge, LONG);
    let mut client = Client::connect(edge.local_addr());
    // A program without cookies is one visitor.
    for _ in 0..20 {
        client.get("/api/x", &[("user-agent", "app/1")]);
    }
    settled(&edge, 20);
    assert_eq!(sums(&edge.take_window(), BLUE), (20, 0, 0, 1));
    // A page that fails brings no pin, and whoever loads it again is drawn anew.
    for _ in 0..200 {
        assert_eq!(client.get("/api/error", &navigate(&[("user-agent", "browser")])).cookie("cutover"), None);
    }
    settled(&edge, 220);
    let (requests, failed, _, visitors) = sums(&edge.take_window(), BLUE);
    assert_eq!((requests, failed), (200, 200));
    assert!((2..=16).contains(&visitors), "{visitors}");
}

#[test]
fn failures_are_those_of_the_release_whoever_says_them() {
    let blobs = temp();
    let (blue, mut green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = Edge::start(EdgeOptions {
        timeouts: Timeouts {
            response: Duration::from_millis(300),
            upstream_idle: Duration::from_millis(300),
            ..options().timeouts
        },
        ..options()
    })
    .unwrap();
    two(&edge, blobs.path(), &blue, &green);
    watch(&edge, LONG);
    let at = edge.local_addr();
    let cookie = pinned(GREEN, 7);
    let status = |path: &str| get(at, path, &[("cookie", &cookie)]).status;
    assert_eq!(status("/api/error"), 500);
    assert_eq!(status("/api/die"), 502);
    assert_eq!(status("/api/held"), 504);
    let mut cut = Client::connect(at);
    cut.send("GET", "/api/stall", &[("cookie", &cookie)], b"");
    assert_eq!(cut.head().unwrap().status, 200);
    assert!(cut.closed(), "cut short");
    assert_eq!((status("/api/missing"), status("/api/x"), status("/none.js")), (404, 200, 404));
    green.stop();
    assert_eq!(status("/api/x"), 502);
    settled(&edge, 8);
    assert_eq!(sums(&edge.take_window(), GREEN), (8, 5, 0, 1));
    let totals = edge.latency(&id(GREEN));
    assert_eq!((totals.requests, totals.errors, totals.error_rate()), (8, 5, Some(0.625)));
    assert!(edge.metrics().contains("cutover_visitor_failures_total{release=\"green002\"} 5\n"));
}

#[test]
fn what_a_visitor_breaks_off_is_nobodys_failure() {
    let blobs = temp();
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = start();
    two(&edge, blobs.path(), &blue, &green);
    watch(&edge, Duration::ZERO);
    let at = edge.local_addr();
    // Leaves before there is an answer.
    let mut left = Client::connect(at);
    left.send("GET", "/api/held", &[], b"");
    until("it is held", || blue.state.waiting.load(SeqCst) == 1);
    drop(left);
    settled(&edge, 1);
    // Cuts an upload, closing one way or both.
    let upload = b"POST /api/upload HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 100\r\n\r\nhalf";
    for how in [Shutdown::Write, Shutdown::Both] {
        let mut cut = Client::connect(at);
        cut.write(upload);
        until("it has begun", || edge.usage(&id(BLUE)).in_flight == 1);
        cut.stream.get_mut().flush().unwrap();
        cut.stream.get_mut().shutdown(how).unwrap();
        until("it has ended", || edge.usage(&id(BLUE)).in_flight == 0);
    }
    let malformed =
        b"POST /api/upload HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nx\r\n";
    raw(at, malformed);
    settled(&edge, 4);
    assert_eq!(edge.take_window().visits, []);
    // A whole one counts.
    Client::connect(at).request("POST", "/api/upload", &[], b"whole").unwrap();
    settled(&edge, 5);
    assert_eq!(sums(&edge.take_window(), BLUE), (1, 0, 1, 1));
}

#[test]
fn slow_is_the_head_that_comes_late_and_never_a_stream() {
    let blobs = temp();
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = start();
    two(&edge, blobs.path(), &blue, &green);
    watch(&edge, Duration::from_millis(10));
    let at = edge.local_addr();
    let cookie = pinned(GREEN, 7);
    assert_eq!(get(at, "/api/sleep", &[("cookie", &cookie)]).status, 200);
    settled(&edge, 1);
    assert_eq!(sums(&edge.take_window(), GREEN), (1, 0, 1, 1));
    watch(&edge, LONG);
    assert_eq!(get(at, "/api/sleep", &[("cookie", &cookie)]).status, 200);
    settled(&edge, 2);
    assert_eq!(sums(&edge.take_window(), GREEN), (1, 0, 0, 1));
    let totals = edge.latency(&id(GREEN));
    assert_eq!((totals.requests, totals.errors, totals.timed()), (2, 0, 2));
    assert!(totals.quantile(0.0).unwrap() >= Duration::from_millis(17), "{:?}", totals.quantile(0.0));
    // Streams count at once, by their status alone.
    watch(&edge, Duration::ZERO);
    let mut events = Client::connect(at);
    events.send("GET", "/api/events", &[("cookie", &cookie)], b"");
    assert_eq!(events.head().unwrap().status, 200);
    let mut socket = Client::connect(at);
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "x"),
        ("cookie", &cookie),
    ];
    socket.send("GET", "/api/frames", &upgrade, b"");
    assert_eq!(socket.head().unwrap().status, 101);
    // One that is refused is none.
    let mut refused = Client::connect(at);
    refused.send("GET", "/api/error", &upgrade, b"");
    assert_eq!(refused.head().unwrap().status, 500);
    until("the refusal is counted", || edge.latency(&id(GREEN)).errors == 1);
    assert_eq!(sums(&edge.take_window(), GREEN), (3, 1, 0, 1));
    drop((events, socket, refused));
    settled(&edge, 5);
    assert_eq!(edge.take_window().visits, [], "their ends are not counted again");
    let window = edge.latency(&id(GREEN)).since(&totals);
    assert_eq!((window.requests, window.timed(), window.quantile(0.5)), (3, 0, None));
    assert!(edge.metrics().contains("cutover_visitor_answer_seconds_count{release=\"green002\"} 2\n"));
}

#[test]
fn windows_do_not_overlap_and_lose_nothing() {
    let blobs = temp();
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = start();
    two(&edge, blobs.path(), &blue, &green);
    watch(&edge, LONG);
    let at = edge.local_addr();
    let mut windows = Vec::new();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4_u16)
            .map(|client| {
                scope.spawn(move || {
                    let mut connection = Client::connect(at);
                    let cookie = pinned(if client % 2 == 0 { BLUE } else { GREEN }, client);
                    for _ in 0..300 {
                        assert_eq!(connection.get("/robots.txt", &[("cookie", &cookie)]).status, 200);
                    }
                })
            })
            .collect();
        while clients.iter().any(|client| !client.is_finished()) {
            windows.push(edge.take_window());
        }
    });
    settled(&edge, 1_200);
    windows.push(edge.take_window());
    let mut by_visitor: BTreeMap<u64, u32> = BTreeMap::new();
    for visit in windows.iter().flat_map(|window| &window.visits) {
        *by_visitor.entry(visit.visitor).or_default() += visit.requests;
    }
    assert_eq!(by_visitor.into_values().collect::<Vec<_>>(), [300; 4]);
    assert!(windows.windows(2).all(|two| two[0].to == two[1].from && two[0].from <= two[0].to));
}

/// Many requests on one connection, each by a visitor of their own; the answers are read as they come.
fn crowd(at: SocketAddr, release: &str, visitors: u32) {
    let mut client = Client::connect(at);
    for some in (0..visitors).collect::<Vec<_>>().chunks(50) {
        let requests: String = some
            .iter()
            .map(|n| {
                let (bucket, address) = (n % 10_000, n / 10_000);
                format!(
                    "GET /robots.txt HTTP/1.1\r\nhost: {HOST}\r\ncookie: cutover=1.{release}.{bucket}.1\r\nx-forwarded-for: 192.0.2.{address}\r\n\r\n"
                )
            })
            .collect();
        client.write(requests.as_bytes());
        for _ in some {
            assert_eq!(client.receive("GET").unwrap().status, 200);
        }
    }
}

#[test]
fn more_visitors_than_fit_are_sampled_alike_on_both_releases() {
    let blobs = temp();
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = Edge::start(EdgeOptions {
        workers: 1,
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..options()
    })
    .unwrap();
    two(&edge, blobs.path(), &blue, &green);
    watch(&edge, LONG);
    let many = 17_000;
    crowd(edge.local_addr(), BLUE, many);
    crowd(edge.local_addr(), GREEN, many);
    settled(&edge, u64::from(2 * many));
    let window = edge.take_window();
    assert!(!window.complete);
    let of = |release| -> BTreeSet<u64> {
        let visits = window.visits.iter().filter(|visit| visit.release == id(release));
        visits.map(|visit| visit.visitor).collect()
    };
    let (on_blue, on_green) = (of(BLUE), of(GREEN));
    assert_eq!(on_blue, on_green);
    assert!((4_000..=16_384).contains(&on_blue.len()), "{}", on_blue.len());
    crowd(edge.local_addr(), BLUE, 100);
    settled(&edge, u64::from(2 * many) + 100);
    let next = edge.take_window();
    assert!(next.complete && next.visits.len() == 100, "the next window has room again");
}
