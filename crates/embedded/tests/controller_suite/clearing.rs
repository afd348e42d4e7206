//! How releases go: retired by hand, drained and closed by themselves, evicted to make room.

use std::fs;

use cutover_engine::{
    Control, ErrorKind,
    control::{Outside, RetireRequest, StageRequest},
};
use cutover_routing::{ReleaseId, ReleaseState};

use crate::{
    harness::tests,
    support::{Extra, Place, Up, ask, data, eventually, eventually_async, gapless},
};

tests!(
    a_staged_release_is_retired_at_once,
    the_active_release_is_never_retired,
    a_release_in_use_is_retired_only_by_force_and_with_a_reason,
    a_release_is_not_closed_while_a_request_reaches_it,
    a_drained_release_is_closed_and_stays_ready_for_a_rollback,
    a_drain_ends_at_its_limit,
    beyond_keep_the_oldest_goes_to_make_room,
    where_nobody_may_go_there_is_no_room,
    a_standby_release_stays_warm,
);

fn force(reason: Option<&str>) -> RetireRequest {
    RetireRequest { force: true, reason: reason.map(str::to_owned) }
}

/// A drain that is over almost at once.
fn quick(after: &str) -> Extra {
    Extra {
        rest: format!(
            "[rollout]\nstrategy = \"instant\"\nbake = \"10ms\"\ndrain = {{ quiet = \"50ms\", at_most = \"1h\" }}\nafter = \"{after}\"\n"
        ),
        ..Extra::default()
    }
}

