//! Switches under load, requests under way, and the end of an edge.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

mod support;

use std::{
    io::Read,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    time::{Duration, Instant},
};

use cutover_edge::Edge;
use cutover_routing::ReleaseState;
use support::{
    BLUE, GREEN, NAVIGATE, Plan, api,
    client::{Client, get},
    id, shop, start, temp, until,
    upstream::Upstream,
};

#[test]
fn a_hundred_switches_under_load_lose_no_request() {
    let blobs = temp();
    let (blue_api, green_api) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = start();
    let serving = |name: &str, upstream: &Upstream| {
        let mut serving = shop(blobs.path(), name);
        serving.services = api(&upstream.at()).services;
        serving
    };
    let (blue, green) = (serving("blue", &blue_api), serving("green", &green_api));
    let publish = |generation: u64| {
        let (active, other) = if generation % 2 == 1 {
            ((BLUE, &blue), (GREEN, &green))
        } else {
            ((GREEN, &green), (BLUE, &blue))
        };
        edge.publish(
            Plan::new(generation)
                .blobs(blobs.path())
                .release(active.0, ReleaseState::Active, active.1.clone())
                .release(other.0, ReleaseState::Draining, other.1.clone())
                .done(),
        )
        .unwrap();
    };
    publish(1);
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let (stop, answered, at) = (&stop, &answered, edge.local_addr());
                scope.spawn(move || {
                    let mut client = Client::connect(at);
                    let mut cookie = String::new();
                    while !stop.load(SeqCst) {
                        // A visit: the page, its chunk, its service. All of one release.
                        let headers: Vec<_> =
                            NAVIGATE.into_iter().chain([("cookie", cookie.as_str())]).collect();
                        let page = client.get("/", &headers);
                        assert_eq!(page.status, 200, "worker {worker}");
                        let release = page.release().to_owned();
                        if let Some(pin) = page.cookie("cutover") {
                            cookie = format!("cutover={pin}");
                        }
                        let name = if release == BLUE { "blue" } else { "green" };
                        let headers = [("cookie", cookie.as_str()), ("x-cutover-release", release.as_str())];
                        for path in [format!("/assets/{name}.js"), "/api/sleep".into(), "/robots.txt".into()]
                        {
                            let part = client.get(&path, &headers);
                            assert_eq!(
                                (part.status, part.release()),
                                (200, release.as_str()),
                                "worker {worker} {path}"
                            );
                            assert!(part.text().contains(name), "worker {worker} {path}");
                        }
                        answered.fetch_add(4, SeqCst);
                    }
                })
            })
            .collect();
        for generation in 2..=101 {
            let before = answered.load(SeqCst);
            publish(generation);
            until("visitors go on", || {
                answered.load(SeqCst) > before || workers.iter().any(|worker| worker.is_finished())
            });
        }
        stop.store(true, SeqCst);
    });
    let (blue, green) = (edge.usage(&id(BLUE)), edge.usage(&id(GREEN)));
    assert_eq!(blue.server_errors + green.server_errors, 0);
    assert!(blue.requests > 0 && green.requests > 0);
    assert_eq!(blue.requests + green.requests, answered.load(SeqCst));
    assert_eq!((blue.in_flight, green.in_flight), (0, 0));
}

#[test]
fn a_request_under_way_finishes_on_the_release_it_began_on() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = start();
    edge.publish(Plan::new(1).release(BLUE, ReleaseState::Active, api(&blue.at())).done()).unwrap();
    let mut slow = Client::connect(edge.local_addr());
    slow.send("GET", "/api/held", &[], b"");
    until("it is held", || blue.state.waiting.load(SeqCst) == 1);
    // Blue leaves the table altogether.
    edge.publish(Plan::new(2).release(GREEN, ReleaseState::Active, api(&green.at())).done()).unwrap();
    assert_eq!(get(edge.local_addr(), "/api/x", &[]).text(), "green");
    assert_eq!(edge.usage(&id(BLUE)).in_flight, 1, "still counted on blue");
    blue.state.gate.add_permits(1);
    let reply = slow.receive("GET").unwrap();
    assert_eq!((reply.status, reply.release(), reply.text()), (200, BLUE, "blue"));
    until("it has ended", || edge.usage(&id(BLUE)).in_flight == 0);
    assert_eq!(edge.usage(&id(BLUE)).requests, 1);
}

fn stopping(edge: Edge, deadline: Duration) -> std::thread::JoinHandle<Duration> {
    std::thread::spawn(move || {
        let started = Instant::now();
        edge.shutdown(deadline);
        started.elapsed()
    })
}

#[test]
fn an_edge_that_ends_finishes_what_it_has_begun_and_takes_nothing_new() {
    let upstream = Upstream::start("blue");
    let edge = start();
    edge.publish(Plan::new(1).release(BLUE, ReleaseState::Active, api(&upstream.at())).done()).unwrap();
    let at = edge.local_addr();
    let mut idle = Client::connect(at);
    assert_eq!(idle.get("/api/x", &[]).status, 200);
    let mut silent = Client::connect(at);
    let mut slow = Client::connect(at);
    slow.send("GET", "/api/held", &[], b"");
    until("it is held", || upstream.state.waiting.load(SeqCst) == 1);
    let stopped = stopping(edge, Duration::from_secs(30));
    assert!(idle.closed() && silent.closed(), "idle connections are closed");
    until("nobody listens", || std::net::TcpStream::connect(at).is_err());
    upstream.state.gate.add_permits(1);
    let reply = slow.receive("GET").unwrap();
    assert_eq!((reply.status, reply.text()), (200, "blue"));
    assert!(slow.closed());
    assert!(stopped.join().unwrap() < Duration::from_secs(20), "it did not wait for the deadline");
}

#[test]
fn open_streams_end_at_the_deadline() {
    let upstream = Upstream::start("blue");
    let edge = start();
    edge.publish(Plan::new(1).release(BLUE, ReleaseState::Active, api(&upstream.at())).done()).unwrap();
    let mut client = Client::connect(edge.local_addr());
    let headers = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "x")];
    client.send("GET", "/api/ws", &headers, b"");
    assert_eq!(client.head().unwrap().status, 101);
    client.stream.read_exact(&mut [0; 6]).unwrap();
    stopping(edge, Duration::from_millis(200)).join().unwrap();
    assert!(client.closed());
}

#[test]
fn the_last_handle_stops_the_edge() {
    let edge = start();
    let at = edge.local_addr();
    let clone = edge.clone();
    drop(edge);
    assert_eq!(get(at, "/.cutover/health", &[]).status, 200);
    drop(clone);
    until("nobody listens", || std::net::TcpStream::connect(at).is_err());
}
