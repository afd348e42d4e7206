//! Probe.

use cutover_engine::ports::{Clock, Compared, Probe, Visited};
use cutover_rollout::judge::Arm;

/// A probe to be tried.
#[derive(Debug)]
pub struct ProbeSetup<P, C> {
    /// The probe; nothing is counted yet.
    pub probe: P,
    /// Its clock.
    pub clock: C,
    /// Two releases that both have visitors.
    pub compared: Compared,
}

/// A probe counts each visitor once per window and side, in windows that follow each other without overlapping, and nothing
/// while nobody watches.
///
/// `visit` lets some visitors come to both releases, and returns when they have been answered.
pub async fn probe<P: Probe, C: Clock>(open: impl AsyncFn() -> ProbeSetup<P, C>, visit: impl AsyncFn(&P)) {
    let ProbeSetup { probe, clock, compared } = open().await;
    assert!(probe.sample().await.is_none(), "nothing is counted while nobody watches");
    probe.watch(Some(&compared)).await;
    let mut last = 0;
    let mut seen: Vec<Visited> = Vec::new();
    for round in 0..3 {
        visit(&probe).await;
        clock.sleep_until(clock.now() + 30).await;
        // Said again: nothing happens, and nothing is forgotten.
        probe.watch(Some(&compared)).await;
        let sampled = probe.sample().await.expect("a window while watched");
        assert!(sampled.from < sampled.to, "a window has a length: {} {}", sampled.from, sampled.to);
        assert!(sampled.from >= last, "windows never overlap: {} after {last}", sampled.from);
        assert!(!sampled.visits.is_empty(), "visitors of round {round} are counted");
        let mut once: Vec<_> =
            sampled.visits.iter().map(|visit| (visit.arm == Arm::Green, visit.visitor)).collect();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), sampled.visits.len(), "each visitor once per side");
        for visit in &sampled.visits {
            assert!(visit.requests > 0, "a visitor without a request is none: {visit:?}");
            assert!(visit.failed <= visit.requests && visit.slow <= visit.requests, "{visit:?}");
        }
        last = sampled.to;
        seen.extend(sampled.visits);
    }
    for arm in [Arm::Blue, Arm::Green] {
        assert!(seen.iter().any(|visit| visit.arm == arm), "{arm:?} has visitors");
    }
    probe.watch(None).await;
    visit(&probe).await;
    assert!(probe.sample().await.is_none(), "nothing is counted any more");
    probe.watch(Some(&compared)).await;
    let sampled = probe.sample().await;
    let empty = sampled.is_none_or(|sampled| sampled.visits.is_empty());
    assert!(empty, "what came while nobody watched is not counted afterwards");
}
