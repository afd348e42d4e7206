//! What the edge takes, what it refuses, and what it remembers.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

mod support;

use std::sync::Arc;

use cutover_edge::{Edge, EdgeOptions, Nack, Publication, ReleaseServing};
use cutover_routing::{ReleaseState, Share};
use support::{
    BLUE, GREEN, NAVIGATE, Plan, api, client::get, id, options, shop, start, temp, upstream::Upstream,
};

fn reasons(edge: &Edge, publication: Publication) -> String {
    match edge.publish(publication) {
        Err(Nack::Unservable { reasons, .. }) => reasons.join("\n"),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn what_cannot_be_served_is_refused_with_every_reason_and_nothing_changes() {
    let blobs = temp();
    let edge = start();
    let blue = shop(blobs.path(), "blue");
    let good = Plan::new(5).blobs(blobs.path()).release(BLUE, ReleaseState::Active, blue.clone()).done();
    let ack = edge.publish(good.clone()).unwrap();
    assert_eq!((ack.generation, &ack.not_kept), (5, &None));
    assert_eq!(ack.digest, good.table.digest());

    let plan = |state| {
        Plan::new(6).blobs(blobs.path()).release(BLUE, ReleaseState::Active, blue.clone()).release(
            GREEN,
            state,
            api("127.0.0.1:9"),
        )
    };
    for state in [ReleaseState::Staged, ReleaseState::Candidate, ReleaseState::Draining] {
        let mut missing = plan(state).done();
        missing.serving.releases.remove(&id(GREEN));
        let why = reasons(&edge, missing);
        assert!(why.contains(GREEN) && why.contains("nothing to serve it with"), "{why}");
    }
    let mut twice = plan(ReleaseState::Candidate).done();
    let service = &mut twice.serving.releases.get_mut(&id(GREEN)).unwrap().services;
    service.push(service[0].clone());
    service[0].routes.clear();
    service[1].upstream = "nowhere".into();
    service[1].health = Some("healthz".into());
    let why = reasons(&edge, twice);
    for expected in ["two services named api", "has no routes", "not host:port", "health check is no path"] {
        assert!(why.contains(expected), "{expected} is not in {why}");
    }
    let why = reasons(&edge, plan(ReleaseState::Candidate).settings(|settings| settings.host.clear()).done());
    assert!(why.contains("no host"), "{why}");
    let empty = Plan::new(6).release(BLUE, ReleaseState::Active, ReleaseServing::default()).done();
    assert!(reasons(&edge, empty).contains("neither a site nor a service"));
    let mut contradictory = plan(ReleaseState::Candidate).done();
    contradictory.table.shares.push(Share { release: id(BLUE), first: 0, width: 5 });
    reasons(&edge, contradictory);

    let gone = temp();
    let green = shop(gone.path(), "green");
    let why =
        reasons(&edge, Plan::new(6).blobs(blobs.path()).release(GREEN, ReleaseState::Active, green).done());
    assert!(why.contains("the site of release green002"), "{why}");

    assert_eq!((edge.generation(), get(edge.local_addr(), "/", &NAVIGATE).release()), (5, BLUE));
    assert_eq!(*edge.publication().unwrap(), good);
    assert!(edge.metrics().contains("\ncutover_publications_refused_total 8\n"), "{}", edge.metrics());
}

#[test]
fn generations_never_go_back_and_two_writers_are_noticed() {
    let blobs = temp();
    let edge = start();
    let (blue, green) = (shop(blobs.path(), "blue"), shop(blobs.path(), "green"));
    let of = |generation, release, serving: &ReleaseServing| {
        Plan::new(generation)
            .blobs(blobs.path())
            .release(release, ReleaseState::Active, serving.clone())
            .done()
    };
    edge.publish(of(5, BLUE, &blue)).unwrap();
    edge.publish(of(5, BLUE, &blue)).unwrap();
    assert!(matches!(edge.publish(of(4, GREEN, &green)), Err(Nack::Old { offered: 4, current: 5 })));
    assert!(matches!(edge.publish(of(5, GREEN, &green)), Err(Nack::Conflict { generation: 5, .. })));
    assert_eq!(get(edge.local_addr(), "/", &NAVIGATE).release(), BLUE);
    assert!(edge.metrics().contains("\ncutover_publications_conflicting_total 1\n"));
    edge.publish(of(6, GREEN, &green)).unwrap();
    assert_eq!(get(edge.local_addr(), "/", &NAVIGATE).release(), GREEN);
}

#[test]
fn a_service_that_moves_is_published_without_a_new_table() {
    let (one, two) = (Upstream::start("one"), Upstream::start("two"));
    let edge = start();
    edge.publish(Plan::new(5).release(BLUE, ReleaseState::Active, api(&one.at())).done()).unwrap();
    assert_eq!(get(edge.local_addr(), "/api/x", &[]).text(), "one");
    edge.publish(Plan::new(5).release(BLUE, ReleaseState::Active, api(&two.at())).done()).unwrap();
    assert_eq!(get(edge.local_addr(), "/api/x", &[]).text(), "two");
    assert_eq!(edge.usage(&id(BLUE)).requests, 2, "counted on the same release");
}

#[test]
fn an_edge_that_starts_alone_serves_what_it_served_last() {
    let (blobs, state) = (temp(), temp());
    let file = state.path().join("edge.json");
    let with = || Edge::start(EdgeOptions { last_good: Some(file.clone()), ..options() }).unwrap();
    let edge = with();
    let plan = Plan::new(5)
        .blobs(blobs.path())
        .release(BLUE, ReleaseState::Active, shop(blobs.path(), "blue"))
        .done();
    edge.publish(plan.clone()).unwrap();
    // Refused ones are not remembered.
    assert!(
        edge.publish(Plan::new(9).release(GREEN, ReleaseState::Active, ReleaseServing::default()).done())
            .is_err()
    );
    edge.shutdown(std::time::Duration::ZERO);

    let edge = with();
    assert_eq!((edge.generation(), get(edge.local_addr(), "/", &NAVIGATE).release()), (5, BLUE));
    assert_eq!(*edge.publication().unwrap(), plan);
    edge.shutdown(std::time::Duration::ZERO);

    // What it served is gone: it says so, serves nothing, and still does not go back.
    std::fs::remove_dir_all(blobs.path()).unwrap();
    let edge = with();
    assert_eq!((edge.generation(), get(edge.local_addr(), "/", &NAVIGATE).status), (5, 503));
    assert!(edge.publication().is_none());
    let upstream = Upstream::start("blue");
    assert!(matches!(
        edge.publish(Plan::new(4).release(BLUE, ReleaseState::Active, api(&upstream.at())).done()),
        Err(Nack::Old { .. })
    ));
    edge.publish(Plan::new(6).release(BLUE, ReleaseState::Active, api(&upstream.at())).done()).unwrap();
    assert_eq!(get(edge.local_addr(), "/api/x", &[]).status, 200);
}

#[test]
fn a_corrupt_last_good_state_is_put_aside_and_the_edge_starts_without_a_release() {
    let state = temp();
    let file = state.path().join("edge.json");
    for corrupt in ["", "{", "null", "{\"table\":{}}", "\u{0}\u{0}\u{0}"] {
        std::fs::write(&file, corrupt).unwrap();
        let edge = Edge::start(EdgeOptions { last_good: Some(file.clone()), ..options() }).unwrap();
        assert_eq!(
            (edge.generation(), get(edge.local_addr(), "/", &NAVIGATE).status),
            (0, 503),
            "{corrupt:?}"
        );
        assert!(edge.metrics().contains("\ncutover_last_good_failures_total 1\n"), "{corrupt:?}");
        assert!(!file.exists(), "{corrupt:?}");
        let kept: Vec<_> =
            std::fs::read_dir(state.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(std::fs::read_to_string(&kept[0]).unwrap(), corrupt);
        std::fs::remove_file(&kept[0]).unwrap();
        edge.shutdown(std::time::Duration::ZERO);
    }
}

#[test]
fn a_state_that_cannot_be_written_does_not_stop_a_rollback() {
    let blobs = temp();
    let edge =
        Edge::start(EdgeOptions { last_good: Some("/dev/null/edge.json".into()), ..options() }).unwrap();
    let plan =
        Plan::new(5).blobs(blobs.path()).release(BLUE, ReleaseState::Active, shop(blobs.path(), "blue"));
    let ack = edge.publish(plan.done()).unwrap();
    assert!(ack.not_kept.unwrap().contains("edge.json"));
    assert_eq!(get(edge.local_addr(), "/", &NAVIGATE).release(), BLUE);
}

#[test]
fn sites_already_loaded_are_not_loaded_again() {
    let blobs = temp();
    let edge = start();
    let blue = shop(blobs.path(), "blue");
    edge.publish(Plan::new(5).blobs(blobs.path()).release(BLUE, ReleaseState::Active, blue.clone()).done())
        .unwrap();
    std::fs::remove_dir_all(blobs.path()).unwrap();
    // Equal, though not the same object.
    let equal = ReleaseServing { site: blue.site.as_ref().map(|site| Arc::new((**site).clone())), ..blue };
    edge.publish(Plan::new(6).blobs(blobs.path()).release(BLUE, ReleaseState::Active, equal).done()).unwrap();
    assert_eq!(get(edge.local_addr(), "/", &NAVIGATE).status, 200);
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let edge = start();
    let taken = Edge::start(EdgeOptions { listen: edge.local_addr(), ..options() }).unwrap_err();
    assert!(
        taken.to_string().contains(&edge.local_addr().to_string()) && taken.to_string().contains("taken"),
        "{taken}"
    );
}
