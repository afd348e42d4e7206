use cutover_engine::{
    ErrorKind, Table,
    control::{ExplainReport, HistoryEntry, PreviewReport, Release, RetireReport, Status, SwitchReport},
};

use crate::{
    client::Ask,
    fake::{Server, release},
};

#[tokio::test]
async fn every_reading_route_answers_what_the_control_says() {
    let server = Server::start().await;
    server.fake.happen(false);
    server.fake.happen(false);
    let get = async |path: &str| {
        let answer = Ask::get(path).send(server.addr).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.head.contains("cache-control: no-store"), "{answer:?}");
        assert!(answer.head.contains("x-content-type-options: nosniff"), "{answer:?}");
        answer
    };
    assert_eq!(get("/v1/status").await.json::<Status>().active, Some(release()));
    assert_eq!(get("/v1/releases").await.json::<Vec<Release>>().len(), 1);
    assert_eq!(get("/v1/table").await.json::<Table>(), Table::empty());
    let history: Vec<HistoryEntry> = get("/v1/history?limit=1").await.json();
    assert_eq!(history.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [2]);
    get("/v1/history").await;
    get("/v1/history?limit=4000000000").await;
    let calls = server.fake.calls();
    assert_eq!(calls[calls.len() - 2..], ["history 50", "history 1000"]);
    let metrics = get("/metrics").await;
    assert_eq!(metrics.body, "cutover_up 1\n");
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"), "{metrics:?}");
    let described: serde_json::Value = get("/v1/openapi.json").await.json();
    assert_eq!(described["openapi"], "3.1.0");
}

