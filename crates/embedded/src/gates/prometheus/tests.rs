//! Against servers that behave badly.

use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Answers one request with these bytes and tells what was asked.
async fn server(answer: String) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        head
    });
    (url, asked)
}

async fn head(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

fn one(value: &str) -> String {
    let body = format!(
        r#"{{"status":"success","data":{{"resultType":"scalar","result":[{},"{value}"]}}}}"#,
        now() as f64 / 1000.0
    );
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn the_query_is_asked_for_as_it_is() {
    let (url, asked) = server(one("0.5")).await;
    let url = url.replace("http://", "http://ada:secret@");
    let value = instant(&format!("{url}/below/"), "sum(rate(x{a=\"b & c\"}[1m]))", PATIENCE).await.unwrap();
    assert_eq!(value.value, 0.5);
    let asked = asked.await.unwrap();
    let expected = "GET /below/api/v1/query?query=sum%28rate%28x%7Ba%3D%22b%20%26%20c%22%7D%5B1m%5D%29%29&timeout=20000ms HTTP/1.1";
    assert!(asked.starts_with(expected), "{asked}");
    assert!(asked.contains("authorization: Basic YWRhOnNlY3JldA==\r\n"), "{asked}");
    let authority = url.split('@').nth(1).unwrap();
    assert!(asked.contains(&format!("host: {authority}\r\n")), "{asked}");
}

#[tokio::test]
async fn a_server_that_is_not_there_hangs_or_breaks_off_is_unknown() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let unknown = instant(&format!("http://{nobody}"), "up", PATIENCE).await.unwrap_err();
    assert!(matches!(unknown, Unknown::Unreachable { .. }), "{unknown}");

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://ada:secret@{}", silent.local_addr().unwrap());
    let unknown = instant(&url, "up", Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(unknown, Unknown::TimedOut { .. }), "{unknown}");
    assert!(
        unknown.to_string().contains("within 100 ms") && !unknown.to_string().contains("secret"),
        "{unknown}"
    );

    for broken in ["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"status\":", "hello\r\n\r\n", ""] {
        let (url, _asked) = server(broken.to_owned()).await;
        let unknown = instant(&url, "up", PATIENCE).await.unwrap_err();
        assert!(matches!(unknown, Unknown::Unreachable { .. }), "{broken:?}: {unknown}");
    }
    let (url, _asked) =
        server("HTTP/1.1 429 x\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
    let unknown = instant(&url, "up", PATIENCE).await.unwrap_err();
    assert!(matches!(unknown, Unknown::Throttled { status: 429, .. }), "{unknown}");
}

#[tokio::test]
async fn what_cannot_be_asked_is_unknown() {
    for (url, query, what) in [
        ("prometheus:9090", "up", "address"),
        ("http://127.0.0.1:1", " ", "query"),
        ("http://\u{0}", "up", "address"),
    ] {
        let unknown = instant(url, query, PATIENCE).await.unwrap_err();
        assert!(matches!(&unknown, Unknown::Unusable { what: found, .. } if *found == what), "{unknown}");
    }
}

#[tokio::test]
async fn https_is_spoken_and_only_a_trusted_certificate_is_believed() {
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address =
        Address::parse(&format!("https://localhost:{}", listener.local_addr().unwrap().port())).unwrap();
    let server = tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            if let Ok(mut tls) = acceptor.accept(tcp).await {
                head(&mut tls).await;
                tls.write_all(one("7").as_bytes()).await.unwrap();
                tls.shutdown().await.unwrap();
            }
        }
    });
    let strangers = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    for (certificate, trusted) in [(issued.cert.der(), true), (strangers.cert.der(), false)] {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let tls = trusting(roots).unwrap();
        let found = ask(&address, Some(&tls), "up", PATIENCE).await;
        match found {
            Ok(value) => assert!(trusted && value.value == 7.0),
            Err(unknown) => assert!(!trusted && unknown.to_string().contains("ertificate"), "{unknown}"),
        }
    }
    server.abort();
}
