//! Rollouts in steps through the real thing: `up`, an app, and the verbs that steer.

use serde_json::{Value, json};

use crate::support::{SITE_ONLY, Sandbox, end, eventually, until_it_says};

/// A site with this strategy and gates.
fn app(strategy: &str, more: &str) -> Sandbox {
    let sandbox = Sandbox::with_site();
    let rollout = format!("strategy = \"{strategy}\"\nhold = \"200ms\"\nbake = \"200ms\"\n");
    sandbox.write("cutover.toml", &format!("{SITE_ONLY}\n[rollout]\n{rollout}\n{more}"));
    sandbox
}

/// Deploys the first release, which everybody gets at once, and writes the second.
fn with_first(sandbox: &Sandbox) -> Value {
    let first = sandbox.json(&["deploy", "--name", "one"])["stage"]["release"]["id"].clone();
    sandbox.site("two");
    first
}

const SIGN_OFF: &str =
    "[[gate]]\nname = \"sign-off\"\napproval = { message = \"please look\" }\nat = [\"50%\"]\n";

#[test]
fn a_release_in_steps_is_deployed_waited_for_and_explained() {
    let sandbox = app("50%, 100%", "");
    let up = sandbox.up();
    with_first(&sandbox);
    let done = sandbox.run(&["deploy", "--name", "two", "--wait"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("shift 1 of 1: 50%"), "{done:?}");
    assert_eq!(sandbox.run(&["wait", "--release", "two", "--timeout", "1s"]).code, 0);

    let status = sandbox.json(&["status"]);
    assert_eq!(status["rollout"]["baked"], true, "{status}");
    assert_eq!(status["readiness"]["ready"], true, "{status}");
    let rollouts = sandbox.json(&["history", "--rollouts"]);
    assert_eq!(rollouts.as_array().unwrap().len(), 2);
    assert_eq!(rollouts[0]["id"], status["rollout"]["id"]);
    for name in ["two", rollouts[0]["id"].as_str().unwrap(), rollouts[0]["green"].as_str().unwrap()] {
        let story = sandbox.json(&["explain", "rollout", name]);
        assert_eq!(story["rollout"]["id"], rollouts[0]["id"]);
        assert!(story["lines"].as_array().unwrap().len() > 10, "{story}");
    }
    assert_eq!(sandbox.run(&["explain", "rollout", "nosuch"]).code, 1);
    assert_eq!(up.end(), 0);
}

#[test]
fn a_rollout_is_steered_by_people() {
    let sandbox = app("50%, 100%", SIGN_OFF);
    let up = sandbox.up();
    let first = with_first(&sandbox);
    let report = sandbox.json(&["deploy", "--name", "two"]);
    assert_eq!((&report["switch"], &report["rollout"]["share"]), (&Value::Null, &json!(5000)));

    let paused = sandbox.json(&["pause", "--reason", "lunch"]);
    assert_eq!((&paused["changed"], &paused["rollout"]["phase"]), (&json!(true), &json!("paused")));
    assert_eq!(sandbox.json(&["pause"])["changed"], false);
    assert_eq!(sandbox.json(&["resume"])["rollout"]["paused"], Value::Null);

    eventually("the gate to ask", || sandbox.json(&["status"])["rollout"]["gates"][0]["gate"] == "sign-off");
    assert_eq!(sandbox.run(&["approve", "other"]).code, 1, "no such gate asks");
    sandbox.json(&["approve", "sign-off", "--reason", "looks good"]);
    assert_eq!(sandbox.run(&["wait", "--release", "two"]).code, 0);

    assert_eq!(sandbox.json(&["rollback", "--reason", "changed our minds"])["to"], first);
    let done = sandbox.run(&["wait", "--release", "two"]);
    assert_eq!(done.code, 4, "{done:?}");
    assert!(done.out.contains("changed our minds"), "{done:?}");
    assert_eq!(sandbox.run(&["wait", "--release", "one"]).code, 0);
    assert_eq!(up.end(), 0);
}

#[test]
fn an_answer_given_again_is_known_and_another_one_is_refused() {
    let sandbox = app("50% for 1h, 100%", &SIGN_OFF.replace("50%", "before"));
    let up = sandbox.up();
    sandbox.json(&["deploy", "--name", "one", "--skip-gates", "the first one"]);
    sandbox.site("two");
    assert_eq!(sandbox.run(&["deploy", "--name", "two"]).code, 3, "it asks");
    assert_eq!(sandbox.json(&["approve"])["changed"], true);
    for words in [&["approve"][..], &["approve", "sign-off"]] {
        let again = sandbox.json(words);
        assert_eq!(again["changed"], false, "{again}");
        assert!(again["message"].as_str().unwrap().contains("answered already"), "{again}");
    }
    assert_eq!(
        sandbox.run(&["approve", "--reject", "--reason", "no"]).code,
        1,
        "too late for another answer"
    );
    assert_eq!(sandbox.run(&["approve", "other"]).code, 1, "no such gate was asked");
    let status = sandbox.run(&["status"]);
    assert!(!status.out.contains("cutover approve"), "{status:?}");
    assert_eq!(up.end(), 0);
}

#[test]
fn a_no_at_a_gate_takes_visitors_back() {
    let sandbox = app("50%, 100%", SIGN_OFF);
    let up = sandbox.up();
    let first = with_first(&sandbox);
    sandbox.json(&["deploy", "--name", "two"]);
    eventually("the gate to ask", || sandbox.json(&["status"])["rollout"]["gates"][0]["gate"] == "sign-off");
    sandbox.json(&["approve", "--reject", "--reason", "the basket is empty"]);
    let done = sandbox.run(&["wait", "--release", "two"]);
    assert_eq!(done.code, 4, "{done:?}");
    assert!(done.out.contains("the basket is empty"), "{done:?}");
    assert_eq!(sandbox.json(&["status"])["active"], first);
    assert_eq!(up.end(), 0);
}

#[test]
fn a_newer_release_supersedes_the_one_on_its_way() {
    let sandbox = app("50% for 1h, 100%", "");
    let up = sandbox.up();
    with_first(&sandbox);
    sandbox.json(&["deploy", "--name", "two"]);
    sandbox.site("three");
    let done = sandbox.run(&["deploy", "--name", "three", "--strategy", "instant", "--wait"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(sandbox.run(&["wait", "--release", "two"]).code, 5);
    assert_eq!(sandbox.run(&["wait", "--release", "three"]).code, 0);
    assert_eq!(up.end(), 0);
}

#[test]
fn a_wait_outlives_a_killed_up_and_so_does_the_rollout() {
    let sandbox = app("50% for 1s, 100%", "");
    let up = sandbox.up();
    with_first(&sandbox);
    sandbox.json(&["deploy", "--name", "two"]);
    let (waiting, err) = until_it_says(&sandbox, &["wait", "--release", "two"], "shift 1 of 1");
    up.kill();
    let up = sandbox.up();
    let (code, out, err) = end(waiting, err);
    assert_eq!(code, Some(0), "{out} {err}");
    assert!(out.contains(" is active"), "{out} {err}");
    assert_eq!(up.end(), 0);
}

#[test]
fn promote_alone_lets_the_open_rollout_go_on() {
    let sandbox = app("20% for 1h, 50% for 1h, 100%", "");
    let up = sandbox.up();
    with_first(&sandbox);
    let report = sandbox.json(&["deploy", "--name", "two"]);
    assert_eq!(report["rollout"]["share"], 2000);
    sandbox.json(&["promote"]);
    eventually("half of the visitors", || sandbox.json(&["status"])["rollout"]["share"] == 5000);
    sandbox.json(&["promote", "two", "--reason", "all is well"]);
    assert_eq!(sandbox.run(&["wait", "--release", "two"]).code, 0);
    assert_eq!(up.end(), 0);
}

#[test]
fn a_plan_says_what_would_be_done_and_does_nothing() {
    let sandbox = app("50%, 100%", "");
    let up = sandbox.up();
    with_first(&sandbox);
    let before = sandbox.json(&["history"]);
    let plan = sandbox.json(&["plan", "--strategy", "linear(25%, 1m)"]);
    assert!(plan["steps"].as_array().unwrap().len() > 8, "{plan}");
    assert!(plan["shortest_ms"].as_u64().unwrap() >= 180_000, "{plan}");
    let done = sandbox.run(&["plan"]);
    assert!(done.out.contains("send 50% of visitors to the new release"), "{done:?}");
    assert!(!done.out.contains("00000000"), "{done:?}");
    assert_eq!(sandbox.json(&["history"]), before);
    assert_eq!(up.end(), 0);
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_is_done() {
    let sandbox = app("50%, 100%", "");
    let up = sandbox.up();
    with_first(&sandbox);
    let before = sandbox.json(&["history"]);
    for (words, code, why) in [
        (&["approve"][..], 1, "no rollout"),
        (&["pause"], 1, "no rollout"),
        (&["resume"], 1, "no rollout"),
        (&["promote"], 1, "staged"),
        (&["rollback"], 1, ""),
        (&["plan", "--strategy", "150%"], 2, "150%"),
        (&["plan", "--strategy", "5%, 3%"], 2, ""),
        (&["plan", "nosuch"], 1, "nosuch"),
        (&["deploy", "--strategy", "whenever"], 2, "whenever"),
        (&["retire", "one", "--force"], 2, "--reason"),
    ] {
        let done = sandbox.run(words);
        assert_eq!(done.code, code, "{words:?}: {done:?}");
        assert!(done.err.contains(why) && done.err.contains("error: "), "{words:?}: {done:?}");
        assert!(done.out.is_empty(), "{words:?}: {done:?}");
    }
    assert_eq!(sandbox.json(&["history"]), before);
    assert_eq!(up.end(), 0);
}
