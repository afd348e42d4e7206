//! `kill -9` of `up`: what was served is served again, pins hold, nothing is left running.

use nix::{sys::signal::kill, unistd::Pid};

use crate::support::{Sandbox, eventually, get, shop};

/// The process ids of all services that run.
fn services(sandbox: &Sandbox, state: &str) -> Vec<i32> {
    let status = sandbox.json(&["status", "--state", state]);
    status["releases"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|release| release["components"].as_array().unwrap())
        .filter_map(|component| i32::try_from(component["pid"].as_i64()?).ok())
        .collect()
}

#[test]
fn after_a_kill_blue_serves_pins_hold_and_no_service_is_left() {
    let sandbox = Sandbox::new();
    let one = shop(&sandbox, "one");
    let two = shop(&sandbox, "two");
    let state = sandbox.path().join("state");
    let state = state.to_str().unwrap();
    let config = one.to_str().unwrap();
    let up = sandbox.up_with(&["--config", config, "--state", state]);
    let deploy = |config: &str| sandbox.json(&["deploy", "--config", config, "--state", state]);
    let first = deploy(config)["stage"]["release"]["id"].as_str().unwrap().to_owned();
    let pin = up.open("/", None).cookie().unwrap();
    let second = deploy(two.to_str().unwrap())["stage"]["release"]["id"].as_str().unwrap().to_owned();
    let running = services(&sandbox, state);
    assert_eq!(running.len(), 2, "one service a release");
    up.kill();
    eventually("the services to end with their up", || {
        running.iter().all(|pid| kill(Pid::from_raw(*pid), None).is_err())
    });

    let up = sandbox.up_with(&["--config", config, "--state", state]);
    assert_eq!(up.open("/", None).release(), second);
    // The page of release one that is still open somewhere goes on with its own release's service.
    let call = [("cookie", pin.as_str()), ("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors")];
    eventually("the service of the first release to be back", || {
        get(up.listen, "/api/version", &call).status == 200
    });
    let answer = get(up.listen, "/api/version", &call);
    assert_eq!(answer.release(), first);
    assert!(answer.body.contains(&first), "{}", answer.body);
    // And it can still be rolled back to.
    let report = sandbox.json(&["rollback", "--state", state]);
    assert_eq!(report["to"].as_str(), Some(first.as_str()));
    let running = services(&sandbox, state);
    assert_eq!(up.end(), 0);
    assert!(running.iter().all(|pid| kill(Pid::from_raw(*pid), None).is_err()), "left running: {running:?}");
}

#[test]
fn an_orderly_end_leaves_no_sign_of_a_running_up() {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    assert!(sandbox.path().join(".cutover/control.json").exists());
    assert_eq!(up.said["pid"].as_u64(), Some(up.child.id().into()));
    assert_eq!(up.end(), 0);
    assert!(!sandbox.path().join(".cutover/control.json").exists());
    assert_eq!(sandbox.run(&["status"]).code, 1);
}

#[test]
fn a_hangup_reloads_and_does_not_end() {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    up.signal(nix::sys::signal::Signal::SIGHUP);
    assert_eq!(sandbox.run(&["status"]).code, 0);
    assert_eq!(up.open("/", None).status, 503);
    assert_eq!(up.end(), 0);
}

#[test]
fn a_corrupt_table_file_is_reported_and_the_journal_restores_what_was_served() {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    let release = sandbox.json(&["deploy"])["stage"]["release"]["id"].as_str().unwrap().to_owned();
    assert_eq!(up.end(), 0);
    for garbage in ["", "{\"table\":", "\u{0}\u{0}\u{0}"] {
        sandbox.write(".cutover/edge.json", garbage);
        let up = sandbox.up();
        assert_eq!(up.open("/", None).release(), release, "after {garbage:?}");
        assert_eq!(up.end(), 0);
    }
    assert!(sandbox.read("up.log").contains("edge.json"), "{}", sandbox.read("up.log"));
}

#[test]
fn a_damaged_journal_stops_the_start_with_its_name_and_overwrites_nothing() {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    sandbox.json(&["deploy"]);
    assert_eq!(up.end(), 0);
    let journal = sandbox.path().join(".cutover/journal.db");
    std::fs::write(&journal, "this was a database").unwrap();
    let done = sandbox.run(&["up", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("journal.db") && done.err.contains("CUT0602"), "{done:?}");
    assert_eq!(std::fs::read_to_string(journal).unwrap(), "this was a database");
}
