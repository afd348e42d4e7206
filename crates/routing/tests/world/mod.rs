//! Tables as they come about: by edits, from nothing. And visitors to ask about them.

#![allow(dead_code, reason = "each test file uses its part")]

use cutover_routing::{
    Decision, Edit, EditRefused, Pin, ReleaseId, Request, Settings, Slot, Table, decide, edit,
};
use proptest::prelude::*;

/// The releases edits are drawn for; the last one is never staged, so that it stays unknown.
pub(crate) const POOL: [&str; 6] =
    ["blue0001", "green002", "third003", "fourth04", "fifth005release5", "never0006"];

pub(crate) fn id(text: &str) -> ReleaseId {
    text.parse().unwrap()
}

pub(crate) fn any_release() -> impl Strategy<Value = ReleaseId> {
    (0..POOL.len()).prop_map(|at| id(POOL[at]))
}

fn known_release() -> impl Strategy<Value = ReleaseId> {
    (0..POOL.len() - 1).prop_map(|at| id(POOL[at]))
}

/// One edit, sensible or not.
pub(crate) fn any_edit() -> impl Strategy<Value = Edit> {
    let release = known_release;
    let width = prop_oneof![Just(0), Just(1), Just(10_000), 0..=10_000_u16, any::<u16>()];
    let name = prop_oneof![Just("staff".to_owned()), Just("beta".to_owned()), ".{0,3}"];
    prop_oneof![
        3 => (release(), proptest::option::of(prop_oneof![Just(Slot::Blue), Just(Slot::Green)]))
            .prop_map(|(release, slot)| Edit::Stage { release, slot }),
        4 => release().prop_map(|release| Edit::MakeCandidate { release }),
        4 => (release(), width).prop_map(|(release, width)| Edit::SetShare { release, width }),
        3 => release().prop_map(|release| Edit::Promote { release }),
        2 => (release(), any::<bool>()).prop_map(|(to, close)| Edit::Rollback { to, close }),
        1 => release().prop_map(|release| Edit::Close { release }),
        1 => release().prop_map(|release| Edit::Reopen { release }),
        1 => release().prop_map(|release| Edit::Withdraw { release }),
        1 => release().prop_map(|release| Edit::Retire { release }),
        2 => (name, proptest::option::of(any_release())).prop_map(|(name, release)| Edit::SetAudience { name, release }),
    ]
}

/// Applies edits; those that are refused change nothing.
pub(crate) fn after(edits: &[Edit]) -> Table {
    edits
        .iter()
        .fold(Table::empty(), |table, change| edit(&table, change, table.generation + 1).unwrap_or(table))
}

/// A table that came about by edits.
pub(crate) fn any_table() -> impl Strategy<Value = Table> {
    proptest::collection::vec(any_edit(), 0..40).prop_map(|edits| after(&edits))
}

/// A table with a default and a candidate that holds no share: a rollout may begin.
pub(crate) fn ready() -> impl Strategy<Value = (Table, ReleaseId)> {
    any_table().prop_map(|table| {
        let (active, candidate) = (id("activ009"), id("candid10"));
        let edits = [
            Edit::Stage { release: active, slot: None },
            Edit::MakeCandidate { release: active },
            Edit::Promote { release: active },
            Edit::Stage { release: candidate, slot: None },
            Edit::MakeCandidate { release: candidate },
        ];
        let table = edits.iter().fold(table, |table, change| must(&table, change));
        (table, candidate)
    })
}

/// Applies an edit that must be allowed.
#[track_caller]
pub(crate) fn must(table: &Table, change: &Edit) -> Table {
    edit(table, change, table.generation + 1).unwrap_or_else(|error| panic!("{change:?}: {error}"))
}

/// Applies an edit that is allowed, or already so.
#[track_caller]
pub(crate) fn settle(table: &Table, change: &Edit) -> Table {
    match edit(table, change, table.generation + 1) {
        Err(EditRefused::NoChange(_)) => table.clone(),
        next => next.unwrap_or_else(|error| panic!("{change:?}: {error}")),
    }
}

/// Asks for a decision about a request with these headers.
pub(crate) fn ask(path: &str, headers: &[(&str, &str)], table: &Table, settings: &Settings) -> Decision {
    decide(&request(path, headers), table, settings, "req-1", 1_800_000_000)
}

pub(crate) fn request<'a>(
    path: &'a str,
    headers: &'a [(&'a str, &'a str)],
) -> Request<'a, [(&'a str, &'a str)]> {
    Request { method: "GET", path, query: "", headers, client: None, country: None }
}

/// A pinned visitor loads a page inside the app.
pub(crate) fn navigate(pin: Pin, table: &Table, settings: &Settings) -> Decision {
    let cookie = format!("{}={pin}", Pin::cookie_name(settings.secure));
    let headers = [
        ("sec-fetch-dest", "document"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "same-origin"),
        ("cookie", &cookie),
    ];
    ask("/", &headers, table, settings)
}
