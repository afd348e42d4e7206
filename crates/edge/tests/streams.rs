//! The end of open streams: one after the other, cleanly, and nothing else with them.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

mod support;

use std::{collections::BTreeSet, io::Read, sync::atomic::Ordering::SeqCst, time::Duration};

use cutover_edge::Edge;
use cutover_routing::ReleaseState;
use support::{
    BLUE, GREEN, Plan, api,
    client::{Client, get},
    id, start, until,
    upstream::Upstream,
};

const UPGRADE: [(&str, &str); 3] =
    [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "x")];

fn two(blue: &Upstream, green: &Upstream) -> Edge {
    let edge = start();
    edge.publish(
        Plan::new(1)
            .release(BLUE, ReleaseState::Active, api(&blue.at()))
            .release(GREEN, ReleaseState::Candidate, api(&green.at()))
            .done(),
    )
    .unwrap();
    edge
}

fn events(edge: &Edge, release: &str) -> Client {
    let mut client = Client::connect(edge.local_addr());
    client.send("GET", "/api/events", &[("x-cutover-release", release)], b"");
    assert_eq!(client.head().unwrap().status, 200);
    client
}

fn socket(edge: &Edge, path: &str) -> Client {
    let mut client = Client::connect(edge.local_addr());
    client.send("GET", path, &UPGRADE, b"");
    assert_eq!(client.head().unwrap().status, 101);
    client
}

fn open(edge: &Edge, release: &str) -> u64 {
    edge.usage(&id(release)).open_streams
}

/// The frames of a server that the rest of a connection is made of.
fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, length, rest @ ..] = bytes {
        let (content, rest) = rest.split_at(usize::from(*length));
        frames.push((*first, content.to_vec()));
        bytes = rest;
    }
    frames
}

/// What a server says who restarts: close frame, status 1012.
const RESTART: (u8, [u8; 2]) = (0x88, 1012_u16.to_be_bytes());

#[test]
fn streams_of_a_release_end_one_after_the_other_and_nothing_else_ends() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = two(&blue, &green);
    let mut streams: Vec<Client> = (0..10).map(|_| events(&edge, BLUE)).collect();
    let _sockets: Vec<Client> = (0..10).map(|_| socket(&edge, "/api/frames")).collect();
    let mut other = events(&edge, GREEN);
    let mut plain = Client::connect(edge.local_addr());
    plain.send("GET", "/api/held", &[], b"");
    until("all are open", || {
        open(&edge, BLUE) == 20 && open(&edge, GREEN) == 1 && edge.usage(&id(BLUE)).in_flight == 1
    });
    assert_eq!(edge.end_streams(&id(BLUE), Duration::from_secs(4)), 20);
    let mut levels = BTreeSet::new();
    until("all have ended", || {
        // Asked again and again, they keep their moments.
        levels.insert(edge.end_streams(&id(BLUE), Duration::from_secs(4)));
        open(&edge, BLUE) == 0
    });
    assert!(levels.len() >= 5, "they did not end at once: {levels:?}");
    for stream in &mut streams {
        assert_eq!(stream.chunk(), Some(None), "the body is whole");
        assert_eq!(stream.get("/api/x", &[]).text(), "blue", "and the connection goes on");
    }
    assert_eq!((open(&edge, GREEN), edge.usage(&id(BLUE)).in_flight), (1, 1));
    until("green listens", || green.state.waiting.load(SeqCst) == 1);
    green.state.events.send("still here".into()).unwrap();
    assert_eq!(other.chunk().unwrap().unwrap(), b"data: still here\n\n");
    blue.state.gate.add_permits(1);
    assert_eq!(plain.receive("GET").unwrap().text(), "blue");
    assert_eq!(edge.end_streams(&id("unknown9"), Duration::ZERO), 0);
}

#[test]
fn a_stream_that_is_opened_later_stays() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = two(&blue, &green);
    let mut first = events(&edge, BLUE);
    edge.end_streams(&id(BLUE), Duration::ZERO);
    assert_eq!(first.chunk(), Some(None));
    let mut later = events(&edge, BLUE);
    until("it listens", || blue.state.waiting.load(SeqCst) == 2);
    // By now a moment that was drawn for it would have come.
    for n in 0..3 {
        blue.state.events.send(n.to_string()).unwrap();
        assert_eq!(later.chunk().unwrap().unwrap(), format!("data: {n}\n\n").as_bytes());
        assert_eq!(get(edge.local_addr(), "/api/sleep", &[]).status, 200);
    }
    assert_eq!(open(&edge, BLUE), 1);
}

#[test]
fn websockets_are_told_to_come_back_and_their_service_that_the_visitor_has_gone() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = two(&blue, &green);
    let mut socket = socket(&edge, "/api/frames");
    let mut hello = [0; 6];
    socket.stream.read_exact(&mut hello).unwrap();
    assert_eq!(&hello, b"\x81\x04blue");
    let said = [0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2];
    socket.write(&said);
    until("it has passed", || blue.state.waiting.load(SeqCst) > 0);
    assert_eq!(edge.end_streams(&id(BLUE), Duration::ZERO), 1);
    let mut rest = Vec::new();
    socket.stream.read_to_end(&mut rest).unwrap();
    assert_eq!(frames(&rest), [(RESTART.0, RESTART.1.to_vec())]);
    // Closes as it should, and the tunnel does not wait for more.
    drop(socket);
    until("it has ended", || open(&edge, BLUE) == 0);
    until("the service has seen the end", || !blue.state.seen.lock().unwrap().is_empty());
    let seen = blue.state.seen.lock().unwrap()[0].clone();
    let mask = [0x5a_u8, 0x17, 0xc3, 0x68];
    let [high, low] = 1001_u16.to_be_bytes();
    let goodbye = [&[0x88, 0x82][..], &mask, &[high ^ mask[0], low ^ mask[1]]].concat();
    assert_eq!(seen, format!("{:02x?}", [&said[..], &goodbye].concat()));
}

#[test]
fn a_frame_under_way_is_finished_before_the_goodbye() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = two(&blue, &green);
    let mut socket = socket(&edge, "/api/halves");
    let mut half = [0; 7];
    socket.stream.read_exact(&mut half).unwrap();
    edge.end_streams(&id(BLUE), Duration::ZERO);
    blue.state.gate.add_permits(1);
    let mut rest = Vec::new();
    socket.stream.read_to_end(&mut rest).unwrap();
    let frames = frames(&[&half[..], &rest].concat());
    assert_eq!(frames[0], (0x82, b"firstlater".to_vec()));
    assert_eq!(frames.last().unwrap(), &(RESTART.0, RESTART.1.to_vec()));
}

#[test]
fn a_tunnel_with_half_a_frame_or_none_at_all_is_closed_without_a_word() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = two(&blue, &green);
    for (path, said) in [("/api/halves", &b"\x82\x0afirst"[..]), ("/api/ws", b"hello ")] {
        let mut socket = socket(&edge, path);
        let mut first = vec![0; said.len()];
        socket.stream.read_exact(&mut first).unwrap();
        edge.end_streams(&id(BLUE), Duration::ZERO);
        let mut rest = Vec::new();
        socket.stream.read_to_end(&mut rest).unwrap();
        assert_eq!((&first[..], &rest[..]), (said, &b""[..]), "{path}");
        until("it has ended", || open(&edge, BLUE) == 0);
    }
}
