use crate::{
    client::{Answer, Ask, TOKEN},
    fake::Server,
};

async fn refused(server: &Server, ask: Ask, status: u16, code: &str) -> Answer {
    let answer = ask.send(server.addr).await;
    assert_eq!((answer.status, answer.error().code.as_str()), (status, code), "{answer:?}");
    assert!(!answer.error().hints.is_empty(), "{answer:?}");
    assert_eq!(server.fake.calls(), Vec::<String>::new(), "nothing was asked of the control");
    answer
}

#[tokio::test]
async fn nobody_gets_in_without_the_token() {
    let server = Server::start().await;
    for path in ["/v1/status", "/metrics", "/v1/openapi.json", "/v1/events", "/nowhere"] {
        let answer = refused(&server, Ask::get(path).without("authorization"), 401, "CUT0651").await;
        assert!(answer.head.contains("www-authenticate: bearer"), "{answer:?}");
    }
    for value in [
        "Bearer wrong".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer {TOKEN}x"),
        format!("Bearer {}", &TOKEN[1..]),
        format!("Basic {TOKEN}"),
        TOKEN.to_owned(),
    ] {
        let ask = Ask::get("/v1/status").without("authorization").with("authorization", &value);
        refused(&server, ask, 401, "CUT0651").await;
    }
    let twice = Ask::get("/v1/status").with("authorization", &format!("Bearer {TOKEN}"));
    refused(&server, twice, 401, "CUT0651").await;
}

#[tokio::test]
async fn the_host_must_be_this_machines_own_address() {
    let server = Server::start().await;
    for host in [
        "attacker.test",
        "attacker.test:9400",
        "127.0.0.1.attacker.test",
        "192.0.2.1",
        "[2001:db8::1]:80",
        "",
    ] {
        let ask = Ask::get("/v1/status").without("host").with("host", host);
        refused(&server, ask, 403, "CUT0652").await;
    }
    refused(&server, Ask::get("/v1/status").with("host", "localhost"), 403, "CUT0652").await;
    refused(&server, Ask::get("/v1/status").without("host"), 403, "CUT0652").await;
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:9400", "[::1]:9400", "control.test:9400"]
    {
        let answer = Ask::get("/v1/status").without("host").with("host", host).send(server.addr).await;
        assert_eq!(answer.status, 200, "{host}: {answer:?}");
    }
}

#[tokio::test]
async fn web_pages_of_other_origins_are_refused_even_with_the_token() {
    let server = Server::start().await;
    for origin in ["http://attacker.test", "null", "https://127.0.0.1:9400", "http://127.0.0.1:8080", ""] {
        refused(&server, Ask::post("/v1/promote", "{}").with("origin", origin), 403, "CUT0652").await;
    }
    refused(&server, Ask::get("/v1/status").with("sec-fetch-site", "cross-site"), 403, "CUT0652").await;
    refused(&server, Ask::get("/v1/status").with("sec-fetch-site", "same-site"), 403, "CUT0652").await;
    let preflight = Ask::new("OPTIONS", "/v1/promote")
        .without("authorization")
        .with("origin", "http://attacker.test")
        .with("access-control-request-method", "POST");
    let answer = refused(&server, preflight, 403, "CUT0652").await;
    assert!(!answer.head.contains("access-control-allow"), "{answer:?}");
    let own =
        Ask::get("/v1/status").with("origin", "http://127.0.0.1:9400").with("sec-fetch-site", "same-origin");
    assert_eq!(own.send(server.addr).await.status, 200);
}

#[tokio::test]
async fn who_asks_is_bounded_and_printable() {
    let server = Server::start().await;
    for (said, noted) in [
        (None, "api"),
        (Some("  "), "api"),
        (Some("ann@laptop"), "ann@laptop"),
        (Some("a\tb"), "ab"),
        (Some("zoë"), "zoë"),
    ] {
        let mut ask = Ask::post("/v1/rollback", "{}");
        if let Some(said) = said {
            ask = ask.with("x-cutover-who", said);
        }
        assert_eq!(ask.send(server.addr).await.status, 200);
        assert_eq!(server.fake.calls().pop().unwrap(), format!("{noted} rollback false"));
    }
    Ask::post("/v1/rollback", "{}").with("x-cutover-who", &"x".repeat(500)).send(server.addr).await;
    assert_eq!(server.fake.calls().pop().unwrap(), format!("{} rollback false", "x".repeat(64)));
}
