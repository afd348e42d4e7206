//! The decision in words: the same code as [`crate::decide()`], with a witness.

use crate::{Decision, Headers, Request, Settings, Table, classify, decide::Facts};

/// A decision and how it came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The decision.
    pub decision: Decision,
    /// What was looked at, in order, one sentence each. Never holds a token's signature.
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
    let mut steps = Vec::new();
    let decision =
        Facts { request, table, settings, request_id, now, kind: classify(request) }.decide(&mut steps);
    if let Some(pin) = decision.set_pin {
        steps.push(format!("an HTML answer pins the visitor: {pin}"));
    }
    if decision.stale {
        steps.push("the answer is marked stale: its release is not the one that asked".to_owned());
    }
    Explanation { decision, steps }
}

/// Takes down what the decision looks at. The one for serving is `()`, for which nothing is put into words.
pub(crate) trait Trace {
    fn step(&mut self, text: impl FnOnce() -> String);
}

impl Trace for () {
    #[inline]
    fn step(&mut self, _: impl FnOnce() -> String) {}
}

impl Trace for Vec<String> {
    fn step(&mut self, text: impl FnOnce() -> String) {
        self.push(text());
    }
}
