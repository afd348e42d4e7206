//! Towards services and back.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

mod support;

use std::{
    io::{Read, Write},
    sync::atomic::Ordering::SeqCst,
    time::Duration,
};

use cutover_edge::{Edge, EdgeOptions, Timeouts};
use cutover_routing::ReleaseState;
use support::{
    BLUE, NAVIGATE, Plan, api,
    client::{Client, get, raw, request},
    id, options, start, until,
    upstream::Upstream,
};

fn serving(upstream: &Upstream) -> Edge {
    with(upstream, options())
}

fn with(upstream: &Upstream, options: EdgeOptions) -> Edge {
    let edge = Edge::start(options).unwrap();
    edge.publish(Plan::new(1).release(BLUE, ReleaseState::Active, api(&upstream.at())).done()).unwrap();
    edge
}

#[test]
fn a_service_learns_the_release_and_nothing_a_client_made_up() {
    let upstream = Upstream::start("blue");
    let edge = serving(&upstream);
    let echo = get(
        edge.local_addr(),
        "/api/echo?a=b",
        &[
            ("x-cutover-release", "evil0000"),
            ("x-cutover-component", "evil"),
            ("x-cutover-request-id", "evil"),
            ("x-cutover-other", "evil"),
            ("x-forwarded-for", "203.0.113.66"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil"),
            ("x-real-ip", "203.0.113.66"),
            ("x_cutover_release", "evil0000"),
            ("X_Cutover-Request_Id", "evil"),
            ("x.cutover.component", "evil"),
            ("x_forwarded_for", "203.0.113.66"),
            ("x.forwarded.for", "203.0.113.66"),
            ("X_Forwarded-Proto", "evil"),
            ("x_real_ip", "203.0.113.66"),
            ("x_client_country", "KP"),
            ("proxy", "http://evil"),
            ("proxy_authorization", "evil"),
            ("transfer_encoding", "evil"),
            ("content_length", "evil"),
            ("x_kept", "too"),
            ("x-client-country", "KP"),
            ("forwarded", "for=203.0.113.66"),
            ("connection", "x-drop, keep-alive"),
            ("x-drop", "evil"),
            ("te", "trailers"),
            ("cookie", "a=1; cutover=1.blue0001.7.1; cutover-preview=x; b=2"),
            ("x-kept", "yes"),
        ],
    );
    let text = echo.text();
    assert!(!text.contains("evil") && !text.contains("203.0.113.66") && !text.contains("KP"), "{text}");
    for line in [
        "GET /api/echo?a=b",
        "host: shop.example",
        "x-kept: yes",
        "x_kept: too",
        "cookie: a=1; b=2",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: shop.example",
        "forwarded: for=127.0.0.1;host=\"shop.example\";proto=http",
        "x-cutover-release: blue0001",
        "x-cutover-component: api",
    ] {
        assert!(text.lines().any(|seen| seen == line), "{line} is not in\n{text}");
    }
    let ids = text.lines().filter_map(|line| line.strip_prefix("x-cutover-request-id: "));
    assert!(ids.clone().count() == 1 && ids.clone().all(|id| id.len() == 16), "{text}");
    for name in ["connection", "te", "keep-alive", "upgrade", "transfer-encoding"] {
        assert!(!text.lines().any(|line| line.starts_with(&format!("{name}:"))), "{name} in\n{text}");
    }
}

#[test]
fn a_trusted_proxy_is_believed_up_to_the_first_stranger() {
    let upstream = Upstream::start("blue");
    let nets = ["127.0.0.0/8", "10.0.0.0/8"].map(|net| net.parse().unwrap());
    let edge = with(&upstream, EdgeOptions { trusted_proxies: nets.to_vec(), ..options() });
    let headers = [
        ("x-forwarded-for", "6.6.6.6, 203.0.113.9"),
        ("x-forwarded-for", "10.0.0.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "outer.example"),
        ("x-client-country", "NZ"),
        ("forwarded", "for=203.0.113.9"),
    ];
    let text = get(edge.local_addr(), "/api/echo", &headers).text().to_owned();
    for line in [
        "x-forwarded-for: 6.6.6.6, 203.0.113.9, 10.0.0.2, 127.0.0.1",
        "x-forwarded-proto: https",
        "x-forwarded-host: outer.example",
        "x-client-country: NZ",
        "forwarded: for=203.0.113.9, for=127.0.0.1;host=\"shop.example\";proto=https",
    ] {
        assert!(text.lines().any(|seen| seen == line), "{line} is not in\n{text}");
    }
}

#[test]
fn audiences_by_country_and_network_follow_what_a_trusted_proxy_says() {
    use cutover_routing::{AudienceRule, Condition};
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let plan = |generation| {
        let mut plan = Plan::new(generation)
            .release(BLUE, ReleaseState::Active, api(&blue.at()))
            .release(support::GREEN, ReleaseState::Candidate, api(&green.at()))
            .settings(|settings| {
                settings.audiences = vec![
                    AudienceRule { name: "nz".into(), when: Condition::Country(vec!["NZ".into()]) },
                    AudienceRule {
                        name: "office".into(),
                        when: Condition::Cidr(vec!["203.0.113.0/24".parse().unwrap()]),
                    },
                ];
            });
        for name in ["nz", "office"] {
            plan.table.audiences.insert(name.into(), id(support::GREEN));
        }
        plan.done()
    };
    let trusted = ["127.0.0.0/8".parse().unwrap()].to_vec();
    let edge = Edge::start(EdgeOptions { trusted_proxies: trusted, ..options() }).unwrap();
    edge.publish(plan(1)).unwrap();
    let release = |edge: &Edge, header: (&str, &str)| {
        get(edge.local_addr(), "/api/page", &support::navigate(&[header])).release().to_owned()
    };
    assert_eq!(release(&edge, ("x-client-country", "NZ")), support::GREEN);
    assert_eq!(release(&edge, ("x-forwarded-for", "203.0.113.5")), support::GREEN);
    assert_eq!(release(&edge, ("x-forwarded-for", "198.51.100.5")), BLUE);
    let open = start();
    open.publish(plan(1)).unwrap();
    assert_eq!(release(&open, ("x-client-country", "NZ")), BLUE);
    assert_eq!(release(&open, ("x-forwarded-for", "203.0.113.5")), BLUE);
}

#[test]
fn a_service_cannot_speak_for_the_edge() {
    let upstream = Upstream::start("blue");
    let edge = serving(&upstream);
    let reply = get(edge.local_addr(), "/api/hostile", &[]);
    assert_eq!(reply.all("set-cookie").collect::<Vec<_>>(), ["sid=1; Path=/"]);
    assert_eq!(reply.all("x-cutover-release").collect::<Vec<_>>(), [BLUE]);
    for name in ["x-cutover-stale", "x-cutover-anything", "x-hop", "keep-alive", "connection"] {
        assert_eq!(reply.all(name).count(), 0, "{name}");
    }
}

#[test]
fn bodies_stream_both_ways() {
    let upstream = Upstream::start("blue");
    let edge = serving(&upstream);
    let body = vec![b'x'; 3_000_000];
    assert_eq!(request(edge.local_addr(), "POST", "/api/upload", &[], &body).text(), "3000000");
    let mut client = Client::connect(edge.local_addr());
    client.write(
        b"PUT /api/upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(client.head().unwrap().status, 100);
    for _ in 0..100 {
        client.write(format!("400\r\n{}\r\n", "y".repeat(1024)).as_bytes());
    }
    client.write(b"0\r\n\r\n");
    assert_eq!(client.receive("PUT").unwrap().text(), "102400");
    let big = client.get("/api/big", &[]);
    assert_eq!(big.body.len(), 256 * 64 * 1024);
    assert!(big.body.chunks(64 * 1024).enumerate().all(|(n, part)| part.iter().all(|byte| *byte == n as u8)));
}

#[test]
fn connections_to_a_service_are_kept() {
    let upstream = Upstream::start("blue");
    let edge = with(&upstream, EdgeOptions { workers: 1, ..options() });
    let mut client = Client::connect(edge.local_addr());
    for _ in 0..50 {
        assert_eq!(client.get("/api/version", &[]).text(), "blue");
    }
    assert_eq!(upstream.state.connections.load(SeqCst), 1);
}

#[test]
fn a_dead_kept_connection_is_noticed_and_the_request_sent_again() {
    let mut upstream = Upstream::start("one");
    let edge = with(&upstream, EdgeOptions { workers: 1, ..options() });
    let mut client = Client::connect(edge.local_addr());
    assert_eq!(client.get("/api/version", &[]).text(), "one");
    let address = upstream.address;
    upstream.stop();
    let _second = Upstream::on("two", address);
    assert_eq!(client.get("/api/version", &[]).text(), "two");
    assert_eq!(client.request("POST", "/api/upload", &[], b"abc").unwrap().text(), "3");
}

#[test]
fn failures_of_a_service_are_told_apart_and_told_in_kind() {
    let upstream = Upstream::start("blue");
    let timeouts = Timeouts {
        response: Duration::from_millis(200),
        upstream_idle: Duration::from_millis(200),
        ..options().timeouts
    };
    let edge = with(&upstream, EdgeOptions { timeouts, ..options() });
    let at = edge.local_addr();
    let died = get(at, "/api/die", &[]);
    assert_eq!((died.status, died.header("content-type")), (502, "application/json"));
    assert_eq!((died.release(), died.header("cache-control")), (BLUE, "no-store"));
    let page = get(at, "/api/die", &NAVIGATE);
    assert!(page.status == 502 && page.header("content-type").starts_with("text/html"), "{page:?}");
    assert_eq!(page.all("set-cookie").count(), 0);
    assert_eq!(get(at, "/api/held", &[]).status, 504);
    let mut client = Client::connect(at);
    client.send("GET", "/api/stall", &[], b"");
    assert_eq!(client.head().unwrap().status, 200);
    assert_eq!(client.chunk().unwrap().unwrap(), b"first");
    assert!(client.chunk().is_none(), "cut short, not ended as if it were whole");
    until("the requests are over", || edge.usage(&id(BLUE)).in_flight == 0);
}

#[test]
fn a_websocket_is_a_tunnel_and_counts_as_an_open_stream() {
    let upstream = Upstream::start("blue");
    let edge = serving(&upstream);
    let mut client = Client::connect(edge.local_addr());
    let headers = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];
    client.send("GET", "/api/ws", &headers, b"");
    client.write(b"early");
    let head = client.head().unwrap();
    assert_eq!((head.status, head.header("upgrade"), head.release()), (101, "websocket", BLUE));
    assert_eq!(head.header("sec-websocket-accept"), "x");
    let mut buffer = [0; 11];
    client.stream.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"hello early");
    let usage = edge.usage(&id(BLUE));
    assert_eq!((usage.open_streams, usage.in_flight), (1, 0), "counted once");
    client.write(b"later");
    let mut buffer = [0; 5];
    client.stream.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"later");
    drop(client);
    until("the tunnel is closed", || edge.usage(&id(BLUE)).open_streams == 0);
    // A service that says no is heard as it is.
    let refused = request(edge.local_addr(), "GET", "/api/page", &headers, b"");
    assert_eq!((refused.status, refused.text()), (200, "<p>page</p>"));
}

