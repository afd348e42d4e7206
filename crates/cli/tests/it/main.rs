//! The real binary, run as people and scripts run it, in folders and on ports of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod bad_input;
mod before_traffic;
mod crash;
mod demo;
mod ends;
mod gates;
mod help;
mod init;
mod life;
mod output;
mod rollouts;
mod scripted;
mod support;
mod waiting;
mod without_controller;

/// A file of tests that is not named above would never run.
#[test]
fn every_test_file_is_wired_in() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let this = std::fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with('.') {
            continue;
        }
        let module = name.strip_suffix(".rs").unwrap_or_else(|| panic!("{name} is no test file"));
        assert!(module == "main" || this.contains(&format!("mod {module};")), "{name} is not wired in");
    }
}
