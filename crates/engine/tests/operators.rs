//! Operators who say anything at any time, time that passes, crashes and faults, drawn at random and shrunk to the shortest
//! script that breaks a promise. Every promise is checked after every step.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use cutover_rollout::{Act, After, Event};
use cutover_routing::ReleaseState;
use cutover_testkit::fake::{
    Settings, Stage, World, check,
    fault::{APPEND_FAULTS, AppendFault, Fault, faults_of},
    green,
    run::{LATE, Run, alive},
    stories,
};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

/// One line of a script.
#[derive(Debug, Clone)]
enum Line {
    Open { strategy: &'static str, after: After },
    Promote { full: bool, reason: bool },
    Pause,
    Resume,
    Rollback { now: Option<bool> },
    Withdraw,
    Pass { ms: u64 },
    Crash,
    Call { ahead: u64, fault: Fault },
    Append { ahead: u64, fault: AppendFault },
    Ill(bool),
    Fails(bool),
    Insufficient(bool),
    CutOff { edge: usize, ms: u64 },
    DiskFull { ms: u64 },
}

/// The script needs no model beside it: the promises are the model.
#[derive(Debug, Clone)]
struct Script;

impl ReferenceStateMachine for Script {
    type State = ();
    type Transition = Line;

    fn init_state() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn transitions((): &()) -> BoxedStrategy<Line> {
        let strategies = prop::sample::select(vec!["staff, 5%, 100%", "instant", "50%, 100%"]);
        let after = prop::sample::select(vec![After::Park, After::Standby, After::Retire]);
        let faults = faults_of(&Act::Park { release: green() }, 10_000, LATE);
        prop_oneof![
            3 => (strategies, after).prop_map(|(strategy, after)| Line::Open { strategy, after }),
            4 => (any::<bool>(), any::<bool>()).prop_map(|(full, reason)| Line::Promote { full, reason }),
            1 => Just(Line::Pause),
            3 => Just(Line::Resume),
            2 => prop::option::of(any::<bool>()).prop_map(|now| Line::Rollback { now }),
            1 => Just(Line::Withdraw),
            8 => (1_u64..15_000).prop_map(|ms| Line::Pass { ms }),
            2 => Just(Line::Crash),
            4 => (0_u64..4, prop::sample::select(faults))
                .prop_map(|(ahead, fault)| Line::Call { ahead, fault }),
            2 => (0_u64..4, prop::sample::select(APPEND_FAULTS.to_vec()))
                .prop_map(|(ahead, fault)| Line::Append { ahead, fault }),
            1 => any::<bool>().prop_map(Line::Ill),
            1 => any::<bool>().prop_map(Line::Fails),
            1 => any::<bool>().prop_map(Line::Insufficient),
            1 => (0_usize..3, 1_u64..20_000).prop_map(|(edge, ms)| Line::CutOff { edge, ms }),
            1 => (1_u64..10_000).prop_map(|ms| Line::DiskFull { ms }),
        ]
        .boxed()
    }

    fn apply((): (), _: &Line) {}
}

/// The shell in its world.
struct Played {
    stage: Stage,
    world: World,
    run: Run,
    opened: u32,
}

const AT_MOST: u64 = 4 * 3_600_000;

impl Played {
    async fn say(world: &World, run: &mut Run, event: Event) {
        let controller = run.controller().await;
        let id = run.id().unwrap();
        let Some(now) = controller.now() else { return };
        let rollout = now.state.plan.rollout.clone();
        let _ = alive(world, id, controller.say(&rollout, event)).await;
    }

