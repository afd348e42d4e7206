//! Ends as a crash would, at every point an operation passes, and what the next start makes of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use cutover_embedded::{controller::CrashHook, store::Store};
use cutover_engine::{
    Control, Error,
    control::{Phase, Progress, RetireRequest, WithdrawRequest},
};
use cutover_routing::{ReleaseId, ReleaseState};

use crate::{
    harness::Test,
    rolling::steps,
    support::{Place, Up, eventually, gapless},
};

pub(crate) const TESTS: &[Test] = &[
    ("crashing::a_deployment_cut_anywhere_is_done_or_undone", || everywhere(Verb::Deploy, 5)),
    ("crashing::a_gradual_rollout_cut_anywhere_goes_on_to_its_end", gradually),
    ("crashing::a_rollback_cut_anywhere_is_done_or_undone", || everywhere(Verb::Rollback, 3)),
    ("crashing::a_retirement_cut_anywhere_is_done_or_undone", || everywhere(Verb::Retire, 6)),
    ("crashing::a_purge_cut_anywhere_is_done_or_undone", || everywhere(Verb::Purge, 3)),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Verb {
    Deploy,
    Gradual,
    Rollback,
    Retire,
    Purge,
}

/// Cuts at the first point, the second, and so on until the operation gets through.
fn everywhere(verb: Verb, at_least: usize) {
    let mut cut = 0;
    while run(verb, cut) {
        cut += 1;
    }
    assert!(cut >= at_least, "{verb:?} passed only {cut} points");
}

/// A gradual rollout passes many points and takes a while: each so manieth of them.
fn gradually() {
    const STRIDE: usize = 7;
    let mut cuts = 0;
    while run(Verb::Gradual, cuts * STRIDE) {
        cuts += 1;
    }
    assert!(cuts >= 6, "a rollout passed only {} points", cuts * STRIDE);
    println!("a gradual rollout was cut at {cuts} of its points");
}

/// Returns whether the operation was cut.
fn run(verb: Verb, cut: usize) -> bool {
    let place = Place::new();
    let was_cut = first_life(&place, verb, cut);
    eventually(|| match place.processes() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{verb:?} cut at {cut}: processes outlive the controller: {left:?}")),
    });
    if was_cut {
        second_life(&place, verb, cut);
    }
    was_cut
}

/// Two releases, v1 and v2, v2 active; then the operation, which stops for ever at its point number `cut`.
fn first_life(place: &Place, verb: Verb, cut: usize) -> bool {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // Counts down from `cut` once it is armed; far above that before.
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let (told, hears) = mpsc::channel();
    let (counter, finished) = (Arc::clone(&left), told.clone());
    let hook = CrashHook::new(move |_| {
        let now = counter.fetch_sub(1, Ordering::SeqCst) == 0;
        if now {
            told.send(Ok(true)).unwrap();
        }
        now
    });
    let up = runtime.block_on(async {
        let up = place.up_with(Some(hook)).await;
        up.release(place, "v1").await;
        up.release(place, "v2").await;
        up
    });
    if verb == Verb::Gradual {
        place.describe(&steps("50%, 100%", "1s", ""));
    }
    left.store(cut, Ordering::SeqCst);
    place.build("v3");
    let (control, request) = (Arc::clone(&up.control), up.request("v3"));
    runtime.spawn(async move {
        let done = operate(verb, &control, request).await;
        // Cut, it ends with the runtime, and nobody listens any more.
        let _ = finished.send(done.map(|()| false).map_err(|error| error.to_string()));
    });
    let was_cut = hears.recv_timeout(Duration::from_secs(60)).unwrap().unwrap();
    drop(up);
    runtime.shutdown_timeout(Duration::from_secs(60));
    was_cut
}

