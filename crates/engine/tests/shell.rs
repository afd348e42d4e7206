//! The shell beside its decisions: a journal that cannot be written, a lease that is lost, stopping, clocks put back.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::sync::Arc;

use cutover_engine::runner::{Refusal, Rollouts};
use cutover_rollout::{After, Body, End, Event, Refused, Situation};
use cutover_testkit::fake::{
    Controller, Settings, Stage, World, blue, check,
    fault::AppendFault,
    green,
    log::What,
    run::{Run, options},
    stories::{self, Story},
};

const AT_MOST: u64 = 3_600_000;

fn stage() -> (Stage, World) {
    let story: Story = stories::all().into_iter().next().unwrap();
    story.stage(Settings::default()).unwrap()
}

fn open(strategy: &str) -> Event {
    let rollout = stories::rollout(1);
    let plan = stories::plan(&rollout, strategy, After::Park, Some(blue()), green());
    Event::Open { plan: Box::new(plan), by: "ann".to_owned() }
}

async fn start(world: &World, owner: &str) -> Rollouts<Controller> {
    let controller = Arc::new(Controller::new(world, 0));
    Rollouts::start(controller, options(world, owner)).await.unwrap()
}

fn landed(world: &World) -> usize {
    world.lock().log.iter().filter(|entry| matches!(entry.what, What::Landed { .. })).count()
}

#[test]
fn with_a_full_disk_nothing_is_begun_and_later_it_goes_on() {
    let (stage, world) = stage();
    stage
        .run(AT_MOST, async {
            let rollouts = start(&world, "one").await;
            let rollout = stories::rollout(1);
            world.lock().disk_full_until = u64::MAX;
            let refused = rollouts.say(&rollout, open("5%, 100%")).await;
            assert!(matches!(refused, Err(Refusal::Failed(_))), "{refused:?}");
            world.time().sleep(5_000).await;
            assert!(rollouts.now().is_none() && landed(&world) == 0, "nothing was begun");

            world.lock().disk_full_until = 0;
            rollouts.say(&rollout, open("5%, 100%")).await.unwrap();
            world.time().sleep(5_000).await;
            let until = world.time().now() + 20_000;
            world.lock().disk_full_until = until;
            world.time().sleep(15_000).await;
            let before = landed(&world);
            let trouble = rollouts.now().unwrap().trouble.clone().unwrap();
            assert!(trouble.contains("no space left"), "{trouble}");
            world.time().sleep(4_000).await;
            assert_eq!(landed(&world), before, "it stands still");
            let now = rollouts.until(&rollout, |now| now.state.ended.is_some()).await.unwrap();
            assert_eq!(now.state.situation(), Situation::Standby);
            assert_eq!(now.trouble, None);
        })
        .unwrap();
    assert_eq!(check::breaches(&world, true), Vec::<String>::new());
}

#[test]
fn what_was_appended_though_it_failed_is_gone_on_with() {
    let (stage, world) = stage();
    world.lock().append_faults.insert(0, AppendFault::FailedLanded);
    stage
        .run(AT_MOST, async {
            let rollouts = start(&world, "one").await;
            let rollout = stories::rollout(1);
            rollouts.say(&rollout, open("instant")).await.unwrap();
            rollouts.until(&rollout, |now| now.state.ended.is_some()).await.unwrap();
        })
        .unwrap();
    assert_eq!(check::breaches(&world, true), Vec::<String>::new());
}

#[test]
fn a_deposed_controller_begins_nothing_and_says_so() {
    let (stage, world) = stage();
    stage
        .run(AT_MOST, async {
            let rollout = stories::rollout(1);
            let first = start(&world, "one").await;
            first.say(&rollout, open("5%, 25%, 100%")).await.unwrap();
            world.time().sleep(6_000).await;
            world.freeze(0, 40_000);
            world.time().sleep(32_000).await;
            let second = start(&world, "two").await;
            world.time().sleep(15_000).await;

            assert!(!first.in_charge() && second.in_charge());
            let refused = first.say(&rollout, Event::Pause { by: "ann".into(), reason: None }).await;
            assert!(
                matches!(&refused, Err(Refusal::Failed(error)) if error.code == "CUT0533"),
                "{refused:?}"
            );
            let waited = first.until(&rollout, |now| now.state.ended.is_some()).await;
            assert!(waited.is_err_and(|error| error.code == "CUT0533"), "who waits there is told");
            let now = second.until(&rollout, |now| now.state.ended.is_some()).await.unwrap();
            assert_eq!(now.state.situation(), Situation::Standby);
        })
        .unwrap();
    assert_eq!(check::breaches(&world, true), Vec::<String>::new());
}

