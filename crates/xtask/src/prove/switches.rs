//! A hundred switches back and forth under load.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use cutover_testkit::{
    client::{Client, Protocol},
    load::{Load, LoadPlan},
    visitor::{Habits, Totals, Visitor},
    world::World,
};

use super::{Found, Setup};

pub(crate) fn run(setup: &Setup) -> Result<Found, String> {
    let mut world = World::new(&setup.binary)?;
    world.write_shop("one")?;
    world.up()?;
    let blue = world.deploy_shop("one")?;
    let green = world.stage_shop("two")?;
    super::runtime()?.block_on(experiment(setup, &world, &blue, &green))
}

async fn experiment(setup: &Setup, world: &World, blue: &str, green: &str) -> Result<Found, String> {
    let switches: usize = if setup.quick { 30 } else { 100 };
    let host = world.address().to_string();
    let plan = |protocol, connections| LoadPlan {
        to: world.address(),
        host: host.clone(),
        protocol,
        connections,
        paths: vec!["/".to_owned(), "/api/version".to_owned()],
    };
    let loads = [Load::start(&plan(Protocol::Http1, 12)), Load::start(&plan(Protocol::Http2, 4))];
    let begin = Instant::now();

    let long_seconds: u64 = if setup.quick { 3 } else { 10 };
    let mut long_client = Client::new(world.address(), &host, Protocol::Http1, Duration::from_secs(60));
    let long_path = format!("/api/slow?ms={}", long_seconds * 1000);
    let first = long_client.get("/api/version", &[("sec-fetch-dest", "empty")]).await?;
    let mut wrong = Vec::new();
    if first.header("x-cutover-release") != blue {
        wrong.push(format!("blue is {blue}, but {} answers", first.header("x-cutover-release")));
    }
    let long = tokio::spawn(async move { long_client.get(&long_path, &[("sec-fetch-dest", "empty")]).await });

    let totals = Totals::default();
    let habits = Habits {
        to: world.address(),
        host: host.clone(),
        protocol: Protocol::Http1,
        api: vec!["/api/version".to_owned(), "/api/products".to_owned()],
        pause_ms: 30,
        forget_pin: false,
    };
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut first_failures = Vec::new();
    let visitors = futures_util::future::join_all((0..12).map(|number| {
        let (habits, totals, stop) = (&habits, &totals, &stop);
        async move {
            let mut visitor = Visitor::new(number, setup.seed, habits, totals, &setup.trace, begin);
            while !stop.load(Relaxed) {
                visitor.visit("/").await;
            }
            visitor.first_failure
        }
    }));

    // The request must have reached blue's service before the first switch.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut timings = Timings::default();
    let switching = async {
        for turn in 0..switches {
            let (verb, to, from): (&[&str], _, _) =
                if turn % 2 == 0 { (&["promote", green], green, blue) } else { (&["rollback"], blue, green) };
            if setup.sabotage && turn == switches / 2 {
                end_services(world);
            }
            loads.iter().for_each(Load::forget_seen);
            let command = loads[0].elapsed();
            let mut process = world.command(verb);
            let output = tokio::task::spawn_blocking(move || process.output())
                .await
                .map_err(|e| e.to_string())?
                .map_err(|e| e.to_string())?;
            if !output.status.success() {
                return Err(format!("switch {turn}: {}", String::from_utf8_lossy(&output.stderr)));
            }
            let json: serde_json::Value =
                serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())?;
            tokio::time::sleep(Duration::from_millis(60)).await;
            timings.note(&loads[0], command, from, to, json["took_us"].as_u64().unwrap_or(0));
        }
        Ok(())
    };
    let stopping = async {
        let outcome: Result<(), String> = switching.await;
        stop.store(true, Relaxed);
        outcome
    };
    let (outcome, failures) = tokio::join!(stopping, visitors);
    first_failures.extend(failures.into_iter().flatten());

    match long.await.map_err(|e| e.to_string())? {
        Ok(answer) if answer.status == 200 && answer.header("x-cutover-release") == blue => {}
        Ok(answer) => wrong.push(format!(
            "the {long_seconds} s request began on {blue} and ended with {} from {}",
            answer.status,
            answer.header("x-cutover-release")
        )),
        Err(error) => wrong.push(format!("the {long_seconds} s request: {error}")),
    }
    let mut answers = 0;
    for load in loads {
        let count = load.stop().await;
        answers += count.answers.load(Relaxed);
        let failures = count.failures.load(Relaxed);
        if failures > 0 {
            let first = count.first_failure.lock().map(|f| f.clone()).ok().flatten().unwrap_or_default();
            wrong.push(format!("{failures} requests of the load failed, the first: {first}"));
        }
    }
    if let Err(error) = outcome {
        wrong.push(error);
    }
    if totals.failures.load(Relaxed) > 0 {
        wrong.push(format!(
            "visitors had {} failures, the first: {:?}",
            totals.failures.load(Relaxed),
            first_failures.first()
        ));
    }
    if totals.mixed.load(Relaxed) > 0 {
        wrong.push(format!("{} visits were mixed", totals.mixed.load(Relaxed)));
    }
    if totals.moves.load(Relaxed) == 0 {
        wrong.push("no visitor ever moved: the switches reached nobody".to_owned());
    }
    println!("visitors: {}", totals.line());
    println!("{}", timings.report());
    let facts =
        format!("{switches} switches, {answers} requests of load, {}, {}", totals.line(), timings.target());
    Ok(Found { facts, wrong })
}

