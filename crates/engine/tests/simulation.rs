//! Long bad days, each drawn from a seed: two controllers that want to lead, three edges that lag, operators who say
//! anything at any time, and everything that can go wrong.
//!
//! A seed of your own: `CUTOVER_SEED=17 cargo test -p cutover-engine --test simulation -- --nocapture`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

use std::collections::BTreeMap;

use cutover_testkit::fake::{Sabotage, simulate::day};

#[test]
fn long_bad_days_are_survived() {
    let chosen: Option<u64> = std::env::var("CUTOVER_SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = chosen.map_or(0..150, |seed| seed..seed + 1);
    let (mut ends, mut controllers, mut navigations) = (BTreeMap::new(), 0, 0);
    for seed in seeds {
        let day = day(seed, None).unwrap();
        if !day.wrong.is_empty() {
            for entry in &day.log {
                if chosen.is_some() {
                    println!("{}", entry.line());
                }
            }
            panic!(
                "seed {seed}: {}\nrepeat it: CUTOVER_SEED={seed} cargo test -p cutover-engine --test simulation -- \
                 --nocapture",
                day.wrong.join("\n")
            );
        }
        for (end, count) in day.ends {
            *ends.entry(end).or_insert(0) += count;
        }
        controllers += day.controllers;
        navigations += day.navigations;
    }
    println!("{controllers} controllers, {navigations} navigations, ends {ends:?}");
    assert!(chosen.is_some() || ends.len() >= 4, "every way to end was taken: {ends:?}");
}

#[test]
fn a_day_repeats_itself_for_the_same_seed() {
    let lines = || day(3, None).unwrap().log.iter().map(cutover_testkit::fake::log::Entry::line).collect();
    let (first, second): (Vec<String>, Vec<String>) = (lines(), lines());
    let other = first.iter().zip(&second).find(|(one, two)| one != two);
    assert_eq!(other, None);
    assert_eq!(first.len(), second.len());
}

#[test]
fn days_without_fences_go_wrong_where_nobody_waits_for_late_calls() {
    // Few days have a call that lands late enough to do harm: they are looked for until there is one.
    let wrong = (0..2_000).find(|seed| !day(*seed, Some(Sabotage::FenceOff)).unwrap().wrong.is_empty());
    println!("the first day that went wrong: {wrong:?}");
    assert!(wrong.is_some());
}
