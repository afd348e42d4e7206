//! Releases that are left: never further back than visitors were, never promoted again by mistake, never said to be left
//! where they are not.

use std::fs;

use cutover_engine::{
    Control, ErrorKind,
    control::{Phase, Progress, PromoteRequest, SwitchReport},
};
use cutover_routing::{ReleaseId, ReleaseState};

use crate::{
    harness::tests,
    rolling::steps,
    support::{Extra, Place, Up, data, eventually_async},
};

tests!(
    giving_up_a_release_never_leads_two_releases_back,
    a_release_that_came_to_nothing_by_itself_never_leads_two_releases_back,
    a_promotion_without_a_name_means_nothing_older_and_nothing_given_up,
    where_the_release_before_cannot_serve_a_rollback_says_that_it_does_not_succeed,
);

async fn stays_on(up: &Up, on: ReleaseId, when: &str) {
    let again = up.rollback(false).await.unwrap();
    assert!(!again.changed && again.to == Some(on), "{when}: {again:?}");
    assert_eq!(again.message, format!("already on {on}"), "{when}");
    let status = up.status().await;
    assert_eq!((status.active, status.rollback_to), (Some(on), None), "{when}");
    assert!(!status.readiness.ready, "{when}: {:?}", status.readiness);
}

async fn bare(up: &Up) -> Result<SwitchReport, cutover_engine::Error> {
    up.control.promote("ada", PromoteRequest::default(), Progress::none()).await
}

async fn giving_up_a_release_never_leads_two_releases_back() {
    for (before, stage) in [(2, "shift"), (1, "shift"), (2, "test")] {
        let place = Place::new();
        let gate = "[[gate]]\nname = \"slow\"\nrun = \"sleep 60\"\ntimeout = \"2m\"\n";
        place.describe(&steps("50%, 100%", "1h", ""));
        let up = place.up().await;
        let mut on = up.release(&place, "v0").await;
        if before == 2 {
            on = up.release(&place, "v1").await;
        }
        up.baked().await;
        place.describe(&steps("50%, 100%", "1h", if stage == "test" { gate } else { "" }));
        let left = async {
            let phase = if stage == "test" { Phase::Testing } else { Phase::Shifting };
            up.until(|rollout| rollout.phase == phase).await;
            let back = up.rollback(false).await.unwrap();
            assert!(back.changed && back.to == Some(on), "{before} {stage}: {back:?}");
            stays_on_or_ends(&up, on).await;
        };
        let (deployed, ()) = tokio::join!(up.deploy(&place, "v2"), left);
        assert_eq!(deployed.is_err(), stage == "test", "{deployed:?}");
        up.until(|rollout| rollout.phase == Phase::RolledBack).await;
        stays_on(&up, on, &format!("{before} {stage}")).await;
        up.serves(if before == 2 { "v1" } else { "v0" });
        up.down().await;
        let up = place.up().await;
        stays_on(&up, on, "after a restart").await;
        up.down().await;
    }
}

/// A second call at once: the way back may still be under way.
async fn stays_on_or_ends(up: &Up, on: ReleaseId) {
    let again = up.rollback(false).await.unwrap();
    assert!(!again.changed && again.to == Some(on), "{again:?}");
    assert_eq!(up.status().await.active, Some(on));
}

async fn a_release_that_came_to_nothing_by_itself_never_leads_two_releases_back() {
    let place = Place::new();
    place.describe(&steps("50%, 100%", "1h", ""));
    let up = place.up().await;
    up.release(&place, "v0").await;
    let on = up.release(&place, "v1").await;
    up.baked().await;
    place.describe(&steps(
        "50%, 100%",
        "1h",
        "[[gate]]\nname = \"smoke\"\nhttp = { path = \"/api/fail\", status = 200 }\n",
    ));
    assert!(up.deploy(&place, "v2").await.is_err());
    up.until(|rollout| rollout.phase == Phase::RolledBack).await;
    stays_on(&up, on, "a gate before traffic").await;
    place.describe(&steps("50%, 100%", "1h", ""));
    up.deploy(&place, "v3").await.unwrap();
    fs::write(data(&up).join("v3.sick"), "").unwrap();
    up.until(|rollout| rollout.phase == Phase::RolledBack).await;
    stays_on(&up, on, "a release that turned ill").await;
    up.serves("v1");
    up.down().await;
}

