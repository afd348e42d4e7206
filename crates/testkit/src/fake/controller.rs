//! A controller's hands and eyes: every port, for one run of the program. It can be killed and frozen, and its clock may
//! be wrong.

use cutover_engine::ports::{Clock, Examined, Examiner, Fence, Ports, Trouble};
use cutover_rollout::{Act, EffectId, Plan, Watched, judge::Verdict};

use super::{
    fault::{Answer, Fault, Point},
    log::What,
    run::LATE,
    world::{Life, World},
};

/// What is asked of a platform ends within this time, milliseconds. Routing writes may land any time later where fences
/// are checked; a far side knows a fence only once a call has brought it, and three lost calls in a row, each the contrary
/// of the one before, would get round that.
const PLATFORM_LATE: u64 = 10_000 + LATE - 500;

/// The ports of one run of a controller.
#[derive(Debug, Clone)]
pub struct Controller {
    pub(super) world: World,
    pub(super) id: usize,
    /// Its clock is so many milliseconds ahead.
    skew: i64,
}

impl Controller {
    /// A new one, whose clock is so many milliseconds ahead.
    pub fn new(world: &World, skew: i64) -> Self {
        let id = {
            let mut inner = world.lock();
            inner.lives.push(Life::Alive);
            inner.lives.len() - 1
        };
        world.note(id, What::Started);
        Self { world: world.clone(), id, skew }
    }

    /// Its number.
    pub fn id(&self) -> usize {
        self.id
    }

    /// The world it acts in.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Returns when it acts: at once, after it was frozen, or never.
    pub(super) async fn alive(&self) {
        loop {
            let life = self.world.lock().lives[self.id];
            match life {
                Life::Alive => return,
                Life::Dead => std::future::pending().await,
                Life::Frozen(until) if until <= self.world.time.now() => {
                    let mut inner = self.world.lock();
                    if inner.lives[self.id] == life {
                        inner.lives[self.id] = Life::Alive;
                    }
                }
                Life::Frozen(until) => self.world.time.sleep_until(until).await,
            }
        }
    }

    async fn dies(&self) {
        self.world.kill(self.id);
        self.alive().await;
    }

    /// Its next append is its last: before it takes place, or after.
    fn doom(&self, fault: Fault) {
        let before = match fault.crash {
            Some(Point::Answered) => true,
            Some(Point::Recorded) => false,
            _ => return,
        };
        self.world.lock().doomed.insert(self.id, before);
    }

    async fn begin(&self, act: &Act, fence: Fence) -> (u64, Fault) {
        self.alive().await;
        let (call, fault) = {
            let mut inner = self.world.lock();
            let call = inner.calls;
            inner.calls += 1;
            let appends = inner.appends;
            let now = self.world.time.now();
            inner.note(now, self.id, What::Called { call, act: act.clone(), fence, appends });
            let fault = inner.faults.get(&call).copied();
            (call, fault.unwrap_or(Fault { answer: Answer::Ok, crash: None }))
        };
        if fault.crash == Some(Point::BeforeSend) {
            self.dies().await;
        }
        (call, fault)
    }

    /// Sends a call, with what goes wrong with it.
    pub(super) async fn send(&self, act: &Act, fence: Fence) -> Result<Option<u64>, Trouble> {
        let (call, fault) = self.begin(act, fence).await;
        let slow = matches!(act, Act::Prepare { .. });
        if !slow && self.now() > fence.until {
            let why = "too late to be sent".to_owned();
            self.world.note(self.id, What::TurnedAway { call, why: why.clone() });
            return Err(Trouble::Passing(why));
        }
        let travel = match act {
            Act::Prepare { .. } => 1_500,
            Act::Route(_) => 30,
            _ => 200,
        };
        let land = |world: &World| world.land(self.id, call, act, fence);
        let answer = match fault.answer {
            Answer::LandsLater(after) => {
                let (world, act, who) = (self.world.clone(), act.clone(), self.id);
                let after = if matches!(act, Act::Route(_)) { after } else { after.min(PLATFORM_LATE) };
                tokio::spawn(async move {
                    world.time.sleep(after).await;
                    let _ = world.land(who, call, &act, fence);
                });
                return self.never(fault).await;
            }
            Answer::Lost => return self.never(fault).await,
            Answer::Throttled => Err(Trouble::Passing("throttled".to_owned())),
            Answer::RefusedForGood => Err(Trouble::Lasting("refused".to_owned())),
            Answer::FailedNotApplied => Err(Trouble::Unknown("503".to_owned())),
            Answer::Ok | Answer::FailedApplied | Answer::StaleReads(_) => {
                self.world.time.sleep(travel).await;
                // From here on it is the far side's: it happens whatever has become of the sender.
                let landed = land(&self.world);
                if let (Answer::StaleReads(reads), Ok(_)) = (fault.answer, &landed) {
                    self.world.lock().stale.push((act.clone(), reads));
                }
                if fault.answer == Answer::FailedApplied {
                    landed.and(Err(Trouble::Unknown("500".to_owned())))
                } else {
                    landed
                }
            }
        };
        self.alive().await;
        if fault.crash == Some(Point::Applied) {
            self.dies().await;
        }
        self.world.time.sleep(5).await;
        self.alive().await;
        self.world.note(self.id, What::Answered { call, how: format!("{answer:?}") });
        self.doom(fault);
        answer
    }

    async fn never<T>(&self, fault: Fault) -> T {
        self.world.time.sleep(1).await;
        if fault.crash.is_some() {
            self.dies().await;
        }
        std::future::pending().await
    }
}

impl Clock for Controller {
    fn now(&self) -> u64 {
        self.world.time.now().saturating_add_signed(self.skew)
    }

    async fn sleep_until(&self, at: u64) {
        let at = if at == u64::MAX { at } else { at.saturating_add_signed(-self.skew) };
        self.world.time.sleep_until(at).await;
        self.alive().await;
    }
}

impl Examiner for Controller {
    async fn examine(&self, plan: &Plan, _id: &EffectId, gate: &Watched) -> Examined {
        let fence = Fence { epoch: 0, until: u64::MAX };
        let (call, fault) = self.begin(&Act::Gate(gate.clone()), fence).await;
        if fault.answer == Answer::Lost {
            return self.never(fault).await;
        }
        self.world.time.sleep(300).await;
        self.alive().await;
        let verdict = {
            let now = self.world.time.now();
            let mut inner = self.world.lock();
            let verdict = inner.verdict(&gate.gate, &plan.green);
            inner.note(now, self.id, What::Judged { release: plan.green, gate: gate.gate.clone(), verdict });
            inner.note(now, self.id, What::Answered { call, how: format!("{verdict:?}") });
            verdict
        };
        if fault.crash == Some(Point::Applied) {
            self.dies().await;
        }
        self.doom(fault);
        Examined { verdict, why: if verdict == Verdict::Pass { "as told" } else { "told so" }.to_owned() }
    }
}

impl Ports for Controller {
    type Journal = Self;
    type Lease = Self;
    type Router = Self;
    type Platform = Self;
    type Probe = Self;
    type Examiner = Self;
    type Clock = Self;

    fn journal(&self) -> &Self {
        self
    }
    fn lease(&self) -> &Self {
        self
    }
    fn router(&self) -> &Self {
        self
    }
    fn platform(&self) -> &Self {
        self
    }
    fn probe(&self) -> &Self {
        self
    }
    fn examiner(&self) -> &Self {
        self
    }
    fn clock(&self) -> &Self {
        self
    }
}
