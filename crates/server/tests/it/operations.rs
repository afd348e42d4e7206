use cutover_engine::{
    ErrorKind,
    control::{DeployReport, StageReport},
};
use cutover_server::{Accepted, Operation, OperationState};

use crate::{client::Ask, fake::Server};

const STAGE: &str = r#"{"config":"/app/cutover.toml"}"#;

async fn start(server: &Server, path: &str, body: &str) -> String {
    let answer = Ask::post(path, body).with("x-cutover-who", "ann").send(server.addr).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json::<Accepted>().operation
}

async fn look(server: &Server, id: &str, after: u64, wait_ms: u64) -> Operation {
    let answer =
        Ask::get(&format!("/v1/operations/{id}?after={after}&wait_ms={wait_ms}")).send(server.addr).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Polls until the operation ended.
async fn end(server: &Server, id: &str) -> Operation {
    loop {
        let seen = look(server, id, 1_000, 30_000).await;
        if seen.state != OperationState::Running {
            return look(server, id, 0, 0).await;
        }
    }
}

#[tokio::test]
async fn a_long_operation_is_followed_line_by_line_to_its_report() {
    let server = Server::start().await;
    let id = start(&server, "/v1/stage", STAGE).await;
    let seen = look(&server, &id, 0, 0).await;
    assert_eq!((seen.state, seen.progress.len(), seen.verb.as_str()), (OperationState::Running, 0, "stage"));

    server.fake.steps.add_permits(1);
    let seen = look(&server, &id, 0, 30_000).await;
    assert_eq!(
        (seen.progress, seen.next, seen.state),
        (vec!["copying".to_owned()], 1, OperationState::Running)
    );

    let (seen, ()) = tokio::join!(look(&server, &id, 1, 30_000), async {
        server.fake.steps.add_permits(1);
    });
    assert_eq!((seen.progress, seen.next), (vec!["compressing".to_owned()], 2));

    server.fake.steps.add_permits(2);
    let seen = end(&server, &id).await;
    assert_eq!((seen.state, seen.progress.len(), seen.next), (OperationState::Done, 3, 3));
    let report: StageReport = serde_json::from_value(seen.result.unwrap()).unwrap();
    assert!(report.created);
    assert_eq!(server.fake.calls(), ["ann stage /app/cutover.toml"]);
}

#[tokio::test]
async fn a_poll_without_news_comes_back_when_its_time_is_over() {
    let server = Server::start().await;
    let id = start(&server, "/v1/stage", STAGE).await;
    let seen = look(&server, &id, 0, 20).await;
    assert_eq!((seen.state, seen.next), (OperationState::Running, 0));
    assert_eq!(look(&server, &id, 99, 20).await.progress, Vec::<String>::new());
}

#[tokio::test]
async fn failures_and_bugs_end_an_operation_with_their_error() {
    let server = Server::start().await;
    server.fake.steps.add_permits(100);
    server.fake.fail(ErrorKind::Failed);
    let id = start(&server, "/v1/deploy", STAGE).await;
    let seen = end(&server, &id).await;
    assert_eq!((seen.state, seen.result), (OperationState::Failed, None));
    assert_eq!(seen.error, *server.fake.failure.lock().unwrap());

    *server.fake.failure.lock().unwrap() = None;
    let id = start(&server, "/v1/stage", r#"{"config":"/a","name":"a bug"}"#).await;
    let seen = end(&server, &id).await;
    assert_eq!((seen.state, seen.error.unwrap().code.as_str()), (OperationState::Failed, "CUT0657"));

    let id = start(&server, "/v1/deploy", STAGE).await;
    let report: DeployReport = serde_json::from_value(end(&server, &id).await.result.unwrap()).unwrap();
    assert_eq!(report.switch.unwrap().verb, "promote");
}

#[tokio::test]
async fn too_many_at_once_are_refused() {
    let server = Server::start().await;
    for _ in 0..16 {
        start(&server, "/v1/stage", STAGE).await;
    }
    let answer = Ask::post("/v1/stage", STAGE).send(server.addr).await;
    assert_eq!((answer.status, answer.error().code.as_str()), (503, "CUT0656"));
    server.fake.steps.add_permits(1_000);
    while Ask::post("/v1/stage", STAGE).send(server.addr).await.status != 202 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_switch_is_done_even_when_its_client_goes_away() {
    let server = Server::start().await;
    let connection = Ask::post("/v1/promote", r#"{"reason":"slowly"}"#).open(server.addr).await;
    until(&server, "a slow promotion began").await;
    drop(connection);
    // Gives the server a turn to see that the client is gone.
    assert_eq!(Ask::get("/v1/table").send(server.addr).await.status, 200);
    server.fake.steps.add_permits(1);
    until(&server, r#"api promote None Some("slowly")"#).await;
}

/// Waits until the control was asked for something.
async fn until(server: &Server, call: &str) {
    while !server.fake.calls().iter().any(|other| other == call) {
        tokio::task::yield_now().await;
    }
}
