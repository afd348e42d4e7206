//! Router.

use cutover_engine::ports::{Clock, Router, Trouble};
use cutover_rollout::{Change, Seen};
use cutover_routing::{ReleaseId, ReleaseState};

use super::fence;

/// A router to be tried.
#[derive(Debug)]
pub struct RouterSetup<R, C> {
    /// The router; `blue` is active in its table, `green` staged and able to serve. Where it knows epochs from the lease
    /// and not from the calls themselves, the newest that the lease was given with is 3.
    pub router: R,
    /// Its clock.
    pub clock: C,
    /// The active release.
    pub blue: ReleaseId,
    /// The staged one.
    pub green: ReleaseId,
}

/// A router makes a change once, reads it back, says when edges have it, and refuses what is older than it has seen.
pub async fn router<R: Router, C: Clock>(open: impl AsyncFn() -> RouterSetup<R, C>) {
    let RouterSetup { router, clock, blue, green } = open().await;
    let before = router.observe().await.unwrap();
    assert_eq!(before.table.default, Some(blue));
    assert_eq!(before.table.state(&green), Some(ReleaseState::Staged));

    let candidate = Change::Candidate { release: green };
    assert_eq!(router.verify(&candidate).await, Seen::Absent, "what is not there is not seen");
    assert_eq!(router.observe().await.unwrap().table, before.table, "looking changes nothing");
    assert!(!router.plan(&candidate).is_empty(), "it tells the calls beforehand");
    assert_eq!(router.observe().await.unwrap().table, before.table, "planning changes nothing");

    let first = router.apply(&candidate, fence(3, clock.now())).await.unwrap();
    assert!(first > before.table.generation, "a change has a higher generation");
    assert_eq!(router.verify(&candidate).await, Seen::InPlace { generation: Some(first) });
    let again = router.apply(&candidate, fence(3, clock.now() + 1)).await.unwrap();
    assert_eq!(again, first, "asked for what already is, it does nothing and succeeds");

    let mut generation = first;
    if router.capabilities().shares {
        let share = Change::Share { release: green, width: 2_500 };
        generation = router.apply(&share, fence(3, clock.now() + 2)).await.unwrap();
        let table = router.observe().await.unwrap().table;
        assert_eq!(table.generation, generation, "the table that is read is the one that was written");
        assert_eq!(table.shares.iter().map(|share| share.width).sum::<u16>(), 2_500);
    }
    let patience = clock.now() + router.capabilities().settles.0 + 20_000;
    while router.observe().await.unwrap().converged.is_none_or(|seen| seen < generation) {
        assert!(clock.now() < patience, "edges follow within the time it settles in");
        clock.sleep_until(clock.now() + 20).await;
    }

    let impossible = Change::Promote { release: "nosuch0000".parse().unwrap() };
    let refused = router.apply(&impossible, fence(3, clock.now() + 3)).await;
    assert!(
        matches!(refused, Err(Trouble::Lasting(_))),
        "what can never be is refused for good: {refused:?}"
    );

    let promote = Change::Promote { release: green };
    if router.capabilities().fenced {
        let stale = router.apply(&promote, fence(2, clock.now())).await;
        assert!(stale.is_err(), "an older epoch changes nothing: {stale:?}");
        assert_eq!(router.observe().await.unwrap().table.default, Some(blue));
    }
    router.apply(&promote, fence(4, clock.now() + 4)).await.unwrap();
    assert_eq!(router.observe().await.unwrap().table.default, Some(green));
    let back = Change::Rollback { to: blue, close: false };
    router.apply(&back, fence(4, clock.now() + 5)).await.unwrap();
    let table = router.observe().await.unwrap().table;
    assert_eq!((table.default, table.state(&green)), (Some(blue), Some(ReleaseState::Draining)));
    router.apply(&Change::Close { release: green }, fence(4, clock.now() + 6)).await.unwrap();
    let table = router.observe().await.unwrap().table;
    assert_eq!(table.state(&green), Some(ReleaseState::Closed));
    table.validate().unwrap();
}
