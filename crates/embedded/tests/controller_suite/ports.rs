//! The ports of a controller keep their contracts: the same sentences that hold for a fleet and a cloud.

use std::{sync::Arc, time::Duration};

use cutover_embedded::{Embedded, EmbeddedOptions};
use cutover_engine::{
    control::Outside,
    ports::{Clock, Compared, Fence, Platform, Ports, Router},
    rollout::{Change, Health, Millis},
};
use cutover_routing::ReleaseId;
use cutover_testkit::contracts::{self, PlatformSetup, ProbeSetup, RouterSetup, Through};

use crate::{
    harness::tests,
    support::{Extra, Place, Up, eventually_async},
};

tests!(
    the_router_keeps_its_contract,
    the_platform_keeps_its_contract,
    the_probe_keeps_its_contract,
    what_is_parked_is_not_on_standby_any_more,
);

/// A controller whose housekeeping rests: what the ports are told belongs to no rollout, which is what keeps it away from
/// releases otherwise.
async fn up(place: &Place) -> Up {
    let rest = "[rollout]\nbake = \"1s\"\ndrain = { quiet = \"1s\", at_most = \"20s\" }\n";
    place.describe(&Extra { rest: rest.to_owned(), ..Extra::default() });
    let edge = place.edge();
    let options = EmbeddedOptions { pace: Duration::from_secs(3_600), ..place.options() };
    let control = Embedded::open(options, edge.clone()).await.unwrap();
    Up { edge, control, config: place.app().join("cutover.toml") }
}

fn ports(up: &Up) -> Through<impl Ports + use<>> {
    Through(Arc::new(up.control.rollout_ports()))
}

/// A right to act that no lease given so far outlasts.
fn fence(clock: &impl Clock) -> Fence {
    Fence { epoch: 1_000, until: clock.now() + 10_000 }
}

async fn both(up: &Up, place: &Place) -> (ReleaseId, ReleaseId) {
    (up.release(place, "v1").await, up.stage(place, "v2").await)
}

async fn the_router_keeps_its_contract() {
    let place = Place::new();
    let up = up(&place).await;
    let open = async || {
        let (blue, green) = both(&up, &place).await;
        // The epochs that the suite writes under are those of holders who took the lease one after the other.
        let journal = place.journal();
        let mut epoch = 0;
        while epoch < 3 {
            journal.end_lease().unwrap();
            epoch = journal.lease("somebody", 0, u64::MAX / 4).unwrap().unwrap().epoch;
        }
        assert_eq!(epoch, 3);
        let router = ports(&up);
        RouterSetup { clock: router.clone(), router, blue, green }
    };
    contracts::router(open).await;
    up.serves("v1");
    up.down().await;
}

/// Closes a release that no visitor was sent to, and waits until it has been quiet for as long as its description asks.
async fn close(ports: &Through<impl Ports>, release: ReleaseId) {
    ports.apply(&Change::Close { release }, fence(ports)).await.unwrap();
    eventually_async(|| async {
        let traffic = ports.drain_evidence(&release).await.unwrap();
        let quiet = traffic.idle_since(ports.now().saturating_sub(1_000));
        if quiet { Ok(()) } else { Err(format!("{release} is not quiet: {traffic:?}")) }
    })
    .await;
}

async fn the_platform_keeps_its_contract() {
    let place = Place::new();
    let up = up(&place).await;
    let open = async || {
        let (blue, green) = both(&up, &place).await;
        let platform = ports(&up);
        PlatformSetup { clock: platform.clone(), platform, blue, green, stands: true }
    };
    contracts::platform(open, async |platform: &Through<_>, release| close(platform, release).await).await;
    up.serves("v1");
    up.down().await;
}

async fn the_probe_keeps_its_contract() {
    let place = Place::new();
    let up = up(&place).await;
    let open = async || {
        let (blue, green) = both(&up, &place).await;
        let probe = ports(&up);
        for change in [Change::Candidate { release: green }, Change::Share { release: green, width: 5_000 }] {
            probe.apply(&change, fence(&probe)).await.unwrap();
        }
        let compared = Compared { blue: Some(blue), green, slow_over: Millis::secs(1), synthetic: false };
        ProbeSetup { clock: probe.clone(), probe, compared }
    };
    let visit = async |_: &Through<_>| {
        for _ in 0..40 {
            assert_eq!(up.get("/").status, 200);
        }
    };
    contracts::probe(open, visit).await;
    up.down().await;
}

async fn what_is_parked_is_not_on_standby_any_more() {
    let place = Place::new();
    let up = up(&place).await;
    let (_, green) = both(&up, &place).await;
    let ports = ports(&up);
    close(&ports, green).await;
    ports.stand_by(&green, fence(&ports)).await.unwrap();
    assert_eq!(up.view(green).await.outside, Some(Outside::Standby));
    ports.park(&green, fence(&ports)).await.unwrap();
    // The housekeeping keeps what is on standby running.
    assert_eq!(up.view(green).await.outside, None);
    let told = up.history().await;
    assert!(
        told.iter().any(|entry| entry.message == format!("{green} does not stay warm any more")),
        "{told:?}"
    );
    assert_ne!(Platform::observe(&ports, &green).await, Health::Healthy);
    up.down().await;
}
