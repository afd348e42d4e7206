//! A rollout survives: every point of every effect of several stories, with every outcome, and pairs of such faults. Each
//! run goes on under a new controller to its end, and whatever is promised holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

use cutover_testkit::fake::{
    Sabotage,
    points::{Report, Scope, enumerate},
    stories::{self, Story},
};

fn enumerated(stories: &[Story], scope: &Scope) -> Report {
    let report = enumerate(stories, scope, &|_, _, _| {}).unwrap();
    show(&report);
    report
}

fn show(report: &Report) {
    println!(
        "{} runs, {} of them with two faults, of {} effects; ends: {:?}",
        report.runs, report.pairs, report.effects, report.ends
    );
    for wrong in &report.wrong {
        println!("wrong: {wrong}");
    }
    for entry in report.log.iter().rev().take(60).rev() {
        println!("{}", entry.line());
    }
}

fn scope() -> Scope {
    Scope { every: 6, pairs: 400, seed: 1, sabotage: None }
}

#[test]
fn every_point_of_every_effect_is_survived() {
    let report = enumerated(&stories::all(), &scope());
    assert_eq!(report.broken, 0);
}

#[test]
fn without_fences_and_without_patience_promises_break() {
    let scope = Scope { sabotage: Some(Sabotage::FenceOff), ..scope() };
    assert!(enumerated(&stories::all()[..2], &scope).broken > 0);
}

#[test]
fn without_looking_at_what_is_in_doubt_promises_break() {
    let scope = Scope { sabotage: Some(Sabotage::NotLooking), ..scope() };
    assert!(enumerated(&stories::all()[..2], &scope).broken > 0);
}
