//! The decision in words.
use crate::{Decision, Headers, Request, Settings, Table, decide};

/// A decision and how it came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The decision.
    pub decision: Decision,
    /// What was looked at, in order.
    pub steps: Vec<String>,
}

/// Decides and says why.
pub fn explain<H: Headers + ?Sized>(
    request: &Request<'_, H>,
    table: &Table,
    settings: &Settings,
    request_id: &str,
    now: u64,
) -> Explanation {
    Explanation { decision: decide(request, table, settings, request_id, now), steps: Vec::new() }
}
