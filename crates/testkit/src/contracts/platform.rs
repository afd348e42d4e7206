//! Platform.

use cutover_engine::ports::{Clock, Platform};
use cutover_rollout::{Act, Health, Seen};
use cutover_routing::ReleaseId;

use super::fence;

/// A platform to be tried.
#[derive(Debug)]
pub struct PlatformSetup<P, C> {
    /// The platform; `blue` runs and is active.
    pub platform: P,
    /// Its clock.
    pub clock: C,
    /// The active release.
    pub blue: ReleaseId,
    /// A staged release with something to run.
    pub green: ReleaseId,
    /// Whether staging has stood green up already, as it does where a release is tried before it is staged.
    pub stands: bool,
}

/// A platform stands up what is staged, parks and keeps warm what was left, never tears down what serves, and can be asked
/// for everything twice.
///
/// `close` closes a release in the routing table, ends its traffic, and returns when it counts as quiet.
pub async fn platform<P: Platform, C: Clock>(
    open: impl AsyncFn() -> PlatformSetup<P, C>,
    close: impl AsyncFn(&P, ReleaseId),
) {
    let PlatformSetup { platform, clock, blue, green, stands } = open().await;
    let prepare = Act::Prepare { release: green };
    assert_eq!(platform.observe(&blue).await, Health::Healthy, "what serves is healthy");
    let there = if stands { Seen::InPlace { generation: None } } else { Seen::Absent };
    assert_eq!(platform.verify(&prepare).await, there, "only what was stood up is there");
    assert_eq!(platform.verify(&prepare).await, there, "looking changes nothing");

    for time in ["first", "second"] {
        platform.stand_up(&green, fence(1, clock.now())).await.unwrap();
        assert_eq!(platform.verify(&prepare).await, Seen::InPlace { generation: None }, "the {time} time");
        assert_eq!(platform.observe(&green).await, Health::Healthy, "stood up is healthy");
    }
    let traffic = platform.drain_evidence(&green).await;
    let traffic = traffic.expect("what reaches a release that runs is known");
    assert_eq!((traffic.in_flight, traffic.streams), (0, 0), "nobody was sent there");

    let refused = platform.tear_down(&blue, fence(1, clock.now())).await;
    assert!(refused.is_err(), "what serves is not torn down");
    assert_eq!(platform.observe(&blue).await, Health::Healthy, "and is none the worse for it");

    close(&platform, green).await;
    for _ in 0..2 {
        platform.stand_by(&green, fence(1, clock.now())).await.unwrap();
        assert_eq!(
            platform.verify(&Act::Standby { release: green }).await,
            Seen::InPlace { generation: None }
        );
    }
    assert_eq!(platform.observe(&green).await, Health::Healthy, "standby is warm");
    for _ in 0..2 {
        platform.park(&green, fence(1, clock.now())).await.unwrap();
        assert_eq!(platform.verify(&Act::Park { release: green }).await, Seen::InPlace { generation: None });
    }
    assert_eq!(platform.verify(&prepare).await, Seen::Absent, "what was parked does not stand");
    assert_eq!(platform.verify(&Act::Standby { release: green }).await, Seen::Absent, "nor is it warm");
    platform.stand_up(&green, fence(1, clock.now())).await.unwrap();
    assert_eq!(platform.observe(&green).await, Health::Healthy, "what was parked can be stood up again");

    let retire = Act::Retire { release: green };
    assert_eq!(platform.verify(&retire).await, Seen::Absent);
    for _ in 0..2 {
        platform.tear_down(&green, fence(1, clock.now())).await.unwrap();
        assert_eq!(platform.verify(&retire).await, Seen::InPlace { generation: None });
    }
    assert!(platform.stand_up(&green, fence(1, clock.now())).await.is_err(), "what is gone is gone");
    assert_eq!(platform.observe(&blue).await, Health::Healthy, "the other release was left alone");
}
