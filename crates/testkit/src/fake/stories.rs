//! Rollouts as they go on: what is planned, what gates say, what the operator says and when.

use std::time::Duration;

use cutover_engine::{
    config::{self, EdgeMetric, GateKind, MetricsGate, MetricsSource},
    runner::Now,
};
use cutover_rollout::{
    After, At, Event, Gate, Insufficient, Millis, Plan, PlanInput, RolloutId, Situation, Strategy, To,
};
use cutover_routing::ReleaseId;

use super::{
    run::Run,
    time::Stage,
    world::{Inner, Settings, World, blue, green, third},
};

/// When the operator speaks.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// At the hold of this share.
    HoldingAt(u16),
    /// In a situation.
    In(Situation),
}

/// What the operator does.
#[derive(Debug, Clone, Copy)]
pub enum Do {
    /// Back.
    Rollback {
        /// See [`Event::Rollback`].
        now: Option<bool>,
    },
    /// Back, and never again.
    Withdraw,
    /// To the promotion.
    PromoteFully,
    /// Stand still, and go on.
    PauseAndResume,
    /// Another rollout, of another release.
    Another,
}

/// A rollout, and what happens to it.
#[derive(Debug, Clone)]
pub struct Story {
    /// Its name.
    pub name: &'static str,
    /// How visitors move.
    pub strategy: &'static str,
    /// What becomes of blue.
    pub after: After,
    /// Whether there is a blue.
    pub with_blue: bool,
    /// What the world is told beforehand.
    pub told: fn(&mut Inner),
    /// What the operator does.
    pub script: &'static [(When, Do)],
}

const PLAIN: Story = Story {
    name: "gradual",
    strategy: "staff, 5%, 25%, 100%",
    after: After::Retire,
    with_blue: true,
    told: |_| {},
    script: &[],
};

/// The stories that every fault is tried in.
pub fn all() -> Vec<Story> {
    const AT_25: When = When::HoldingAt(2_500);
    let plain = || PLAIN;
    vec![
        plain(),
        Story { name: "rolled back at 25%", script: &[(AT_25, Do::Rollback { now: None })], ..plain() },
        Story {
            name: "a comparison fails at 25%",
            told: |world| {
                world.failing.insert("errors".to_owned(), 2_500);
            },
            ..plain()
        },
        Story { name: "instant, parked", strategy: "instant", after: After::Park, ..plain() },
        Story { name: "standby", strategy: "50%, 100%", after: After::Standby, ..plain() },
        Story { name: "the first release", strategy: "instant", with_blue: false, ..plain() },
        Story {
            name: "rolled back after it was done",
            strategy: "instant",
            after: After::Park,
            script: &[(When::In(Situation::Standby), Do::Rollback { now: None })],
            ..plain()
        },
        Story { name: "withdrawn at 5%", script: &[(When::HoldingAt(500), Do::Withdraw)], ..plain() },
        Story {
            name: "superseded at 25%",
            strategy: "25%, 100%",
            script: &[(AT_25, Do::Another)],
            ..plain()
        },
        Story {
            name: "superseded in the bake",
            strategy: "instant",
            script: &[(When::HoldingAt(10_000), Do::Another)],
            ..plain()
        },
        Story {
            name: "paused, then promoted fully",
            script: &[(When::HoldingAt(500), Do::PauseAndResume), (When::HoldingAt(500), Do::PromoteFully)],
            ..plain()
        },
    ]
}

/// The gates of every release here.
fn gates(strategy: &Strategy) -> Vec<Gate> {
    let gate = |name: &str, watch: bool, at: &[At]| Gate {
        name: name.to_owned(),
        required: true,
        watch,
        at: at.to_vec(),
        insufficient: Insufficient::Extend(Millis::mins(2)),
    };
    let mut gates = vec![
        gate("smoke", false, &[At::BeforeTraffic]),
        Gate { required: false, ..gate("opinion", false, &[At::BeforeTraffic]) },
        gate("errors", true, &[At::EveryStep, At::Bake]),
    ];
    if strategy.moves.iter().any(|step| step.to == To::Share(2_500)) {
        gates.push(gate("e2e", false, &[At::Step(To::Share(2_500))]));
    }
    gates
}

/// Their definitions.
fn rules() -> Vec<config::Gate> {
    let metrics = MetricsGate {
        source: MetricsSource::Edge { metric: EdgeMetric::ErrorRate },
        min: None,
        max: Some(0.01),
        window: Duration::from_secs(10),
    };
    vec![config::Gate::new("errors", GateKind::Metrics(metrics))]
}

