//! `kill -9` of `up` at random moments of rollouts and rollbacks, under visitors who never stop coming; it is started
//! again at once, and nobody helps.

mod pins;
mod processes;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use cutover_testkit::{
    crowd::{Crowd, Sight},
    rng::Rng,
    world::World,
};

use self::{pins::Tables, processes::Services};
use super::{
    Found, Setup,
    restart::history_is_whole,
    rollouts::{Seen, Steps, follow, mixed, newest, until_visited, visitors, visitors_of},
};

/// Longest time a rollout may take to its end after a start, with its holds and its drain.
const TO_THE_END: Duration = Duration::from_secs(90);

const STEPS: Steps<'static> = Steps {
    strategy: "10%, 50%, 100%",
    hold: "1s",
    bake: "1s",
    quiet: "2s",
    judged: "steps",
    worse_by: "10%",
    required: true,
};

/// What is going on when `up` is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scene {
    /// A gradual rollout, anywhere between the command and the end of its drain.
    Gradual,
    /// An instant one.
    Instant,
    /// The way back from the middle of a gradual one.
    BackFromTheMiddle,
    /// The way back after the promotion.
    BackAfterwards,
}

impl Scene {
    const ALL: [Self; 4] = [Self::Gradual, Self::Instant, Self::BackFromTheMiddle, Self::BackAfterwards];

    fn name(self) -> &'static str {
        match self {
            Self::Gradual => "gradual rollout",
            Self::Instant => "instant rollout",
            Self::BackFromTheMiddle => "rollback from the middle",
            Self::BackAfterwards => "rollback after the promotion",
        }
    }

    /// Longest time between the command and the kill, milliseconds. Every other kill falls into the first moments, when
    /// writes are under way.
    fn longest(self, rng: &mut Rng) -> u64 {
        match self {
            Self::Gradual if rng.chance(50) => 20_000,
            Self::Gradual => 1_500,
            _ if rng.chance(50) => 2_000,
            _ => 120,
        }
    }
}

pub(crate) fn run(setup: &Setup) -> Result<Found, String> {
    let mut world = World::new(&setup.binary)?;
    world.write_shop_with("one", &STEPS.text())?;
    world.up()?;
    world.deploy_shop_as("one", &STEPS.text())?;
    super::runtime()?.block_on(experiment(setup, &mut world))
}

/// One kill.
struct Kill {
    /// When it was sent.
    at: Instant,
    /// When everything was healthy again.
    healthy: Instant,
    /// What it interrupted.
    what: String,
}

impl Kill {
    /// Whether a request was under way while `up`, or what it runs, was not there.
    fn touches(&self, sight: &Sight) -> bool {
        sight.sent <= self.healthy && sight.done >= self.at
    }
}

#[derive(Default)]
struct Log {
    wrong: Vec<String>,
    kills: Vec<Kill>,
    scenes: BTreeMap<&'static str, u32>,
    ends: BTreeMap<String, u32>,
    phases: BTreeMap<String, u32>,
    sent_back: Vec<String>,
    to_the_end: Vec<f64>,
}

async fn experiment(setup: &Setup, world: &mut World) -> Result<Found, String> {
    let rounds = setup.rounds.unwrap_or(if setup.quick { 4 } else { 50 });
    let mut rng = Rng::seeded(setup.seed);
    let tables = Tables::watch(&world.state());
    let robbed = if setup.sabotage { 20 } else { 0 };
    let plan = visitors(world, setup.arrivals.unwrap_or(120), robbed, rng.next_u64());
    let crowd = Crowd::start(plan, &setup.trace);
    until_visited(&crowd, 300).await;
    let mut log = Log::default();
    let mut services = Services::default();
    for number in 0..rounds {
        let scene = Scene::ALL[usize::try_from(rng.below(4)).unwrap_or(0)];
        let lost_journal = setup.sabotage && number + 1 == rounds;
        let outcome = round(world, scene, &mut rng, &mut log, &mut services, lost_journal).await;
        if let Err(error) = outcome {
            log.wrong.push(format!("round {number}, {}: {error}", scene.name()));
            break;
        }
    }
    // Visitors go on a moment after the last of it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let sights = crowd.stop().await;
    if let Err(error) = world.stop() {
        log.wrong.push(error);
    }
    log.wrong.extend(services.left(world));
    Ok(judge(rounds, log, &sights, &tables.stop()))
}

