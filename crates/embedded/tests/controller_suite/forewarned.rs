//! What people are told before it matters: whether a rollback would work, what nobody watches, what a command cannot do.

use std::{fs, sync::Arc, sync::Mutex, sync::PoisonError};

use cutover_engine::{
    Control, ErrorKind,
    control::{Outside, Phase, PlanRequest, Progress, ReadinessCheck, RetireRequest},
};

use crate::{
    harness::tests,
    rolling::{Visitor, steps},
    support::{Extra, Place, Up, data, eventually_async, gapless},
};

tests!(
    a_release_that_is_started_again_is_nothing_to_go_back_to_yet,
    a_rollback_that_starts_services_promises_no_time,
    a_reason_overrules_that_there_is_no_way_back_and_is_kept,
    a_release_retired_in_mid_shift_is_rolled_back_for_that_reason,
    a_rollout_that_ends_for_a_retirement_says_so,
    that_nothing_is_watched_is_said_before_it_is_so,
    other_steps_for_a_rollout_under_way_are_refused,
);

async fn health(up: &Up) -> (bool, ReadinessCheck) {
    let readiness = up.status().await.readiness;
    let check = readiness.checks.iter().find(|check| check.what == "health").cloned();
    (readiness.ready, check.unwrap_or_else(|| panic!("{readiness:?}")))
}

async fn until_ready(up: &Up, ready: bool) -> ReadinessCheck {
    eventually_async(|| async {
        let (is, check) = health(up).await;
        if is == ready { Ok(check) } else { Err(format!("{check:?}")) }
    })
    .await
}

fn instant(bake: &str, more: &str) -> Extra {
    let rest = format!("[rollout]\nstrategy = \"instant\"\nbake = \"{bake}\"\n{more}\n");
    Extra { rest, ..Extra::default() }
}

async fn a_release_that_is_started_again_is_nothing_to_go_back_to_yet() {
    let place = Place::new();
    place.describe(&instant("1h", "drain = { quiet = \"1h\", at_most = \"2h\" }"));
    let up = place.up().await;
    up.release(&place, "v1").await;
    let visitor = Visitor::new(&up);
    up.release(&place, "v2").await;
    until_ready(&up, true).await;
    let sick = data(&up).join("v1.sick");
    fs::write(&sick, "").unwrap();
    // Open pages are still answered by what they came from; that ends it.
    visitor.fetch(&up, "/api/exit");
    until_ready(&up, false).await;
    for _ in 0..40 {
        let (ready, check) = health(&up).await;
        assert!(!ready && !check.ok, "{check:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    fs::remove_file(sick).unwrap();
    until_ready(&up, true).await;
    up.down().await;
}

async fn a_rollback_that_starts_services_promises_no_time() {
    let place = Place::new();
    place.describe(&steps("50%, 100%", "1s", ""));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.release(&place, "v2").await;
    let readiness = up.status().await.readiness;
    assert!(readiness.ready && readiness.expected_ms.is_some(), "nothing has to be started: {readiness:?}");
    up.until(|rollout| rollout.phase == Phase::Done && rollout.green == second).await;
    let readiness = up.status().await.readiness;
    assert!(readiness.ready && readiness.to == Some(first), "{readiness:?}");
    assert!(readiness.checks.iter().any(|check| check.detail.contains("started first")), "{readiness:?}");
    assert_eq!(readiness.expected_ms, None);
    up.down().await;
}

async fn a_reason_overrules_that_there_is_no_way_back_and_is_kept() {
    let place = Place::new();
    place.describe(&instant("10ms", "readiness = \"refuse\""));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    up.baked().await;
    let fix = up.stage(&place, "v2").await;
    fs::write(data(&up).join("v1.sick"), "").unwrap();
    let refused = eventually_async(|| async {
        let request = PlanRequest { release: Some(fix.to_string()), ..PlanRequest::default() };
        let plan = up.control.plan(request).await.unwrap();
        let told = plan.warnings.iter().any(|warning| warning.contains("going back to"));
        if told { Ok(up.try_promote("v2", None).await.unwrap_err()) } else { Err(format!("{plan:?}")) }
    })
    .await;
    assert_eq!(refused.code, "CUT0532", "{refused:?}");
    assert!(refused.hints.iter().any(|hint| hint.contains("--reason")), "{refused:?}");
    let report = up.try_promote("v2", Some("v1 is what is broken")).await.unwrap();
    assert_eq!((report.from, report.to), (Some(first), Some(fix)));
    let history = up.history().await;
    let told = history.iter().find(|entry| entry.message.contains("although")).unwrap();
    assert_eq!(told.reason.as_deref(), Some("v1 is what is broken"), "{told:?}");
    assert!(told.who == "ada" && told.message.contains(first.as_str()), "{told:?}");
    up.baked().await;
    fs::write(data(&up).join("v2.sick"), "").unwrap();
    place.build("v3");
    eventually_async(|| async {
        let config = Some(up.config.clone());
        let plan = up.control.plan(PlanRequest { config, ..PlanRequest::default() }).await.unwrap();
        let told = plan.warnings.iter().any(|warning| warning.contains("going back to"));
        if told { Ok(()) } else { Err(format!("{plan:?}")) }
    })
    .await;
    assert_eq!(up.deploy(&place, "v3").await.unwrap_err().code, "CUT0532");
    let mut request = up.request("v3");
    request.skip_gates = Some("v2 is broken too".to_owned());
    up.control.deploy("ada", request, Progress::none()).await.unwrap();
    up.serves("v3");
    gapless(&up.history().await);
    up.down().await;
}

fn by_force() -> RetireRequest {
    RetireRequest { force: true, reason: Some("its data leaks".to_owned()) }
}

async fn a_release_retired_in_mid_shift_is_rolled_back_for_that_reason() {
    let place = Place::new();
    place.describe(&steps("50%, 100%", "1h", ""));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let report = up.deploy(&place, "v2").await.unwrap();
    let (green, rollout) = (report.stage.release.id, report.rollout.unwrap().id);
    assert!(up.control.retire("ada", "v2", by_force()).await.unwrap().changed);
    assert_eq!(up.view(green).await.outside, Some(Outside::Retired));
    assert_eq!((up.status().await.active, up.state(green).await), (Some(first), None));
    let story = up.control.explain_rollout(&rollout).await.unwrap().rollout;
    assert_eq!((story.phase, story.superseded_by), (Phase::RolledBack, None));
    let why = story.undo.unwrap();
    assert!(why.contains("ada") && why.contains("its data leaks") && why.contains("retired"), "{why}");
    up.serves("v1");
    gapless(&up.history().await);
    up.down().await;
}

async fn a_rollout_that_ends_for_a_retirement_says_so() {
    let place = Place::new();
    place.describe(&instant("1h", ""));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    up.release(&place, "v2").await;
    assert!(up.control.retire("ada", "v1", by_force()).await.unwrap().changed);
    let ended = up.control.rollouts(1).await.unwrap().remove(0);
    let by = ended.superseded_by.unwrap();
    assert_eq!(by, format!("ro-retire-{first}"));
    let error = up.control.explain_rollout(&by).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::NotFound, "CUT0530"));
    assert!(error.message.contains(&format!("the retirement of {first}")), "{error:?}");
    let history = up.history().await;
    let told = history.iter().find(|entry| entry.verb == "retire" && entry.release == Some(first)).unwrap();
    assert_eq!((told.who.as_str(), told.reason.as_deref()), ("ada", Some("its data leaks")));
    up.down().await;
}

