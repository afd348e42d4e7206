//! Requests that can be read in more than one way, over raw sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

mod support;

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use cutover_edge::{Edge, EdgeOptions, Limits, Timeouts};
use cutover_routing::ReleaseState;
use support::{
    BLUE, Plan,
    client::{Client, get, raw, request},
    id, options, service, start, until,
    upstream::Upstream,
};

fn serving() -> (Edge, Upstream) {
    let upstream = Upstream::start("blue");
    let edge = start();
    edge.publish(
        Plan::new(1).release(BLUE, ReleaseState::Active, service(&upstream.at(), "/*", None)).done(),
    )
    .unwrap();
    (edge, upstream)
}

#[test]
fn ambiguous_requests_are_refused_and_their_connection_closed() {
    let (edge, upstream) = serving();
    let head = |fields: &str| format!("POST /upload HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let cases: Vec<(&str, String)> = vec![
        ("length and coding", head("Content-Length: 5\r\nTransfer-Encoding: chunked") + "0\r\n\r\n"),
        ("coding and length", head("Transfer-Encoding: chunked\r\nContent-Length: 5") + "0\r\n\r\n"),
        ("two lengths", head("Content-Length: 5\r\nContent-Length: 6") + "hello"),
        ("one length twice", head("Content-Length: 5\r\nContent-Length: 5") + "hello"),
        ("a list of lengths", head("Content-Length: 5, 5") + "hello"),
        ("a signed length", head("Content-Length: +5") + "hello"),
        ("a negative length", head("Content-Length: -5") + "hello"),
        ("a hexadecimal length", head("Content-Length: 0x5") + "hello"),
        ("an empty length", head("Content-Length:") + "hello"),
        ("an unknown coding", head("Transfer-Encoding: xchunked") + "0\r\n\r\n"),
        ("chunked, then another", head("Transfer-Encoding: chunked, identity") + "0\r\n\r\n"),
        ("another, then chunked", head("Transfer-Encoding: gzip, chunked") + "0\r\n\r\n"),
        ("chunked twice", head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked") + "0\r\n\r\n"),
        ("a tab before chunked's end", head("Transfer-Encoding: \x0bchunked") + "0\r\n\r\n"),
        ("a coding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into()),
        ("a blank before the colon", head("Content-Length : 5") + "hello"),
        ("a folded header", head("X-A: b\r\n c") + ""),
        ("a folded coding", head("Transfer-Encoding:\r\n chunked") + "0\r\n\r\n"),
        ("bare line feeds", "GET / HTTP/1.1\nHost: a\n\n".into()),
        ("one bare line feed", "GET / HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n".into()),
        ("no host", "GET / HTTP/1.1\r\nX-A: b\r\n\r\n".into()),
        ("two hosts", head("Host: b")),
        ("the same host twice", head("Host: a")),
        ("an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n".into()),
        ("a host with user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n".into()),
        ("a port that is none", "GET / HTTP/1.1\r\nHost: 127.0.0.1:99999999\r\n\r\n".into()),
        ("a port just above", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n".into()),
        ("port 0", "GET / HTTP/1.1\r\nHost: [::1]:0\r\n\r\n".into()),
        ("a signed port", "GET / HTTP/1.1\r\nHost: a:+80\r\n\r\n".into()),
        ("a port in letters", "GET / HTTP/1.1\r\nHost: a:http\r\n\r\n".into()),
        ("two ports", "GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n".into()),
        ("a host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".into()),
        ("a host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n".into()),
        ("another target", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        ("no host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n".into()),
        ("a NUL", "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n".into()),
        ("a lone carriage return", "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rX-B: c\r\n\r\n".into()),
        ("an unknown upgrade", format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n{smuggled}")),
        ("an upgrade to h2c", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n".into()),
        ("an upgrade with a body", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nContent-Length: 1\r\n\r\nx".into()),
        ("an unknown expectation", head("Expect: 200-ok\r\nContent-Length: 1") + "x"),
        ("a method that loops back", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        ("a tunnel", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n".into()),
        ("a version from the future", "GET / HTTP/3.0\r\nHost: a\r\n\r\n".into()),
        ("no version", "GET /\r\n\r\n".into()),
        ("noise", "\u{1}\u{2}\u{3}\r\n\r\n".into()),
    ];
    for (case, bytes) in cases {
        let (reply, closed) = raw(edge.local_addr(), bytes.as_bytes());
        if let Some(reply) = reply {
            assert!((400..500).contains(&reply.status), "{case}: {reply:?}");
        }
        assert!(closed, "{case}: the connection stayed open");
    }
    assert_eq!(upstream.state.requests.load(SeqCst), 0, "nothing of it reached a service");
}

#[test]
fn malformed_chunks_end_the_connection_and_no_second_request_comes_of_them() {
    let (edge, upstream) = serving();
    for body in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "g\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
    ] {
        let bytes = format!(
            "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        let (reply, closed) = raw(edge.local_addr(), bytes.as_bytes());
        assert!(reply.is_none_or(|reply| reply.status >= 400), "{body:?}");
        assert!(closed, "{body:?}");
    }
    assert!(!upstream.state.seen.lock().unwrap().iter().any(|seen| seen.contains("smuggled")));
}

#[test]
fn a_broken_body_is_the_visitor_s_fault_and_not_the_release_s() {
    let (edge, _upstream) = serving();
    let at = edge.local_addr();
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    let extension = format!("{chunked}5;x={}\r\nhello\r\n0\r\n\r\n", "y".repeat(70 * 1024));
    let cases = [
        ("a bare line feed", format!("{chunked}5\nhello\r\n0\r\n\r\n")),
        ("a size beyond counting", format!("{chunked}fffffffffffffffff\r\nhello")),
        ("no size", format!("{chunked}g\r\n")),
        ("a chunk that is longer than it says", format!("{chunked}5\r\nhelloX\r\n0\r\n\r\n")),
        ("a fault after good chunks", format!("{chunked}5\r\nhello\r\n5\r\nhello\r\nzz\r\n")),
        ("a long extension", extension),
    ];
    let count = cases.len() as u64;
    for (case, body) in cases {
        let bytes = format!("POST /upload HTTP/1.1\r\nHost: a\r\n{body}");
        let (reply, closed) = raw(at, bytes.as_bytes());
        assert_eq!(reply.map(|reply| reply.status), Some(400), "{case}");
        assert!(closed, "{case}");
    }
    // Bodies that end before their end: who still listens is told, who has left is not the release's error either.
    for body in ["Content-Length: 50\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n50\r\nhello"] {
        let mut client = Client::connect(at);
        client.write(format!("POST /upload HTTP/1.1\r\nHost: a\r\n{body}").as_bytes());
        client.stream.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(client.receive("POST").map(|reply| reply.status), Some(400), "{body:?}");
        let mut client = Client::connect(at);
        client.write(format!("POST /upload HTTP/1.1\r\nHost: a\r\n{body}").as_bytes());
        drop(client);
    }
    until("all are counted", || edge.usage(&id(BLUE)).requests == count + 4);
    assert_eq!(edge.usage(&id(BLUE)).server_errors, 0);
    let metrics = edge.metrics();
    assert!(
        !metrics.lines().any(|line| line.starts_with("cutover_requests_total{") && line.contains("5xx")),
        "{metrics}"
    );
    assert_eq!(get(at, "/version", &[]).text(), "blue", "the service is fine");
}

#[test]
fn sound_requests_share_a_connection() {
    let (edge, _upstream) = serving();
    let mut client = Client::connect(edge.local_addr());
    client.write(
        b"\r\nPOST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
          POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: x\r\n\r\n\
          GET http://A/echo HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(client.receive("POST").unwrap().text(), "5");
    assert_eq!(client.receive("POST").unwrap().text(), "7");
    assert!(client.receive("GET").unwrap().text().starts_with("GET /echo"));
}

#[test]
fn heads_are_bounded_in_bytes_and_fields() {
    let (edge, upstream) = serving();
    let at = edge.local_addr();
    let large = "x".repeat(64 * 1024);
    let (reply, closed) = raw(at, format!("GET / HTTP/1.1\r\nHost: a\r\nX-A: {large}\r\n\r\n").as_bytes());
    assert!(closed && reply.is_none_or(|reply| reply.status == 431));
    let (reply, closed) =
        raw(at, format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(101)).as_bytes());
    assert!(closed && reply.is_none_or(|reply| reply.status == 431));
    let (reply, closed) = raw(at, format!("GET /{large} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    assert!(closed && reply.is_none_or(|reply| (400..500).contains(&reply.status)));
    let long = "x".repeat(16 * 1024);
    assert_eq!(get(at, "/echo", &[("x-a", &long)]).status, 200, "well inside");
    assert_eq!(upstream.state.requests.load(SeqCst), 1);

    let options = EdgeOptions {
        limits: Limits { header_bytes: 8192, header_count: 5, ..Limits::default() },
        ..options()
    };
    let edge = Edge::start(options).unwrap();
    let many: Vec<_> = (0..5).map(|_| ("a", "b")).collect();
    assert_eq!(get(edge.local_addr(), "/", &many[..4]).status, 503);
    assert_eq!(request(edge.local_addr(), "GET", "/", &many, b"").status, 431);
}

#[test]
fn paths_that_can_be_read_twice_are_refused() {
    let (edge, upstream) = serving();
    for path in [
        "/a%00b",
        "/a%2fb",
        "/a%5cb",
        "/..%2fb",
        "/../b",
        "/a/../../b",
        "/%zz",
        "/a%",
        "/%ff",
        "/a\\b",
        "/a%0ab",
        "*",
    ] {
        let (reply, _) = raw(
            edge.local_addr(),
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        assert_eq!(reply.unwrap().status, 400, "{path}");
    }
    assert_eq!(upstream.state.requests.load(SeqCst), 0);
}

#[test]
fn a_service_gets_the_path_that_chose_it() {
    let (edge, _upstream) = serving();
    for (sent, target) in [
        ("/a/../echo?x=%2F..", "GET /echo?x=%2F.."),
        ("//echo", "GET /echo"),
        ("/a/%2e%2e/echo", "GET /echo"),
        ("/x/./%7Euser/../echo", "GET /x/echo"),
        ("/a%20b/echo?q", "GET /a%20b/echo?q"),
        ("/%C3%BC/echo", "GET /%C3%BC/echo"),
        ("/a%20b/../%C3%BC/echo", "GET /%C3%BC/echo"),
        ("/a%2520b/./echo", "GET /a%2520b/echo"),
    ] {
        let reply = get(edge.local_addr(), sent, &[]);
        assert_eq!(reply.text().lines().next().unwrap(), target, "{sent}");
    }
}

#[test]
fn any_host_is_served_as_long_as_there_is_one() {
    let (edge, _upstream) = serving();
    for host in [
        "127.0.0.1",
        "localhost:8080",
        "[::1]:80",
        "[::1]",
        "a:1",
        "a:65535",
        "a:",
        "other.example",
        "SHOP.example",
    ] {
        let reply = get(edge.local_addr(), "/echo", &[("host", host)]);
        assert_eq!(reply.status, 200, "{host}");
        assert!(reply.text().contains(&format!("\nhost: {host}\n")), "{host}: {}", reply.text());
    }
}

#[test]
fn clients_that_trickle_or_idle_are_let_go() {
    let timeouts = Timeouts {
        header_read: Duration::from_millis(200),
        idle: Duration::from_millis(200),
        body: Duration::from_millis(200),
        ..Timeouts::default()
    };
    let upstream = Upstream::start("blue");
    let edge = Edge::start(EdgeOptions { timeouts, ..options() }).unwrap();
    edge.publish(
        Plan::new(1).release(BLUE, ReleaseState::Active, service(&upstream.at(), "/*", None)).done(),
    )
    .unwrap();
    for (case, bytes) in [
        ("says nothing", ""),
        ("stops in a head", "GET / HTTP/1.1\r\nHost:"),
        ("sends empty lines", "\r\n\r\n"),
        ("stops in the preface of HTTP/2", "PRI * HT"),
        ("stops after a fault", "GET / HTTP/1.1\nHost: a\r\n"),
    ] {
        let mut client = Client::connect(edge.local_addr());
        client.write(bytes.as_bytes());
        assert!(client.closed(), "{case}");
    }
    let mut client = Client::connect(edge.local_addr());
    assert_eq!(client.get("/echo", &[]).status, 200);
    assert!(client.closed(), "idles after an answer");
    let mut client = Client::connect(edge.local_addr());
    client.write(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    let reply = client.receive("POST");
    assert_eq!(reply.map(|reply| reply.status), Some(408), "stops in a body");
    assert!(client.closed());
    assert_eq!(edge.usage(&id(BLUE)).server_errors, 0);
    // A head that comes in pieces but in time is fine.
    let mut client = Client::connect(edge.local_addr());
    for piece in ["GET /echo HT", "TP/1.1\r\nHos", "t: a\r\n", "\r\n"] {
        client.write(piece.as_bytes());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(client.receive("GET").unwrap().status, 200);
}
