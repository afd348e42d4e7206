//! Promotion and rollback.

use std::{fs, sync::Arc};

use cutover_engine::{
    Control, ErrorKind,
    control::{ExplainRequest, Progress, PromoteRequest, StageRequest, Verdict},
};
use cutover_routing::{Entry, ReleaseId, ReleaseState, Slot};

use crate::{
    harness::tests,
    support::{Extra, Place, Up, ask, data, eventually, eventually_async, gapless},
};

tests!(
    a_promotion_and_its_rollback_move_new_visitors,
    asked_again_nothing_changes,
    nothing_of_blue_changes_while_green_is_staged,
    releases_in_a_row_alternate_between_the_slots,
    an_address_and_its_status_stay_the_same_through_a_switch,
    a_rollback_by_force_closes_what_was_left,
    nothing_to_promote_and_nothing_to_go_back_to_is_said,
    a_failed_gate_keeps_visitors_away_unless_overruled,
    a_gate_that_passed_is_not_run_again,
    an_unhealthy_release_is_not_promoted,
    a_rollback_does_not_wait_behind_a_build,
    a_request_under_way_finishes_on_its_release,
    a_deployment_does_not_overtake_a_newer_switch,
    an_operation_goes_on_without_its_caller,
    a_decision_is_explained_as_the_edge_makes_it,
    metrics_tell_of_the_edge_and_the_controller,
    an_ended_controller_refuses_operations,
);

async fn a_promotion_and_its_rollback_move_new_visitors() {
    let place = Place::new();
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.stage(&place, "v2").await;
    let request = PromoteRequest::default();
    let report = up.control.promote("ada", request, Progress::none()).await.unwrap();
    assert_eq!((report.from, report.to, report.changed), (Some(first), Some(second), true));
    assert!(report.took_us > 0);
    assert_eq!(report.generation, up.edge.generation());
    up.serves("v2");
    assert_eq!(up.state(first).await, Some(ReleaseState::Draining));
    assert_eq!(up.status().await.rollback_to, Some(first));
    let back = up.rollback(false).await.unwrap();
    assert_eq!((back.from, back.to, back.changed), (Some(second), Some(first), true));
    up.serves("v1");
    assert_eq!(up.state(second).await, Some(ReleaseState::Draining));
    // And forth again.
    assert!(up.promote(second).await.changed);
    up.serves("v2");
    assert_eq!(up.status().await.rollback_to, Some(first));
    gapless(&up.history().await);
    up.down().await;
}

async fn asked_again_nothing_changes() {
    let place = Place::new();
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.release(&place, "v2").await;
    let (table, history) = (up.control.table().await.unwrap(), up.history().await.len());
    let again = up.promote(second).await;
    assert!(!again.changed);
    assert_eq!(again.message, format!("already on {second}"));
    assert_eq!(up.control.table().await.unwrap(), table);
    assert_eq!(up.history().await.len(), history);
    let deployed = up.control.deploy("ada", up.request("v2"), Progress::none()).await.unwrap();
    assert!(!deployed.stage.created && !deployed.switch.unwrap().changed);
    assert_eq!(up.control.table().await.unwrap(), table);
    assert_eq!(up.history().await.len(), history);
    up.rollback(false).await.unwrap();
    let (table, history) = (up.control.table().await.unwrap(), up.history().await.len());
    let again = up.rollback(false).await.unwrap();
    assert_eq!((again.changed, again.to), (false, Some(first)));
    assert_eq!(again.message, format!("already on {first}"));
    assert_eq!(up.control.table().await.unwrap(), table);
    assert_eq!(up.history().await.len(), history);
    up.down().await;
}

async fn a_rollback_by_force_closes_what_was_left() {
    let place = Place::new();
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.release(&place, "v2").await;
    let visit = up.get("/");
    let pin = visit.header("set-cookie").split(';').next().unwrap().to_owned();
    up.rollback(true).await.unwrap();
    assert_eq!(up.state(second).await, Some(ReleaseState::Closed));
    let stale = up.get_with("/api/version", &[("cookie", &pin)]);
    assert_eq!((stale.body.as_str(), stale.header("x-cutover-stale")), ("v1", "1"), "{stale:?}");
    // The same in two steps: first gently, then by force.
    up.promote(second).await;
    up.rollback(false).await.unwrap();
    assert_eq!(up.state(second).await, Some(ReleaseState::Draining));
    let closed = up.rollback(true).await.unwrap();
    assert_eq!((closed.changed, closed.to), (true, Some(first)));
    assert_eq!(up.state(second).await, Some(ReleaseState::Closed));
    // A closed release comes back: its services are started again where they were ended.
    eventually(|| match place.processes().len() {
        2 => Ok(()),
        other => Err(format!("{other} processes")),
    });
    up.promote(second).await;
    up.serves("v2");
    up.down().await;
}

