//! From an app description to a release that can be previewed, and what happens when that does not work out.

use std::{fs, sync::Mutex};

use cutover_embedded::controller::{CrashHook, CrashPoint};
use cutover_engine::{
    Control, ErrorKind,
    control::{ComponentKind, Health, PreviewRequest, Progress, StageRequest, Verdict, WithdrawRequest},
};
use cutover_routing::{ReleaseState, Slot};

use crate::{
    harness::tests,
    support::{Extra, Place, gapless},
};

tests!(
    a_staged_release_is_shown_to_previews_only,
    the_same_content_is_the_same_release,
    a_service_that_is_never_healthy_changes_nothing,
    an_app_description_of_another_app_is_refused,
    a_wrong_app_description_is_refused_with_its_place,
    what_the_edge_refuses_is_put_back,
    releases_are_found_by_id_start_and_name,
    a_fixed_upstream_takes_one_release_per_slot,
    before_the_first_promotion_both_slots_are_used,
    a_refused_command_renames_nothing,
    every_event_is_history,
    settings_that_differ_are_shown,
);

async fn a_staged_release_is_shown_to_previews_only() {
    let place = Place::new();
    let up = place.up().await;
    assert_eq!(up.get("/").status, 503);
    let blue = up.release(&place, "v1").await;
    up.serves("v1");
    let green = up.stage(&place, "v2").await;
    assert_eq!(up.state(green).await, Some(ReleaseState::Staged));
    up.serves("v1");
    let preview = up.control.preview("ada", "v2", PreviewRequest::default()).await.unwrap();
    let page = up.get_with("/", &[("cookie", &preview.cookie)]);
    assert!(page.body.contains("<title>v2<"), "{page:?}");
    assert_eq!(page.header("x-cutover-release"), green.as_str());
    assert_eq!(up.get_with("/api/version", &[("cookie", &preview.cookie)]).body, "v2");
    // The link gives the same cookie's worth.
    let path = preview.url.strip_prefix("http://shop.test").unwrap();
    let entered = up.get(path);
    assert!(entered.header("set-cookie").starts_with("cutover-preview=d1."), "{entered:?}");
    assert!(entered.header("set-cookie").ends_with("Max-Age=86400"), "{entered:?}");
    let brief = PreviewRequest { lasts: Some(60), ..PreviewRequest::default() };
    let brief = up.control.preview("ada", "v2", brief).await.unwrap();
    let path = brief.url.strip_prefix("http://shop.test").unwrap();
    let (token, _) = path.split_once('&').unwrap();
    for path in [path, token, &format!("{token}&for=86400")] {
        let entered = up.get(path);
        assert!(entered.header("set-cookie").ends_with("Max-Age=60"), "{path}: {entered:?}");
    }
    let view = up.view(green).await;
    assert_eq!(view.name.as_deref(), Some("v2"));
    let kinds: Vec<_> = view.components.iter().map(|one| (one.kind, one.health)).collect();
    assert_eq!(kinds, [(ComponentKind::Site, Health::Healthy), (ComponentKind::Process, Health::Healthy)]);
    let status = up.status().await;
    assert_eq!((status.active, status.candidate, status.rollback_to), (Some(blue), Some(green), None));
    up.down().await;
}

async fn the_same_content_is_the_same_release() {
    let place = Place::new();
    let up = place.up().await;
    let id = up.release(&place, "v1").await;
    let before = up.control.table().await.unwrap();
    let again = up.try_stage("v1").await.unwrap();
    assert_eq!((again.release.id, again.created), (id, false));
    assert_eq!(up.control.table().await.unwrap(), before);
    let renamed = up.try_stage("first").await.unwrap();
    assert_eq!((renamed.release.name.as_deref(), renamed.created), (Some("first"), false));
    up.down().await;
}

async fn a_service_that_is_never_healthy_changes_nothing() {
    let place = Place::new();
    place.describe(&Extra { service: "start_timeout = \"1500ms\"", ..Extra::default() });
    let up = place.up().await;
    up.release(&place, "v1").await;
    let before = up.control.table().await.unwrap();
    let processes = place.processes().len();
    place.build("v2");
    fs::write(place.app().join("api/sick"), "").unwrap();
    let error = up.try_stage("v2").await.unwrap_err();
    assert!(error.to_string().contains("api"), "{error:?}");
    assert!(format!("{error:?}").contains("version v2 listens"), "its last log lines: {error:?}");
    assert_eq!(up.control.table().await.unwrap(), before);
    assert_eq!(up.control.releases().await.unwrap().len(), 1);
    assert_eq!(place.processes().len(), processes);
    let history = up.history().await;
    gapless(&history);
    assert!(history.last().unwrap().message.starts_with("failed: "), "{history:?}");
    // Nothing is left that stands in the way of a good one.
    fs::remove_file(place.app().join("api/sick")).unwrap();
    let good = up.try_stage("v2").await.unwrap();
    assert!(good.created);
    up.serves("v1");
    up.down().await;
}