async fn operate(
    verb: Verb,
    control: &cutover_embedded::Embedded,
    request: cutover_engine::control::StageRequest,
) -> Result<(), Error> {
    match verb {
        Verb::Deploy => control.deploy("ada", request, Progress::none()).await.map(drop),
        Verb::Gradual => {
            let report = control.deploy("ada", request, Progress::none()).await?;
            let green = report.stage.release.id;
            loop {
                let now = control.rollouts(1).await?.remove(0);
                if now.green == green && now.phase.is_over() {
                    assert_eq!(now.phase, Phase::Done, "{now:?}");
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Verb::Rollback => {
            control.rollback("ada", cutover_engine::control::RollbackRequest::default()).await.map(drop)
        }
        Verb::Retire => {
            let request = RetireRequest { force: true, reason: Some("test".to_owned()) };
            control.retire("ada", "v1", request).await.map(drop)
        }
        Verb::Purge => {
            let request = WithdrawRequest { purge: true, ..WithdrawRequest::default() };
            control.withdraw("ada", "v2", request).await.map(drop)
        }
    }
}

fn second_life(place: &Place, verb: Verb, cut: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let up = place.up().await;
        if verb == Verb::Gradual {
            return gone_on(place, up, &format!("{verb:?} cut at {cut}")).await;
        }
        // What was decided goes on by itself.
        up.until(|rollout| rollout.phase.is_over() || rollout.promoted || rollout.undo.is_some()).await;
        up.until(|rollout| rollout.phase != Phase::GoingBack || rollout.step != "return").await;
        let table = up.control.table().await.unwrap();
        table.validate().unwrap();
        let active = table.default.unwrap();
        let version = up.view(active).await.name.unwrap();
        let what = format!("{verb:?} cut at {cut}");
        let allowed: &[&str] = match verb {
            Verb::Deploy | Verb::Gradual => &["v2", "v3"],
            Verb::Rollback | Verb::Purge => &["v1", "v2"],
            Verb::Retire => &["v2"],
        };
        assert!(allowed.contains(&version.as_str()), "{what}: {version} is active");
        up.serves(&version);
        assert_eq!(up.edge.generation(), table.generation, "{what}");
        let journal = place.journal();
        assert!(journal.read().unwrap().unfinished.is_empty(), "{what}: operations without an end");
        gapless(&up.history().await);
        agree(place, &up, &what).await;
        // It can be asked for again, and gets through.
        place.build("v3");
        match (verb, operate(verb, &up.control, up.request("v3")).await) {
            (_, Ok(())) => {}
            // What it was asked for is done, and there is no second release to go back to.
            (Verb::Purge, Err(error)) => assert_eq!(error.code, "CUT0518", "{what}: {error:?}"),
            (_, Err(error)) => panic!("{what}: {error:?}"),
        }
        agree(place, &up, &what).await;
        up.down().await;
    });
}

/// Asked for again it joins what is under way, and comes to its end.
async fn gone_on(place: &Place, up: Up, what: &str) {
    place.build("v3");
    operate(Verb::Gradual, &up.control, up.request("v3")).await.unwrap();
    up.serves("v3");
    let table = up.control.table().await.unwrap();
    table.validate().unwrap();
    assert_eq!(up.edge.generation(), table.generation, "{what}");
    assert!(place.journal().read().unwrap().unfinished.is_empty(), "{what}: operations without an end");
    gapless(&up.history().await);
    let closed = |state: &ReleaseState| *state == ReleaseState::Closed;
    let left = table.releases.values().filter(|entry| !closed(&entry.state)).count();
    // What the last one left is parked; what the one before had left is drained by the housekeeping.
    assert!(left <= 2, "{what}: {table:?}");
    eventually(|| match place.processes().len() {
        2 => Ok(()),
        other => Err(format!("{what}: {other} processes")),
    });
    up.down().await;
}

/// Table, store and processes name the same releases.
async fn agree(place: &Place, up: &Up, what: &str) {
    let table = up.control.table().await.unwrap();
    let named: Vec<ReleaseId> = table.releases.keys().copied().collect();
    let stored = Store::open(&place.state()).unwrap().list().unwrap();
    assert_eq!(stored, named, "{what}");
    // Every release of the table runs, but for what was closed: of that the services end, or have ended.
    let open = table.releases.values().filter(|entry| entry.state != ReleaseState::Closed).count();
    eventually(|| match place.processes().len() {
        count if (2 * open..=2 * named.len()).contains(&count) && count % 2 == 0 => Ok(()),
        count => Err(format!("{what}: {count} processes for {named:?}, {open} of them open")),
    });
}
