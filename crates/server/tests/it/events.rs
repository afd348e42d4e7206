use cutover_engine::{ErrorKind, control::HistoryEntry};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
};

use crate::{client::Ask, fake::Server};

/// Reads events off a connection.
struct Events(BufReader<TcpStream>);

impl Events {
    async fn open(server: &Server, ask: Ask) -> Self {
        let mut events = Self(BufReader::new(ask.open(server.addr).await));
        let status = events.line().await.unwrap();
        assert!(status.contains(" 200 "), "{status}");
        let mut is_stream = false;
        loop {
            let line = events.line().await.unwrap();
            is_stream |= line.eq_ignore_ascii_case("content-type: text/event-stream");
            if line.is_empty() {
                assert!(is_stream);
                return events;
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).await.unwrap();
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The sequences of the next events, checking that id and data agree.
    async fn next(&mut self, count: usize) -> Vec<u64> {
        let mut sequences = Vec::new();
        let mut id = 0;
        while sequences.len() < count {
            let line = self.line().await.expect("the stream goes on");
            if let Some(value) = line.strip_prefix("id: ") {
                id = value.parse().unwrap();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                let entry: HistoryEntry = serde_json::from_str(data).unwrap();
                assert_eq!(entry.message, format!("entry {}", entry.seq));
                // Data and id come in either order: the id of this event, or the one read just before.
                sequences.push(entry.seq);
                assert!(id == 0 || id == entry.seq || id + 1 == entry.seq, "{id} {entry:?}");
            }
        }
        sequences
    }

    async fn ended(&mut self) -> bool {
        while let Some(line) = self.line().await {
            if line == "0" {
                return true;
            }
        }
        true
    }
}

#[tokio::test]
async fn events_come_as_they_happen_from_now_on() {
    let server = Server::start().await;
    server.fake.happen(true);
    let mut events = Events::open(&server, Ask::get("/v1/events")).await;
    server.fake.happen(true);
    server.fake.happen(true);
    assert_eq!(events.next(2).await, [2, 3]);
}

#[tokio::test]
async fn a_client_that_was_away_goes_on_where_it_stopped() {
    let server = Server::start().await;
    for _ in 0..5 {
        server.fake.happen(true);
    }
    let mut by_header = Events::open(&server, Ask::get("/v1/events").with("last-event-id", "2")).await;
    let mut by_query = Events::open(&server, Ask::get("/v1/events?after=3")).await;
    let mut of_another_history = Events::open(&server, Ask::get("/v1/events?after=4000")).await;
    server.fake.happen(true);
    assert_eq!(by_header.next(4).await, [3, 4, 5, 6]);
    assert_eq!(by_query.next(3).await, [4, 5, 6]);
    assert_eq!(of_another_history.next(1).await, [6]);
}

#[tokio::test]
async fn a_burst_beyond_the_buffer_loses_nothing() {
    let server = Server::start().await;
    let mut events = Events::open(&server, Ask::get("/v1/events")).await;
    // More than the channel holds, at once; and entries that were never told at all.
    for number in 0..40 {
        server.fake.happen(number % 3 == 0);
    }
    server.fake.happen(true);
    assert_eq!(events.next(41).await, (1..=41).collect::<Vec<_>>());
}

#[tokio::test]
async fn streams_and_polls_end_when_the_server_stops() {
    let server = Server::start().await;
    let mut events = Events::open(&server, Ask::get("/v1/events")).await;
    let started = Ask::post("/v1/stage", r#"{"config":"/a"}"#).send(server.addr).await;
    let id = started.json::<cutover_server::Accepted>().operation;
    let addr = server.addr;
    let poll =
        tokio::spawn(async move { Ask::get(&format!("/v1/operations/{id}?wait_ms=30000")).send(addr).await });
    // The poll has been accepted once a later request on its own connection is answered.
    assert_eq!(Ask::get("/v1/table").send(addr).await.status, 200);
    let fake = std::sync::Arc::clone(&server.fake);
    server.stop().await;
    assert!(events.ended().await);
    // Whether the poll was in time to be answered depends on the scheduler; that it ends does not.
    let _ = poll.await;
    drop(fake);
}

#[tokio::test]
async fn a_history_that_cannot_be_read_is_an_error_before_the_stream() {
    let server = Server::start().await;
    server.fake.fail(ErrorKind::Unavailable);
    let answer = Ask::get("/v1/events").send(server.addr).await;
    assert_eq!((answer.status, answer.error().kind), (503, ErrorKind::Unavailable));
}
