//! The fake world keeps the contracts of the ports, so that what is shown in it is shown of ports.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use cutover_engine::ports::Compared;
use cutover_rollout::Millis;
use cutover_routing::Edit;
use cutover_testkit::{
    contracts::{self, PlatformSetup, ProbeSetup, RouterSetup},
    fake::{Controller, Settings, Stage, World, blue, green},
};

fn world(stage: &Stage) -> World {
    World::new(stage.time().clone(), Settings { linger: 0, ..Settings::default() }, true)
}

#[test]
fn the_clock_keeps_its_contract() {
    let stage = Stage::new().unwrap();
    let controller = Controller::new(&world(&stage), 0);
    stage.run(60_000, contracts::clock(&controller)).unwrap();
}

#[test]
fn the_journal_keeps_its_contract() {
    let stage = Stage::new().unwrap();
    let open = async || {
        let controller = Controller::new(&world(&stage), 0);
        (controller.clone(), controller)
    };
    let reopen = async |journal: Controller, _| {
        let next = Controller::new(journal.world(), 0);
        (next.clone(), next)
    };
    stage.run(60_000, contracts::journal(open, reopen)).unwrap();
}

#[test]
fn the_lease_keeps_its_contract() {
    let stage = Stage::new().unwrap();
    let time = stage.time().clone();
    let open = async || Controller::new(&world(&stage), 0);
    stage.run(60_000, contracts::lease(open, async |length: Millis| time.sleep(length.0).await)).unwrap();
}

#[test]
fn the_router_keeps_its_contract() {
    for fenced in [true, false] {
        let stage = Stage::new().unwrap();
        let open = async || {
            let world = world(&stage);
            world.lock().settings.fenced = fenced;
            let router = Controller::new(&world, 0);
            RouterSetup { clock: router.clone(), router, blue: blue(), green: green() }
        };
        stage.run(60_000, contracts::router(open)).unwrap();
    }
}

#[test]
fn the_platform_keeps_its_contract() {
    let stage = Stage::new().unwrap();
    let open = async || {
        let platform = Controller::new(&world(&stage), 0);
        PlatformSetup { clock: platform.clone(), platform, blue: blue(), green: green(), stands: false }
    };
    let close = async |platform: &Controller, release| {
        platform.world().tell(|inner| inner.edit(&Edit::Close { release }));
    };
    stage.run(60_000, contracts::platform(open, close)).unwrap();
}

#[test]
fn the_probe_keeps_its_contract() {
    let stage = Stage::new().unwrap();
    let open = async || {
        let world = world(&stage);
        world.tell(|inner| {
            inner.edit(&Edit::MakeCandidate { release: green() });
            inner.edit(&Edit::SetShare { release: green(), width: 5_000 });
            inner.visitors.0 = 100;
        });
        let probe = Controller::new(&world, 0);
        let compared =
            Compared { blue: Some(blue()), green: green(), slow_over: Millis::secs(1), synthetic: false };
        ProbeSetup { clock: probe.clone(), probe, compared }
    };
    let time = stage.time().clone();
    stage.run(60_000, contracts::probe(open, async |_: &Controller| time.sleep(1_000).await)).unwrap();
}