#[test]
fn two_controllers_never_lead_at_once() {
    let (stage, world) = stage();
    stage
        .run(AT_MOST, async {
            let first = start(&world, "one").await;
            let other = Arc::new(Controller::new(&world, 0));
            let refused = Rollouts::start(other, options(&world, "two")).await;
            assert!(refused.is_err_and(|error| error.code == "CUT0533"));
            first.stop().await;
            start(&world, "two").await;
        })
        .unwrap();
}

#[test]
fn stopping_lets_a_routing_write_end_and_the_next_goes_on_at_once() {
    for pause in (0..4_000).step_by(23) {
        let (stage, world) = stage();
        stage
            .run(AT_MOST, async {
                let rollout = stories::rollout(1);
                let first = start(&world, "one").await;
                first.say(&rollout, open("5%, 100%")).await.unwrap();
                world.time().sleep(1_500 + pause).await;
                first.stop().await;
                assert!(first.say(&rollout, Event::Restarted).await.is_err(), "it has ended");
                let stopped = world.time().now();
                let state = cutover_rollout::fold(&world.records(&rollout)).unwrap().unwrap();
                let routing = state.pending.as_ref().is_some_and(|pending| {
                    matches!(pending.act, cutover_rollout::Act::Route(_))
                        && world.lock().log.iter().any(
                            |entry| matches!(&entry.what, What::Called { act, .. } if *act == pending.act),
                        )
                });
                assert!(!routing, "a write that was sent has its outcome");
                let second = start(&world, "two").await;
                assert!(world.time().now() < stopped + 1_000, "the lease was given back");
                second.until(&rollout, |now| now.state.ended.is_some()).await.unwrap();
            })
            .unwrap();
        assert_eq!(check::breaches(&world, true), Vec::<String>::new(), "stopped after {pause} ms");
    }
}

#[test]
fn commands_said_twice_are_one() {
    let (stage, world) = stage();
    stage
        .run(AT_MOST, async {
            let rollout = stories::rollout(1);
            let rollouts = start(&world, "one").await;
            let by = || "ann".to_owned();
            let idle = rollouts.say(&rollout, Event::Rollback { by: by(), reason: None, now: None }).await;
            assert_eq!(idle.unwrap_err(), Refusal::Refused(Refused::NotOpen), "with nothing open");
            assert!(world.lock().log.iter().all(|entry| !matches!(entry.what, What::Appended { .. })));
            rollouts.say(&rollout, open("5%, 100%")).await.unwrap();
            world.time().sleep(5_000).await;
            let twice = [
                Event::Pause { by: by(), reason: None },
                Event::Resume { by: by() },
                Event::Rollback { by: by(), reason: None, now: None },
            ];
            for event in twice {
                rollouts.say(&rollout, event.clone()).await.unwrap();
                let records = world.records(&rollout).len();
                let again = rollouts.say(&rollout, event).await.unwrap_err();
                assert!(again.is_already_so(), "{again:?}");
                assert_eq!(world.records(&rollout).len(), records, "a repetition leaves no trace");
            }
            rollouts.until(&rollout, |now| now.state.ended == Some(End::RolledBack)).await.unwrap();
        })
        .unwrap();
    assert_eq!(check::breaches(&world, true), Vec::<String>::new());
}

#[test]
fn a_clock_that_is_wrong_by_minutes_harms_nothing() {
    for skew in [-300_000, 300_000] {
        let (stage, world) = stage();
        stage
            .run(AT_MOST, async {
                let rollout = stories::rollout(1);
                let mut run = Run::new(&world);
                run.say(&rollout, open("5%, 100%")).await.unwrap();
                world.time().sleep(6_000).await;
                // The next one has another clock.
                run.skew = skew;
                world.kill(run.id().unwrap());
                run.rest().await.unwrap();
            })
            .unwrap();
        assert_eq!(check::breaches(&world, true), Vec::<String>::new(), "{skew}");
        let records = world.records(&stories::rollout(1));
        assert!(matches!(records.last().unwrap().body, Body::Ended { how: End::Done { .. } }));
    }
}
