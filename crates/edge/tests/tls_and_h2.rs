//! HTTP/2, in clear and under TLS, and certificates that change while serving.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

mod support;

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use bytes::Bytes;
use cutover_edge::{Edge, EdgeOptions, TlsFiles};
use cutover_routing::ReleaseState;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use support::{BLUE, GREEN, Plan, api, id, options, service, start, temp, until, upstream::Upstream};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

type H2 = SendRequest<Full<Bytes>>;

fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

async fn handshake<I>(io: I) -> H2
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, http) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
    tokio::spawn(http);
    sender
}

async fn clear(at: SocketAddr) -> H2 {
    handshake(TcpStream::connect(at).await.unwrap()).await
}

fn to(path: &str) -> http::request::Builder {
    Request::builder().uri(format!("http://shop.example{path}"))
}

async fn send(h2: &mut H2, request: http::request::Builder) -> (http::response::Parts, String) {
    let response = h2.send_request(request.body(Full::default()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts, String::from_utf8(body.to_vec()).unwrap())
}

fn serving(edge: &Edge, upstream: &Upstream) {
    edge.publish(
        Plan::new(1).release(BLUE, ReleaseState::Active, service(&upstream.at(), "/*", None)).done(),
    )
    .unwrap();
}

#[test]
fn http_2_in_clear_is_spoken_with_who_begins_with_it() {
    let upstream = Upstream::start("blue");
    let edge = start();
    serving(&edge, &upstream);
    block(async {
        let mut h2 = clear(edge.local_addr()).await;
        let request =
            to("/echo?a=b").header("cookie", "a=1").header("cookie", "cutover=x").header("cookie", "b=2");
        let (head, text) = send(&mut h2, request).await;
        assert_eq!(
            (head.status, &head.headers["x-cutover-release"]),
            (StatusCode::OK, &BLUE.parse().unwrap())
        );
        for line in
            ["GET /echo?a=b", "host: shop.example", "cookie: a=1; b=2", "x-forwarded-host: shop.example"]
        {
            assert!(text.lines().any(|seen| seen == line), "{line} is not in\n{text}");
        }
        let body = Full::new(Bytes::from(vec![b'x'; 500_000]));
        let response = h2.send_request(to("/upload").method("POST").body(body).unwrap()).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "500000");
        let (head, text) = send(&mut h2, to("/any").method("HEAD")).await;
        assert_eq!((&head.headers["content-length"], text.as_str()), (&"123".parse().unwrap(), ""));
        let (head, _) = send(&mut h2, to("/echo").header("host", "other.example")).await;
        assert_eq!(head.status, StatusCode::BAD_REQUEST);
        let (head, _) = send(&mut h2, to("/echo").method("TRACE")).await;
        assert_eq!(head.status, StatusCode::METHOD_NOT_ALLOWED);
        let (head, _) = send(&mut h2, to("/a%2fb")).await;
        assert_eq!(head.status, StatusCode::BAD_REQUEST);
        let large = h2
            .send_request(to("/").header("x-a", "x".repeat(64 * 1024)).body(Full::default()).unwrap())
            .await;
        assert!(
            large.is_err()
                || large
                    .is_ok_and(|response| response.status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
        );
    });
}

#[test]
fn a_body_that_its_stream_gives_up_is_not_the_release_s_error() {
    use futures_util::StreamExt;
    let upstream = Upstream::start("blue");
    let edge = start();
    serving(&edge, &upstream);
    block(async {
        let io = TokioIo::new(TcpStream::connect(edge.local_addr()).await.unwrap());
        let (mut h2, http) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(http);
        let frames = futures_util::stream::iter([
            Ok(hyper::body::Frame::data(Bytes::from_static(b"hello"))),
            Err(std::io::Error::other("gives up")),
        ]);
        let paced = frames.then(|frame| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            frame
        });
        let body = http_body_util::StreamBody::new(paced);
        assert!(h2.send_request(to("/upload").method("POST").body(Box::pin(body)).unwrap()).await.is_err());
    });
    until("it is counted", || edge.usage(&id(BLUE)).requests == 1);
    assert_eq!(edge.usage(&id(BLUE)).server_errors, 0);
    assert!(edge.metrics().contains("class=\"4xx\"} 1"), "{}", edge.metrics());
}

