//! A rollout survives: every point of every effect, with every outcome, pairs of faults, and long bad days.
//!
//! The shell is the real one, with the real decisions and the real edits of the routing table; the world around it is in
//! memory, with a time of its own. Each run goes on under a new controller to its end, and every promise is checked on the
//! log of what happened.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use cutover_testkit::fake::{
    Sabotage, check,
    log::Entry,
    points::{Job, Played, Report, Scope, enumerate},
    simulate::{Day, day},
    stories::{self, Story},
};
use serde::Serialize;

use super::{Found, Setup};

/// What happened in one run, for the trace.
#[derive(Serialize)]
struct Line<'a> {
    run: u64,
    story: &'a str,
    fenced: bool,
    faults: String,
    event: String,
}

pub(crate) fn run(setup: &Setup) -> Result<Found, String> {
    if setup.sabotage {
        return sabotaged(setup);
    }
    let stories = stories::all();
    let scope = Scope {
        every: if setup.quick { 6 } else { 1 },
        pairs: if setup.quick { 400 } else { 20_000 },
        seed: setup.seed,
        sabotage: None,
    };
    let report = enumerated(setup, &stories, &scope)?;
    let many = setup.rounds.map_or(if setup.quick { 100 } else { 3_000 }, u64::from);
    let days = days(setup.seed, many)?;
    let mut wrong = report.wrong.clone();
    wrong.extend(days.wrong);
    tell(&report);
    println!(
        "{many} days: {} controllers led, {} navigations of visitors with pins, rollouts ended {:?}",
        days.controllers, days.navigations, days.ends
    );
    println!("promises checked on each log:");
    for name in check::names() {
        println!("  {name}");
    }
    if !wrong.is_empty() {
        println!("repeat it: cargo xtask prove crash-points --seed {}", setup.seed);
    }
    let facts = format!(
        "{} crash points and faults of {} effects, {} pairs, {many} days, {} promises",
        report.runs - report.pairs,
        report.effects,
        report.pairs,
        check::names().len()
    );
    Ok(Found { facts, wrong })
}

/// Both ways to break it must be noticed.
fn sabotaged(setup: &Setup) -> Result<Found, String> {
    let mut wrong = Vec::new();
    let mut facts = Vec::new();
    for (what, sabotage) in
        [("the fence is off", Sabotage::FenceOff), ("nobody looks at what is in doubt", Sabotage::NotLooking)]
    {
        let scope = Scope { every: 1, pairs: 0, seed: setup.seed, sabotage: Some(sabotage) };
        let report = enumerated(setup, &stories::all()[..2], &scope)?;
        tell(&report);
        facts.push(format!("{what}: {} of {} runs broke a promise", report.broken, report.runs));
        if report.broken == 0 {
            // Not noticed: then this must not pass for a failure.
            return Ok(Found { facts: facts.join(", "), wrong: Vec::new() });
        }
        wrong.extend(report.wrong.into_iter().take(3).map(|why| format!("{what}: {why}")));
    }
    Ok(Found { facts: facts.join(", "), wrong })
}

fn enumerated(setup: &Setup, stories: &[Story], scope: &Scope) -> Result<Report, String> {
    let runs = AtomicU64::new(0);
    let each = |story: &Story, job: &Job, played: &Played| {
        let run = runs.fetch_add(1, Ordering::Relaxed);
        let faults = format!("{:?}", job.case);
        for entry in played.log.iter().filter(|entry| setup.trace.is_wanted() && entry.counts()) {
            setup.trace.write(&Line {
                run,
                story: story.name,
                fenced: job.settings.fenced,
                faults: faults.clone(),
                event: entry.line(),
            });
        }
    };
    enumerate(stories, scope, &each)
}

fn tell(report: &Report) {
    println!(
        "{} runs, {} of them with two faults, of {} effects; ends: {:?}; {} broke a promise",
        report.runs, report.pairs, report.effects, report.ends, report.broken
    );
    let shown: Vec<&Entry> = report.log.iter().filter(|entry| entry.counts()).collect();
    for entry in shown.iter().skip(shown.len().saturating_sub(40)) {
        println!("{}", shortened(entry));
    }
}

fn shortened(entry: &Entry) -> String {
    entry.line().chars().take(200).collect()
}

#[derive(Default)]
struct Days {
    wrong: Vec<String>,
    controllers: usize,
    navigations: u64,
    ends: BTreeMap<String, usize>,
}

impl Days {
    fn add(&mut self, seed: u64, day: Day) {
        self.wrong.extend(day.wrong.first().filter(|_| self.wrong.len() < 8).map(|why| {
            format!("day {seed}: {why}; CUTOVER_SEED={seed} cargo test -p cutover-engine --test simulation")
        }));
        self.controllers += day.controllers;
        self.navigations += day.navigations;
        for (end, count) in day.ends {
            *self.ends.entry(format!("{end:?}")).or_default() += count;
        }
    }
}

fn days(seed: u64, many: u64) -> Result<Days, String> {
    let next = AtomicU64::new(0);
    let found = Mutex::new((Days::default(), None));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= many {
                        return;
                    }
                    let one = seed.wrapping_add(number);
                    let played = day(one, None);
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    match played {
                        Ok(played) => found.0.add(one, played),
                        Err(why) => found.1 = Some(why),
                    }
                }
            });
        }
    });
    let (days, failed) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.map_or(Ok(days), Err)
}
