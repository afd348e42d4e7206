//! What visitors get when nothing can serve them, and what a person can do about it.

use std::{fs, net::TcpListener};

use cutover_embedded::store::Store;
use cutover_engine::config::OutageConfig;
use cutover_routing::ReleaseState;

use crate::{
    harness::tests,
    restoring::damage,
    support::{Extra, Place, Up, eventually, eventually_async, gapless},
};

tests!(
    the_outage_page_is_changed_while_it_is_shown,
    one_damaged_file_takes_no_other_with_it,
    a_release_without_files_shows_its_visitors_the_outage_page,
    a_damaged_release_is_left_by_promoting_another,
    a_release_that_fails_its_visitors_is_told_of_once_and_while_it_lasts,
);

/// An app with a service at `/ext` whose place nobody takes once the release is staged.
fn with_a_service_that_ends(place: &Place, message: &str) -> [TcpListener; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [blue, green] = [0, 1].map(|n: usize| listeners[n].local_addr().unwrap());
    let rest = format!(
        "[outage]\nmessage = \"{message}\"\ncontacts = [\"help@shop.test\"]\n[[service]]\nname = \"ext\"\n\
         routes = [\"/ext/*\"]\nupstream = {{ blue = \"http://{blue}\", green = \"http://{green}\" }}\n"
    );
    place.describe(&Extra { rest, ..Extra::default() });
    listeners
}

fn says(up: &Up, text: &str) {
    eventually(|| {
        let page = up.get("/ext/");
        if page.status == 503 && page.body.contains(text) { Ok(()) } else { Err(format!("{page:?}")) }
    });
}

async fn the_outage_page_is_changed_while_it_is_shown() {
    let place = Place::new();
    let ended = with_a_service_that_ends(&place, "We are mending the shop.");
    let up = place.up().await;
    up.release(&place, "v1").await;
    drop(ended);
    says(&up, "We are mending the shop.");
    says(&up, "help@shop.test");
    let new =
        OutageConfig { message: "It will take until noon.".to_owned(), contacts: vec!["0800 1".to_owned()] };
    let generation = up.edge.generation();
    assert!(up.control.override_outage(new.clone()).await.unwrap());
    says(&up, "It will take until noon.");
    says(&up, "0800 1");
    assert_eq!(up.edge.generation(), generation, "the table is the same");
    let history = up.history().await;
    assert!(history.last().unwrap().message.contains("until noon"), "{history:?}");
    assert!(!up.control.override_outage(new).await.unwrap(), "it says so already");
    assert_eq!(up.history().await.len(), history.len());
    up.down().await;
    let up = place.up().await;
    says(&up, "It will take until noon.");
    // Another release has a text of its own.
    let ended = with_a_service_that_ends(&place, "The new shop is being mended.");
    up.release(&place, "v2").await;
    drop(ended);
    says(&up, "The new shop is being mended.");
    up.down().await;
    let up = place.up().await;
    says(&up, "The new shop is being mended.");
    gapless(&up.history().await);
    up.down().await;
}

const MENDING: &str = "[outage]\nmessage = \"We are mending the shop.\"\n";

fn with_a_text(place: &Place) {
    place.describe(&Extra { rest: MENDING.to_owned(), ..Extra::default() });
}

fn outage(up: &Up, path: &str) {
    eventually(|| {
        let page = up.get(path);
        let shown = page.status == 503 && page.body.contains("We are mending the shop.");
        if shown { Ok(()) } else { Err(format!("{path}: {page:?}")) }
    });
}