#[test]
fn a_pin_is_read_beside_a_cookie_in_another_charset_over_http_2() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = start();
    edge.publish(
        Plan::new(6)
            .release(BLUE, ReleaseState::Draining, api(&blue.at()))
            .release(GREEN, ReleaseState::Active, api(&green.at()))
            .done(),
    )
    .unwrap();
    block(async {
        let mut h2 = clear(edge.local_addr()).await;
        for name in [&b"J\xc3\xbcrgen"[..], b"J\xfcrgen"] {
            let cookie = [b"name=", name, b"; cutover=1.blue0001.7.5; b=2"].concat();
            let cookie = http::HeaderValue::from_bytes(&cookie).unwrap();
            let (head, text) = send(&mut h2, to("/api/version").header("cookie", cookie)).await;
            assert_eq!((&head.headers["x-cutover-reason"], text.as_str()), (&"pin".parse().unwrap(), "blue"));
        }
    });
}

#[test]
fn many_streams_of_one_connection_live_through_switches() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = start();
    let publish = |generation: u64| {
        let (active, upstream) = if generation % 2 == 1 { (BLUE, &blue) } else { (GREEN, &green) };
        edge.publish(Plan::new(generation).release(active, ReleaseState::Active, api(&upstream.at())).done())
            .unwrap();
    };
    publish(1);
    block(async {
        let h2 = clear(edge.local_addr()).await;
        let held = {
            let mut h2 = h2.clone();
            tokio::spawn(async move { send(&mut h2, to("/api/held")).await })
        };
        while blue.state.waiting.load(SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for generation in 2..=50 {
            let streams: Vec<_> = (0..8)
                .map(|_| {
                    let mut h2 = h2.clone();
                    tokio::spawn(async move { send(&mut h2, to("/api/sleep")).await })
                })
                .collect();
            publish(generation);
            for stream in streams {
                let (head, text) = stream.await.unwrap();
                assert_eq!(head.status, StatusCode::OK);
                let name = if text == "blue" { BLUE } else { GREEN };
                assert_eq!(head.headers["x-cutover-release"], name);
            }
        }
        blue.state.gate.add_permits(1);
        assert_eq!(held.await.unwrap().1, "blue");
    });
}

#[test]
fn an_edge_that_ends_lets_streams_finish_and_says_goodbye() {
    let upstream = Upstream::start("blue");
    let edge = start();
    serving(&edge, &upstream);
    block(async {
        let mut h2 = clear(edge.local_addr()).await;
        let held = {
            let mut h2 = h2.clone();
            tokio::spawn(async move { send(&mut h2, to("/held")).await })
        };
        while upstream.state.waiting.load(SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let stopping = tokio::task::spawn_blocking(move || edge.shutdown(Duration::from_secs(30)));
        // New streams are refused once the goodbye has arrived.
        while let Ok(response) = h2.send_request(to("/x").body(Full::default()).unwrap()).await {
            response.into_body().collect().await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        upstream.state.gate.add_permits(1);
        let (head, text) = held.await.unwrap();
        assert_eq!((head.status, text.as_str()), (StatusCode::OK, "blue"));
        stopping.await.unwrap();
    });
}

/// A new certificate in two files.
fn certificate(dir: &Path) -> (TlsFiles, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["shop.example".to_owned()]).unwrap();
    let files = TlsFiles { cert: dir.join("cert.pem"), key: dir.join("key.pem") };
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    (files, CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap())
}

async fn tls(
    at: SocketAddr,
    trusted: &CertificateDer<'static>,
    alpn: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("shop.example").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name, TcpStream::connect(at).await.unwrap())
        .await
}