async fn until_closed(up: &Up, id: ReleaseId) {
    eventually_async(|| async move {
        match up.state(id).await {
            Some(ReleaseState::Closed) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

async fn a_staged_release_is_retired_at_once() {
    let place = Place::new();
    let up = place.up().await;
    up.release(&place, "v1").await;
    let green = up.stage(&place, "v2").await;
    let processes = place.processes().len();
    let report = up.control.retire("ada", "v2", RetireRequest::default()).await.unwrap();
    assert!(report.changed && report.freed_bytes > 0, "{report:?}");
    assert_eq!(place.processes().len(), processes - 2, "shim and service");
    let view = up.view(green).await;
    assert_eq!((view.state, view.outside), (None, Some(Outside::Retired)));
    let again = up.control.retire("ada", green.as_str(), RetireRequest::default()).await.unwrap();
    assert!(!again.changed);
    // The same content can come back, under the same id.
    assert_eq!(up.stage(&place, "v2").await, green);
    up.down().await;
}

async fn the_active_release_is_never_retired() {
    let place = Place::new();
    let up = place.up().await;
    up.release(&place, "v1").await;
    for request in [RetireRequest::default(), force(Some("really"))] {
        let error = up.control.retire("ada", "v1", request).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0519"));
    }
    up.serves("v1");
    up.down().await;
}

async fn a_release_in_use_is_retired_only_by_force_and_with_a_reason() {
    let place = Place::new();
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    up.serves("v1");
    up.release(&place, "v2").await;
    let error = up.control.retire("ada", "v1", RetireRequest::default()).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0520"), "{error:?}");
    let error = up.control.retire("ada", "v1", force(None)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert_eq!(up.state(first).await, Some(ReleaseState::Draining));
    let report = up.control.retire("ada", "v1", force(Some("disk is full"))).await.unwrap();
    assert!(report.changed);
    let last = up.history().await.pop().unwrap();
    assert_eq!((last.verb.as_str(), last.reason.as_deref()), ("retire", Some("disk is full")));
    let error = up.rollback(false).await.unwrap_err();
    assert!(error.to_string().contains("retired"), "{error:?}");
    up.serves("v2");
    up.down().await;
}

async fn a_release_is_not_closed_while_a_request_reaches_it() {
    let place = Place::new();
    place.describe(&quick("retire"));
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
    let error = up.control.retire("ada", "v1", RetireRequest::default()).await.unwrap_err();
    assert!(error.to_string().contains("1 requests"), "{error:?}");
    // Many rounds of the housekeeping pass.
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    assert_eq!(up.state(first).await, Some(ReleaseState::Draining));
    fs::remove_file(hold).unwrap();
    assert_eq!(long.await.unwrap().body, "v1");
    until_closed(&up, first).await;
    up.down().await;
}

async fn a_drained_release_is_closed_and_stays_ready_for_a_rollback() {
    let place = Place::new();
    place.describe(&quick("retire"));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    up.release(&place, "v2").await;
    until_closed(&up, first).await;
    let up_ref = &up;
    let closing = eventually_async(|| async move {
        let history = up_ref.history().await;
        history.iter().find(|entry| entry.verb == "close").cloned().ok_or_else(|| format!("{history:?}"))
    })
    .await;
    assert_eq!((closing.who.as_str(), closing.release), ("cutover", Some(first)));
    assert_eq!(up.status().await.rollback_to, Some(first));
    // Its services rest, and are started first when somebody goes back to it.
    eventually(|| match place.processes().len() {
        2 => Ok(()),
        other => Err(format!("{other} processes")),
    });
    let readiness = up.status().await.readiness;
    assert!(readiness.ready && readiness.to == Some(first), "{readiness:?}");
    assert_eq!(up.rollback(false).await.unwrap().to, Some(first));
    up.serves("v1");
    gapless(&up.history().await);
    up.down().await;
}

async fn a_drain_ends_at_its_limit() {
    let place = Place::new();
    let rest =
        "[rollout]\nstrategy = \"instant\"\nbake = \"10ms\"\ndrain = { quiet = \"100ms\", at_most = \"300ms\" }\n".to_owned();
    place.describe(&Extra { rest, ..Extra::default() });
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let pin = up.get("/").header("set-cookie").split(';').next().unwrap().to_owned();
    up.release(&place, "v2").await;
    // A page that never stops asking.
    eventually(|| {
        let answer = up.get_with("/api/version", &[("cookie", &pin)]);
        if answer.header("x-cutover-stale") == "1" { Ok(()) } else { Err(answer.body) }
    });
    until_closed(&up, first).await;
    up.down().await;
}

async fn beyond_keep_the_oldest_goes_to_make_room() {
    let place = Place::new();
    place.describe(&Extra { top: "keep = 2", ..Extra::default() });
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.stage(&place, "v2").await;
    let third = up.stage(&place, "v3").await;
    assert_eq!(up.state(second).await, None, "it was never promoted");
    assert_eq!(up.state(third).await, Some(ReleaseState::Staged));
    assert_eq!(up.view(second).await.outside, Some(Outside::Retired));
    assert_eq!(place.processes().len(), 4);
    assert_eq!(up.state(first).await, Some(ReleaseState::Active));
    let last = up.history().await.pop().unwrap();
    assert!(last.verb == "retire" && last.message.contains("make room"), "{last:?}");
    up.down().await;
}

async fn where_nobody_may_go_there_is_no_room() {
    let place = Place::new();
    place.describe(&Extra { top: "keep = 2", ..Extra::default() });
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    up.release(&place, "v2").await;
    place.build("v3");
    let error = up.try_stage("v3").await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0503"), "{error:?}");
    assert_eq!(up.state(first).await, Some(ReleaseState::Draining));
    assert_eq!(place.processes().len(), 4);
    let request = StageRequest { close_oldest: true, ..up.request("v3") };
    let report = up.control.stage("ada", request, cutover_engine::control::Progress::none()).await.unwrap();
    assert!(report.created);
    assert_eq!(up.state(first).await, None);
    up.serves("v2");
    up.down().await;
}

async fn a_standby_release_stays_warm() {
    let place = Place::new();
    place.describe(&quick("standby"));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.release(&place, "v2").await;
    until_closed(&up, first).await;
    up.release(&place, "v3").await;
    until_closed(&up, second).await;
    assert_eq!(up.view(first).await.outside, Some(Outside::Standby));
    assert_eq!(place.processes().len(), 6, "all three run");
    let report = up.try_promote("v1", None).await.unwrap();
    assert!(report.changed);
    assert_eq!(up.view(first).await.outside, None);
    up.serves("v1");
    up.down().await;
}