#[test]
fn events_arrive_as_they_happen_and_count_as_an_open_stream() {
    let upstream = Upstream::start("blue");
    let timeouts = Timeouts { upstream_idle: Duration::from_millis(100), ..options().timeouts };
    let edge = with(&upstream, EdgeOptions { timeouts, ..options() });
    let mut client = Client::connect(edge.local_addr());
    client.send("GET", "/api/events", &[("accept", "text/event-stream")], b"");
    until("the service listens", || upstream.state.waiting.load(SeqCst) == 1);
    let head = client.head().unwrap();
    assert_eq!(head.header("content-type"), "text/event-stream");
    for event in ["one", "two"] {
        // Longer than the silence an ordinary answer may keep.
        std::thread::sleep(Duration::from_millis(450));
        upstream.state.events.send(event.into()).unwrap();
        assert_eq!(client.chunk().unwrap().unwrap(), format!("data: {event}\n\n").into_bytes());
    }
    let mut slow = Client::connect(edge.local_addr());
    slow.send("GET", "/api/held", &[], b"");
    until("one is slow", || upstream.state.waiting.load(SeqCst) == 2);
    let usage = edge.usage(&id(BLUE));
    assert_eq!((usage.open_streams, usage.in_flight), (1, 1), "each counted once");
    drop(slow);
    drop(client);
    until("the stream is closed", || {
        edge.usage(&id(BLUE)).open_streams == 0 && edge.usage(&id(BLUE)).in_flight == 0
    });
}

