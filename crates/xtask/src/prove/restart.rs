//! `kill -9` of `up` at random moments, in the middle of verbs, then a start and a look at everything.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use cutover_testkit::{
    client::{Client, Protocol},
    rng::Rng,
    world::World,
};
use serde_json::Value;

use super::{Found, Setup, rollouts::newest};

pub(crate) fn run(setup: &Setup) -> Result<Found, String> {
    let rounds = if setup.quick { 8 } else { 40 };
    let mut rng = Rng::seeded(setup.seed);
    let mut world = World::new(&setup.binary)?;
    world.write_shop("one")?;
    world.up()?;
    let blue = world.deploy_shop("one")?;
    let green = world.stage_shop("two")?;
    let runtime = super::runtime()?;
    let mut wrong = Vec::new();
    let mut tried = std::collections::BTreeMap::new();

    for round in 0..rounds {
        let before = world.must(&["status"])?.json;
        let verbs: [&[&str]; 5] = [&["promote", &green], &["rollback"], &["stage"], &["deploy"], &["status"]];
        // Another build each time, so that `stage` and `deploy` have work to do.
        world.write_shop(["one", "two", "bad"][usize::try_from(rng.below(3)).unwrap_or(0)])?;
        let verb = verbs[usize::try_from(rng.below(5)).unwrap_or(0)];
        *tried.entry(verb[0].to_owned()).or_insert(0) += 1;
        let pin = runtime.block_on(pin_of(&world))?;
        let mut running = world
            .command(verb)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("running {}: {e}", verb[0]))?;
        std::thread::sleep(Duration::from_micros(rng.below(if verb[0] == "status" {
            5_000
        } else {
            400_000
        })));
        world.kill();
        let _ = running.wait();

        let orphans = wait_gone(&world);
        if !orphans.is_empty() {
            wrong.push(format!("round {round}: {} left processes behind: {orphans:?}", verb[0]));
        }
        if setup.sabotage && round == rounds / 2 {
            for file in ["journal.db", "journal.db-wal", "journal.db-shm", "edge.json"] {
                let _ = std::fs::remove_file(world.state().join(file));
            }
        }
        world.up()?;
        if let Err(error) = world.settled() {
            wrong.push(format!("round {round}, killed in {}: {error}", verb[0]));
        }
        // A rollout that was cut goes on by itself; what is active is asked when it has moved everybody.
        if let Err(error) = moved(&world) {
            wrong.push(format!("round {round}, killed in {}: {error}", verb[0]));
        }
        let after = world.must(&["status"])?.json;
        let mut complain = |what: String| wrong.push(format!("round {round}, killed in {}: {what}", verb[0]));
        let active = after["active"].as_str().unwrap_or("").to_owned();
        if active.is_empty() {
            complain("no release is active".to_owned());
            break;
        }
        if after["generation"].as_u64() < before["generation"].as_u64() {
            complain(format!(
                "the generation went back from {} to {}",
                before["generation"], after["generation"]
            ));
        }
        let allowed = verb[0] == "deploy" || active == before["active"] || active == green || active == blue;
        if !allowed {
            complain(format!("{active} is active, it was {}", before["active"]));
        }
        match runtime.block_on(look(&world, &pin)) {
            Err(error) => complain(error),
            Ok(release) if release != active => {
                complain(format!("a navigation got {release}, but {active} is active"));
            }
            Ok(_) => {}
        }
        if let Err(error) = history_is_whole(&world) {
            complain(error);
        }
    }
    println!("killed during: {tried:?}");
    Ok(Found { facts: format!("{rounds} kills, {} wrong", wrong.len()), wrong })
}

/// Waits until the newest rollout sends nobody anywhere any more.
fn moved(world: &World) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match newest(world)? {
            Some(seen) if seen.moves_visitors() => {
                if Instant::now() > deadline {
                    return Err(format!("half a minute after the start its rollout is {seen:?}"));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            _ => return Ok(()),
        }
    }
}

/// Processes that are still there when every service has had its time to stop (10 s) and been ended.
fn wait_gone(world: &World) -> Vec<u32> {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let left = world.processes();
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

const NAVIGATION: [(&str, &str); 3] =
    [("accept", "text/html"), ("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate")];

async fn pin_of(world: &World) -> Result<String, String> {
    let host = world.address().to_string();
    let mut client = Client::new(world.address(), &host, Protocol::Http1, Duration::from_secs(20));
    let answer = client.get("/", &NAVIGATION).await?;
    Ok(answer.header("set-cookie").split(';').next().unwrap_or("").to_owned())
}

/// A sub-request with the pin of before must stay on the pin's release, if that is still served; a navigation gets the
/// release it answers.
async fn look(world: &World, pin: &str) -> Result<String, String> {
    let host = world.address().to_string();
    let mut client = Client::new(world.address(), &host, Protocol::Http1, Duration::from_secs(20));
    let pinned = pin.split('.').nth(1).unwrap_or("");
    let sub = client.get("/api/version", &[("cookie", pin), ("sec-fetch-dest", "empty")]).await?;
    if sub.status != 200 || sub.header("x-cutover-release") != pinned {
        return Err(format!(
            "a page pinned to {pinned} asked its API and got {} from {} ({})",
            sub.status,
            sub.header("x-cutover-release"),
            sub.header("x-cutover-reason")
        ));
    }
    let navigation = client.get("/", &NAVIGATION).await?;
    if navigation.status != 200 {
        return Err(format!("a navigation got {}", navigation.status));
    }
    Ok(navigation.header("x-cutover-release").to_owned())
}

/// Whether the history counts on without a gap.
pub(super) fn history_is_whole(world: &World) -> Result<(), String> {
    let history = world.must(&["history", "--limit", "1000"])?.json;
    let entries =
        history.as_array().or_else(|| history["entries"].as_array()).ok_or("history is not a list")?;
    let mut expected = entries.first().and_then(|e| e["seq"].as_u64()).ok_or("history is empty")?;
    for entry in entries {
        if entry["seq"].as_u64() != Some(expected) {
            return Err(format!(
                "history has a gap before {expected}: {}",
                entry.get("seq").unwrap_or(&Value::Null)
            ));
        }
        expected = expected.saturating_sub(1);
    }
    Ok(())
}
