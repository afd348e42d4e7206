//! What runs releases.

use std::future::Future;

use cutover_rollout::{Act, Health, Seen, Traffic};
use cutover_routing::ReleaseId;

use super::{Fence, Trouble};

/// Runs releases: local processes, containers, functions. A site without services needs nothing, and everything here
/// succeeds at once.
pub trait Platform: Send + Sync {
    /// Stands a release up, waits until it is healthy, and warms it.
    fn stand_up(&self, release: &ReleaseId, fence: Fence)
    -> impl Future<Output = Result<(), Trouble>> + Send;

    /// How a release is.
    fn observe(&self, release: &ReleaseId) -> impl Future<Output = Health> + Send;

    /// What reaches a release; none where that is not known.
    fn drain_evidence(&self, release: &ReleaseId) -> impl Future<Output = Option<Traffic>> + Send;

    /// Keeps a closed release warm.
    fn stand_by(&self, release: &ReleaseId, fence: Fence)
    -> impl Future<Output = Result<(), Trouble>> + Send;

    /// Gives back what a left release needs beyond its files. One that no visitor was ever sent to may stay as it is,
    /// for people to look at.
    fn park(&self, release: &ReleaseId, fence: Fence) -> impl Future<Output = Result<(), Trouble>> + Send;

    /// Tears a release down for good. Refused ([`Trouble::Passing`]) while anything reaches it.
    fn tear_down(
        &self,
        release: &ReleaseId,
        fence: Fence,
    ) -> impl Future<Output = Result<(), Trouble>> + Send;

    /// Looks whether one of the effects above ([`Act::Prepare`], [`Act::Standby`], [`Act::Park`], [`Act::Retire`]) is
    /// in place, and changes nothing.
    fn verify(&self, act: &Act) -> impl Future<Output = Seen> + Send;
}