async fn nothing_to_promote_and_nothing_to_go_back_to_is_said() {
    let place = Place::new();
    let up = place.up().await;
    let error = up.control.promote("ada", PromoteRequest::default(), Progress::none()).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0515"));
    let error = up.rollback(false).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0518"));
    up.release(&place, "v1").await;
    let error = up.rollback(false).await.unwrap_err();
    assert!(error.to_string().contains("first release"), "{error:?}");
    up.serves("v1");
    up.down().await;
}

async fn a_failed_gate_keeps_visitors_away_unless_overruled() {
    let place = Place::new();
    let up = place.up().await;
    up.release(&place, "v1").await;
    let rest = "[[gate]]\nname = \"smoke\"\nhttp = { path = \"/api/nothing\", status = 200 }\n".to_owned();
    place.describe(&Extra { rest, ..Extra::default() });
    place.build("v2");
    let error = up.control.deploy("ada", up.request("v2"), Progress::none()).await.unwrap_err();
    assert_eq!(error.code, "CUT0509", "{error:?}");
    assert!(error.causes[0].contains("smoke"), "{error:?}");
    up.serves("v1");
    let green = up.status().await.candidate.unwrap();
    assert_eq!(up.state(green).await, Some(ReleaseState::Staged));
    assert_eq!(up.view(green).await.gates[0].verdict, Verdict::Fail);
    assert!(up.try_promote("v2", None).await.is_err());
    up.serves("v1");
    let report = up.try_promote("v2", Some("the page is new")).await.unwrap();
    assert!(report.changed && report.message.contains("smoke"), "{report:?}");
    up.serves("v2");
    let last = up.history().await.pop().unwrap();
    assert_eq!((last.verb.as_str(), last.reason.as_deref()), ("promote", Some("the page is new")));
    up.down().await;
}

async fn a_gate_that_passed_is_not_run_again() {
    let place = Place::new();
    let up = place.up().await;
    let rest = "[[gate]]\nname = \"count\"\nrun = \"echo x >> count\"\n".to_owned();
    place.describe(&Extra { rest, ..Extra::default() });
    place.build("v1");
    up.control.deploy("ada", up.request("v1"), Progress::none()).await.unwrap();
    let runs = || fs::read_to_string(place.app().join("count")).unwrap().lines().count();
    assert_eq!(runs(), 1);
    place.build("v2");
    up.control.deploy("ada", up.request("v2"), Progress::none()).await.unwrap();
    assert_eq!(runs(), 2);
    let second = up.status().await.active.unwrap();
    up.rollback(false).await.unwrap();
    up.promote(second).await;
    assert_eq!(runs(), 2, "it passed for exactly this content already");
    up.down().await;
}

async fn an_unhealthy_release_is_not_promoted() {
    let place = Place::new();
    place.describe(&Extra { service: "start_timeout = \"1500ms\"", ..Extra::default() });
    let up = place.up().await;
    up.release(&place, "v1").await;
    let green = up.stage(&place, "v2").await;
    let sick = data(&up).join("v2.sick");
    fs::write(&sick, "").unwrap();
    let error = up.try_promote(green.as_str(), None).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Failed | ErrorKind::Unavailable), "{error:?}");
    assert!(error.to_string().contains("503"), "{error:?}");
    up.serves("v1");
    fs::remove_file(sick).unwrap();
    assert!(up.promote(green).await.changed);
    up.down().await;
}

async fn a_rollback_does_not_wait_behind_a_build() {
    let place = Place::new();
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    up.release(&place, "v2").await;
    let sick = data(&up).join("v3.sick");
    fs::write(&sick, "").unwrap();
    place.build("v3");
    let (said, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let (control, request) = (Arc::clone(&up.control), up.request("v3"));
    let progress = Progress::new(move |line| drop(said.send(line)));
    let staging = tokio::spawn(async move { control.stage("ada", request, progress).await });
    while !hears.recv().await.unwrap().contains("starting") {}
    // The build waits for a service that is not healthy yet.
    let back = up.rollback(false).await.unwrap();
    assert_eq!(back.to, Some(first));
    up.serves("v1");
    assert!(!staging.is_finished());
    fs::remove_file(sick).unwrap();
    assert!(staging.await.unwrap().unwrap().created);
    up.serves("v1");
    up.down().await;
}

async fn a_request_under_way_finishes_on_its_release() {
    let place = Place::new();
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let green = up.stage(&place, "v2").await;
    let hold = data(&up).join("hold");
    fs::write(&hold, "").unwrap();
    let edge = up.edge.local_addr();
    let long = tokio::task::spawn_blocking(move || ask(edge, "/api/hold", &[]).unwrap());
    eventually(|| match up.edge.usage(&first).in_flight {
        0 => Err("the request has not arrived".to_owned()),
        _ => Ok(()),
    });
    up.promote(green).await;
    up.serves("v2");
    fs::remove_file(hold).unwrap();
    let answer = long.await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "v1"));
    up.down().await;
}