    /// Opens another rollout to a release that was never used, making the one that is open give way.
    async fn open(world: &World, run: &mut Run, opened: &mut u32, strategy: &str, after: After) {
        let rollout = stories::rollout(*opened + 1);
        let controller = run.controller().await;
        let id = run.id().unwrap();
        // A way back is let come to its end; superseding one that cannot be had is not what this is about.
        if controller.now().is_some_and(|now| now.state.going_back() && now.state.ended.is_none()) {
            return;
        }
        let give_up = world.time().sleep(120_000);
        let way = tokio::select! {
            way = alive(world, id, controller.make_way(&rollout)) => way,
            () = give_up => None,
        };
        if !matches!(way, Some(Ok(()))) {
            return;
        }
        let table = world.lock().table.clone();
        let staged = table.releases.iter().find(|(_, entry)| entry.state == ReleaseState::Staged);
        let Some((release, _)) = staged else { return };
        let plan = stories::plan(&rollout, strategy, after, table.default, *release);
        let event = Event::Open { plan: Box::new(plan), by: "ann".to_owned() };
        let _ = alive(world, id, controller.say(&rollout, event)).await;
        if !world.records(&rollout).is_empty() {
            *opened += 1;
        }
    }
}

impl StateMachineTest for Played {
    type SystemUnderTest = Self;
    type Reference = Script;

    fn init_test((): &()) -> Self {
        let story = stories::all().into_iter().next().unwrap();
        let (stage, world) = story.stage(Settings::default()).unwrap();
        let run = Run::new(&world);
        Self { stage, world, run, opened: 0 }
    }

    fn apply(mut played: Self, (): &(), line: Line) -> Self {
        let Self { stage, world, run, opened } = &mut played;
        let by = || "ann".to_owned();
        stage
            .run(AT_MOST, async {
                match line {
                    Line::Open { strategy, after } => Self::open(world, run, opened, strategy, after).await,
                    Line::Promote { full, reason } => {
                        let reason = reason.then(|| "because".to_owned());
                        Self::say(world, run, Event::Promote { by: by(), reason, full }).await;
                    }
                    Line::Pause => Self::say(world, run, Event::Pause { by: by(), reason: None }).await,
                    Line::Resume => Self::say(world, run, Event::Resume { by: by() }).await,
                    Line::Rollback { now } => {
                        Self::say(world, run, Event::Rollback { by: by(), reason: None, now }).await;
                    }
                    Line::Withdraw => Self::say(world, run, Event::Withdraw { by: by(), reason: None }).await,
                    Line::Pass { ms } => world.time().sleep(ms).await,
                    Line::Crash => {
                        if let Some(id) = run.id() {
                            world.kill(id);
                        }
                    }
                    Line::Call { ahead, fault } => {
                        let mut inner = world.lock();
                        let call = inner.calls + ahead;
                        inner.faults.insert(call, fault);
                    }
                    Line::Append { ahead, fault } => {
                        let mut inner = world.lock();
                        let append = inner.appends + ahead;
                        inner.append_faults.insert(append, fault);
                    }
                    Line::Ill(ill) => world.tell(|inner| {
                        inner.ill.clear();
                        inner.ill.extend(ill.then(green));
                    }),
                    Line::Fails(fails) => world.tell(|inner| {
                        inner.failing.clear();
                        inner.failing.extend(fails.then(|| ("errors".to_owned(), 500)));
                    }),
                    Line::Insufficient(few) => world.tell(|inner| {
                        inner.insufficient.clear();
                        inner.insufficient.extend(few.then(|| "errors".to_owned()));
                    }),
                    Line::CutOff { edge, ms } => world.cut_off(edge, ms),
                    Line::DiskFull { ms } => {
                        let until = world.time().now() + ms;
                        world.lock().disk_full_until = until;
                    }
                }
            })
            .unwrap();
        played
    }

    fn check_invariants(played: &Self, (): &()) {
        assert_eq!(check::breaches(&played.world, false), Vec::<String>::new());
    }

    fn teardown(mut played: Self, (): ()) {
        let world = played.world.clone();
        world.tell(|inner| {
            inner.faults.clear();
            inner.append_faults.clear();
            inner.ill.clear();
            inner.failing.clear();
            inner.insufficient.clear();
            inner.disk_full_until = 0;
        });
        if world.rollouts().is_empty() {
            return;
        }
        played.stage.run(AT_MOST, played.run.rest()).unwrap().unwrap();
        assert_eq!(check::breaches(&world, true), Vec::<String>::new());
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn operators_may_say_anything_at_any_time(sequential 1..30 => Played);
}