async fn one_damaged_file_takes_no_other_with_it() {
    let place = Place::new();
    with_a_text(&place);
    let up = place.up().await;
    place.build("v1");
    fs::write(place.app().join("dist/about.html"), "<!doctype html><title>about us</title>").unwrap();
    let id = up.try_stage("v1").await.unwrap().release.id;
    up.promote(id).await;
    assert!(up.get("/about").body.contains("about us"));
    up.down().await;
    let store = Store::open(&place.state()).unwrap();
    let blob = store.load(&id).unwrap().manifest.unwrap().files["/about.html"].identity.path(store.blobs());
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, "rubbish").unwrap();
    let up = place.up().await;
    up.serves("v1");
    assert_eq!(up.get("/assets/app.v1.js").status, 200);
    for path in ["/about", "/about.html"] {
        outage(&up, path);
    }
    let warnings = up.status().await.warnings;
    assert!(warnings.iter().any(|warning| warning.contains("/about.html")), "{warnings:?}");
    assert!(up.history().await.last().unwrap().message.contains("/about.html"));
    // The same content heals it.
    assert!(!up.try_stage("v1").await.unwrap().created);
    let page = up.get("/about");
    assert!(page.status == 200 && page.body.contains("about us"), "{page:?}");
    assert!(up.status().await.warnings.is_empty(), "{:?}", up.status().await.warnings);
    gapless(&up.history().await);
    up.down().await;
}

async fn a_release_without_files_shows_its_visitors_the_outage_page() {
    let place = Place::new();
    let rest = format!("{MENDING}[rollout]\nstrategy = \"instant\"\nbake = \"10ms\"\n");
    place.describe(&Extra { rest, ..Extra::default() });
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.release(&place, "v2").await;
    // While it bakes, it would be left without a person.
    up.baked().await;
    up.down().await;
    Store::open(&place.state()).unwrap().remove(&second).unwrap();
    let up = place.up().await;
    for path in ["/", "/deep/link", "/assets/app.v2.js"] {
        outage(&up, path);
    }
    let warnings = up.status().await.warnings;
    assert!(warnings.iter().any(|warning| warning.contains(second.as_str())), "{warnings:?}");
    assert_eq!(up.rollback(false).await.unwrap().to, Some(first));
    up.serves("v1");
    assert_eq!(up.state(second).await, Some(ReleaseState::Closed));
    up.down().await;
}

async fn a_damaged_release_is_left_by_promoting_another() {
    for vanished in [false, true] {
        let place = Place::new();
        with_a_text(&place);
        let up = place.up().await;
        let broken = up.release(&place, "v1").await;
        let other = up.stage(&place, "v2").await;
        up.down().await;
        if vanished {
            Store::open(&place.state()).unwrap().remove(&broken).unwrap();
        } else {
            damage(&place, broken);
        }
        let up = place.up().await;
        outage(&up, "/");
        let report = up.promote(other).await;
        assert!(report.changed && report.message.contains("is closed"), "{report:?}");
        up.serves("v2");
        assert_eq!(up.state(broken).await, Some(ReleaseState::Closed));
        gapless(&up.history().await);
        up.down().await;
    }
}

async fn a_release_that_fails_its_visitors_is_told_of_once_and_while_it_lasts() {
    let place = Place::new();
    let up = place.up().await;
    up.release(&place, "v1").await;
    let warning = eventually_async(|| async {
        assert_eq!(up.get("/api/fail").status, 500);
        let warnings = up.status().await.warnings;
        warnings.iter().find(|w| w.contains("errors (5xx)")).cloned().ok_or(format!("{warnings:?}"))
    })
    .await;
    assert!(warning.contains("answers in the last 60 s"), "{warning}");
    let told = || async {
        let history = up.history().await;
        history.into_iter().filter(|entry| entry.verb == "alert").collect::<Vec<_>>()
    };
    let first = eventually_async(|| async {
        let told = told().await;
        if told.is_empty() { Err("the history has no alert".to_owned()) } else { Ok(told) }
    })
    .await;
    assert!(first[0].message.contains("fails its visitors") && first[0].who == "cutover", "{first:?}");
    for _ in 0..20 {
        up.get("/api/fail");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(told().await.len(), 1, "while it lasts it is not told again");
    up.down().await;
}