#[test]
fn a_slow_reader_holds_the_service_back_and_not_the_edge_s_memory() {
    let upstream = Upstream::start("blue");
    let edge = serving(&upstream);
    let mut slow = Client::connect(edge.local_addr());
    slow.send("GET", "/api/big", &[], b"");
    until("the answer has begun", || edge.usage(&id(BLUE)).in_flight == 1);
    let other = get(edge.local_addr(), "/api/version", &[]);
    assert_eq!(other.text(), "blue", "others are served meanwhile");
    assert_eq!(slow.receive("GET").unwrap().body.len(), 256 * 64 * 1024);
}

#[test]
fn a_visitor_who_leaves_ends_the_request_at_the_service() {
    let upstream = Upstream::start("blue");
    let edge = serving(&upstream);
    let mut client = Client::connect(edge.local_addr());
    client.send("GET", "/api/held", &[], b"");
    until("it waits", || upstream.state.waiting.load(SeqCst) == 1 && edge.usage(&id(BLUE)).in_flight == 1);
    client.stream.get_mut().flush().unwrap();
    drop(client);
    until("it is over", || edge.usage(&id(BLUE)).in_flight == 0);
}

#[test]
fn an_answer_in_http_1_0_ends_with_its_connection() {
    let upstream = Upstream::start("blue");
    let edge = serving(&upstream);
    let (reply, closed) = raw(edge.local_addr(), b"GET /api/big HTTP/1.0\r\nHost: a\r\n\r\n");
    let reply = reply.unwrap();
    assert_eq!((reply.status, reply.body.len(), closed), (200, 256 * 64 * 1024, true));
    assert_eq!(reply.all("transfer-encoding").count(), 0);
}