async fn round(
    world: &mut World,
    scene: Scene,
    rng: &mut Rng,
    log: &mut Log,
    services: &mut Services,
    lose_journal: bool,
) -> Result<(), String> {
    *log.scenes.entry(scene.name()).or_default() += 1;
    let before = world.api("/v1/status")?;
    let active = before["active"].as_str().ok_or("no release is active")?.to_owned();
    let now = before["releases"].as_array().into_iter().flatten().find(|release| release["id"] == *active);
    let other = match now.and_then(|release| release["name"].as_str()) {
        Some("two") => "one",
        _ => "two",
    };
    services.note(&before);
    let earlier = newest(world)?.map(|seen| seen.id);
    let is_new = |seen: &Seen| earlier.as_ref() != Some(&seen.id);
    let mut command = begin(world, scene, other, rng).await?;
    let longest = scene.longest(rng);
    let delay = rng.below(longest);
    tokio::time::sleep(Duration::from_millis(delay)).await;
    let generation = world.api("/v1/status").map(|status| status["generation"].as_u64());
    let phase = newest(world)
        .ok()
        .flatten()
        .filter(is_new)
        .map_or_else(|| "not yet begun".to_owned(), |seen| seen.phase);
    *log.phases.entry(phase.clone()).or_default() += 1;
    let at = Instant::now();
    world.kill();
    if lose_journal {
        for file in ["journal.db", "journal.db-wal", "journal.db-shm", "edge.json"] {
            let _ = std::fs::remove_file(world.state().join(file));
        }
    }
    world.up()?;
    let accepted = command.wait().is_ok_and(|status| status.success());
    world.settled()?;
    let healthy = Instant::now();
    let killed = format!("killed in a {} ({phase}), {delay} ms after the command", scene.name());
    log.kills.push(Kill { at, healthy, what: killed.clone() });
    let after = world.api("/v1/status")?;
    services.note(&after);
    if let Ok(Some(generation)) = generation
        && after["generation"].as_u64() < Some(generation)
    {
        log.wrong
            .push(format!("{killed}: the generation went back from {generation} to {}", after["generation"]));
    }
    if after["active"].is_null() {
        return Err(format!("{killed}: no release is active"));
    }
    let end = follow(world, TO_THE_END, |_| (), Seen::rests).await.map_err(|e| format!("{killed}: {e}"))?;
    log.to_the_end.push(at.elapsed().as_secs_f64());
    // Killed before the command was taken: the newest is still the one before, which has long ended.
    let begun = is_new(&end);
    *log.ends.entry(if begun { end.phase.clone() } else { "not begun".to_owned() }).or_default() += 1;
    // Whoever asked to go back and was told that it is done must find it done; and a rollout that nobody sent back came
    // back for a reason that has to be told.
    let back = matches!(scene, Scene::BackAfterwards | Scene::BackFromTheMiddle);
    if accepted && !begun {
        log.wrong.push(format!("{killed}: the command was accepted, and there is no rollout"));
    }
    if back && accepted && end.phase != "rolled-back" {
        log.wrong.push(format!("{killed}: the rollback was accepted, and the rollout is {}", end.phase));
    }
    if begun && !back && end.phase == "rolled-back" {
        log.sent_back.push(format!("{killed}: {}", end.undo.clone().unwrap_or_default()));
    }
    if end.phase == "held" && end.waiting.is_empty() {
        log.wrong.push(format!("{killed}: it is held without a reason"));
    }
    if end.phase == "held" {
        world.must(&["rollback"])?;
        follow(world, TO_THE_END, |_| (), |seen| seen.phase == "rolled-back").await?;
    }
    log.wrong.extend(services.strangers(world).await.into_iter().map(|what| format!("{killed}: {what}")));
    if let Err(error) = history_is_whole(world) {
        log.wrong.push(format!("{killed}: {error}"));
    }
    Ok(())
}

