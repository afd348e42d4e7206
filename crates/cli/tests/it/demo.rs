//! The demo, run through.

use serde_json::Value;

use crate::support::Sandbox;

/// Runs the demo to its end; what it says to people, and its summary.
fn played(options: &[&str]) -> (String, Value) {
    let sandbox = Sandbox::new();
    let temporary = sandbox.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let mut words = vec!["demo", "--once", "--output", "json", "--visitors", "6"];
    words.extend(options);
    let output = sandbox.command(&words).env("TMPDIR", &temporary).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}{err}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "the demo cleans up");
    (err, serde_json::from_slice(&output.stdout).unwrap())
}

/// What every run of it must show.
fn check(summary: &Value) {
    assert_eq!((&summary["failures"], &summary["mixed_visits"]), (&0.into(), &0.into()), "{summary}");
    assert!(summary["requests"].as_u64().unwrap() > 100, "{summary}");
    assert!(summary["visits"].as_u64().unwrap() > 10, "{summary}");
    let bad = &summary["bad_release"];
    assert!(bad["failures"].as_u64().unwrap() >= 3, "{bad}");
    assert!(bad["found_after_ms"].is_u64(), "{bad}");
    let number = |name: &str| bad[name].as_u64().unwrap();
    assert!(number("met") > 0 && number("harmed") > 0 && number("harmed") <= number("met"), "{bad}");
    // A step of 5 %, and four standard deviations of who was drawn.
    let all = number("visitors") as f64;
    let most = all * 0.05 + 4.0 * (all * 0.05 * 0.95).sqrt();
    assert!((number("met") as f64) <= most, "{} of {all} met it, {most} are explained", number("met"));
    assert_eq!(bad["story"]["rollout"]["phase"], "rolled-back");
    assert!(bad["gate"].as_str().unwrap().contains("failed"), "{bad}");
}

#[test]
fn the_demo_loses_no_request_mixes_no_visit_and_leaves_nothing_behind() {
    let (err, summary) = played(&[]);
    check(&summary);
    assert!(summary["switch"]["seen"]["first_new_us"].is_u64(), "{summary}");
    assert!(summary["gradual"]["took_ms"].is_u64(), "{summary}");
    assert!(err.contains("preview link shows it"), "{err}");
}

#[test]
fn the_bad_release_alone_is_found_at_its_first_step_and_sent_back_by_nobodys_command() {
    let (err, summary) = played(&["--bad"]);
    check(&summary);
    assert!(summary.get("gradual").is_none(), "{summary}");
    assert!(err.contains("nobody said a word, and it is sent back"), "{err}");
    let lines = summary["bad_release"]["story"]["lines"].as_array().unwrap();
    let second_step = |line: &Value| line["says"].as_str().unwrap().contains("send 25% of visitors");
    assert!(!lines.iter().any(second_step), "{lines:#?}");
}
