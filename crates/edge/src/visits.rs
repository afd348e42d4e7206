//! Who was on which of two releases, and what became of it: the evidence a rollout is judged by.

use std::time::Duration;

use cutover_routing::ReleaseId;

/// What [`crate::Edge::watch`] counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchOptions {
    /// An answer whose head comes later than this after the head of its request is slow.
    pub slow_over: Duration,
    /// The two releases that are compared, in any order.
    pub releases: [ReleaseId; 2],
}

/// One visitor on one release within one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The release that answered.
    pub release: ReleaseId,
    /// Who asked: the same number as long as the edge runs, and no way back from it to the visitor.
    pub visitor: u64,
    /// Requests answered.
    pub requests: u32,
    /// Those of them that failed: 5xx, made by the release or by the edge in its place, and answers cut short.
    pub failed: u32,
    /// Those of them that were slow.
    pub slow: u32,
}

/// What visitors met between two moments. Windows do not overlap: a request is in one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VisitWindow {
    /// When it began: Unix milliseconds.
    pub from: u64,
    /// When it ended: Unix milliseconds.
    pub to: u64,
    /// False where more visitors came than fit. The window then holds all requests of some of them, chosen by what their
    /// number is and by nothing else, on both releases alike.
    pub complete: bool,
    /// One for each visitor and release, in no order.
    pub visits: Vec<Visit>,
}
