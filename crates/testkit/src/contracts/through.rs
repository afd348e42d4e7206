//! Single ports of a whole, so that a suite can own them.

use std::sync::Arc;

use cutover_engine::{
    Error,
    config::Gate,
    ports::{
        Call, Capabilities, Clock, Compared, Fence, Observed, Platform, Ports, Probe, Router, Rules, Sampled,
        Trouble,
    },
};
use cutover_rollout::{Act, Change, Health, Reading, Seen, Traffic};
use cutover_routing::ReleaseId;

/// Router, platform, probe and clock of these ports, each as itself.
#[derive(Debug)]
pub struct Through<P>(pub Arc<P>);

impl<P> Clone for Through<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Ports> Clock for Through<P> {
    fn now(&self) -> u64 {
        self.0.clock().now()
    }

    async fn sleep_until(&self, at: u64) {
        self.0.clock().sleep_until(at).await;
    }
}

impl<P: Ports> Router for Through<P> {
    fn capabilities(&self) -> Capabilities {
        self.0.router().capabilities()
    }

    async fn observe(&self) -> Result<Observed, Error> {
        self.0.router().observe().await
    }

    fn plan(&self, change: &Change) -> Vec<Call> {
        self.0.router().plan(change)
    }

    async fn apply(&self, change: &Change, fence: Fence) -> Result<u64, Trouble> {
        self.0.router().apply(change, fence).await
    }

    async fn verify(&self, change: &Change) -> Seen {
        self.0.router().verify(change).await
    }
}

impl<P: Ports> Platform for Through<P> {
    async fn stand_up(&self, release: &ReleaseId, fence: Fence) -> Result<(), Trouble> {
        self.0.platform().stand_up(release, fence).await
    }

    async fn observe(&self, release: &ReleaseId) -> Health {
        self.0.platform().observe(release).await
    }

    async fn drain_evidence(&self, release: &ReleaseId) -> Option<Traffic> {
        self.0.platform().drain_evidence(release).await
    }

    async fn stand_by(&self, release: &ReleaseId, fence: Fence) -> Result<(), Trouble> {
        self.0.platform().stand_by(release, fence).await
    }

    async fn park(&self, release: &ReleaseId, fence: Fence) -> Result<(), Trouble> {
        self.0.platform().park(release, fence).await
    }

    async fn tear_down(&self, release: &ReleaseId, fence: Fence) -> Result<(), Trouble> {
        self.0.platform().tear_down(release, fence).await
    }

    async fn verify(&self, act: &Act) -> Seen {
        self.0.platform().verify(act).await
    }
}

impl<P: Ports> Probe for Through<P> {
    async fn watch(&self, compared: Option<&Compared>) {
        self.0.probe().watch(compared).await;
    }

    async fn sample(&self) -> Option<Sampled> {
        self.0.probe().sample().await
    }

    async fn measure(&self, gate: &Gate, compared: &Compared) -> Reading {
        self.0.probe().measure(gate, compared).await
    }

    async fn rules(&self, green: &ReleaseId) -> Option<Rules> {
        self.0.probe().rules(green).await
    }
}
