//! The way back: by itself where the new release is worse, and by one command at every stage.

use std::fs;

use cutover_engine::{
    Control, ErrorKind,
    control::{Outside, Phase, PlanRequest, WithdrawRequest},
};
use cutover_routing::ReleaseState;

use crate::{
    harness::tests,
    rolling::{Visitor, steps},
    support::{Extra, Place, data, eventually, gapless},
};

tests!(
    a_release_that_fails_more_of_its_visitors_is_left_without_a_person,
    a_number_of_the_edge_beyond_its_limit_sends_visitors_back,
    where_nobody_comes_made_up_visitors_are_compared_if_that_is_wanted,
    a_journal_from_before_there_were_rollouts_still_leads_back,
    a_release_that_turns_ill_is_left_without_a_person,
    a_release_that_lost_files_while_it_baked_is_left_without_a_person,
    one_command_goes_back_at_every_stage,
    a_rollback_that_drains_can_be_hardened,
    a_release_on_standby_takes_over_at_once,
    a_release_that_visitors_are_on_their_way_to_can_be_withdrawn,
    a_release_that_was_rolled_back_can_be_withdrawn_while_it_drains_and_after,
    the_readiness_for_a_rollback_is_shown_all_the_time,
);

async fn a_release_that_fails_more_of_its_visitors_is_left_without_a_person() {
    let place = Place::new();
    let gate = "[[gate]]\nname = \"errors\"\ncompare = { metric = \"errors\", worse_by = \"1%\" }\nat = [\"steps\"]\n";
    place.describe(&steps("20%, 100%", "10m", gate));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let report = up.deploy(&place, "bad2").await.unwrap();
    let green = report.stage.release.id;
    assert_eq!(report.rollout.unwrap().share, 2_000);
    let (mut met, mut all) = (0, 0);
    let end = loop {
        for _ in 0..40 {
            let visitor = Visitor::new(&up);
            let (status, on) = visitor.fetch(&up, "/api/flaky");
            all += 1;
            met += usize::from(on == green.as_str());
            assert!(status == 200 || on == green.as_str());
        }
        let now = up.control.rollouts(1).await.unwrap().remove(0);
        if now.undo.is_some() {
            break now;
        }
        assert!(all < 20_000, "{now:?}");
    };
    assert!(end.undo.as_ref().unwrap().contains("errors"), "{end:?}");
    println!("left after {met} of {all} visitors met it");
    assert!(met * 2 < all, "{met} of {all}");
    up.until(|rollout| rollout.share == 0).await;
    up.serves("v1");
    assert_eq!(up.status().await.active, Some(first));
    assert_eq!(up.state(green).await, Some(ReleaseState::Closed), "a failed gate closes at once");
    let history = up.history().await;
    let told = history.iter().find(|entry| entry.verb == "rollback").unwrap();
    assert_eq!(told.who, "cutover");
    assert!(told.reason.as_ref().unwrap().contains("errors"), "{told:?}");
    gapless(&history);
    up.until(|rollout| rollout.phase == Phase::RolledBack).await;
    up.down().await;
}

async fn a_number_of_the_edge_beyond_its_limit_sends_visitors_back() {
    let place = Place::new();
    let gate = "[[gate]]\nname = \"failing\"\nmetrics = { edge = \"error_rate\", max = 0.02, window = \"5s\" }\n\
                at = [\"steps\"]\n";
    place.describe(&steps("50%, 100%", "20s", gate));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    up.deploy(&place, "bad2").await.unwrap();
    let end = loop {
        for _ in 0..10 {
            Visitor::new(&up).fetch(&up, "/api/flaky");
        }
        let now = up.control.rollouts(1).await.unwrap().remove(0);
        assert!(!now.promoted, "{now:?}");
        if now.undo.is_some() {
            break now;
        }
    };
    assert!(end.undo.as_ref().unwrap().contains("failing"), "{end:?}");
    up.until(|rollout| rollout.share == 0).await;
    assert_eq!(up.status().await.active, Some(first));
    up.down().await;
}

async fn where_nobody_comes_made_up_visitors_are_compared_if_that_is_wanted() {
    let gates = "[[gate]]\nname = \"errors\"\ncompare = { metric = \"errors\", worse_by = \"10%\" }\nat = [\"steps\"]\n\
                 low_traffic = \"synthetic\"\n[[gate]]\nname = \"asked\"\nrequired = false\n\
                 http = { path = \"/api/flaky\", status = 200 }\n";
    for (version, good) in [("good2", true), ("bad2", false)] {
        let place = Place::new();
        place.describe(&steps("50%, 100%", "1s", gates));
        let up = place.up().await;
        let first = up.release(&place, "v1").await;
        let second = up.deploy(&place, version).await.unwrap().stage.release.id;
        let end = up.until(|rollout| rollout.promoted || rollout.undo.is_some()).await;
        assert_eq!(end.promoted, good, "{end:?}");
        assert_eq!(up.edge.usage(&second).requests, 0, "they are nobody's visit");
        let story = format!("{:?}", up.control.explain_rollout(&end.id).await.unwrap().lines);
        assert!(story.contains("made up"), "{story}");
        up.until(|rollout| rollout.promoted || rollout.share == 0).await;
        assert_eq!(up.status().await.active, Some(if good { second } else { first }));
        up.down().await;
    }
}

