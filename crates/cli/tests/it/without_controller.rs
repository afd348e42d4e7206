//! The controller cannot be opened, or not be announced: visitors are served all the same.

use std::path::PathBuf;

use crate::support::{Sandbox, eventually};

/// A folder whose site has been deployed, and the release; its `up` has ended.
fn deployed() -> (Sandbox, String) {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    let release = sandbox.json(&["deploy"])["stage"]["release"]["id"].as_str().unwrap().to_owned();
    assert_eq!(up.end(), 0);
    (sandbox, release)
}

fn journal(sandbox: &Sandbox) -> PathBuf {
    sandbox.path().join(".cutover/journal.db")
}

const GARBAGE: &str = "this was a database";

#[test]
fn a_damaged_journal_keeps_no_visitor_from_the_site() {
    let (sandbox, release) = deployed();
    std::fs::write(journal(&sandbox), GARBAGE).unwrap();
    let up = sandbox.up();
    assert_eq!(up.said["problem"]["code"], "CUT0602");
    assert_eq!(up.open("/", None).release(), release);
    // Commands are told why.
    let done = sandbox.run(&["status"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("CUT0933") && done.err.contains("journal.db"), "{done:?}");
    assert!(sandbox.read("up.log").contains("CUT0602"), "{}", sandbox.read("up.log"));
    // It has its state directory as any other.
    let done = sandbox.run(&["up", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
    assert!(done.code == 1 && done.err.contains("CUT0918"), "{done:?}");
    assert_eq!(up.end(), 0);
    assert_eq!(std::fs::read_to_string(journal(&sandbox)).unwrap(), GARBAGE);
    assert!(!sandbox.path().join(".cutover/control.json").exists());
}

#[test]
fn a_journal_put_back_is_opened_without_a_new_start() {
    let (sandbox, release) = deployed();
    let backup = std::fs::read(journal(&sandbox)).unwrap();
    std::fs::write(journal(&sandbox), GARBAGE).unwrap();
    let up = sandbox.up();
    assert_eq!(sandbox.run(&["status"]).code, 1);
    std::fs::remove_file(journal(&sandbox)).unwrap();
    std::fs::write(journal(&sandbox), backup).unwrap();
    eventually("the controller to be back", || sandbox.run(&["status"]).code == 0);
    assert_eq!(sandbox.json(&["status"])["active"].as_str(), Some(release.as_str()));
    sandbox.site("two");
    let second = sandbox.json(&["deploy"])["stage"]["release"]["id"].as_str().unwrap().to_owned();
    assert_eq!(up.open("/", None).release(), second);
    assert_eq!(up.end(), 0);
}

#[test]
fn a_cause_that_passes_is_waited_for() {
    let (sandbox, release) = deployed();
    // What cannot be written now may be later, as on a full disk.
    let store = sandbox.path().join(".cutover/lock");
    std::fs::remove_file(&store).unwrap();
    std::fs::create_dir(&store).unwrap();
    let up = sandbox.up();
    assert_eq!(up.open("/", None).release(), release);
    assert_eq!(sandbox.run(&["status"]).code, 1);
    std::fs::remove_dir(&store).unwrap();
    eventually("the controller to be there", || sandbox.run(&["status"]).code == 0);
    assert_eq!(up.end(), 0);
}

#[test]
fn with_nothing_to_serve_a_damaged_journal_ends_the_start_and_is_not_overwritten() {
    let (sandbox, _) = deployed();
    std::fs::write(journal(&sandbox), GARBAGE).unwrap();
    std::fs::remove_file(sandbox.path().join(".cutover/edge.json")).unwrap();
    let done = sandbox.run(&["up", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("journal.db") && done.err.contains("CUT0602"), "{done:?}");
    assert_eq!(std::fs::read_to_string(journal(&sandbox)).unwrap(), GARBAGE);
}

#[test]
fn an_up_that_cannot_be_announced_serves_and_is_announced_as_soon_as_it_can() {
    let (sandbox, release) = deployed();
    let control = sandbox.path().join(".cutover/control.json");
    std::fs::create_dir(&control).unwrap();
    let up = sandbox.up();
    assert!(up.said["problem"].is_null());
    assert_eq!(up.open("/", None).release(), release);
    let done = sandbox.run(&["status"]);
    assert!(done.code == 1 && done.err.contains("control.json"), "{done:?}");
    assert!(sandbox.read("up.log").contains("CUT0916"), "{}", sandbox.read("up.log"));
    std::fs::remove_dir(&control).unwrap();
    eventually("commands to find it", || sandbox.run(&["status"]).code == 0);
    assert_eq!(up.end(), 0);
    assert!(!control.exists());
}
