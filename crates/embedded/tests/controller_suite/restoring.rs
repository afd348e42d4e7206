//! Starting again: after a proper end, after services died, after somebody lost or restored the state directory.

use std::fs;

use cutover_embedded::Embedded;
use cutover_engine::{Control, ErrorKind, control::Health};
use cutover_routing::ReleaseState;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    harness::tests,
    support::{Extra, Place, data, eventually, eventually_async, gapless},
};

tests!(
    everything_is_there_again_after_a_restart,
    a_second_controller_is_refused,
    a_service_that_dies_comes_back_at_its_new_address,
    a_green_that_does_not_start_leaves_blue_serving,
    an_older_journal_is_published_above_the_edge,
    a_lost_journal_is_taken_over_from_the_edge,
    a_damaged_journal_is_refused_and_the_edge_serves_on,
    a_release_whose_files_vanished_leaves_the_table,
    a_damaged_green_is_closed_and_blue_serves,
    a_damaged_active_release_can_be_left,
    what_a_release_keeps_does_not_follow_the_app_description,
);

async fn everything_is_there_again_after_a_restart() {
    let place = Place::new();
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.release(&place, "v2").await;
    let third = up.stage(&place, "v3").await;
    let (table, history) = (up.control.table().await.unwrap(), up.history().await);
    up.down().await;
    assert!(place.processes().is_empty(), "{:?}", place.processes());
    let up = place.up().await;
    up.serves("v2");
    assert_eq!(up.control.table().await.unwrap(), table, "nothing changed, so that nothing is written");
    assert_eq!(up.history().await.len(), history.len());
    let status = up.status().await;
    assert_eq!(
        (status.active, status.candidate, status.rollback_to),
        (Some(second), Some(third), Some(first))
    );
    let up = &up;
    eventually_async(|| async move {
        let unwell: Vec<_> = up
            .status()
            .await
            .releases
            .into_iter()
            .flat_map(|release| release.components)
            .filter(|component| component.health != Health::Healthy)
            .collect();
        if unwell.is_empty() { Ok(()) } else { Err(format!("{unwell:?}")) }
    })
    .await;
    assert_eq!(up.rollback(false).await.unwrap().to, Some(first));
    up.serves("v1");
    up.control.shutdown().await;
}

async fn a_second_controller_is_refused() {
    let place = Place::new();
    let up = place.up().await;
    let other = place.edge_beside();
    let error = Embedded::open(place.options(), other).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0600"));
    assert!(error.message.contains(&std::process::id().to_string()), "{error:?}");
    up.down().await;
    place.up().await.down().await;
}

async fn a_service_that_dies_comes_back_at_its_new_address() {
    let place = Place::new();
    let up = place.up().await;
    let id = up.release(&place, "v1").await;
    up.serves("v1");
    let generation = up.edge.generation();
    let pid: i32 = up.get("/api/pid").body.parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    eventually(|| {
        let answer = up.get("/api/pid");
        if answer.status == 200 && answer.body != pid.to_string() {
            Ok(())
        } else {
            Err(format!("{answer:?}"))
        }
    });
    assert_eq!(up.edge.generation(), generation, "the table is the same");
    assert_eq!(up.view(id).await.components[1].restarts, 1);
    up.down().await;
}

async fn a_green_that_does_not_start_leaves_blue_serving() {
    let place = Place::new();
    place.describe(&Extra { service: "start_timeout = \"1500ms\"", ..Extra::default() });
    let up = place.up().await;
    up.release(&place, "v1").await;
    let green = up.stage(&place, "v2").await;
    let sick = data(&up).join("v2.sick");
    up.down().await;
    fs::write(&sick, "").unwrap();
    let up = place.up().await;
    up.serves("v1");
    let up_ref = &up;
    eventually_async(|| async move {
        let warnings = up_ref.status().await.warnings;
        let told = warnings.iter().any(|warning| warning.contains(green.as_str()) && warning.contains("api"));
        if told { Ok(()) } else { Err(format!("{warnings:?}")) }
    })
    .await;
    up.serves("v1");
    // It is started for its promotion, once it can.
    fs::remove_file(sick).unwrap();
    up.promote(green).await;
    up.serves("v2");
    up.down().await;
}

async fn an_older_journal_is_published_above_the_edge() {
    let place = Place::new();
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.stage(&place, "v2").await;
    up.down().await;
    let (journal, backup) = (place.state().join("journal.db"), place.dir.path().join("backup.db"));
    fs::copy(&journal, &backup).unwrap();
    let up = place.up().await;
    up.promote(second).await;
    let seen = up.edge.generation();
    up.down().await;
    fs::copy(&backup, &journal).unwrap();
    let up = place.up().await;
    assert!(up.edge.generation() > seen);
    assert_eq!(up.control.table().await.unwrap().generation, up.edge.generation());
    up.serves("v1");
    up.promote(second).await;
    assert_eq!(up.rollback(false).await.unwrap().to, Some(first));
    gapless(&up.history().await);
    up.down().await;
}