async fn a_journal_from_before_there_were_rollouts_still_leads_back() {
    let place = Place::new();
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.release(&place, "v2").await;
    up.down().await;
    let file = rusqlite::Connection::open(place.state().join("journal.db")).unwrap();
    file.execute_batch(
        "DROP TRIGGER rollout_records_are_kept; DELETE FROM rollout_records; DELETE FROM rollouts;
         CREATE TRIGGER rollout_records_are_kept BEFORE DELETE ON rollout_records
            BEGIN SELECT RAISE (ABORT, 'append-only'); END;",
    )
    .unwrap();
    drop(file);
    let up = place.up().await;
    assert!(up.status().await.rollout.is_none());
    // Blue's services are started behind everything else.
    crate::support::eventually_async(async || {
        let readiness = up.status().await.readiness;
        if readiness.ready { Ok(()) } else { Err(format!("{readiness:?}")) }
    })
    .await;
    assert_eq!(up.rollback(false).await.unwrap().to, Some(first));
    up.serves("v1");
    assert!(up.promote(second).await.changed);
    assert_eq!(up.status().await.rollout.unwrap().green, second);
    up.down().await;
}

async fn a_release_that_turns_ill_is_left_without_a_person() {
    let place = Place::new();
    place.describe(&steps("50%, 100%", "10m", ""));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    up.deploy(&place, "v2").await.unwrap();
    fs::write(data(&up).join("v2.sick"), "").unwrap();
    let end = up.until(|rollout| rollout.undo.is_some()).await;
    assert!(end.undo.as_ref().unwrap().contains("503"), "{end:?}");
    up.until(|rollout| rollout.share == 0).await;
    assert_eq!(up.status().await.active, Some(first));
    up.serves("v1");
    up.down().await;
}

async fn a_release_that_lost_files_while_it_baked_is_left_without_a_person() {
    let place = Place::new();
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.release(&place, "v2").await;
    up.down().await;
    crate::restoring::damage(&place, second);
    let up = place.up().await;
    up.serves("v1");
    assert_eq!(up.status().await.active, Some(first));
    let told = up.history().await.into_iter().find(|entry| entry.verb == "rollback").unwrap();
    assert!(told.who == "cutover" && told.reason.unwrap().contains("files"));
    up.down().await;
}

async fn one_command_goes_back_at_every_stage() {
    for stage in ["shift", "bake", "drain", "over"] {
        let place = Place::new();
        let mut extra = steps("50%, 100%", if stage == "shift" { "1h" } else { "1s" }, "");
        if stage == "bake" {
            extra.rest = extra.rest.replace("bake = \"1s\"", "bake = \"1h\"");
        }
        if stage == "drain" {
            extra.rest =
                extra.rest.replace("quiet = \"1s\", at_most = \"20s\"", "quiet = \"1h\", at_most = \"2h\"");
        }
        place.describe(&extra);
        let up = place.up().await;
        let first = up.release(&place, "v1").await;
        let second = up.deploy(&place, "v2").await.unwrap().stage.release.id;
        let phase = match stage {
            "shift" => Phase::Shifting,
            "bake" => Phase::Baking,
            "drain" => Phase::Draining,
            _ => Phase::Done,
        };
        up.until(|rollout| rollout.phase == phase && rollout.green == second).await;
        let readiness = up.status().await.readiness;
        assert!(readiness.ready && readiness.to == Some(first), "{stage}: {readiness:?}");
        if stage == "over" {
            assert_eq!(up.state(first).await, Some(ReleaseState::Closed));
            eventually(|| match place.processes().len() {
                2 => Ok(()),
                other => Err(format!("{stage}: {other} processes")),
            });
        }
        let report = up.rollback(false).await.unwrap();
        println!("{stage}: {} us", report.took_us);
        assert_eq!((report.to, report.changed), (Some(first), true), "{stage}: {report:?}");
        up.serves("v1");
        let view = up.control.rollouts(1).await.unwrap().remove(0);
        assert!(view.undo.is_some() && view.share == 0, "{stage}: {view:?}");
        let again = up.rollback(false).await.unwrap();
        assert!(!again.changed && again.message.starts_with("already on"), "{stage}: {again:?}");
        gapless(&up.history().await);
        up.down().await;
    }
}

async fn a_rollback_that_drains_can_be_hardened() {
    let place = Place::new();
    let mut extra = steps("50%, 100%", "1h", "");
    extra.rest = extra.rest.replace("quiet = \"1s\", at_most = \"20s\"", "quiet = \"1h\", at_most = \"2h\"");
    place.describe(&extra);
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.deploy(&place, "v2").await.unwrap().stage.release.id;
    assert!(up.rollback(false).await.unwrap().changed);
    assert_eq!(up.state(second).await, Some(ReleaseState::Draining));
    let harder = up.rollback(true).await.unwrap();
    assert!(harder.changed && harder.to == Some(first), "{harder:?}");
    assert_eq!(up.state(second).await, Some(ReleaseState::Closed));
    assert!(!up.rollback(true).await.unwrap().changed);
    up.serves("v1");
    up.down().await;
}