/// Begins what is to be interrupted; the command itself goes on.
async fn begin(world: &World, scene: Scene, other: &str, rng: &mut Rng) -> Result<Child, String> {
    let spawn = |verb: &[&str]| {
        let mut command = world.command(verb);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map_err(|e| format!("running {}: {e}", verb.join(" ")))
    };
    world.write_shop_with(other, &STEPS.text())?;
    let deploy = ["deploy", "--name", other];
    match scene {
        Scene::Gradual => spawn(&deploy),
        Scene::Instant => spawn(&["deploy", "--name", other, "--strategy", "instant"]),
        Scene::BackFromTheMiddle => {
            world.must(&deploy)?;
            tokio::time::sleep(Duration::from_millis(rng.below(6_000))).await;
            spawn(&["rollback"])
        }
        Scene::BackAfterwards => {
            world.must(&["deploy", "--name", other, "--strategy", "instant"])?;
            tokio::time::sleep(Duration::from_millis(rng.below(6_000))).await;
            spawn(&["rollback"])
        }
    }
}

fn judge(rounds: u32, log: Log, sights: &[Sight], tables: &pins::Seen) -> Found {
    let Log { mut wrong, kills, scenes, ends, phases, sent_back, to_the_end } = log;
    let (cut, lost): (Vec<&Sight>, Vec<&Sight>) = sights
        .iter()
        .filter(|sight| sight.failed())
        .partition(|sight| kills.iter().any(|kill| kill.touches(sight)));
    if let Some(first) = lost.first() {
        wrong.push(format!(
            "{} requests failed while up and its services ran, the first: {}",
            lost.len(),
            first.line()
        ));
    }
    let mixed = mixed(sights);
    if let Some(first) = mixed.first() {
        wrong.push(format!(
            "{} answers of another release than their page or header, the first: {first}",
            mixed.len()
        ));
    }
    let pins = pins::check(sights, tables, |sight| kills.iter().any(|kill| kill.touches(sight)));
    wrong.extend(pins.wrong);
    let unanswered = cut.iter().filter(|sight| sight.status == 0).count();
    let stale = sights.iter().filter(|sight| sight.stale).count();
    let away: Vec<f64> = kills.iter().map(|kill| (kill.healthy - kill.at).as_secs_f64()).collect();
    let releases: BTreeSet<_> = sights.iter().filter_map(|sight| sight.release).collect();
    if releases.len() < 2 && rounds > 1 {
        wrong.push("visitors saw one release only: nothing was shown".to_owned());
    }
    println!("killed in: {scenes:?}, while the rollout was: {phases:?}");
    println!("the rollouts ended: {ends:?}; sent back by nobody's command: {}", sent_back.len());
    for line in sent_back.iter().take(5) {
        println!("  {line}");
    }
    let slowest = kills.iter().max_by_key(|kill| kill.healthy - kill.at);
    if let Some(kill) = slowest {
        println!("longest without health: {:.1} s, {}", (kill.healthy - kill.at).as_secs_f64(), kill.what);
    }
    wrong.truncate(12);
    let facts = format!(
        "{} kills of {rounds}, ends {}; {} requests of {} visitors, {} failed outside kills; {} cut by kills ({} without an \
         answer, {} answered while services started), healthy again after {:.1} s (median), {:.1} s at most, at the end \
         after {:.0} s (median); {} moves of pinned visitors, {} of them off a release whose services had not started again, {} pins of \
         tables nobody saw, {} mixed answers, {stale} stale",
        kills.len(),
        ends.iter().map(|(end, count)| format!("{count} {end}")).collect::<Vec<_>>().join(", "),
        sights.len(),
        visitors_of(sights.iter()),
        lost.len(),
        cut.len(),
        unanswered,
        cut.len() - unanswered,
        super::rollouts::quantile(&away, 0.5),
        super::rollouts::quantile(&away, 1.0),
        super::rollouts::quantile(&to_the_end, 0.5),
        pins.moves,
        pins.off_the_ill,
        pins.unseen,
        mixed.len(),
    );
    Found { facts, wrong }
}