async fn a_deployment_does_not_overtake_a_newer_switch() {
    let place = Place::new();
    let up = place.up().await;
    up.release(&place, "v1").await;
    let second = up.stage(&place, "v2").await;
    let rest =
        "[[gate]]\nname = \"slow\"\nrun = \"while ! test -e go; do sleep 0.02; done\"\ntimeout = \"60s\"\n"
            .to_owned();
    place.describe(&Extra { rest, ..Extra::default() });
    place.build("v3");
    let (said, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let (control, request) = (Arc::clone(&up.control), up.request("v3"));
    let progress = Progress::new(move |line| drop(said.send(line)));
    let deploying = tokio::spawn(async move { control.deploy("ada", request, progress).await });
    while !hears.recv().await.unwrap().contains("gate slow: running") {}
    up.promote(second).await;
    fs::write(place.app().join("go"), "").unwrap();
    let error = deploying.await.unwrap().unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0517"), "{error:?}");
    up.serves("v2");
    up.down().await;
}

async fn an_operation_goes_on_without_its_caller() {
    let place = Place::new();
    let up = place.up().await;
    place.build("v1");
    let request = StageRequest { name: Some("v1".to_owned()), ..up.request("v1") };
    let staging = tokio::time::timeout(
        std::time::Duration::from_millis(1),
        up.control.stage("ada", request, Progress::none()),
    );
    assert!(staging.await.is_err(), "staging takes longer than the caller waits");
    let up = &up;
    eventually_async(|| async move {
        match up.control.releases().await.unwrap().first().and_then(|release| release.state) {
            Some(ReleaseState::Staged) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    up.control.shutdown().await;
}

async fn a_decision_is_explained_as_the_edge_makes_it() {
    let place = Place::new();
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let pin = up.get("/").header("set-cookie").split(';').next().unwrap().to_owned();
    let second = up.release(&place, "v2").await;
    let ask = |target: &str, headers: &[(&str, &str)]| {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = ExplainRequest { target: target.to_owned(), headers, ..ExplainRequest::default() };
        up.control.explain_request(request)
    };
    for (target, headers, release, component) in [
        ("/", vec![("Accept", "text/html")], Some(second), "site"),
        ("/api/version?x=1", vec![], Some(second), "api"),
        ("/api/version", vec![("Cookie", pin.as_str())], Some(first), "api"),
        ("/.cutover/state", vec![], Some(second), "built-in"),
    ] {
        let told = ask(target, &headers).await.unwrap();
        assert_eq!((told.release, told.component.as_str()), (release, component), "{target}: {told:?}");
        assert!(!told.steps.is_empty(), "{target}");
        if component != "built-in" {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, *value)).collect();
            let answer = up.get_with(target, &headers);
            assert_eq!(answer.header("x-cutover-release"), told.release.unwrap().as_str(), "{target}");
            assert_eq!(answer.header("x-cutover-reason"), told.reason, "{target}");
        }
    }
    assert_eq!(ask("/a/../../b", &[]).await.unwrap_err().kind, ErrorKind::Invalid);
    up.down().await;
}

async fn metrics_tell_of_the_edge_and_the_controller() {
    let place = Place::new();
    let up = place.up().await;
    up.release(&place, "v1").await;
    up.serves("v1");
    let text = up.control.metrics().await;
    let generation = up.edge.generation();
    for line in [
        format!("cutover_controller_generation {generation}"),
        "cutover_controller_releases{state=\"active\"} 1".to_owned(),
        "cutover_controller_problems 0".to_owned(),
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    assert!(text.contains("cutover_service_restarts{"), "{text}");
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), names.len(), "no metric is declared twice");
    up.down().await;
}

async fn an_ended_controller_refuses_operations() {
    let place = Place::new();
    let up = place.up().await;
    let green = up.stage(&place, "v1").await;
    up.control.shutdown().await;
    assert!(place.processes().is_empty());
    let error = up.try_promote(green.as_str(), None).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Unavailable, "CUT0607"));
    assert!(place.processes().is_empty());
}