fn trusts(at: SocketAddr, certificate: &CertificateDer<'static>) -> bool {
    block(tls(at, certificate, &[])).is_ok()
}

#[test]
fn tls_offers_http_2_and_http_1() {
    let dir = temp();
    let (files, trusted) = certificate(dir.path());
    let upstream = Upstream::start("blue");
    let edge = Edge::start(EdgeOptions { tls: Some(files), ..options() }).unwrap();
    serving(&edge, &upstream);
    let at = edge.local_addr();
    block(async {
        let io = tls(at, &trusted, &[b"h2", b"http/1.1"]).await.unwrap();
        assert_eq!(io.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        let mut h2 = handshake(io).await;
        let (head, text) = send(&mut h2, to("/echo")).await;
        assert_eq!(head.status, StatusCode::OK);
        assert!(text.contains("x-forwarded-proto: https"), "{text}");
        for alpn in [vec![b"http/1.1".as_slice()], vec![]] {
            let io = tls(at, &trusted, &alpn).await.unwrap();
            let (mut h1, http) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await.unwrap();
            tokio::spawn(http);
            let request =
                Request::get("/echo").header("host", "shop.example").body(Full::<Bytes>::default()).unwrap();
            assert_eq!(h1.send_request(request).await.unwrap().status(), StatusCode::OK);
        }
    });
    // Clear text is no TLS, and a client that says nothing is no burden.
    assert!(support::client::raw(at, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").0.is_none());
}

#[test]
fn a_renewed_certificate_is_taken_without_a_restart_and_a_bad_one_is_not() {
    let dir = temp();
    let (files, first) = certificate(dir.path());
    let edge = Edge::start(EdgeOptions { tls: Some(files.clone()), ..options() }).unwrap();
    let at = edge.local_addr();
    assert!(trusts(at, &first));
    let (_, second) = certificate(dir.path());
    until("the new certificate is noticed", || trusts(at, &second));
    assert!(!trusts(at, &first));

    std::fs::write(&files.cert, "no certificate").unwrap();
    let error = edge.reload_tls().unwrap_err();
    assert!(error.to_string().contains("cert.pem"), "{error}");
    assert!(trusts(at, &second), "the old one stays");
    let (_, third) = certificate(dir.path());
    edge.reload_tls().unwrap();
    assert!(trusts(at, &third));

    // A key of another certificate.
    let other = temp();
    let (foreign, _) = certificate(other.path());
    std::fs::copy(&foreign.key, &files.key).unwrap();
    assert!(edge.reload_tls().unwrap_err().to_string().contains("does not fit"));
    assert!(trusts(at, &third));
    let refused = Edge::start(EdgeOptions { tls: Some(files), ..options() }).unwrap_err();
    assert!(refused.to_string().contains("does not fit"), "{refused}");
}

#[test]
fn switches_under_http_2_are_counted_per_release() {
    let upstream = Upstream::start("blue");
    let edge = start();
    serving(&edge, &upstream);
    block(async {
        let mut h2 = clear(edge.local_addr()).await;
        for _ in 0..10 {
            send(&mut h2, to("/x")).await;
        }
    });
    until("they are counted", || edge.usage(&id(BLUE)).requests == 10);
}

#[test]
fn an_event_stream_over_http_2_ends_alone_and_cleanly() {
    let upstream = Upstream::start("blue");
    let edge = start();
    serving(&edge, &upstream);
    block(async {
        let mut h2 = clear(edge.local_addr()).await;
        let events = h2.send_request(to("/events").body(Full::default()).unwrap()).await.unwrap();
        until("it is open", || edge.usage(&id(BLUE)).open_streams == 1);
        assert_eq!(edge.end_streams(&id(BLUE), Duration::ZERO), 1);
        assert_eq!(events.into_body().collect().await.unwrap().to_bytes(), "");
        let (head, text) = send(&mut h2, to("/any")).await;
        assert_eq!((head.status, text.as_str()), (StatusCode::OK, "blue"));
    });
    until("it has ended", || edge.usage(&id(BLUE)).open_streams == 0);
}
