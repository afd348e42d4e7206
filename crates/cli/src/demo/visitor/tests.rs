//! The visitor's judgement, against a server that misbehaves as told.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

const A: &str = "aaaaaaaa";
const DOCUMENT: &str = "<meta name=\"cutover-release\" content=\"aaaaaaaa\"><script src=\"/m.js\"></script>";

/// Lets a visitor visit once a server that answers everything but documents as told, and says what was counted.
async fn visit(
    status: u16,
    release: &'static str,
    more: &'static str,
    body: &'static str,
) -> (u64, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let edge = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        loop {
            while !request.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { return };
                request.push(byte);
            }
            let document = request.starts_with(b"GET / ");
            request.clear();
            let answer = if document {
                let (kind, length) = ("text/html", DOCUMENT.len());
                format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
                     x-cutover-release: {A}\r\nset-cookie: cutover=1.{A}.7.1; Path=/\r\n\r\n{DOCUMENT}"
                )
            } else {
                format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                     x-cutover-release: {release}\r\n{more}\r\n{body}",
                    body.len()
                )
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let tour = Tour { edge, host: edge.to_string(), pages: &["/"], api: &["/api"] };
    let tally = Arc::new(Tally::new(1));
    let mut visitor = Visitor::new(0, Arc::new(tour), tally.clone());
    assert_eq!(visitor.visit().await.map(|release| release.to_string()).as_deref(), Some(A));
    assert_eq!(visitor.cookies.get("cutover").map(String::as_str), Some("1.aaaaaaaa.7.1"));
    let picture = tally.picture();
    let total = picture.total_without(&[]);
    assert_eq!(total.visits, 1);
    let words = picture.problems.into_iter().map(|(_, words)| words).collect();
    (total.failures * 10 + total.mixed_visits, words)
}

#[tokio::test]
async fn a_visit_with_answers_of_its_own_release_only_is_whole() {
    assert_eq!(visit(200, A, "", "{\"release\":\"aaaaaaaa\"}").await, (0, vec![]));
}

#[tokio::test]
async fn an_answer_of_another_release_mixes_the_visit_once_unless_it_is_marked_stale() {
    let (counted, words) = visit(200, "bbbbbbbb", "", "{}").await;
    assert_eq!(counted, 1);
    assert_eq!(words, ["/m.js came from bbbbbbbb on a page of aaaaaaaa"]);
    assert_eq!(visit(200, "bbbbbbbb", "x-cutover-stale: 1\r\n", "{}").await.0, 0);
}

#[tokio::test]
async fn a_service_of_another_release_is_found_out_by_its_own_words() {
    assert_eq!(visit(200, A, "", "{\"release\":\"bbbbbbbb\"}").await.0, 1);
}

#[tokio::test]
async fn error_statuses_are_failures() {
    let (counted, words) = visit(500, A, "", "{}").await;
    assert!(counted >= 30, "the module and two calls: {counted}");
    assert!(words[0].contains("status 500"), "{words:?}");
}
