//! Somebody who keeps a controller running and says to it what an operator would, until everything is over.

use std::{future::Future, sync::Arc};

use cutover_engine::runner::{Now, Options, Refusal, Rollouts};
use cutover_rollout::{End, Event, Millis, Plan, Refused, RolloutId, Situation};

use super::{controller::Controller, log::What, world::World};

/// How long a run may take, milliseconds of the world's time.
pub const AT_MOST: u64 = 40 * 60_000;

/// How late a call may land in a world without fences, after its deadline.
pub const LATE: u64 = 20_000;

/// What a shell is told in fake worlds.
pub fn options(world: &World, owner: &str) -> Options {
    Options {
        lease: Millis::secs(30),
        call: Millis::secs(10),
        stand_up: Millis::secs(20),
        late: Millis(if world.lock().settings.fenced { 0 } else { LATE }),
        look: Millis::secs(1),
        ..Options::new(owner)
    }
}

/// A controller that is started again whenever it died, and its operator.
#[derive(Debug)]
pub struct Run {
    world: World,
    current: Option<(usize, Rollouts<Controller>)>,
    /// How wrong the clock of the next controller is, milliseconds.
    pub skew: i64,
    /// What the shell of the next controller is told, changed from [`options`].
    pub tune: fn(&mut Options),
}

impl Run {
    /// Nothing runs yet.
    pub fn new(world: &World) -> Self {
        Self { world: world.clone(), current: None, skew: 0, tune: |_| {} }
    }

    /// The controller that runs, started where there is none.
    pub async fn controller(&mut self) -> Rollouts<Controller> {
        loop {
            if let Some((id, rollouts)) = &self.current
                && !self.world.is_dead(*id)
            {
                return rollouts.clone();
            }
            self.current = None;
            let controller = Controller::new(&self.world, self.skew);
            let id = controller.id();
            let mut options = options(&self.world, &format!("c{id}"));
            (self.tune)(&mut options);
            let started = alive(&self.world, id, Rollouts::start(Arc::new(controller), options)).await;
            match started {
                Some(Ok(rollouts)) => self.current = Some((id, rollouts)),
                Some(Err(_)) => {
                    self.world.kill(id);
                    self.world.time().sleep(2_000).await;
                }
                None => self.world.time().sleep(500).await,
            }
        }
    }

    /// The number of the controller that runs.
    pub fn id(&self) -> Option<usize> {
        self.current.as_ref().map(|(id, _)| *id)
    }

    /// The newest rollout as the controller that runs knows it.
    pub async fn now(&mut self) -> Option<Arc<Now>> {
        self.controller().await.now()
    }

    /// Says something, to the next controller where one dies over it.
    ///
    /// # Errors
    /// The refusal, unless it says that it is so already.
    pub async fn say(&mut self, rollout: &RolloutId, event: Event) -> Result<(), Refusal> {
        loop {
            let controller = self.controller().await;
            let id = self.id().unwrap_or_default();
            let said = alive(&self.world, id, controller.say(rollout, event.clone())).await;
            let words = match &said {
                None => "died".to_owned(),
                Some(Ok(_)) => "done".to_owned(),
                Some(Err(refusal)) => refusal.to_string(),
            };
            self.world.note(id, What::Said(format!("{}: {words}", name(&event))));
            match said {
                None => continue,
                Some(Ok(_)) => return Ok(()),
                Some(Err(refusal)) if refusal.is_already_so() => return Ok(()),
                Some(Err(Refusal::Refused(Refused::Busy(_) | Refused::Converging) | Refusal::Failed(_))) => {
                    self.world.time().sleep(700).await;
                }
                Some(Err(refusal)) => return Err(refusal),
            }
        }
    }

    /// Opens a rollout, superseding an open one where there is one.
    ///
    /// # Errors
    /// Why it could not be opened.
    pub async fn open(&mut self, rollout: &RolloutId, plan: impl Fn(&World) -> Plan) -> Result<(), String> {
        loop {
            let controller = self.controller().await;
            let id = self.id().unwrap_or_default();
            if controller.find(rollout).is_some() {
                return Ok(());
            }
            match alive(&self.world, id, controller.make_way(rollout)).await {
                None => continue,
                Some(Ok(())) => {}
                Some(Err(why)) => {
                    self.world.note(id, What::Said(format!("make way: {why}")));
                    self.world.time().sleep(700).await;
                    continue;
                }
            }
            let event = Event::Open { plan: Box::new(plan(&self.world)), by: "ann".to_owned() };
            match self.say(rollout, event).await {
                Ok(()) => return Ok(()),
                Err(Refusal::Refused(Refused::AlreadyOpen(open))) if open == *rollout => return Ok(()),
                Err(refusal) => return Err(format!("opening {rollout}: {refusal}")),
            }
        }
    }

    /// Waits until something holds, letting what is paused go on, giving what is held another try, and going back where
    /// that does not help.
    ///
    /// # Errors
    /// What was refused.
    pub async fn until(&mut self, holds: impl Fn(&Now) -> bool) -> Result<(), String> {
        let mut resumed = 0;
        loop {
            if let Some(now) = self.now().await {
                if holds(&now) {
                    return Ok(());
                }
                if matches!(now.state.situation(), Situation::Held | Situation::Paused) {
                    resumed += 1;
                    let by = "ann".to_owned();
                    let event = match resumed {
                        ..6 => Event::Resume { by },
                        _ => Event::Rollback { by, reason: None, now: None },
                    };
                    let rollout = now.state.plan.rollout.clone();
                    match self.say(&rollout, event).await {
                        Ok(()) | Err(Refusal::Refused(_)) => {}
                        Err(refusal) => return Err(refusal.to_string()),
                    }
                }
            }
            self.world.time().sleep(250).await;
        }
    }

    /// Waits until the newest rollout is over, and everything that was on its way has landed.
    ///
    /// # Errors
    /// As [`Run::until`].
    pub async fn rest(&mut self) -> Result<Option<End>, String> {
        self.until(|now| now.state.ended.is_some()).await?;
        self.world.time().sleep(45_000).await;
        Ok(self.now().await.and_then(|now| now.state.ended.clone()))
    }
}

fn name(event: &Event) -> &'static str {
    match event {
        Event::Open { .. } => "open",
        Event::Promote { .. } => "promote",
        Event::Pause { .. } => "pause",
        Event::Resume { .. } => "resume",
        Event::Rollback { .. } => "rollback",
        Event::Withdraw { .. } => "withdraw",
        Event::Supersede { .. } => "supersede",
        _ => "tell",
    }
}

/// Waits for something a controller does; none where it dies over it.
pub async fn alive<T>(world: &World, controller: usize, what: impl Future<Output = T>) -> Option<T> {
    let died = async {
        while !world.is_dead(controller) {
            world.time().sleep(200).await;
        }
    };
    tokio::select! {
        biased;
        value = what => Some(value),
        () = died => None,
    }
}
