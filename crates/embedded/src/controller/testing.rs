//! Data for the tests of the pure parts.

use crate::journal::ReleaseRow;

/// A release row with nothing special about it.
pub(super) fn row(id: &str) -> ReleaseRow {
    ReleaseRow {
        id: id.parse().unwrap(),
        name: None,
        commit: None,
        base: "/app".into(),
        slot: None,
        staged_at: 0,
        staged_by: "ada".into(),
        outside: None,
        barred: None,
        state_since: 0,
        promoted_at: None,
        gates: Vec::new(),
        files: 0,
        bytes: 0,
    }
}
