use cutover_engine::{
    ErrorKind,
    control::{PlanReport, RolloutReport, RolloutStory, RolloutView, Status},
};

use crate::{
    client::Ask,
    fake::Server,
    ready_made::{plan, readiness, report, rollout, story},
};

#[tokio::test]
async fn words_to_a_rollout_are_passed_on_with_who_says_them() {
    let server = Server::start().await;
    let post = async |path: &str, body: &str| {
        let answer = Ask::post(path, body).with("x-cutover-who", "ann").send(server.addr).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        (answer.json::<RolloutReport>(), server.fake.calls().pop().unwrap())
    };
    let (said, call) = post("/v1/pause", r#"{"reason":"lunch"}"#).await;
    assert_eq!((said, call.as_str()), (report("pause"), r#"ann pause Some("lunch")"#));
    let (said, call) = post("/v1/resume", "").await;
    assert_eq!((said, call.as_str()), (report("resume"), "ann resume None"));
    let (said, call) = post("/v1/approve", "{}").await;
    assert_eq!((said, call.as_str()), (report("approve"), "ann approve None false None"));
    let (_, call) = post("/v1/approve", r#"{"gate":"sign-off","reject":true,"reason":"ugly"}"#).await;
    assert_eq!(call, r#"ann approve Some("sign-off") true Some("ugly")"#);
}

#[tokio::test]
async fn plans_rollouts_and_readiness_are_answered_whole() {
    let server = Server::start().await;
    let body = r#"{"config":"/a/cutover.toml","strategy":"5%, 100%"}"#;
    let answer = Ask::post("/v1/plan", body).send(server.addr).await;
    assert_eq!((answer.status, answer.json::<PlanReport>()), (200, plan()));
    assert_eq!(server.fake.calls(), [r#"plan Some("/a/cutover.toml") None Some("5%, 100%")"#]);

    for (path, call) in [
        ("/v1/rollouts", "rollouts 20"),
        ("/v1/rollouts?limit=0", "rollouts 1"),
        ("/v1/rollouts?limit=4000000000", "rollouts 100"),
    ] {
        let answer = Ask::get(path).send(server.addr).await;
        assert_eq!((answer.status, answer.json::<Vec<RolloutView>>()), (200, vec![rollout()]));
        assert_eq!(server.fake.calls().pop().unwrap(), call);
    }

    let answer = Ask::get("/v1/rollouts/a%20b").send(server.addr).await;
    let told: RolloutStory = answer.json();
    assert_eq!((answer.status, told.rollout, told.lines), (200, rollout(), story().lines));
    assert_eq!(server.fake.calls().pop().unwrap(), "explain rollout a b");

    let status: Status = Ask::get("/v1/status").send(server.addr).await.json();
    assert_eq!((status.rollout, status.readiness), (Some(rollout()), readiness()));
}

#[tokio::test]
async fn refusals_of_rollouts_come_whole() {
    let server = Server::start().await;
    server.fake.fail(ErrorKind::Refused);
    for ask in [
        Ask::post("/v1/pause", "{}"),
        Ask::post("/v1/resume", "{}"),
        Ask::post("/v1/approve", "{}"),
        Ask::post("/v1/plan", "{}"),
        Ask::get("/v1/rollouts"),
        Ask::get("/v1/rollouts/ro-1"),
    ] {
        let answer = ask.send(server.addr).await;
        assert_eq!(answer.status, 409, "{answer:?}");
        assert_eq!(Some(answer.error()), *server.fake.failure.lock().unwrap());
    }
}

#[tokio::test]
async fn what_is_said_is_bounded_and_fit_to_be_shown_before_anything_is_done() {
    let server = Server::start().await;
    let long = "x".repeat(1001);
    for (path, body) in [
        ("/v1/pause", format!(r#"{{"reason":"{long}"}}"#)),
        ("/v1/pause", r#"{"reason":" "}"#.to_owned()),
        ("/v1/resume", r#"{"reason":"\u001b[2J"}"#.to_owned()),
        ("/v1/resume", r#"{"because":"typo"}"#.to_owned()),
        ("/v1/approve", r#"{"reject":true}"#.to_owned()),
        ("/v1/approve", format!(r#"{{"gate":"{long}"}}"#)),
        ("/v1/plan", format!(r#"{{"strategy":"{long}"}}"#)),
        ("/v1/plan", r#"{"strategy":5}"#.to_owned()),
        ("/v1/promote", r#"{"reason":"\u0007"}"#.to_owned()),
        ("/v1/rollback", format!(r#"{{"reason":"{long}"}}"#)),
        ("/v1/releases/abcdefgh/withdraw", r#"{"reason":""}"#.to_owned()),
        ("/v1/releases/abcdefgh/retire", r#"{"force":true,"reason":"\u202e"}"#.to_owned()),
        ("/v1/stage", format!(r#"{{"config":"/a","strategy":"{long}"}}"#)),
        ("/v1/deploy", r#"{"config":"/a","skip_gates":"\u0000"}"#.to_owned()),
    ] {
        let answer = Ask::post(path, &body).send(server.addr).await;
        assert_eq!((answer.status, answer.error().code.as_str()), (422, "CUT0654"), "{path}: {answer:?}");
    }
    for path in ["/v1/rollouts?limit=all", "/v1/rollouts/%1b", &format!("/v1/rollouts/{}", &long[..200])] {
        let answer = Ask::get(path).send(server.addr).await;
        assert_eq!((answer.status, answer.error().code.as_str()), (422, "CUT0654"), "{path}: {answer:?}");
    }
    assert_eq!(server.fake.calls(), Vec::<String>::new());
}
