//! Every edit in every state: what it makes of a release, or that it is refused with a reason.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod world;

use cutover_routing::{
    BUCKETS, Edit, EditRefused, MAX_GENERATION, ReleaseId, ReleaseState, Slot, Table, bucket_of, edit,
    next_generation,
};
use world::{id, must};

/// A table that has one release in every state, and one more.
fn table() -> Table {
    let stage = |table: &Table, release: &str| must(table, &Edit::Stage { release: id(release), slot: None });
    let candidate = |table: &Table, release: &str| {
        must(&stage(table, release), &Edit::MakeCandidate { release: id(release) })
    };
    let table = must(&candidate(&Table::empty(), "old00003"), &Edit::Promote { release: id("old00003") });
    let table = must(&candidate(&table, "blue0001"), &Edit::Promote { release: id("blue0001") });
    let table = must(&stage(&table, "close006"), &Edit::Close { release: id("close006") });
    candidate(&stage(&table, "stage005"), "green002")
}

#[track_caller]
fn refused(table: &Table, change: Edit, parts: &[&str]) {
    let error = edit(table, &change, table.generation + 1).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

/// An edit of one release.
type Of = fn(ReleaseId) -> Edit;

#[test]
fn every_edit_in_every_state() {
    use ReleaseState::{Active, Candidate, Closed, Draining, Staged};
    // What becomes of a release that is ... : staged, candidate, active, draining, closed. None: refused.
    let rows: [(&str, Of, [Option<ReleaseState>; 5]); 8] = [
        ("stage", |release| Edit::Stage { release, slot: None }, [None; 5]),
        (
            "make a candidate",
            |release| Edit::MakeCandidate { release },
            [Some(Candidate), None, None, Some(Candidate), None],
        ),
        (
            "set a share",
            |release| Edit::SetShare { release, width: 1 },
            [None, Some(Candidate), None, None, None],
        ),
        ("promote", |release| Edit::Promote { release }, [None, Some(Active), None, Some(Active), None]),
        (
            "roll back",
            |to| Edit::Rollback { to, close: false },
            [None, None, Some(Active), Some(Active), Some(Active)],
        ),
        ("close", |release| Edit::Close { release }, [Some(Closed), Some(Closed), None, Some(Closed), None]),
        (
            "withdraw",
            |release| Edit::Withdraw { release },
            [Some(Closed), Some(Closed), None, Some(Closed), None],
        ),
        ("reopen", |release| Edit::Reopen { release }, [None, None, None, None, Some(Draining)]),
    ];
    let names = ["stage005", "green002", "blue0001", "old00003", "close006"];
    let table = table();
    for (verb, of, becomes) in rows {
        for (name, becomes) in names.into_iter().zip(becomes) {
            let state = table.state(&id(name)).unwrap();
            let next = edit(&table, &of(id(name)), table.generation + 1);
            let got = next.as_ref().ok().and_then(|next| next.state(&id(name)));
            assert_eq!(got, becomes, "{verb} a {state} release: {next:?}");
            assert_eq!(next.is_ok(), becomes.is_some(), "{verb} a {state} release");
        }
        let unknown = edit(&table, &of(id("never000")), table.generation + 1);
        assert_eq!(unknown.is_ok(), verb == "stage", "{verb} an unknown release: {unknown:?}");
    }
    let states: Vec<_> = names.iter().map(|name| table.state(&id(name)).unwrap()).collect();
    assert_eq!(states, [Staged, Candidate, Active, Draining, Closed]);
}

#[test]
fn retiring_takes_out_what_serves_nobody() {
    let table = table();
    for release in ["stage005", "close006"] {
        let next = must(&table, &Edit::Retire { release: id(release) });
        assert_eq!(next.state(&id(release)), None);
        assert_eq!(next.releases.len(), table.releases.len() - 1);
    }
    for release in ["green002", "old00003", "blue0001"] {
        refused(&table, Edit::Retire { release: id(release) }, &["cannot retire", release, "close it first"]);
    }
}

#[test]
fn staging_notes_the_place() {
    let table = must(&Table::empty(), &Edit::Stage { release: id("blue0001"), slot: Some(Slot::Green) });
    assert_eq!(table.slot(&id("blue0001")), Some(Slot::Green));
    assert_eq!(table.generation, 1);
    assert_eq!(table.default, None);
}

#[test]
fn what_already_is_changes_nothing_and_says_so() {
    let table = table();
    let name = || "staff".to_owned();
    for change in [
        Edit::Stage { release: id("stage005"), slot: None },
        Edit::MakeCandidate { release: id("green002") },
        Edit::SetShare { release: id("green002"), width: 0 },
        Edit::Promote { release: id("blue0001") },
        Edit::Close { release: id("close006") },
        Edit::Withdraw { release: id("close006") },
        Edit::Reopen { release: id("old00003") },
        Edit::SetAudience { name: name(), release: None },
    ] {
        let said = edit(&table, &change, table.generation + 1);
        assert!(matches!(said, Err(EditRefused::NoChange(_))), "{change:?}: {said:?}");
    }
    let settled = must(&table, &Edit::Rollback { to: id("blue0001"), close: true });
    let again = edit(&settled, &Edit::Rollback { to: id("blue0001"), close: true }, settled.generation + 1);
    assert_eq!(again, Err(EditRefused::NoChange("already on release blue0001".to_owned())));
}

#[test]
fn the_first_share_turns_the_ring_and_grows_from_there() {
    let share =
        |table: &Table, release: &str, width| must(table, &Edit::SetShare { release: id(release), width });
    let one = share(&table(), "green002", 100);
    assert_eq!(one.offset, bucket_of("green002"));
    assert_eq!((one.shares[0].first, one.shares[0].width), (0, 100));
    let more = share(&one, "green002", 2500);
    assert_eq!((more.offset, more.shares[0].first, more.shares[0].width), (one.offset, 0, 2500));
    let less = share(&more, "green002", 50);
    assert_eq!((less.offset, less.shares[0].first, less.shares[0].width), (one.offset, 0, 50));
    let none = share(&less, "green002", 0);
    assert!(none.shares.is_empty());
    let again = share(&none, "green002", 10_000);
    assert_eq!(again.offset, one.offset, "the same visitors come first again");
}

#[test]
fn shares_keep_out_of_each_other() {
    let table = must(&table(), &Edit::Stage { release: id("yellow07"), slot: None });
    let table = must(&table, &Edit::MakeCandidate { release: id("yellow07") });
    let table = must(&table, &Edit::SetShare { release: id("green002"), width: 100 });
    let table = must(&table, &Edit::SetShare { release: id("yellow07"), width: 50 });
    assert_eq!((table.shares[1].first, table.shares[1].width), (100, 50));
    refused(
        &table,
        Edit::SetShare { release: id("green002"), width: 101 },
        &["upward from bucket 0", "room for 100"],
    );
    refused(
        &table,
        Edit::SetShare { release: id("yellow07"), width: 9901 },
        &["from bucket 100", "room for 9900"],
    );
    refused(&table, Edit::SetShare { release: id("green002"), width: BUCKETS + 1 }, &["the most is 10000"]);
    refused(&table, Edit::SetShare { release: id("stage005"), width: 1 }, &["staged", "only a candidate"]);
}

#[test]
fn without_a_default_nobody_gets_a_share() {
    let table = must(&Table::empty(), &Edit::Stage { release: id("blue0001"), slot: None });
    let table = must(&table, &Edit::MakeCandidate { release: id("blue0001") });
    refused(
        &table,
        Edit::SetShare { release: id("blue0001"), width: 1 },
        &["no default", "promote one first"],
    );
}

#[test]
fn promotion_ends_all_shares_and_drains_the_old_default() {
    let table = must(&table(), &Edit::SetShare { release: id("green002"), width: 500 });
    let table = must(&table, &Edit::SetAudience { name: "staff".into(), release: Some(id("green002")) });
    let table = must(&table, &Edit::SetAudience { name: "partners".into(), release: Some(id("blue0001")) });
    let next = must(&table, &Edit::Promote { release: id("green002") });
    assert_eq!(next.default, Some(id("green002")));
    assert_eq!(next.state(&id("blue0001")), Some(ReleaseState::Draining));
    assert!(next.shares.is_empty());
    assert!(next.holds_by_policy(&id("blue0001")), "superseded, not rolled back");
    assert_eq!(
        next.audiences,
        [("staff".to_owned(), id("green002"))].into(),
        "nobody is sent to what drains"
    );
}

#[test]
fn a_rollback_leaves_nothing_behind_that_sends_visitors_there() {
    let table = must(&table(), &Edit::Promote { release: id("green002") });
    let table = must(&table, &Edit::SetAudience { name: "staff".into(), release: Some(id("green002")) });
    for close in [false, true] {
        let back = must(&table, &Edit::Rollback { to: id("blue0001"), close });
        assert_eq!(back.default, Some(id("blue0001")));
        let left = if close { ReleaseState::Closed } else { ReleaseState::Draining };
        assert_eq!(back.state(&id("green002")), Some(left));
        assert!(!back.holds_by_policy(&id("green002")));
        assert!(back.audiences.is_empty());
        assert_eq!(back.state(&id("old00003")), Some(ReleaseState::Draining));
        assert!(back.holds_by_policy(&id("old00003")), "who stayed on an older release is not concerned");
    }
}

#[test]
fn a_release_that_was_rolled_back_may_be_tried_again() {
    let table = must(&table(), &Edit::Promote { release: id("green002") });
    let back = must(&table, &Edit::Rollback { to: id("blue0001"), close: false });
    let forward = must(&back, &Edit::Promote { release: id("green002") });
    assert_eq!(forward.state(&id("green002")), Some(ReleaseState::Active));
    assert!(forward.shares.is_empty());
    let slowly = must(&back, &Edit::MakeCandidate { release: id("green002") });
    let slowly = must(&slowly, &Edit::SetShare { release: id("green002"), width: 10 });
    assert_eq!(slowly.target((BUCKETS - slowly.offset) % BUCKETS), Some(id("green002")));
}

#[test]
fn a_reopened_release_serves_its_pages_and_keeps_nobody() {
    let table = must(&table(), &Edit::Reopen { release: id("close006") });
    assert_eq!(table.state(&id("close006")), Some(ReleaseState::Draining));
    assert!(!table.holds_by_policy(&id("close006")));
}

#[test]
fn the_active_release_is_not_closed_or_withdrawn() {
    for change in [Edit::Close { release: id("blue0001") }, Edit::Withdraw { release: id("blue0001") }] {
        refused(&table(), change, &["blue0001", "active", "roll back or promote another first"]);
    }
}

#[test]
fn closing_a_candidate_ends_its_share_and_audience() {
    let table = must(&table(), &Edit::SetShare { release: id("green002"), width: 500 });
    let table = must(&table, &Edit::SetAudience { name: "staff".into(), release: Some(id("green002")) });
    let next = must(&table, &Edit::Withdraw { release: id("green002") });
    assert!(next.shares.is_empty() && next.audiences.is_empty());
}

#[test]
fn audiences_need_a_name_and_a_release_that_takes_visitors() {
    let to = |name: &str, release: &str| Edit::SetAudience { name: name.into(), release: Some(id(release)) };
    refused(&table(), to("", "green002"), &["not an audience name"]);
    refused(&table(), to("a b", "green002"), &["not an audience name"]);
    for release in ["stage005", "close006", "old00003"] {
        refused(&table(), to("staff", release), &[release, "only a candidate or the active release"]);
    }
    refused(&table(), to("staff", "never000"), &["never000 is not in the routing table"]);
}

#[test]
fn a_table_that_would_not_fit_is_refused() {
    let mut table = table();
    let error = (0..100).find_map(|n| {
        let change = Edit::Stage { release: id(&format!("filler{n:010}")), slot: None };
        match edit(&table, &change, table.generation + 1) {
            Ok(next) => {
                table = next;
                None
            }
            Err(error) => Some(error),
        }
    });
    assert!(error.unwrap().to_string().contains("retire closed releases"));
    assert!(table.releases.len() > 20, "there is room for {}", table.releases.len());
}

#[test]
fn generations_only_grow() {
    let table = table();
    let change = Edit::Promote { release: id("green002") };
    for generation in [0, table.generation, MAX_GENERATION + 1, u64::MAX] {
        let said = edit(&table, &change, generation);
        assert_eq!(said, Err(EditRefused::Generation { given: generation, current: table.generation }));
    }
    assert_eq!(edit(&table, &change, 59_000_000).unwrap().generation, 59_000_000);
}

#[test]
fn the_next_generation_is_above_all_seen_and_keeps_up_with_the_clock() {
    assert_eq!(next_generation(5, 0), 6, "a clock before 2025 is no help");
    assert_eq!(next_generation(0, 1_735_689_600 + 59_000_000), 59_000_000);
    assert_eq!(next_generation(70_000_000, 1_735_689_600 + 59_000_000), 70_000_001);
    assert_eq!(next_generation(u64::MAX, 0), u64::MAX, "and does not wrap");
}