async fn an_app_description_of_another_app_is_refused() {
    let place = Place::new();
    let up = place.up().await;
    place.build("v1");
    let other = place.app().join("other.toml");
    let text = fs::read_to_string(place.app().join("cutover.toml")).unwrap();
    for (from, to) in [("\"shop\"", "\"forum\""), ("shop.test", "forum.test")] {
        fs::write(&other, text.replacen(from, to, 1)).unwrap();
        let request = StageRequest { config: other.clone(), ..StageRequest::default() };
        let error = up.control.stage("ada", request, Progress::none()).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0512"), "{error:?}");
    }
    up.down().await;
}

async fn a_wrong_app_description_is_refused_with_its_place() {
    let place = Place::new();
    let up = place.up().await;
    place.build("v1");
    place.describe(&Extra { top: "kep = 3", ..Extra::default() });
    let error = up.try_stage("v1").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.to_string().contains("cutover.toml:3:1"), "{error:?}");
    assert!(up.history().await.is_empty());
    up.down().await;
}

async fn what_the_edge_refuses_is_put_back() {
    let place = Place::new();
    let blobs: &'static Mutex<Option<std::path::PathBuf>> = Box::leak(Box::default());
    // Just before the table is changed the files vanish, so that the edge cannot load the site.
    let sabotage = CrashHook::new(move |point| {
        if point == CrashPoint::BeforeCommit
            && let Some(dir) = blobs.lock().unwrap().take()
        {
            fs::rename(&dir, dir.with_extension("gone")).unwrap();
        }
        false
    });
    let up = place.up_with(Some(sabotage)).await;
    let blue = up.release(&place, "v1").await;
    let before = up.control.table().await.unwrap();
    *blobs.lock().unwrap() = Some(up.edge.publication().unwrap().serving.blobs.clone());
    place.build("v2");
    let error = up.try_stage("v2").await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Failed, "CUT0506"), "{error:?}");
    let after = up.control.table().await.unwrap();
    assert!(after.generation > before.generation);
    assert_eq!((after.releases, after.default), (before.releases, Some(blue)));
    assert_eq!(up.edge.generation(), after.generation);
    assert_eq!(up.control.releases().await.unwrap().len(), 1);
    up.serves("v1");
    assert!(place.journal().read().unwrap().unfinished.is_empty());
    up.down().await;
}