#[tokio::test]
async fn every_acting_route_passes_its_request_on() {
    let server = Server::start().await;
    let post = async |path: &str, body: &str| {
        let answer = Ask::post(path, body).send(server.addr).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        (answer, server.fake.calls().pop().unwrap())
    };
    let (answer, call) = post("/v1/promote", r#"{"release":"v2","reason":"because"}"#).await;
    assert_eq!(answer.json::<SwitchReport>().verb, "promote");
    assert_eq!(call, r#"api promote Some("v2") Some("because")"#);
    assert_eq!(post("/v1/rollback", r#"{"now":true}"#).await.1, "api rollback true");
    assert_eq!(
        post("/v1/releases/abcdefgh/withdraw", r#"{"purge":true}"#).await.1,
        "api withdraw abcdefgh true"
    );
    assert_eq!(post("/v1/releases/a%20b/withdraw", "{}").await.1, "api withdraw a b false");
    let (answer, call) = post("/v1/releases/abcdefgh/retire", r#"{"force":true}"#).await;
    assert_eq!((answer.json::<RetireReport>().freed_bytes, call.as_str()), (9, "api retire abcdefgh true"));
    let (answer, call) = post("/v1/releases/abcdefgh/preview", r#"{"lasts":60}"#).await;
    assert_eq!(
        (answer.json::<PreviewReport>().cookie.as_str(), call.as_str()),
        ("a=b", "api preview abcdefgh Some(60)")
    );
    let (answer, call) = post("/v1/explain/request", r#"{"target":"/a?b","headers":[["cookie","x"]]}"#).await;
    assert_eq!((answer.json::<ExplainReport>().reason.as_str(), call.as_str()), ("pin", "explain /a?b 1"));
}

#[tokio::test]
async fn no_body_is_an_empty_request() {
    let server = Server::start().await;
    let answer = Ask::new("POST", "/v1/promote").send(server.addr).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(server.fake.calls(), ["api promote None None"]);
}

#[tokio::test]
async fn every_kind_of_error_has_its_status_and_comes_whole() {
    let server = Server::start().await;
    for (kind, status) in [
        (ErrorKind::Invalid, 422),
        (ErrorKind::NotFound, 404),
        (ErrorKind::Refused, 409),
        (ErrorKind::Failed, 424),
        (ErrorKind::Unavailable, 503),
        (ErrorKind::Internal, 500),
    ] {
        server.fake.fail(kind);
        for ask in [
            Ask::get("/v1/status"),
            Ask::get("/v1/releases"),
            Ask::get("/v1/history"),
            Ask::get("/v1/table"),
            Ask::get("/v1/events"),
            Ask::post("/v1/promote", "{}"),
            Ask::post("/v1/rollback", "{}"),
            Ask::post("/v1/releases/x/withdraw", "{}"),
            Ask::post("/v1/releases/x/retire", "{}"),
            Ask::post("/v1/releases/x/preview", "{}"),
            Ask::post("/v1/explain/request", r#"{"target":"/"}"#),
        ] {
            let answer = ask.send(server.addr).await;
            assert_eq!(answer.status, status, "{answer:?}");
            assert_eq!(Some(answer.error()), *server.fake.failure.lock().unwrap());
        }
    }
}

#[tokio::test]
async fn a_bug_in_an_operation_is_an_error_and_no_broken_connection() {
    let server = Server::start().await;
    let answer = Ask::post("/v1/promote", r#"{"reason":"a bug"}"#).send(server.addr).await;
    assert_eq!((answer.status, answer.error().code.as_str()), (500, "CUT0657"));
    assert_eq!(Ask::get("/v1/status").send(server.addr).await.status, 200);
}

#[tokio::test]
async fn what_http_gets_wrong_is_an_error_of_the_same_form() {
    let server = Server::start().await;
    let plain = Ask::post("/v1/promote", "{}").without("content-type");
    let huge = format!(r#"{{"reason":"{}"}}"#, "x".repeat(70_000));
    for (ask, status, code) in [
        (Ask::get("/v1/nothing"), 404, "CUT0653"),
        (Ask::get("/"), 404, "CUT0653"),
        (Ask::get("/v1/promote"), 405, "CUT0653"),
        (Ask::post("/v1/status", "{}"), 405, "CUT0653"),
        (Ask::post("/v1/promote", "{"), 400, "CUT0654"),
        (Ask::post("/v1/promote", "[]x"), 400, "CUT0654"),
        (Ask::post("/v1/promote", r#"{"relaese":"x"}"#), 422, "CUT0654"),
        (Ask::post("/v1/promote", r#"{"release":3}"#), 422, "CUT0654"),
        (Ask::post("/v1/explain/request", "{}"), 422, "CUT0654"),
        (Ask::post("/v1/stage", "{}"), 422, "CUT0654"),
        (Ask::post("/v1/promote", &huge), 413, "CUT0654"),
        (plain.clone(), 415, "CUT0654"),
        (plain.with("content-type", "text/plain"), 415, "CUT0654"),
        (Ask::get("/v1/history?limit=many"), 422, "CUT0654"),
        (Ask::get("/v1/events?after=x"), 422, "CUT0654"),
        (Ask::get("/v1/operations/op-1?wait_ms=-1"), 422, "CUT0654"),
        (Ask::get("/v1/operations/op-1"), 404, "CUT0655"),
    ] {
        let answer = ask.send(server.addr).await;
        assert_eq!((answer.status, answer.error().code.as_str()), (status, code), "{answer:?}");
    }
    assert_eq!(server.fake.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn only_an_object_is_a_request_on_every_route() {
    let server = Server::start().await;
    let described: serde_json::Value = Ask::get("/v1/openapi.json").send(server.addr).await.json();
    let paths = described["paths"].as_object().unwrap();
    let taking: Vec<&String> =
        paths.iter().filter(|(_, methods)| !methods["post"].is_null()).map(|(path, _)| path).collect();
    assert!(taking.len() > 10, "{taking:?}");
    for path in taking {
        let path = path.replace("{release}", "abcdefgh");
        for body in [
            "[]",
            r#" ["why"]"#,
            r#"[null,"why"]"#,
            r#"["/"]"#,
            r#"["/srv/cutover.toml"]"#,
            "null",
            "\n7",
            "true",
            r#""x""#,
        ] {
            let answer = Ask::post(&path, body).send(server.addr).await;
            let error = answer.error();
            assert_eq!((answer.status, error.code.as_str()), (422, "CUT0654"), "{path} {body}: {answer:?}");
            assert!(error.causes[1].contains("object"), "{path} {body}: {answer:?}");
        }
        for body in ["[", " ", "\u{feff}{}"] {
            assert_eq!(Ask::post(&path, body).send(server.addr).await.status, 400, "{path} {body:?}");
        }
    }
    assert_eq!(server.fake.calls(), Vec::<String>::new());
}
