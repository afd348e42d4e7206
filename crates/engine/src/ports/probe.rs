//! What counts what visitors get.

use std::future::Future;

use cutover_rollout::{Millis, Reading, judge::Arm};
use cutover_routing::ReleaseId;

use crate::config::Gate;

/// Counts visitors' requests on both releases, and asks sources of metrics.
pub trait Probe: Send + Sync {
    /// Says which releases are compared from now on; none: nothing is counted any more. Said again: nothing happens.
    fn watch(&self, compared: Option<&Compared>) -> impl Future<Output = ()> + Send;

    /// What was counted since the last call, or since [`Probe::watch`]. Windows never overlap. None: it cannot be had
    /// now, and is not to be taken for a window without visitors.
    fn sample(&self) -> impl Future<Output = Option<Sampled>> + Send;

    /// Reads a gate of metrics ([`crate::config::GateKind::Metrics`]) now. What cannot be read is
    /// [`cutover_rollout::judge::Verdict::Error`], never a pass.
    fn measure(&self, gate: &Gate, compared: &Compared) -> impl Future<Output = Reading> + Send;

    /// What the release that is judged says about its judgement, as it was staged. None: it cannot be read now.
    fn rules(&self, green: &ReleaseId) -> impl Future<Output = Option<Rules>> + Send;
}

/// What a release is judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Its gates.
    pub gates: Vec<Gate>,
    /// Answers that take longer are slow.
    pub slow_over: Millis,
    /// Whether too little traffic is made up for by made-up visitors, on both releases alike.
    pub synthetic: bool,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The release that visitors come from; none for the first release ever.
    pub blue: Option<ReleaseId>,
    /// The release that is judged.
    pub green: ReleaseId,
    /// Answers that take longer are slow.
    pub slow_over: Millis,
    /// Whether too little traffic is made up for by made-up visitors, on both releases alike.
    pub synthetic: bool,
}

/// One window of time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sampled {
    /// Its beginning, Unix milliseconds.
    pub from: u64,
    /// Its end.
    pub to: u64,
    /// False where not every visitor was counted; those that were are a fair sample of both sides.
    pub complete: bool,
    /// Visitors, each once per release.
    pub visits: Vec<Visited>,
    /// Whether some of the visitors are made up.
    pub synthetic: bool,
}

/// One visitor on one release in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visited {
    /// On which release.
    pub arm: Arm,
    /// Tells visitors apart.
    pub visitor: u64,
    /// Requests.
    pub requests: u32,
    /// How many of them failed.
    pub failed: u32,
    /// How many of them were slow.
    pub slow: u32,
}