async fn that_nothing_is_watched_is_said_before_it_is_so() {
    for (bake, warned) in [("0s", true), ("1s", false)] {
        let place = Place::new();
        place.describe(&instant(bake, ""));
        let up = place.up().await;
        up.release(&place, "v1").await;
        place.build("v2");
        let config = Some(up.config.clone());
        let plan = up.control.plan(PlanRequest { config, ..PlanRequest::default() }).await.unwrap();
        let says = |text: &String| text.contains("nothing is watched after the promotion");
        assert_eq!(plan.warnings.iter().any(says), warned, "{plan:?}");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let progress =
            Progress::new(move |line| kept.lock().unwrap_or_else(PoisonError::into_inner).push(line));
        up.control.deploy("ada", up.request("v2"), progress).await.unwrap();
        let lines = lines.lock().unwrap().clone();
        assert_eq!(lines.iter().any(says), warned, "{lines:?}");
        up.down().await;
    }
}

async fn other_steps_for_a_rollout_under_way_are_refused() {
    let place = Place::new();
    place.describe(&steps("50%, 100%", "1h", ""));
    let up = place.up().await;
    up.release(&place, "v1").await;
    let one = up.deploy(&place, "v2").await.unwrap().rollout.unwrap();
    let again = |strategy: &str| {
        let mut request = up.request("v2");
        request.strategy = Some(strategy.to_owned());
        up.control.deploy("ada", request, Progress::none())
    };
    let error = again("instant").await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0531"), "{error:?}");
    assert!(error.hints.iter().any(|hint| hint.contains("cutover promote")), "{error:?}");
    assert!(!error.hints.iter().any(|hint| hint.contains("no visitor")), "{error:?}");
    assert_eq!(again("25%, 100%").await.unwrap_err().code, "CUT0531");
    let joined = again("50%, 100%").await.unwrap().rollout.unwrap();
    assert_eq!((joined.id, joined.share), (one.id, 5_000));
    up.down().await;
}
