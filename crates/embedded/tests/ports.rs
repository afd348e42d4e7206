//! The ports of one machine that need nothing but the journal file keep their contracts.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{path::Path, sync::Arc, time::Duration};

use cutover_embedded::{
    journal::Journal,
    rollouts::{RolloutJournal, RolloutLease, SystemClock},
};
use cutover_engine::rollout::Millis;
use cutover_testkit::contracts;

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

fn open(dir: &Path) -> (RolloutJournal, RolloutLease) {
    let journal = Arc::new(Journal::open(&dir.join("journal.db")).unwrap());
    (RolloutJournal::new(Arc::clone(&journal)), RolloutLease::new(journal))
}

#[test]
fn the_clock_keeps_its_contract() {
    run(contracts::clock(&SystemClock));
}

#[test]
fn the_journal_keeps_its_contract() {
    let dir = tempfile::tempdir().unwrap();
    let reopen = async |journal, lease| {
        drop((journal, lease));
        open(dir.path())
    };
    run(contracts::journal(async || open(dir.path()), reopen));
}

#[test]
fn the_lease_keeps_its_contract() {
    let dir = tempfile::tempdir().unwrap();
    let pass = async |length: Millis| tokio::time::sleep(Duration::from_millis(length.0)).await;
    run(contracts::lease(async || open(dir.path()).1, pass));
}