fn end_services(world: &World) {
    for pid in world.processes().into_iter().filter(|pid| Some(*pid) != world.pid()) {
        let _ = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
    }
}

/// From the command to the other release, as a client sees it, microseconds.
const TARGET_US: u64 = 50_000;

/// What a client saw of each switch, in microseconds from the start of the command.
#[derive(Default)]
struct Timings {
    first_of_new: Vec<u64>,
    last_of_old: Vec<u64>,
    reported: Vec<u64>,
}

impl Timings {
    fn note(&mut self, load: &Load, command: Duration, from: &str, to: &str, reported: u64) {
        let Ok(seen) = load.count().seen.lock() else { return };
        let since = |at: Duration| u64::try_from(at.saturating_sub(command).as_micros()).unwrap_or(u64::MAX);
        if let Some((first, _)) = seen.get(to) {
            self.first_of_new.push(since(*first));
        }
        if let Some((_, last)) = seen.get(from) {
            self.last_of_old.push(since(*last));
        }
        self.reported.push(reported);
    }

    /// How often a client saw the whole switch within the target. A figure, not a judgement: it depends on the machine.
    fn target(&self) -> String {
        let within = |values: &[u64]| values.iter().filter(|us| **us < TARGET_US).count();
        format!(
            "first answer of the other release under {} ms in {} of {}, last of the old one in {} of {}",
            TARGET_US / 1000,
            within(&self.first_of_new),
            self.first_of_new.len(),
            within(&self.last_of_old),
            self.last_of_old.len()
        )
    }

    fn report(&self) -> String {
        let line = |name: &str, values: &[u64]| {
            let mut sorted = values.to_vec();
            sorted.sort_unstable();
            let at =
                |share: usize| sorted.get((sorted.len() * share / 100).min(sorted.len().saturating_sub(1)));
            let ms = |v: Option<&u64>| {
                v.map_or("-".to_owned(), |us| format!("{}.{:02} ms", us / 1000, us % 1000 / 10))
            };
            format!("{name}: median {}, 99th {}, worst {}", ms(at(50)), ms(at(99)), ms(sorted.last()))
        };
        [
            line("from the command to the first answer of the other release", &self.first_of_new),
            line("from the command to the last answer of the old release   ", &self.last_of_old),
            line("the switch itself, as the command reports it              ", &self.reported),
        ]
        .join("\n")
    }
}