async fn releases_are_found_by_id_start_and_name() {
    let place = Place::new();
    let up = place.up().await;
    let id = up.stage(&place, "v1").await;
    for reference in [id.as_str(), &id.as_str()[..6], "v1"] {
        let preview = up.control.preview("ada", reference, PreviewRequest::default()).await.unwrap();
        assert_eq!(preview.release, id);
    }
    place.build("v2");
    let other = up.try_stage("v1").await.unwrap().release.id;
    let error = up.try_promote("v1", None).await.unwrap_err();
    assert_eq!(error.code, "CUT0502");
    assert!(error.causes.iter().any(|cause| cause.contains(other.as_str())), "{error:?}");
    let error = up.try_promote("nothing", None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    up.down().await;
}

async fn a_fixed_upstream_takes_one_release_per_slot() {
    let place = Place::new();
    let listeners: Vec<_> = (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<_> = listeners.iter().map(|one| one.local_addr().unwrap()).collect();
    let rest = format!(
        "[[service]]\nname = \"old\"\nroutes = [\"/old/*\"]\nupstream = {{ blue = \"http://{}\", green = \"http://{}\" }}\n",
        addresses[0], addresses[1]
    );
    place.describe(&Extra { rest, ..Extra::default() });
    let up = place.up().await;
    let blue = up.release(&place, "v1").await;
    let green = up.stage(&place, "v2").await;
    let seen: Vec<_> = [blue, green]
        .map(|id| up.edge.publication().unwrap().serving.releases[&id].clone())
        .iter()
        .map(|serving| serving.services.iter().find(|one| one.name == "old").unwrap().upstream.clone())
        .collect();
    assert_eq!(seen, [addresses[0].to_string(), addresses[1].to_string()]);
    place.build("v3");
    let error = up.try_stage("v3").await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0513"), "{error:?}");
    assert!(error.hints[0].contains(green.as_str()), "{error:?}");
    up.down().await;
}

async fn before_the_first_promotion_both_slots_are_used() {
    let place = Place::new();
    let listeners: Vec<_> = (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<_> = listeners.iter().map(|one| one.local_addr().unwrap()).collect();
    let rest = format!(
        "[[service]]\nname = \"old\"\nroutes = [\"/old/*\"]\nupstream = {{ blue = \"http://{}\", green = \"http://{}\" }}\n",
        addresses[0], addresses[1]
    );
    place.describe(&Extra { rest, ..Extra::default() });
    let up = place.up().await;
    let first = up.stage(&place, "v1").await;
    let second = up.stage(&place, "v2").await;
    assert_eq!(
        (up.view(first).await.slot, up.view(second).await.slot),
        (Some(Slot::Blue), Some(Slot::Green))
    );
    place.build("v3");
    let error = up.try_stage("v3").await.unwrap_err();
    assert_eq!(error.code, "CUT0513", "there is no third: {error:?}");
    up.promote(second).await;
    up.serves("v2");
    up.down().await;
}

async fn a_refused_command_renames_nothing() {
    let place = Place::new();
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.release(&place, "v2").await;
    let history = up.history().await.len();
    for name in ["", "a\nb", &"x".repeat(3000), first.as_str()] {
        let error = up.try_stage(name).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Invalid, "CUT0521"), "{name:?}");
    }
    assert_eq!(up.history().await.len(), history);
    up.control.withdraw("ada", second.as_str(), WithdrawRequest::default()).await.unwrap();
    for deploy in [true, false] {
        let error = if deploy {
            up.control.deploy("ada", up.request("renamed"), Progress::none()).await.unwrap_err()
        } else {
            up.try_stage("renamed").await.unwrap_err()
        };
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0514"), "{error:?}");
    }
    assert_eq!(up.view(second).await.name.as_deref(), Some("v2"));
    // What is allowed renames.
    let pardon = WithdrawRequest { pardon: true, ..WithdrawRequest::default() };
    up.control.withdraw("ada", second.as_str(), pardon).await.unwrap();
    let deployed = up.control.deploy("ada", up.request("renamed"), Progress::none()).await.unwrap();
    assert_eq!(deployed.stage.release.name.as_deref(), Some("renamed"));
    assert_eq!(up.view(second).await.name.as_deref(), Some("renamed"));
    gapless(&up.history().await);
    up.down().await;
}

async fn every_event_is_history() {
    let place = Place::new();
    let up = place.up().await;
    let mut events = up.control.events();
    let rest = "[[gate]]\nname = \"smoke\"\nhttp = { path = \"/api/version\", status = 200 }\n".to_owned();
    place.describe(&Extra { rest, ..Extra::default() });
    place.build("v1");
    let report = up.control.deploy("ada", up.request("v1"), Progress::none()).await.unwrap();
    assert_eq!(report.gates.iter().map(|gate| gate.verdict).collect::<Vec<_>>(), [Verdict::Pass]);
    let history = up.history().await;
    gapless(&history);
    let verbs: Vec<&str> = history.iter().map(|entry| entry.verb.as_str()).collect();
    assert_eq!(verbs, ["stage", "rollout", "gate", "promote", "rollout", "deploy"]);
    let green = report.switch.as_ref().unwrap().to;
    assert!(history.iter().all(|entry| entry.release == green), "{history:?}");
    let own: Vec<&str> =
        history.iter().filter(|entry| entry.who != "ada").map(|entry| entry.verb.as_str()).collect();
    assert_eq!(own, ["rollout"], "that it is over, nobody said: {history:?}");
    for entry in history {
        assert_eq!(events.recv().await.unwrap().seq, entry.seq);
    }
    up.down().await;
}

async fn settings_that_differ_are_shown() {
    let place = Place::new();
    let up = place.up().await;
    up.release(&place, "v1").await;
    place.describe(&Extra { service: "env = { MODE = \"fast\" }", ..Extra::default() });
    up.stage(&place, "v2").await;
    let parity = up.status().await.parity;
    assert_eq!(parity.len(), 1, "{parity:?}");
    assert!(parity[0].setting.contains("MODE"), "{parity:?}");
    up.down().await;
}
