//! What directs visitors.

use std::future::Future;

use cutover_rollout::{Change, Millis, Seen};
use cutover_routing::Table;
use serde::{Deserialize, Serialize};

use super::{Fence, Trouble};
use crate::Error;

/// Directs visitors by the routing table, or by weights derived from it.
pub trait Router: Send + Sync {
    /// What it can do; checked when a rollout is planned.
    fn capabilities(&self) -> Capabilities;

    /// The table in force and how far the edges have followed.
    fn observe(&self) -> impl Future<Output = Result<Observed, Error>> + Send;

    /// The calls that a change takes, without making them.
    fn plan(&self, change: &Change) -> Vec<Call>;

    /// Makes a change and reads it back. Returns the generation that has it; where it was in place already, the present
    /// one.
    fn apply(&self, change: &Change, fence: Fence) -> impl Future<Output = Result<u64, Trouble>> + Send;

    /// Looks whether a change is in place, and changes nothing.
    fn verify(&self, change: &Change) -> impl Future<Output = Seen> + Send;
}

/// What a router can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Visitors can be shared between two releases.
    pub shares: bool,
    /// A visitor stays where they are.
    pub pins: bool,
    /// Audiences by header, cookie, path.
    pub audiences: bool,
    /// The smallest share it can send, out of 10 000; 0 sends nobody.
    pub least_share: u16,
    /// Within this time everybody follows a write.
    pub settles: Millis,
    /// It refuses writes under an older [`Fence`] by itself, so that late ones do no harm.
    pub fenced: bool,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The table in force.
    pub table: Table,
    /// The lowest generation that any live edge runs; none: not known.
    pub converged: Option<u64>,
}

/// One call to the outside, for a person who wants to know beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Call {
    /// What it does, as a command line where there is one.
    pub does: String,
    /// What undoes it.
    pub reverse: String,
    /// What visitors see until it has settled.
    pub meanwhile: String,
}