async fn a_release_on_standby_takes_over_at_once() {
    let place = Place::new();
    place.describe(&steps("50%, 100%", "1s", "after = \"standby\""));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    up.deploy(&place, "v2").await.unwrap();
    up.until(|rollout| rollout.phase == Phase::Done && rollout.blue == Some(first)).await;
    let view = up.view(first).await;
    assert_eq!((view.state, view.outside), (Some(ReleaseState::Closed), Some(Outside::Standby)));
    let pids: Vec<_> = view.components.iter().map(|one| one.pid).collect();
    assert!(pids.iter().any(Option::is_some), "it is warm: {view:?}");
    let report = up.rollback(false).await.unwrap();
    assert_eq!((report.to, report.changed), (Some(first), true));
    println!("from standby: {} us", report.took_us);
    up.serves("v1");
    let view = up.view(first).await;
    assert_eq!(view.components.iter().map(|one| one.pid).collect::<Vec<_>>(), pids, "nothing was started");
    up.down().await;
}

async fn a_release_that_visitors_are_on_their_way_to_can_be_withdrawn() {
    let place = Place::new();
    place.describe(&steps("50%, 100%", "1h", ""));
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.deploy(&place, "v2").await.unwrap().stage.release.id;
    let request = WithdrawRequest { reason: Some("wrong prices".to_owned()), ..WithdrawRequest::default() };
    let report = up.control.withdraw("ada", "v2", request).await.unwrap();
    assert_eq!((report.to, report.changed), (Some(first), true), "{report:?}");
    let view = up.view(second).await;
    assert_eq!((view.state, view.outside), (Some(ReleaseState::Closed), Some(Outside::Withdrawn)));
    let error = up.deploy(&place, "v2").await.unwrap_err();
    assert_eq!(error.code, "CUT0514", "{error:?}");
    up.serves("v1");
    let told = up.history().await.into_iter().find(|entry| entry.verb == "withdraw").unwrap();
    assert_eq!((told.who.as_str(), told.reason.as_deref()), ("ada", Some("wrong prices")));
    up.down().await;
}

async fn a_release_that_was_rolled_back_can_be_withdrawn_while_it_drains_and_after() {
    for now in [false, true] {
        let place = Place::new();
        let up = place.up().await;
        let first = up.release(&place, "v1").await;
        let second = up.release(&place, "v2").await;
        up.rollback(now).await.unwrap();
        let report = up.control.withdraw("ada", "v2", WithdrawRequest::default()).await.unwrap();
        assert!(report.changed, "{report:?}");
        let view = up.view(second).await;
        assert_eq!((view.state, view.outside), (Some(ReleaseState::Closed), Some(Outside::Withdrawn)));
        assert_eq!(up.try_promote("v2", None).await.unwrap_err().code, "CUT0514");
        assert_eq!(up.status().await.active, Some(first));
        up.serves("v1");
        gapless(&up.history().await);
        up.down().await;
    }
}

async fn the_readiness_for_a_rollback_is_shown_all_the_time() {
    let place = Place::new();
    place.describe(&Extra {
        rest: "[rollout]\nstrategy = \"instant\"\nbake = \"10ms\"\nreadiness = \"refuse\"\n".to_owned(),
        ..Extra::default()
    });
    let up = place.up().await;
    up.release(&place, "v1").await;
    assert!(!up.status().await.readiness.ready, "the first release");
    up.release(&place, "v2").await;
    let readiness = up.status().await.readiness;
    assert!(readiness.ready && readiness.expected_ms.is_some(), "{readiness:?}");
    let sick = data(&up).join("v1.sick");
    fs::write(&sick, "").unwrap();
    let lacking = crate::support::eventually_async(|| async {
        let readiness = up.status().await.readiness;
        let lacks = readiness.checks.iter().find(|check| !check.ok).cloned();
        lacks.ok_or_else(|| format!("{readiness:?}"))
    })
    .await;
    assert_eq!(lacking.what, "health", "{lacking:?}");
    fs::remove_file(sick).unwrap();
    // Where blue is ill, nobody is moved from it to where there would be no way back.
    up.baked().await;
    let green = up.stage(&place, "v3").await;
    let sick = data(&up).join("v2.sick");
    fs::write(&sick, "").unwrap();
    crate::support::eventually_async(|| async {
        let request = PlanRequest { release: Some(green.to_string()), ..PlanRequest::default() };
        let plan = up.control.plan(request).await.unwrap();
        let told = plan.warnings.iter().any(|warning| warning.contains("going back to"));
        if told { Ok(()) } else { Err(format!("{plan:?}")) }
    })
    .await;
    let error = up.try_promote(green.as_str(), None).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0532"), "{error:?}");
    assert_eq!(up.state(green).await, Some(ReleaseState::Staged));
    fs::remove_file(sick).unwrap();
    up.down().await;
}
