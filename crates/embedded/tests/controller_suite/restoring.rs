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
    an_older_rollout_that_cannot_be_read_does_not_matter,
    a_newest_rollout_that_cannot_be_read_is_set_aside,
    a_rollout_of_a_newer_version_is_refused,
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

/// Rewrites the journal behind the controller's back.
fn rewrite(place: &Place, sql: &str) {
    let file = rusqlite::Connection::open(place.state().join("journal.db")).unwrap();
    let triggers: Vec<String> = file
        .prepare("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'rollout_records'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for trigger in triggers {
        file.execute(&format!("DROP TRIGGER {trigger}"), []).unwrap();
    }
    assert!(file.execute(sql, []).unwrap() > 0, "{sql}");
}

const NEWEST: &str = "(SELECT id FROM rollouts ORDER BY number DESC LIMIT 1)";
const OLDEST: &str = "(SELECT id FROM rollouts ORDER BY number LIMIT 1)";

async fn an_older_rollout_that_cannot_be_read_does_not_matter() {
    let place = Place::new();
    place.describe(&crate::rolling::steps("instant", "1s", ""));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    up.release(&place, "v2").await;
    up.baked().await;
    up.down().await;
    rewrite(&place, &format!("UPDATE rollout_records SET body = '{{' WHERE seq = 1 AND rollout = {OLDEST}"));
    let up = place.up().await;
    up.serves("v2");
    assert_eq!(up.status().await.warnings, Vec::<String>::new());
    assert_eq!(up.control.rollouts(10).await.unwrap().len(), 1, "those that can be read");
    assert_eq!(up.rollback(false).await.unwrap().to, Some(first));
    up.serves("v1");
    up.down().await;
}

async fn a_newest_rollout_that_cannot_be_read_is_set_aside() {
    let last = format!(
        "rollout = {NEWEST} AND seq = (SELECT max(seq) - 1 FROM rollout_records WHERE rollout = {NEWEST})"
    );
    let damages = [
        format!("UPDATE rollout_records SET body = 'not json' WHERE {last}"),
        format!("DELETE FROM rollout_records WHERE {last}"),
        format!(
            "UPDATE rollout_records SET body = replace(body, '\"seq\":1,', '\"seq\":7,') WHERE seq = 1 AND rollout = {NEWEST}"
        ),
    ];
    for (case, damage) in damages.iter().enumerate() {
        let place = Place::new();
        place.describe(&crate::rolling::steps("50%, 100%", "1h", ""));
        let up = place.up().await;
        let first = up.release(&place, "v1").await;
        up.baked().await;
        let open = up.deploy(&place, "v2").await.unwrap().rollout.unwrap();
        up.down().await;
        rewrite(&place, damage);
        let kept = records(&place, &open.id);
        let up = place.up().await;
        up.serves("v1");
        let status = up.status().await;
        let warned = status.warnings.iter().find(|warning| warning.contains(&open.id));
        let warned = warned.unwrap_or_else(|| panic!("{case}: {:?}", status.warnings));
        assert!(warned.contains("was set aside: ") && warned.contains("cutover rollback"), "{warned}");
        assert!(status.rollout.is_none(), "{status:?}");
        // Visitors are still on it.
        crate::support::eventually_async(async || {
            let green = up.view(open.green).await;
            let up_again = green.components.iter().all(|component| component.health == Health::Healthy);
            if up_again { Ok(()) } else { Err(format!("{green:?}")) }
        })
        .await;
        if case == 0 {
            let back = up.rollback(false).await.unwrap();
            assert_eq!((back.to, back.changed), (Some(first), true), "{back:?}");
            assert_ne!(up.state(open.green).await, Some(ReleaseState::Candidate));
        }
        let newer = up.deploy(&place, "v3").await.unwrap().rollout.unwrap();
        assert_eq!((newer.blue, newer.share), (Some(first), 5_000), "{newer:?}");
        let shares = up.control.table().await.unwrap().shares;
        assert!(shares.iter().all(|share| share.release != open.green || share.width == 0), "{shares:?}");
        assert!(up.status().await.warnings.iter().all(|warning| !warning.contains(&open.id)));
        assert_eq!(records(&place, &open.id), kept, "nothing was overwritten");
        up.promote(newer.green).await;
        up.serves("v3");
        up.down().await;
    }
}

fn records(place: &Place, rollout: &str) -> Vec<String> {
    let file = rusqlite::Connection::open(place.state().join("journal.db")).unwrap();
    let mut read = file.prepare("SELECT body FROM rollout_records WHERE rollout = ?1 ORDER BY seq").unwrap();
    read.query_map([rollout], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

async fn a_rollout_of_a_newer_version_is_refused() {
    let place = Place::new();
    let up = place.up().await;
    up.release(&place, "v1").await;
    up.down().await;
    rewrite(
        &place,
        &format!(
            "UPDATE rollout_records SET body = '{{\"v\":9,\"of\":\"tomorrow\"}}' WHERE seq = 1 AND rollout = {NEWEST}"
        ),
    );
    let error = Embedded::open(place.options(), place.edge()).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0603"), "{error:?}");
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