async fn a_lost_journal_is_taken_over_from_the_edge() {
    let place = Place::new();
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.stage(&place, "v2").await;
    up.down().await;
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let _ = fs::remove_file(place.state().join(name));
    }
    let up = place.up().await;
    up.serves("v1");
    assert_eq!(up.state(first).await, Some(ReleaseState::Active));
    assert!(up.history().await[0].message.contains("took over 2 releases"));
    up.promote(second).await;
    up.serves("v2");
    assert_eq!(up.rollback(false).await.unwrap().to, Some(first));
    up.down().await;
}

async fn a_damaged_journal_is_refused_and_the_edge_serves_on() {
    let place = Place::new();
    let up = place.up().await;
    up.release(&place, "v1").await;
    up.down().await;
    let journal = place.state().join("journal.db");
    let rubbish = vec![0x5a; 4096];
    fs::write(&journal, &rubbish).unwrap();
    let edge = place.edge();
    let error = Embedded::open(place.options(), edge.clone()).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Failed, "CUT0602"));
    assert_eq!(fs::read(&journal).unwrap(), rubbish);
    let page = crate::support::ask(edge.local_addr(), "/", &[]).unwrap();
    assert!(page.body.contains("<title>v1<"), "{page:?}");
}

async fn a_release_whose_files_vanished_leaves_the_table() {
    let place = Place::new();
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.release(&place, "v2").await;
    up.down().await;
    cutover_embedded::store::Store::open(&place.state()).unwrap().remove(&first).unwrap();
    let up = place.up().await;
    up.serves("v2");
    assert_eq!((up.state(first).await, up.state(second).await), (None, Some(ReleaseState::Active)));
    assert!(up.status().await.warnings.iter().any(|warning| warning.contains(first.as_str())));
    let error = up.rollback(false).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    up.down().await;
}

/// Removes every file of a release's site that no other release needs.
pub(crate) fn damage(place: &Place, id: cutover_routing::ReleaseId) {
    let store = cutover_embedded::store::Store::open(&place.state()).unwrap();
    let mut gone = 0;
    for file in store.load(&id).unwrap().manifest.unwrap().files.values() {
        gone += usize::from(fs::remove_file(file.identity.path(store.blobs())).is_ok());
    }
    assert!(gone > 0);
}

async fn a_damaged_green_is_closed_and_blue_serves() {
    let place = Place::new();
    let up = place.up().await;
    up.release(&place, "v1").await;
    let green = up.stage(&place, "v2").await;
    up.down().await;
    damage(&place, green);
    let up = place.up().await;
    up.serves("v1");
    assert_eq!(up.state(green).await, Some(ReleaseState::Closed));
    let status = up.status().await;
    assert!(status.warnings.iter().any(|warning| warning.contains(green.as_str())), "{:?}", status.warnings);
    assert!(up.history().await.iter().any(|entry| entry.message.contains("damaged")));
    up.down().await;
}

async fn a_damaged_active_release_can_be_left() {
    let place = Place::new();
    let rest = "[rollout]\nstrategy = \"instant\"\nbake = \"10ms\"\n".to_owned();
    place.describe(&Extra { rest, ..Extra::default() });
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.release(&place, "v2").await;
    // While it bakes, it would be left without a person.
    up.baked().await;
    up.down().await;
    damage(&place, second);
    let up = place.up().await;
    let warnings = up.status().await.warnings;
    assert!(
        warnings.iter().any(|warning| warning.contains(second.as_str()) && warning.contains("roll back"))
    );
    assert_eq!(up.get("/").status, 503);
    let back = up.rollback(false).await.unwrap();
    assert_eq!((back.to, up.state(second).await), (Some(first), Some(ReleaseState::Closed)));
    up.serves("v1");
    assert!(place.journal().read().unwrap().unfinished.is_empty());
    gapless(&up.history().await);
    up.down().await;
}

async fn what_a_release_keeps_does_not_follow_the_app_description() {
    let place = Place::new();
    place.describe(&Extra { rest: "[routing]\npolicy = \"sticky\"\n".to_owned(), ..Extra::default() });
    let up = place.up().await;
    up.release(&place, "v1").await;
    let policy = || up.edge.publication().unwrap().settings.policy;
    assert_eq!(policy(), cutover_routing::Policy::Sticky);
    place.describe(&Extra::default());
    let green = up.stage(&place, "v2").await;
    assert_eq!(policy(), cutover_routing::Policy::Sticky, "blue's rules hold while blue serves");
    up.promote(green).await;
    assert_eq!(policy(), cutover_routing::Policy::Navigation);
    up.rollback(false).await.unwrap();
    assert_eq!(policy(), cutover_routing::Policy::Sticky);
    up.down().await;
}
