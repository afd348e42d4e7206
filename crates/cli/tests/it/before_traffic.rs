//! Deployments whose rollout ends, or whose controller dies, before any visitor has moved.

use std::{io::BufReader, process::Child, process::ChildStderr};

use serde_json::{Value, json};

use crate::support::{SITE_ONLY, Sandbox, end, until_it_says};

/// A gate that runs until the test lets it go.
const SLOW: &str = "[[gate]]\nname = \"slow\"\nrun = \"until [ -e go ]; do sleep 0.05; done\"\n";

/// The first release is what everybody gets; the second one has a gate before traffic.
fn sandbox(gate: &str) -> Sandbox {
    let sandbox = Sandbox::with_site();
    sandbox.write("cutover.toml", &format!("{SITE_ONLY}\n[rollout]\nbake = \"0s\"\n\n{gate}"));
    sandbox
}

fn first(sandbox: &Sandbox) -> Value {
    let report = sandbox.json(&["deploy", "--name", "one", "--skip-gates", "the first one"]);
    sandbox.site("two");
    report["stage"]["release"]["id"].clone()
}

/// Deploys the second one, as far as its gate.
fn deploy(sandbox: &Sandbox, more: &[&str]) -> (Child, BufReader<ChildStderr>) {
    let mut words = vec!["deploy", "--name", "two"];
    words.extend(more);
    until_it_says(sandbox, &words, "gate slow: running")
}

#[test]
fn a_deployment_that_waits_outlives_an_up_that_is_killed_during_a_gate() {
    let sandbox = sandbox(SLOW);
    let up = sandbox.up();
    let first = first(&sandbox);
    let (waiting, err) = deploy(&sandbox, &["--wait", "--output", "json"]);
    up.kill();
    let up = sandbox.up();
    sandbox.write("go", "");
    let (code, out, err) = end(waiting, err);
    assert_eq!(code, Some(0), "{out} {err}");
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&out["end"]["outcome"], &out["rollout"]["blue"]), (&json!("active"), &first), "{out}");
    assert!(!err.contains("CUT"), "no failure is told: {err}");
    assert_eq!(sandbox.json(&["status"])["active"], out["end"]["release"]);
    assert_eq!(up.end(), 0);
}

#[test]
fn a_deployment_that_does_not_wait_says_what_is_known_when_its_controller_is_lost() {
    let sandbox = sandbox(SLOW);
    let up = sandbox.up();
    first(&sandbox);
    let (deploying, err) = deploy(&sandbox, &[]);
    up.kill();
    let (code, out, err) = end(deploying, err);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("goes on as soon as cutover up runs again"), "{err}");
    sandbox.write("go", "");
    let up = sandbox.up();
    assert_eq!(sandbox.run(&["wait", "--release", "two"]).code, 0);
    assert_eq!(up.end(), 0);
}

#[test]
fn whoever_waits_learns_from_the_exit_code_how_it_ended_before_traffic() {
    for (words, code, outcome, says) in [
        (&["rollback"][..], 4, "rolled-back", "stays staged"),
        (&["withdraw", "two"], 4, "rolled-back", "is withdrawn"),
        (&["deploy", "--name", "three", "--skip-gates", "now"], 5, "superseded", "took over"),
    ] {
        let sandbox = sandbox(SLOW);
        let up = sandbox.up();
        first(&sandbox);
        let (waiting, err) = deploy(&sandbox, &["--wait"]);
        if words[0] == "deploy" {
            sandbox.site("three");
        }
        let done = sandbox.run(words);
        assert_eq!(done.code, 0, "{words:?}: {done:?}");
        let (ended, out, err) = end(waiting, err);
        assert_eq!(ended, Some(code), "{words:?}: {out} {err}");
        assert!(err.contains("error: ") && err.contains(says), "{words:?}: {out} {err}");
        assert_eq!(err.contains("stays staged"), words[0] != "withdraw", "{words:?}: {err}");
        assert!(!err.contains("cutover promote"), "{words:?}: {err}");
        assert!(out.contains(&outcome.replace('-', " ")), "{words:?}: {out} {err}");
        let waited = sandbox.json_of(&["wait", "--release", "two"], code);
        assert_eq!(waited["outcome"], outcome, "as `wait` says it");
        assert_eq!(up.end(), 0);
    }
}

#[test]
fn a_gate_that_fails_before_traffic_is_a_failure_or_to_who_waits_a_rollback() {
    let sandbox = sandbox("[[gate]]\nname = \"no\"\nrun = \"echo broken basket; false\"\n");
    let up = sandbox.up();
    let first = first(&sandbox);
    let done = sandbox.run(&["deploy", "--name", "two"]);
    assert_eq!((done.code, done.out.as_str()), (1, ""), "{done:?}");
    sandbox.site("three");
    let done = sandbox.run(&["deploy", "--name", "three", "--wait", "--output", "json", "--quiet"]);
    assert_eq!(done.code, 4, "{done:?}");
    let (out, err): (Value, Value) =
        (serde_json::from_str(&done.out).unwrap(), serde_json::from_str(&done.err).unwrap());
    assert_eq!(out["end"]["outcome"], "rolled-back");
    assert_eq!((&err["exit"], &err["errors"][0]["kind"]), (&json!(4), &json!("failed")), "{err}");
    assert!(err.to_string().contains("gate no"), "{err}");
    assert_eq!(sandbox.json(&["status"])["active"], first);
    assert_eq!(up.end(), 0);
}