/// Everything about a release that somebody could notice.
#[derive(Debug, PartialEq)]
struct Picture {
    entry: Entry,
    /// Every file of the release in the store with its bytes.
    blobs: Vec<(String, Vec<u8>)>,
    services: Vec<(Option<u32>, Option<String>, u32)>,
    /// Path, status, entity tag and body as the edge gives them.
    answers: Vec<(String, u16, String, String)>,
    pid: String,
}

impl Picture {
    async fn of(up: &Up, place: &Place, id: ReleaseId, version: &str) -> Self {
        let store = cutover_embedded::store::Store::open(&place.state()).unwrap();
        let manifest = store.load(&id).unwrap().manifest.unwrap();
        let blobs = manifest
            .files
            .iter()
            .map(|(path, file)| (path.clone(), fs::read(file.identity.path(store.blobs())).unwrap()))
            .collect();
        let services = up.view(id).await.components.into_iter();
        let paths = ["/".to_owned(), format!("/assets/app.{version}.js")];
        let answers = paths.map(|path| {
            let answer = up.get(&path);
            let tag = answer.header("etag").to_owned();
            assert!(!tag.is_empty(), "{answer:?}");
            (path, answer.status, tag, answer.body)
        });
        Self {
            entry: up.control.table().await.unwrap().releases[&id],
            blobs,
            services: services.map(|one| (one.pid, one.address, one.restarts)).collect(),
            answers: answers.into(),
            pid: up.get("/api/pid").body,
        }
    }
}

async fn nothing_of_blue_changes_while_green_is_staged() {
    let place = Place::new();
    let up = place.up().await;
    let blue = up.release(&place, "v1").await;
    let before = Picture::of(&up, &place, blue, "v1").await;
    assert!(before.services.iter().any(|(pid, ..)| pid.is_some()), "{before:?}");
    let sick = data(&up).join("v2.sick");
    fs::write(&sick, "").unwrap();
    place.build("v2");
    let (said, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let (control, request) = (Arc::clone(&up.control), up.request("v2"));
    let progress = Progress::new(move |line| drop(said.send(line)));
    let staging = tokio::spawn(async move { control.stage("ada", request, progress).await });
    while !hears.recv().await.unwrap().contains("starting") {}
    // Green's files are there and its service is starting.
    assert_eq!(Picture::of(&up, &place, blue, "v1").await, before);
    assert!(!staging.is_finished());
    fs::remove_file(sick).unwrap();
    let green = staging.await.unwrap().unwrap().release;
    assert_eq!(Picture::of(&up, &place, blue, "v1").await, before);
    assert!(green.components.iter().all(|one| one.pid.is_none_or(|pid| pid.to_string() != before.pid)));
    up.down().await;
}

async fn releases_in_a_row_alternate_between_the_slots() {
    let place = Place::new();
    let up = place.up().await;
    let mut slots = Vec::new();
    for version in ["v1", "v2", "v3"] {
        let id = up.release(&place, version).await;
        slots.push(up.control.table().await.unwrap().slot(&id));
        assert_eq!(up.view(id).await.slot, *slots.last().unwrap());
        up.serves(version);
    }
    assert_eq!(slots, [Some(Slot::Blue), Some(Slot::Green), Some(Slot::Blue)]);
    up.down().await;
}

async fn an_address_and_its_status_stay_the_same_through_a_switch() {
    let place = Place::new();
    let up = place.up().await;
    up.release(&place, "v1").await;
    let green = up.stage(&place, "v2").await;
    let pin = up.get("/").header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(!pin.is_empty());
    let url = up.status().await.url;
    let look = |step: &str, pages: &str| {
        for path in ["/", "/deep/link?x=1", "/api/version"] {
            for headers in [vec![], vec![("cookie", pin.as_str())]] {
                let answer = up.get_with(path, &headers);
                assert_eq!(
                    (answer.status, answer.header("location")),
                    (200, ""),
                    "{step}: {path} {answer:?}"
                );
                if !path.starts_with("/api") {
                    assert!(answer.body.contains(&format!("<title>{pages}<")), "{step}: {path} {answer:?}");
                }
            }
        }
    };
    look("before", "v1");
    up.promote(green).await;
    look("after the promotion", "v2");
    up.rollback(false).await.unwrap();
    look("after the rollback", "v1");
    assert_eq!(up.status().await.url, url);
    up.down().await;
}
