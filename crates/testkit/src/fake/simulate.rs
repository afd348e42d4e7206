//! A long bad day, drawn from a seed: two controllers that want to lead, three edges, operators who say anything at any
//! time, and everything that can go wrong. At its end all heals, and all has to come to rest.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use cutover_engine::runner::Rollouts;
use cutover_rollout::{Act, After, Event, RolloutId, Situation};
use cutover_routing::ReleaseState;

use super::{
    check,
    controller::Controller,
    fault::{APPEND_FAULTS, Answer, Fault, Point, faults_of},
    log::{Entry, What},
    run::{LATE, alive, options},
    stories::{self, Story},
    world::{Sabotage, Settings, World},
};
use crate::rng::Rng;

/// The longest a day may take, milliseconds of the world's time.
const AT_MOST: u64 = 6 * 3_600_000;
const PLANS: [&str; 4] = ["staff, 5%, 25%, 100%", "instant", "50%, 100%", "25%, 100%"];

/// What a day was like.
#[derive(Debug)]
pub struct Day {
    /// What was wrong.
    pub wrong: Vec<String>,
    /// How each rollout ended.
    pub ends: BTreeMap<Situation, usize>,
    /// Controllers that were started.
    pub controllers: usize,
    /// Navigations of pinned visitors that were checked.
    pub navigations: u64,
    /// What happened.
    pub log: Vec<Entry>,
}

type Slot = Arc<Mutex<Option<(usize, Rollouts<Controller>)>>>;

fn get(slot: &Slot) -> Option<(usize, Rollouts<Controller>)> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn set(slot: &Slot, value: Option<(usize, Rollouts<Controller>)>) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = value;
}

/// A host: keeps a controller running that wants to lead.
async fn host(world: World, slot: Slot, skew: i64) {
    loop {
        let controller = Controller::new(&world, skew);
        let id = controller.id();
        let started =
            alive(&world, id, Rollouts::start(Arc::new(controller), options(&world, &format!("c{id}"))))
                .await;
        if let Some(Ok(rollouts)) = started {
            set(&slot, Some((id, rollouts.clone())));
            while !world.is_dead(id) && rollouts.in_charge() {
                world.time().sleep(500).await;
            }
            set(&slot, None);
        }
        world.kill(id);
        world.time().sleep(1_500).await;
    }
}

/// Plays a day.
///
/// # Errors
/// Where there is no thread to be had.
pub fn day(seed: u64, sabotage: Option<Sabotage>) -> Result<Day, String> {
    let mut rng = Rng::seeded(seed);
    let settings = Settings { fenced: rng.chance(50), sabotage, seed, ..Settings::default() };
    let plain = stories::all().into_iter().next().ok_or("no stories")?;
    let (stage, world) = Story { told: |_| {}, ..plain }.stage(settings)?;
    let played = stage.run(AT_MOST, play(&world, &mut rng)).and_then(|rest| rest);
    let mut wrong = check::breaches(&world, played.is_ok());
    wrong.extend(played.err());
    let log = std::mem::take(&mut world.lock().log);
    let (navigations, bounced) = check::population::bounced(&log, 30, seed);
    wrong.extend(bounced);
    let mut ends = BTreeMap::new();
    for rollout in world.rollouts() {
        if let Ok(Some(state)) = cutover_rollout::fold(&world.records(&rollout)) {
            *ends.entry(state.situation()).or_default() += 1;
        }
    }
    let controllers = log.iter().filter(|entry| matches!(entry.what, What::Leads(_))).count();
    Ok(Day { wrong, ends, controllers, navigations, log })
}

async fn play(world: &World, rng: &mut Rng) -> Result<(), String> {
    let slots: [Slot; 2] = Default::default();
    for slot in &slots {
        let skew = i64::try_from(rng.below(4_000)).unwrap_or(0) - 2_000;
        tokio::spawn(host(world.clone(), Arc::clone(slot), skew));
    }
    let mut opened = 0;
    for _ in 0..90 {
        let pause = [30, 400, 3_000, 12_000][usize::try_from(rng.below(4)).unwrap_or(0)];
        world.time().sleep(rng.below(pause)).await;
        if rng.chance(45) {
            operate(world, &slots, rng, &mut opened).await;
        } else {
            disturb(world, &slots, rng);
        }
    }
    heal(world);
    for _ in 0..3_600 {
        world.time().sleep(2_000).await;
        let Some((id, rollouts)) = leader(&slots) else { continue };
        let Some(now) = rollouts.now() else { return Ok(()) };
        match now.state.situation() {
            Situation::Held | Situation::Paused => {
                let by = "ann".to_owned();
                let _ = said(world, id, &rollouts, &now.state.plan.rollout, Event::Resume { by }).await;
            }
            _ if now.state.ended.is_some() => {
                world.time().sleep(60_000).await;
                return Ok(());
            }
            _ => {}
        }
    }
    let now = leader(&slots).and_then(|(_, rollouts)| rollouts.now());
    Err(format!("no rest in two hours: {:?}", now.map(|now| (now.state.situation(), now.trouble.clone()))))
}

fn leader(slots: &[Slot; 2]) -> Option<(usize, Rollouts<Controller>)> {
    slots.iter().filter_map(get).find(|(_, rollouts)| rollouts.in_charge())
}

async fn said(
    world: &World,
    id: usize,
    rollouts: &Rollouts<Controller>,
    rollout: &RolloutId,
    event: Event,
) -> Option<bool> {
    let words = format!("{event:?}").chars().take(60).collect::<String>();
    let late = world.time().sleep(40_000);
    let answer = tokio::select! {
        biased;
        answer = alive(world, id, rollouts.say(rollout, event)) => answer,
        () = late => None,
    };
    let told = answer.as_ref().map(|answer| answer.as_ref().map(|_| "done").map_err(ToString::to_string));
    world.note(id, What::Said(format!("{words}: {told:?}")));
    answer.map(|answer| answer.is_ok())
}

