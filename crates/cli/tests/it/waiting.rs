//! `wait`: each way it can end has its exit code.

use crate::support::{SITE_ONLY, Sandbox};

/// A site whose releases are done as soon as they are promoted.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_site();
    sandbox.write("cutover.toml", &format!("{SITE_ONLY}\n[rollout]\nbake = \"0s\"\n"));
    sandbox
}

#[test]
fn each_end_of_a_wait_has_its_exit_code() {
    let sandbox = sandbox();
    let up = sandbox.up();
    let wait = |release: &str| sandbox.run(&["wait", "--release", release, "--timeout", "200ms"]).code;

    assert_eq!(sandbox.run(&["deploy", "--name", "one"]).code, 0);
    assert_eq!(wait("one"), 0, "active");
    sandbox.site("two");
    assert_eq!(sandbox.run(&["stage", "--name", "two"]).code, 0);
    assert_eq!(wait("two"), 6, "nobody promotes it");
    assert_eq!(sandbox.run(&["promote", "two"]).code, 0);
    assert_eq!((wait("two"), wait("one")), (0, 5), "superseded");
    assert_eq!(sandbox.run(&["rollback"]).code, 0);
    assert_eq!((wait("one"), wait("two")), (0, 4), "rolled back");
    assert_eq!(sandbox.run(&["withdraw", "two"]).code, 0);
    assert_eq!(wait("two"), 4, "withdrawn");
    assert_eq!(wait("nosuch"), 1);
    assert_eq!(up.end(), 0);
}

#[test]
fn a_wait_sees_a_promotion_that_comes_later() {
    let sandbox = sandbox();
    let up = sandbox.up();
    assert_eq!(sandbox.run(&["stage", "--name", "one"]).code, 0);
    let mut waiting = sandbox.command(&["wait", "--release", "one"]).spawn().unwrap();
    assert_eq!(sandbox.run(&["promote"]).code, 0);
    assert_eq!(waiting.wait().unwrap().code(), Some(0));
    assert_eq!(up.end(), 0);
}
