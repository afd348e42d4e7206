//! Visitors with browsers' request patterns through everything an operator does.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use cutover_testkit::{
    client::Protocol,
    visitor::{Habits, Totals, Visitor},
    world::World,
};
use tokio::sync::RwLock;

use super::{Found, Setup, population};

pub(crate) fn run(setup: &Setup) -> Result<Found, String> {
    let (shares, mut wrong) = population::ramp(if setup.quick { 2_000 } else { 10_000 }, setup.sabotage)?;
    println!("{shares}");
    let mut world = World::new(&setup.binary)?;
    world.write_shop("one")?;
    world.up()?;
    let blue = world.deploy_shop("one")?;
    let green = world.stage_shop("two")?;
    let found = super::runtime()?.block_on(experiment(setup, world, &blue, &green))?;
    wrong.extend(found.wrong);
    Ok(Found { facts: format!("{shares}; {}", found.facts), wrong })
}

/// Which release is the default since when, as far as an outside observer can know: between the start and the end of a
/// command both answers are right.
#[derive(Default)]
struct Defaults(Mutex<Vec<(Instant, Instant, String)>>);

impl Defaults {
    fn begin(&self, release: &str) {
        let now = Instant::now();
        if let Ok(mut list) = self.0.lock() {
            // Known to be in force only later; `end` says when.
            list.push((now, now + Duration::from_secs(3600), release.to_owned()));
        }
    }

    fn end(&self) {
        if let Ok(mut list) = self.0.lock()
            && let Some(last) = list.last_mut()
        {
            last.1 = Instant::now();
        }
    }

    /// True where a navigation that ran from `from` to `to` may have got `release`.
    fn may_answer(&self, release: &str, from: Instant, to: Instant) -> bool {
        let Ok(list) = self.0.lock() else { return false };
        list.iter().enumerate().any(|(index, (begun, _, id))| {
            let replaced = list.get(index + 1).map(|next| next.1);
            id == release && *begun <= to && replaced.is_none_or(|settled| from <= settled)
        })
    }
}

async fn experiment(setup: &Setup, mut world: World, blue: &str, green: &str) -> Result<Found, String> {
    let rounds = if setup.quick { 2 } else { 6 };
    let visitors: u32 = if setup.quick { 40 } else { 120 };
    let totals = Totals::default();
    let host = world.address().to_string();
    let habits = |protocol| Habits {
        to: world.address(),
        host: host.clone(),
        protocol,
        api: vec!["/api/version".to_owned(), "/api/products".to_owned()],
        pause_ms: 60,
        forget_pin: setup.sabotage,
    };
    let (h1, h2) = (habits(Protocol::Http1), habits(Protocol::Http2));
    let defaults = Arc::new(Defaults::default());
    defaults.begin(blue);
    defaults.end();
    // A restart closes the listener: visitors wait outside while it happens, as the question is what they see after it.
    let open = Arc::new(RwLock::new(()));
    let stop = AtomicBool::new(false);
    let begin = Instant::now();

    let crowd = futures_util::future::join_all((0..visitors).map(|number| {
        let habits = if number % 4 == 0 { &h2 } else { &h1 };
        let (totals, stop, open, defaults) = (&totals, &stop, &open, &defaults);
        async move {
            let mut visitor = Visitor::new(number, setup.seed, habits, totals, &setup.trace, begin);
            let mut wrong = Vec::new();
            while !stop.load(Relaxed) {
                let guard = open.read().await;
                visitor.visit("/").await;
                drop(guard);
                if let (Some(release), Some((from, to))) = (visitor.release(), visitor.navigated)
                    && !defaults.may_answer(release, from, to)
                {
                    wrong.push(format!(
                        "visitor {number} navigated and got {release}, which was not the default"
                    ));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            (visitor.first_failure, wrong)
        }
    }));

    let operator = async {
        let mut outcome = Ok(());
        for _ in 0..rounds {
            outcome = round(&mut world, &defaults, &open, blue, green).await;
            if outcome.is_err() {
                break;
            }
        }
        stop.store(true, Relaxed);
        outcome
    };
    let (outcome, crowd) = tokio::join!(operator, crowd);
    let mut wrong = Vec::new();
    if let Err(error) = outcome {
        wrong.push(error);
    }
    let bounces: Vec<String> = crowd.iter().flat_map(|(_, wrong)| wrong.clone()).collect();
    if let Some(first) = bounces.first() {
        wrong.push(format!("{} bounces, the first: {first}", bounces.len()));
    }
    if totals.failures.load(Relaxed) > 0 {
        let first = crowd.iter().find_map(|(failure, _)| failure.clone()).unwrap_or_default();
        wrong.push(format!("{} requests failed, the first: {first}", totals.failures.load(Relaxed)));
    }
    if totals.mixed.load(Relaxed) > 0 {
        wrong.push(format!("{} visits were mixed", totals.mixed.load(Relaxed)));
    }
    if totals.moves.load(Relaxed) == 0 {
        wrong.push("no visitor ever moved".to_owned());
    }
    Ok(Found { facts: format!("{visitors} visitors, {rounds} rounds, {}", totals.line()), wrong })
}

/// Promote, roll back, promote, restart, roll back at once, withdraw and pardon.
async fn round(
    world: &mut World,
    defaults: &Defaults,
    open: &RwLock<()>,
    blue: &str,
    green: &str,
) -> Result<(), String> {
    let pause = || tokio::time::sleep(Duration::from_millis(400));
    let switch = async |world: &World, verb: &[&str], to: &str| -> Result<(), String> {
        defaults.begin(to);
        let mut process = world.command(verb);
        let output =
            tokio::task::spawn_blocking(move || process.output()).await.map_err(|e| e.to_string())?;
        defaults.end();
        let output = output.map_err(|e| e.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{}: {}", verb.join(" "), String::from_utf8_lossy(&output.stderr)))
    };
    pause().await;
    switch(world, &["promote", green], green).await?;
    pause().await;
    switch(world, &["rollback"], blue).await?;
    pause().await;
    switch(world, &["promote", green], green).await?;
    pause().await;
    {
        let _closed = open.write().await;
        world.kill();
        world.up()?;
        world.settled()?;
    }
    pause().await;
    switch(world, &["rollback", "--now"], blue).await?;
    pause().await;
    switch(world, &["promote", green], green).await?;
    pause().await;
    switch(world, &["withdraw", green, "--reason", "proof"], blue).await?;
    pause().await;
    switch(world, &["withdraw", green, "--pardon"], blue).await?;
    pause().await;
    Ok(())
}
