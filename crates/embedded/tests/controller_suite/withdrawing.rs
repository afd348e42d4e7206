//! A release that must not be served any more.

use cutover_engine::{
    Control, ErrorKind,
    control::{Outside, PreviewRequest, WithdrawRequest},
};
use cutover_routing::ReleaseState;

use crate::{
    harness::tests,
    support::{Place, Up, eventually},
};

tests!(
    the_active_release_is_withdrawn_together_with_a_rollback,
    a_withdrawn_release_stays_barred_until_it_is_pardoned,
    the_only_release_is_not_withdrawn,
    a_purge_removes_files_and_processes,
    purging_and_pardoning_exclude_each_other,
);

fn because(reason: &str) -> WithdrawRequest {
    WithdrawRequest { reason: Some(reason.to_owned()), ..WithdrawRequest::default() }
}

async fn two(place: &Place) -> (Up, cutover_routing::ReleaseId, cutover_routing::ReleaseId) {
    let up = place.up().await;
    let first = up.release(place, "v1").await;
    let second = up.release(place, "v2").await;
    (up, first, second)
}

async fn the_active_release_is_withdrawn_together_with_a_rollback() {
    let place = Place::new();
    let (up, first, second) = two(&place).await;
    let report = up.control.withdraw("ada", "v2", because("wrong prices")).await.unwrap();
    assert_eq!((report.from, report.to, report.changed), (Some(second), Some(first), true));
    up.serves("v1");
    let view = up.view(second).await;
    assert_eq!((view.state, view.outside), (Some(ReleaseState::Closed), Some(Outside::Withdrawn)));
    let again = up.control.withdraw("ada", "v2", because("wrong prices")).await.unwrap();
    assert!(!again.changed);
    let preview = up.control.preview("ada", "v2", PreviewRequest::default()).await.unwrap_err();
    assert_eq!(preview.kind, ErrorKind::Refused);
    // Nothing uses it any more, so that its services end.
    eventually(|| match place.processes().len() {
        2 => Ok(()),
        other => Err(format!("{other} processes")),
    });
    up.down().await;
}

async fn a_withdrawn_release_stays_barred_until_it_is_pardoned() {
    let place = Place::new();
    let (up, _, second) = two(&place).await;
    up.control.withdraw("ada", "v2", because("wrong prices")).await.unwrap();
    let error = up.try_promote("v2", Some("I insist")).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0514"));
    assert!(error.causes.contains(&"wrong prices".to_owned()), "{error:?}");
    up.down().await;
    let up = place.up().await;
    assert!(up.try_promote("v2", None).await.is_err(), "a restart lifts nothing");
    let shown = up.control.preview("ada", "v2", PreviewRequest::default()).await.unwrap_err();
    assert!(shown.code == "CUT0514" && shown.hints[0].contains("--pardon"), "{shown:?}");
    let pardon = WithdrawRequest { pardon: true, ..WithdrawRequest::default() };
    assert!(up.control.withdraw("ada", "v2", pardon.clone()).await.unwrap().changed);
    assert!(!up.control.withdraw("ada", "v2", pardon).await.unwrap().changed);
    assert!(up.promote(second).await.changed);
    up.serves("v2");
    up.down().await;
}

async fn the_only_release_is_not_withdrawn() {
    let place = Place::new();
    let up = place.up().await;
    up.release(&place, "v1").await;
    let error = up.control.withdraw("ada", "v1", because("wrong prices")).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0518"));
    assert!(error.hints.iter().any(|hint| hint.contains("promote another release first")), "{error:?}");
    up.serves("v1");
    up.down().await;
}

async fn a_purge_removes_files_and_processes() {
    let place = Place::new();
    let (up, first, second) = two(&place).await;
    let purge = WithdrawRequest { purge: true, ..because("a secret in it") };
    let report = up.control.withdraw("ada", "v2", purge).await.unwrap();
    assert_eq!(report.to, Some(first));
    up.serves("v1");
    let view = up.view(second).await;
    assert_eq!((view.state, view.outside), (None, Some(Outside::Retired)));
    assert_eq!(place.processes().len(), 2);
    // The bar outlives the files: the same content is refused.
    let error = up.try_stage("v2").await.unwrap_err();
    assert_eq!(error.code, "CUT0514");
    assert_eq!(place.processes().len(), 2);
    up.down().await;
}

async fn purging_and_pardoning_exclude_each_other() {
    let place = Place::new();
    let (up, ..) = two(&place).await;
    let both = WithdrawRequest { purge: true, pardon: true, reason: None };
    let error = up.control.withdraw("ada", "v1", both).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    up.down().await;
}
