//! Gates, reasons, and the number of places.

use crate::support::{SITE_ONLY, Sandbox};

fn with_gate(status: u16) -> String {
    format!(
        "{SITE_ONLY}\n[[gate]]\nname = \"health\"\nhttp = {{ path = \"/robots.txt\", status = {status} }}\n"
    )
}

#[test]
fn a_release_whose_gate_fails_gets_visitors_only_with_a_reason() {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    let first = sandbox.json(&["deploy", "--name", "one"])["stage"]["release"]["id"].clone();

    sandbox.write("cutover.toml", &with_gate(404));
    sandbox.site("two");
    let done = sandbox.run(&["deploy", "--name", "two"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("health") && done.err.contains("200"), "the gate and what it found: {done:?}");
    assert_eq!(sandbox.json(&["status"])["active"], first);

    let done = sandbox.run(&["promote", "two"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert_eq!(up.open("/", None).release(), first.as_str().unwrap());

    let report = sandbox.json(&["promote", "two", "--reason", "the gate is wrong"]);
    assert_eq!(report["changed"], true);
    assert!(sandbox.json(&["history"]).to_string().contains("the gate is wrong"));
    assert_eq!(up.end(), 0);
}

#[test]
fn gates_can_be_skipped_for_a_recorded_reason_and_are_shown_where_they_pass() {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    sandbox.write("cutover.toml", &with_gate(404));
    let report = sandbox.json(&["deploy", "--skip-gates", "no time"]);
    assert_eq!(report["switch"]["changed"], true);
    assert!(sandbox.json(&["history"]).to_string().contains("no time"));

    sandbox.write("cutover.toml", &with_gate(200));
    sandbox.site("two");
    let done = sandbox.run(&["deploy"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.contains("gate health: pass"), "{done:?}");
    assert_eq!(up.end(), 0);
}

#[test]
fn where_all_places_are_taken_a_release_waits_or_takes_the_oldest_ones() {
    let sandbox = Sandbox::with_site();
    sandbox.write("cutover.toml", &SITE_ONLY.replace("host =", "keep = 2\nhost ="));
    let up = sandbox.up();
    for name in ["one", "two"] {
        sandbox.site(name);
        assert_eq!(sandbox.run(&["deploy", "--name", name]).code, 0);
    }
    // A page of the first release is still open somewhere: it may not go by itself.
    sandbox.site("three");
    let done = sandbox.run(&["deploy", "--name", "three"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("--close-oldest"), "{done:?}");
    assert_eq!(sandbox.run(&["deploy", "--name", "three", "--close-oldest"]).code, 0);
    let releases = sandbox.json(&["releases"]);
    let state = |name: &str| {
        let release = releases.as_array().unwrap().iter().find(|release| release["name"] == name).unwrap();
        (release["state"].clone(), release["outside"].clone())
    };
    assert_eq!(state("three").0, "active");
    assert_eq!(state("one").1, "retired");
    assert_eq!(up.end(), 0);
}