/// A plan from the release that is active to another.
pub fn plan(
    rollout: &RolloutId,
    strategy: &str,
    after: After,
    from: Option<ReleaseId>,
    to: ReleaseId,
) -> Plan {
    let strategy = Strategy::parse(strategy, &["staff"])
        .unwrap_or_else(|why| unreachable!("a strategy of these stories: {why:?}"));
    Plan::new(&PlanInput {
        rollout: rollout.clone(),
        blue: from,
        green: to,
        strategy: &strategy,
        hold: Millis::secs(8),
        bake: Millis::secs(8),
        quiet: Millis::secs(5),
        drain_at_most: Millis::secs(60),
        after,
        gates: &gates(&strategy),
    })
    .unwrap_or_else(|why| unreachable!("a plan of these stories: {why}"))
}

/// A rollout's name.
pub fn rollout(number: u32) -> RolloutId {
    format!("ro-{number}").parse().unwrap_or_else(|_| unreachable!("a rollout's name"))
}

impl When {
    fn holds(self, now: &Now) -> bool {
        match self {
            When::In(situation) => now.state.situation() == situation,
            When::HoldingAt(share) => {
                let stage = now.state.step().map(|step| &step.stage);
                let there = match stage {
                    Some(cutover_rollout::Stage::Shift { to, .. }) => *to == To::Share(share),
                    Some(cutover_rollout::Stage::Bake) => share == 10_000,
                    _ => false,
                };
                there && now.state.situation() == Situation::Holding
            }
        }
    }
}

/// How a story ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The newest rollout.
    pub how: Situation,
    /// The states of all releases in the table, and which run.
    pub world: String,
}

impl Story {
    /// Lays the stage: the world of this story.
    ///
    /// # Errors
    /// Where there is no thread to be had.
    pub fn stage(&self, settings: Settings) -> Result<(Stage, World), String> {
        let stage = Stage::new().map_err(|e| format!("starting a runtime: {e}"))?;
        let world = World::new(stage.time().clone(), settings, self.with_blue);
        let (told, gates) = (self.told, rules());
        world.tell(|inner| {
            inner.rules = gates;
            told(inner);
        });
        Ok((stage, world))
    }

    /// Opens the rollout and plays it to its end.
    ///
    /// # Errors
    /// Where it does not come to one.
    pub async fn play(&self, world: &World) -> Result<Ended, String> {
        let mut run = Run::new(world);
        let first = rollout(1);
        let from = self.with_blue.then(blue);
        run.open(&first, |_| plan(&first, self.strategy, self.after, from, green())).await?;
        self.go_on(world, &mut run).await
    }

    /// Plays the rollout that is open to its end.
    ///
    /// # Errors
    /// Where it does not come to one.
    pub async fn go_on(&self, world: &World, run: &mut Run) -> Result<Ended, String> {
        for (when, act) in self.script {
            run.until(|now| now.state.ended.is_some() || when.holds(now)).await?;
            let Some(now) = run.now().await else { continue };
            if !when.holds(&now) {
                break;
            }
            self.act(*act, run).await?;
        }
        run.rest().await?;
        let how = run.now().await.map(|now| now.state.situation());
        let inner = world.lock();
        let states: Vec<_> = inner.table.releases.iter().map(|(id, entry)| (*id, entry.state)).collect();
        let world = format!("{states:?} {:?}", inner.releases);
        Ok(Ended { how: how.ok_or("no rollout was ever opened")?, world })
    }

    async fn act(&self, act: Do, run: &mut Run) -> Result<(), String> {
        let by = || "ann".to_owned();
        let first = rollout(1);
        let said = match act {
            Do::Rollback { now } => run.say(&first, Event::Rollback { by: by(), reason: None, now }).await,
            Do::Withdraw => run.say(&first, Event::Withdraw { by: by(), reason: None }).await,
            Do::PromoteFully => {
                let reason = Some("it is urgent".to_owned());
                run.say(&first, Event::Promote { by: by(), reason, full: true }).await
            }
            Do::PauseAndResume => {
                let paused = run.say(&first, Event::Pause { by: by(), reason: None }).await;
                match paused {
                    Ok(()) => run.say(&first, Event::Resume { by: by() }).await,
                    refused => refused,
                }
            }
            Do::Another => {
                let second = rollout(2);
                let opened = |world: &World| {
                    let from = world.lock().table.default;
                    plan(&second, "instant", After::Park, from, third())
                };
                return run.open(&second, opened).await;
            }
        };
        match said {
            // A command that was taken in before the controller died is not said twice.
            Ok(()) | Err(cutover_engine::runner::Refusal::Refused(_)) => Ok(()),
            Err(refusal) => Err(format!("{act:?}: {refusal}")),
        }
    }
}
