//! The demo, run through.

use crate::support::Sandbox;

#[test]
fn the_demo_loses_no_request_mixes_no_visit_and_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let temporary = sandbox.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let output = sandbox
        .command(&["demo", "--once", "--output", "json", "--visitors", "6"])
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{}{err}", String::from_utf8_lossy(&output.stdout));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["failures"], &summary["mixed_visits"]), (&0.into(), &0.into()), "{summary}");
    assert!(summary["requests"].as_u64().unwrap() > 100, "{summary}");
    assert!(summary["visits"].as_u64().unwrap() > 10, "{summary}");
    assert!(summary["bad_release"]["failures"].as_u64().unwrap() >= 3, "{summary}");
    assert!(summary["switch"]["seen"]["first_new_us"].is_u64(), "{summary}");
    assert!(err.contains("preview link shows it"), "{err}");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "the demo cleans up");
}
