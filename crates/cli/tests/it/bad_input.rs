//! Bad input: a clear error, the right exit code, and nothing changed.

use std::net::TcpListener;

use crate::support::{SITE_ONLY, Sandbox};

/// `up` must refuse before it makes anything.
fn refused(sandbox: &Sandbox) -> String {
    let shown = sandbox.shown(&["up"]);
    assert!(!sandbox.path().join(".cutover").exists(), "the state directory was made: {shown}");
    shown
}

#[test]
fn broken_toml_is_shown_with_its_place() {
    let sandbox = Sandbox::with_site();
    sandbox.write("cutover.toml", "app = \"shop\"\nhost = \"localhost\n");
    insta::assert_snapshot!(refused(&sandbox), @r#"
    exit 2
    err: error: [DIR]/cutover.toml:2:18: not TOML: invalid basic string, expected `"` [CUT0101]
    "#);
}

#[test]
fn an_unknown_key_is_shown_with_its_place_and_the_key_that_was_meant() {
    let sandbox = Sandbox::with_site();
    sandbox.write("cutover.toml", &SITE_ONLY.replace("fallback", "fallbck"));
    insta::assert_snapshot!(refused(&sandbox), @r"
    exit 2
    err: error: [DIR]/cutover.toml:6:1: unknown key `fallbck` in [site] [CUT0102]
    err: hint: did you mean `fallback`?
    ");
}

#[test]
fn everything_that_is_wrong_is_shown_at_once_and_as_json() {
    let sandbox = Sandbox::with_site();
    sandbox
        .write("cutover.toml", "app = \"Shop!\"\nhost = \"127.0.0.1\"\nkeep = 0\n\n[site]\ndir = \"dist\"\n");
    insta::assert_snapshot!(sandbox.shown(&["up", "--output", "json"]), @r#"
    exit 2
    err: {
    err:   "errors": [
    err:     {
    err:       "kind": "invalid",
    err:       "code": "CUT0105",
    err:       "message": "[DIR]/cutover.toml:1:7: `app` cannot be \"Shop!\"",
    err:       "hints": [
    err:         "names are lower-case letters, digits and dashes, start with a letter, and are at most 63 long: \"shop\""
    err:       ]
    err:     },
    err:     {
    err:       "kind": "invalid",
    err:       "code": "CUT0105",
    err:       "message": "[DIR]/cutover.toml:3:8: `keep` is between 2 and 100, found 0"
    err:     }
    err:   ],
    err:   "exit": 2
    err: }
    "#);
}

#[test]
fn a_missing_description_says_how_to_get_one() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!(sandbox.shown(&["up"]), @r"
    exit 2
    err: error: no cutover.toml in [DIR] or a folder above [CUT0902]
    err: hint: cutover init writes one
    err: hint: --config FILE names one elsewhere
    ");
    insta::assert_snapshot!(sandbox.shown(&["up", "--config", "elsewhere.toml"]), @r"
    exit 2
    err: error: cannot read [DIR]/elsewhere.toml [CUT0906]
    err: cause: No such file or directory (os error 2)
    err: hint: cutover init writes one
    ");
}

#[test]
fn commands_without_an_up_say_so() {
    let sandbox = Sandbox::with_site();
    insta::assert_snapshot!(sandbox.shown(&["status"]), @r"
    exit 1
    err: error: no cutover up runs on the state directory [DIR]/.cutover [CUT0910]
    err: hint: cutover up starts it; it stays in the foreground, so use another terminal
    err: hint: --config FILE or --state DIR names another app
    ");
    assert!(!sandbox.path().join(".cutover").exists());
}

#[test]
fn a_taken_port_is_named_together_with_who_holds_it() {
    let sandbox = Sandbox::with_site();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let done = sandbox.run(&["up", "--listen", &address, "--control", "127.0.0.1:0"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains(&address), "{done:?}");
    assert!(done.err.contains(&format!("pid {}", std::process::id())), "{done:?}");
    let done = sandbox.run(&["up", "--listen", "127.0.0.1:0", "--control", &address]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains(&address) && done.err.contains("--control"), "{done:?}");
    // Neither attempt may stand in the way of the next one.
    drop(taken);
    assert_eq!(sandbox.up().end(), 0);
}

#[test]
fn a_second_up_on_one_state_directory_is_refused_and_the_first_goes_on() {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    let done = sandbox.run(&["up", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("error: ") && done.err.contains(".cutover"), "{done:?}");
    assert_eq!(sandbox.run(&["status"]).code, 0);
    assert_eq!(up.end(), 0);
}

#[test]
fn a_missing_build_output_is_named() {
    let sandbox = Sandbox::with_site();
    std::fs::remove_dir_all(sandbox.path().join("dist")).unwrap();
    let up = sandbox.up();
    insta::assert_snapshot!(sandbox.shown(&["deploy"]), @r"
    exit 2
    err:   reading [DIR]/cutover.toml
    err: error: the directory of `dir in [site]` does not exist: [DIR]/dist [CUT0201]
    err: hint: build the app first, if the build makes this directory
    err: hint: `dir in [site]` is relative to the directory of cutover.toml
    ");
    assert_eq!(sandbox.json(&["releases"]), serde_json::json!([]));
    assert_eq!(up.end(), 0);
}

#[test]
fn the_app_folder_itself_is_not_taken_for_a_site() {
    let sandbox = Sandbox::with_site();
    sandbox.write("cutover.toml", &SITE_ONLY.replace("\"dist\"", "\".\""));
    sandbox.write("index.html", "<p>shop</p>");
    sandbox.write(".env", "SECRET=hunter2\n");
    insta::assert_snapshot!(refused(&sandbox), @r#"
    exit 2
    err: error: [DIR]/cutover.toml:5:7: `site.dir` is ".", which holds this file: it and everything beside it would be published [CUT0105]
    err: hint: build into a directory of its own, such as "dist", and name that
    "#);
}

#[test]
fn secrets_in_the_site_stop_the_release_and_hidden_files_are_never_served() {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    sandbox.write("dist/.env", "SECRET=hunter2\n");
    sandbox.write("dist/server.key", "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----\n");
    let done = sandbox.run(&["deploy"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.err.contains("server.key") && done.err.contains("CUT0202"), "{done:?}");
    assert!(sandbox.json(&["status"])["active"].is_null());
    std::fs::remove_file(sandbox.path().join("dist/server.key")).unwrap();
    assert_eq!(sandbox.run(&["deploy"]).code, 0);
    let token = sandbox.read(".cutover/token");
    for path in ["/.env", "/.cutover/token", "/../.cutover/token", "/%2e%2e/.cutover/token"] {
        let answer = up.open(path, None);
        assert!(
            !answer.body.contains("hunter2") && !answer.body.contains(token.trim()),
            "{path}: {answer:?}"
        );
    }
    assert_eq!(up.end(), 0);
}

#[test]
fn a_service_that_never_becomes_healthy_shows_the_end_of_its_log() {
    let sandbox = Sandbox::with_site();
    sandbox.write(
        "cutover.toml",
        &format!(
            "{SITE_ONLY}\n[[service]]\nname = \"api\"\nroutes = [\"/api/*\"]\ndir = \"api\"\n\
             run = \"echo no database at db.internal >&2; sleep 60\"\nhealth = \"/healthz\"\nstart_timeout = \"1s\"\n"
        ),
    );
    sandbox.write("api/server.txt", "");
    let up = sandbox.up();
    let done = sandbox.run(&["deploy"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("no database at db.internal"), "{done:?}");
    assert!(done.err.contains("api"), "{done:?}");
    assert!(sandbox.json(&["status"])["active"].is_null());
    assert_eq!(up.end(), 0);
}

#[test]
fn a_forged_preview_link_is_refused_and_releases_that_do_not_exist_are_named() {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    assert_eq!(sandbox.run(&["deploy"]).code, 0);
    assert_eq!(up.open("/.cutover/preview?token=l1.a.b.c.d&to=/", None).status, 403);
    for verb in
        [&["promote", "nosuch"][..], &["preview", "nosuch"], &["retire", "nosuch"], &["withdraw", "nosuch"]]
    {
        let done = sandbox.run(verb);
        assert_eq!(done.code, 1, "{verb:?}: {done:?}");
        assert!(done.err.contains("nosuch"), "{verb:?}: {done:?}");
    }
    assert_eq!(up.end(), 0);
}

#[test]
fn a_port_of_another_program_is_not_taken_for_the_controller() {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    let control = sandbox.read(".cutover/control.json");
    let token = sandbox.read(".cutover/token");
    assert_eq!(up.end(), 0);
    // Another app's controller has come to listen at the old address.
    let other = Sandbox::with_site();
    let up = other.up();
    let theirs = other.read(".cutover/control.json");
    sandbox.write(".cutover/control.json", &theirs);
    sandbox.write(".cutover/token", &token);
    let done = sandbox.run(&["status"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("CUT0912"), "{done:?} {control}");
    assert_eq!(up.end(), 0);
}