/// An operator says something.
async fn operate(world: &World, slots: &[Slot; 2], rng: &mut Rng, opened: &mut u32) {
    let Some((id, rollouts)) = leader(slots) else { return };
    let (by, yes) = ("ann".to_owned(), rng.chance(50));
    let reason = yes.then(|| "because".to_owned());
    let now = rollouts.now();
    let over = now.as_ref().is_none_or(|now| now.state.ended.is_some());
    let event = match rng.below(40) {
        _ if over => return open(world, id, &rollouts, rng, opened).await,
        0..=1 => Event::Rollback { by, reason, now: yes.then_some(true) },
        2 => Event::Withdraw { by, reason },
        3..=6 => Event::Pause { by, reason },
        7..=20 => Event::Resume { by },
        21..=35 => Event::Promote { by, reason, full: rng.chance(50) },
        _ => return open(world, id, &rollouts, rng, opened).await,
    };
    if let Some(now) = now {
        let _ = said(world, id, &rollouts, &now.state.plan.rollout, event).await;
    }
}

/// Opens a rollout to a release that was never used, if there is one.
async fn open(world: &World, id: usize, rollouts: &Rollouts<Controller>, rng: &mut Rng, opened: &mut u32) {
    // A way back that cannot be had may be superseded; what it has sent may then land after its successor was planned,
    // until that writes to the router for the first time. It is let come to its end here.
    if rollouts.now().is_some_and(|now| now.state.going_back() && now.state.ended.is_none()) {
        return;
    }
    let rollout = stories::rollout(*opened + 1);
    let way = tokio::select! {
        biased;
        way = alive(world, id, rollouts.make_way(&rollout)) => way,
        () = world.time().sleep(60_000) => None,
    };
    let Some(Ok(())) = way else { return };
    let (table, known) = {
        let inner = world.lock();
        (Arc::clone(&inner.table), inner.journal.keys().cloned().collect::<Vec<_>>())
    };
    if known.contains(&rollout) {
        *opened += 1;
        return;
    }
    let staged = table.releases.iter().find(|(_, entry)| entry.state == ReleaseState::Staged);
    let Some((green, _)) = staged else { return };
    let strategy = PLANS[usize::try_from(rng.below(4)).unwrap_or(0)];
    let after = [After::Retire, After::Standby, After::Park][usize::try_from(rng.below(3)).unwrap_or(0)];
    let plan = stories::plan(&rollout, strategy, after, table.default, *green);
    let event = Event::Open { plan: Box::new(plan), by: "ann".to_owned() };
    if said(world, id, rollouts, &rollout, event).await != Some(false) {
        *opened += 1;
    }
}

/// Something goes wrong.
fn disturb(world: &World, slots: &[Slot; 2], rng: &mut Rng) {
    let now = world.time().now();
    let host = get(&slots[usize::try_from(rng.below(2)).unwrap_or(0)]);
    let toggle = |set: &mut std::collections::BTreeSet<String>, gate: &str| {
        if !set.remove(gate) {
            set.insert(gate.to_owned());
        }
    };
    match (rng.below(14), host) {
        (0..=1, Some((id, _))) => world.kill(id),
        (2, Some((id, _))) => world.freeze(id, 500 + rng.below(90_000)),
        (3..=6, _) => {
            let fenced = world.lock().settings.fenced;
            let late = if fenced { 10 * LATE } else { LATE - 5_000 };
            let faults = faults_of(&Act::Park { release: super::green() }, 10_000, late);
            let mut fault = faults[usize::try_from(rng.below(faults.len() as u64)).unwrap_or(0)];
            if rng.chance(40) {
                let answer = Answer::LandsLater(rng.below(10_000 + late));
                fault = Fault { answer, crash: rng.chance(50).then_some(Point::Sent) };
            }
            let mut inner = world.lock();
            let call = inner.calls + rng.below(3);
            inner.faults.insert(call, fault);
        }
        (7, _) => {
            let mut inner = world.lock();
            let append = inner.appends + rng.below(3);
            inner.append_faults.insert(append, APPEND_FAULTS[usize::try_from(rng.below(4)).unwrap_or(0)]);
        }
        (8, _) => world.lock().disk_full_until = now + rng.below(20_000),
        (9, _) => world.lock().lease_gone_until = now + rng.below(40_000),
        (10, _) => world.lock().blind_until = now + rng.below(20_000),
        (11, _) => world.cut_off(usize::try_from(rng.below(3)).unwrap_or(0), rng.below(30_000)),
        (12, _) => world.tell(|inner| match rng.below(6) {
            0 => toggle(&mut inner.broken, "errors"),
            1 => toggle(&mut inner.insufficient, "errors"),
            2 => toggle(&mut inner.broken, "smoke"),
            3 if inner.failing.remove("errors").is_none() => {
                inner.failing.insert("errors".to_owned(), 2_500);
            }
            4 => {
                inner.ill.extend(inner.judged);
            }
            _ => inner.ill.clear(),
        }),
        _ => {}
    }
}

/// Everything is well again.
fn heal(world: &World) {
    world.tell(|inner| {
        inner.faults.clear();
        inner.append_faults.clear();
        inner.failing.clear();
        inner.insufficient.clear();
        inner.broken.clear();
        inner.ill.clear();
        (inner.disk_full_until, inner.lease_gone_until, inner.blind_until) = (0, 0, 0);
    });
}