async fn a_promotion_without_a_name_means_nothing_older_and_nothing_given_up() {
    let place = Place::new();
    let gate = "[[gate]]\nname = \"smoke\"\nhttp = { path = \"/api/fail\", status = 200 }\n";
    let roomy = |mut extra: Extra, gate: &str| {
        extra.top = "keep = 8";
        extra.rest = extra.rest.replace("bake = \"1s\"", "bake = \"1h\"") + gate;
        extra
    };
    place.describe(&roomy(steps("50%, 100%", "1h", ""), ""));
    let up = place.up().await;
    up.release(&place, "v1").await;
    let older = up.stage(&place, "older").await;
    let active = up.stage(&place, "v2").await;
    assert!(up.promote(active).await.changed);
    // Promoted over nobody's head: the bake is what it sends on.
    place.describe(&roomy(steps("50%, 100%", "1h", ""), gate));
    let first = bare(&up).await.unwrap();
    assert!(first.changed && first.message.contains("goes on"), "{first:?}");
    up.until(|rollout| rollout.phase == Phase::Done).await;
    let none = bare(&up).await.unwrap_err();
    assert_eq!((none.kind, none.code.as_str()), (ErrorKind::Refused, "CUT0515"), "{none:?}");
    assert_eq!(up.state(older).await, Some(ReleaseState::Staged));
    // What came to nothing is not tried again because somebody names nothing.
    assert!(up.deploy(&place, "v3").await.is_err());
    let given_up = up.until(|rollout| rollout.phase == Phase::RolledBack).await.green;
    assert_eq!(up.state(given_up).await, Some(ReleaseState::Staged));
    let refused = bare(&up).await;
    assert_ne!(refused.as_ref().ok().and_then(|report| report.to), Some(given_up), "{refused:?}");
    assert_eq!(up.try_promote("v3", Some("it is known")).await.unwrap().to, Some(given_up));
    // In its bake, what was staged since is what waits.
    place.describe(&roomy(steps("50%, 100%", "1h", ""), ""));
    let newer = up.stage(&place, "v4").await;
    assert_eq!(bare(&up).await.unwrap().to, Some(newer));
    up.serves("v4");
    up.down().await;
}

async fn where_the_release_before_cannot_serve_a_rollback_says_that_it_does_not_succeed() {
    let place = Place::new();
    let rest = "[rollout]\nstrategy = \"instant\"\nbake = \"1h\"\n".to_owned();
    place.describe(&Extra { service: "start_timeout = \"1s\"", rest, ..Extra::default() });
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.release(&place, "v2").await;
    let sick = data(&up).join("v1.sick");
    fs::write(&sick, "").unwrap();
    for call in ["the first call", "the second call"] {
        let error = up.rollback(false).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Failed, "{call}: {error:?}");
        assert!(error.message.contains(second.as_str()) && !error.causes.is_empty(), "{call}: {error:?}");
        assert!(error.causes.iter().any(|why| why.contains(first.as_str())), "{call}: {error:?}");
        assert!(error.hints.iter().any(|hint| hint.contains("by itself")), "{call}: {error:?}");
        assert_eq!(up.status().await.active, Some(second), "{call}");
    }
    let error = up.try_promote(second.as_str(), Some("I want it")).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0531"), "{error:?}");
    assert_eq!(up.deploy(&place, "v2").await.unwrap_err().code, "CUT0531");
    fs::remove_file(sick).unwrap();
    eventually_async(|| async {
        let active = up.status().await.active;
        if active == Some(first) { Ok(()) } else { Err(format!("{active:?}")) }
    })
    .await;
    up.serves("v1");
    assert!(!up.rollback(false).await.unwrap().changed);
    up.down().await;
}
