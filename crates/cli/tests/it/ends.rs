//! How `deploy` and `wait` end, whatever a rollout comes to: by a controller that plays a script.

use std::{io::BufRead, process::Child};

use cutover_engine::control::{HistoryEntry, RolloutView};
use serde_json::{Value, json};

use crate::{
    scripted::{BLUE, GREEN, Scripted, asking, back, baked, going_back, held, holding, superseded},
    support::{Sandbox, end, until_it_says},
};

/// What a command says when it meets these pictures, with its exit code.
fn shown(views: &[RolloutView], words: &[&str]) -> String {
    let sandbox = Sandbox::with_site();
    let _scripted = Scripted::play(&sandbox, views.to_vec());
    sandbox.shown(words)
}

const WAIT: [&str; 3] = ["wait", "--release", "two"];

#[test]
fn a_wait_ends_with_the_rollout_and_its_exit_code() {
    insta::assert_snapshot!(shown(&[holding(), baked()], &WAIT), @r"
    exit 0
    out: bbbbbbbb is active
    err:   rollout ro-1 from aaaaaaaa to bbbbbbbb
    err:   shift 1 of 1: 5%; 2m to go
    err:   drain; 3 open requests
    ");
    insta::assert_snapshot!(shown(&[holding(), held()], &WAIT), @r"
    exit 3
    out: the rollout of bbbbbbbb is held at shift 1 of 1: 5%; gate errors has not enough evidence
    out:   cutover resume                 tries again
    out:   cutover promote --reason TEXT  goes on in spite of the gates
    out:   cutover rollback               takes visitors back
    err:   rollout ro-1 from aaaaaaaa to bbbbbbbb
    err:   shift 1 of 1: 5%; 2m to go
    err:   shift 1 of 1: 5%; held: gate errors has not enough evidence
    err:   gate errors insufficient: too few visitors
    err:   what helps: cutover resume (tries again), cutover promote --reason TEXT (goes on in spite of the gates), cutover rollback (takes visitors back)
    ");
    insta::assert_snapshot!(shown(&[asking()], &WAIT), @r"
    exit 3
    out: the rollout of bbbbbbbb is held at shift 1 of 1: 5%, gate sign-off; an answer
    out:   cutover approve sign-off                         lets it pass
    out:   cutover approve sign-off --reject --reason TEXT  lets it fail: visitors go back
    out:   cutover rollback                                 takes visitors back
    err:   rollout ro-1 from aaaaaaaa to bbbbbbbb
    err:   shift 1 of 1: 5%, gate sign-off; an answer
    err:   gate sign-off asks: please look
    err:   what helps: cutover approve sign-off (lets it pass), cutover approve sign-off --reject --reason TEXT (lets it fail: visitors go back), cutover rollback (takes visitors back)
    ");
    insta::assert_snapshot!(shown(&[holding(), going_back(), back()], &WAIT), @r"
    exit 4
    out: bbbbbbbb was rolled back: gate errors failed: 9 of 10
    err:   rollout ro-1 from aaaaaaaa to bbbbbbbb
    err:   shift 1 of 1: 5%; 2m to go
    err:   return; going back: gate errors failed: 9 of 10
    err:   drain; 2m to go
    ");
    insta::assert_snapshot!(shown(&[holding(), superseded()], &WAIT), @r"
    exit 5
    out: bbbbbbbb was superseded by rollout ro-2
    err:   rollout ro-1 from aaaaaaaa to bbbbbbbb
    err:   shift 1 of 1: 5%; 2m to go
    err:   superseded by ro-2
    ");
    insta::assert_snapshot!(shown(&[holding()], &["wait", "--release", "two", "--timeout", "300ms"]), @r"
    exit 6
    out: bbbbbbbb was not promoted and baked within 300ms; its rollout is at shift 1 of 1: 5%; 2m to go
    err:   rollout ro-1 from aaaaaaaa to bbbbbbbb
    err:   shift 1 of 1: 5%; 2m to go
    ");
}

#[test]
fn holds_can_be_waited_through_and_quiet_leaves_the_result_alone() {
    let done =
        shown(&[held(), holding(), baked()], &["wait", "--release", "two", "--through-holds", "--quiet"]);
    assert_eq!(done, "exit 0\nout: bbbbbbbb is active\n");
}

#[test]
fn scripts_read_outcome_help_and_rollout() {
    let sandbox = Sandbox::with_site();
    let _scripted = Scripted::play(&sandbox, vec![holding(), held()]);
    let done = sandbox.run(&["wait", "--release", GREEN, "--output", "json"]);
    let read: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((done.code, &read["outcome"], &read["release"]), (3, &json!("held"), &json!(GREEN)));
    assert_eq!(read["help"][0]["command"], "cutover resume");
    assert_eq!((&read["rollout"]["id"], &read["rollout"]["phase"]), (&json!("ro-1"), &json!("held")));
    assert!(done.err.contains("shift 1 of 1: 5%; held: gate errors has not enough evidence"), "{done:?}");
}

#[test]
fn a_deployment_in_steps_says_what_was_begun_and_ends_with_what_it_rests_at() {
    let deploy = ["deploy", "--strategy", "5%, 100%"];
    insta::assert_snapshot!(shown(&[holding()], &deploy), @r"
    exit 0
    out: staged bbbbbbbb (1 file, 2 B) in [TIME]
    out: rollout ro-1 is at shift 1 of 1: 5%; 2m to go
    ");
    insta::assert_snapshot!(shown(&[held()], &deploy), @r"
    exit 3
    out: staged bbbbbbbb (1 file, 2 B) in [TIME]
    out: the rollout of bbbbbbbb is held at shift 1 of 1: 5%; gate errors has not enough evidence
    out:   cutover resume                 tries again
    out:   cutover promote --reason TEXT  goes on in spite of the gates
    out:   cutover rollback               takes visitors back
    ");
    insta::assert_snapshot!(shown(&[going_back()], &deploy), @r"
    exit 4
    out: staged bbbbbbbb (1 file, 2 B) in [TIME]
    out: bbbbbbbb was rolled back: gate errors failed: 9 of 10
    ");
    assert!(shown(&[superseded()], &deploy).starts_with("exit 5\n"));
}

#[test]
fn a_deployment_that_waits_is_one_result_with_the_rollout_seen_last() {
    insta::assert_snapshot!(shown(&[holding(), holding(), baked()], &["deploy", "--wait"]), @r"
    exit 0
    out: staged bbbbbbbb (1 file, 2 B) in [TIME]
    out: bbbbbbbb is active
    err:   rollout ro-1 from aaaaaaaa to bbbbbbbb
    err:   shift 1 of 1: 5%; 2m to go
    err:   drain; 3 open requests
    ");
    for (views, code, outcome) in [
        ([holding(), baked()], 0, "active"),
        ([holding(), held()], 3, "held"),
        ([holding(), back()], 4, "rolled-back"),
        ([holding(), superseded()], 5, "superseded"),
    ] {
        let sandbox = Sandbox::with_site();
        let _scripted = Scripted::play(&sandbox, views.to_vec());
        let done = sandbox.run(&["deploy", "--wait", "--output", "json", "--quiet"]);
        let read: Value = serde_json::from_str(&done.out).unwrap();
        assert_eq!((done.code, &read["end"]["outcome"]), (code, &json!(outcome)), "{done:?}");
        let phase = serde_json::to_value(views[1].phase).unwrap();
        assert_eq!((&read["rollout"]["phase"], &read["stage"]["created"]), (&phase, &json!(true)));
        assert_eq!(done.err, "");
    }
    let timed_out = shown(&[holding()], &["deploy", "--wait", "--timeout", "200ms"]);
    assert!(timed_out.starts_with("exit 6\n"), "{timed_out}");
}

fn interrupt(child: &Child) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
}

#[test]
fn whoever_stops_waiting_is_told_that_the_rollout_goes_on() {
    let sandbox = Sandbox::with_site();
    let _scripted = Scripted::play(&sandbox, vec![holding()]);
    let (child, err) = until_it_says(&sandbox, &["wait", "--release", "two"], "shift 1 of 1");
    interrupt(&child);
    let (code, out, _) = end(child, err);
    assert_eq!(code, Some(130));
    assert_eq!(
        out,
        "nobody waits any longer; the rollout of bbbbbbbb goes on at shift 1 of 1: 5%; 2m to go\n"
    );

    let deploy = ["deploy", "--name", "endless", "--output", "json"];
    let (child, err) = until_it_says(&sandbox, &deploy, "staging for ever");
    interrupt(&child);
    let (code, out, said) = end(child, err);
    assert_eq!((code, out.as_str()), (Some(130), ""));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["exit"], &said["errors"][0]["code"]), (&json!(130), &json!("CUT0907")));
}

#[test]
fn a_wait_outlives_the_controller_and_finds_the_next_one() {
    let sandbox = Sandbox::with_site();
    let first = Scripted::play(&sandbox, vec![holding()]);
    let (child, mut err) = until_it_says(&sandbox, &["wait", "--release", "two"], "shift 1 of 1");
    drop(first);
    let mut said = String::new();
    while !said.contains("it is waited for") {
        assert!(err.read_line(&mut said).unwrap() > 0, "{said}");
    }
    let _second = Scripted::play(&sandbox, vec![holding(), baked()]);
    let (code, out, said) = end(child, err);
    assert_eq!((code, out.as_str()), (Some(0), "bbbbbbbb is active\n"), "{said}");
    assert!(said.contains("the controller is back"), "{said}");
}

#[test]
fn a_release_without_a_rollout_is_known_by_its_state_and_the_history() {
    let sandbox = Sandbox::with_site();
    let scripted = Scripted::play(&sandbox, Vec::new());
    let entry = |verb: &str, release: &str| HistoryEntry {
        seq: 1,
        at: 0,
        who: "ann".to_owned(),
        verb: verb.to_owned(),
        release: Some(release.parse().unwrap()),
        message: String::new(),
        reason: None,
        generation: None,
    };
    let wait = || sandbox.run(&["wait", "--release", "two", "--timeout", "200ms"]).code;
    for (state, history, code) in [
        ("active", vec![], 0),
        ("staged", vec![], 6),
        ("draining", vec![entry("rollback", BLUE), entry("promote", GREEN)], 4),
        ("draining", vec![entry("promote", BLUE), entry("promote", GREEN)], 5),
    ] {
        *scripted.play.green.lock().unwrap() = state.to_owned();
        *scripted.play.history.lock().unwrap() = history;
        assert_eq!(wait(), code, "{state}");
    }
}

#[test]
fn verbs_pass_on_what_was_typed() {
    let sandbox = Sandbox::with_site();
    let scripted = Scripted::play(&sandbox, vec![holding()]);
    for (words, said) in [
        (&["pause", "--reason", "lunch"][..], r#"pause Some("lunch")"#),
        (&["resume"], "resume None"),
        (&["approve"], "approve None false None"),
        (
            &["approve", "sign-off", "--reject", "--reason", "ugly"],
            r#"approve Some("sign-off") true Some("ugly")"#,
        ),
        (&["plan"], "plan None None, description: true"),
        (
            &["plan", "two", "--strategy", "canary(10%, 5m)"],
            r#"plan Some("two") Some("canary(10%, 5m)"), description: false"#,
        ),
        (&["promote", "--reason", "we know"], r#"promote None Some("we know")"#),
        (
            &["deploy", "--strategy", "instant", "--skip-gates", "no time"],
            r#"deploy Some("instant") Some("no time")"#,
        ),
        (&["history", "--rollouts", "-n", "500"], "rollouts 100"),
        (&["explain", "rollout", "v2/x"], "explain rollout v2/x"),
    ] {
        let done = sandbox.run(words);
        assert_eq!(done.code, 0, "{words:?}: {done:?}");
        assert_eq!(scripted.play.said.lock().unwrap().last().unwrap(), said);
    }
    for words in [
        &["approve", "--reject"][..],
        &["deploy", "--timeout", "5m"],
        &["deploy", "--through-holds"],
        &["wait", "--release", "two", "--timeout", "-5m"],
        &["wait", "--release", "two", "--timeout", "soon"],
        &["pause", "--reason", ""],
        &["plan", "--strategy", ""],
    ] {
        assert_eq!(sandbox.run(words).code, 2, "{words:?}");
    }
}
