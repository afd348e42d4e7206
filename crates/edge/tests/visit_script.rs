//! The script pages load from the edge, run by Node.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

/// Same-origin requests carry the release, others do not, and no page is broken by it.
#[test]
fn visit_js_keeps_a_page_s_own_requests_on_its_release() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/visit_script.mjs");
    let output = std::process::Command::new("node").arg(script).output().expect("this test needs `node`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
