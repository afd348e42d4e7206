//! `init` on projects of several kinds.

use crate::support::Sandbox;

#[test]
fn a_built_vite_project_gets_a_description_that_up_accepts() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "package.json",
        r#"{"name":"@acme/shop","scripts":{"build":"vite build","e2e":"playwright test"}}"#,
    );
    sandbox.write("dist/index.html", "<p>");
    sandbox.write("dist/assets/main-1a2b3c.js", "");
    sandbox.write(".gitignore", "node_modules");
    insta::assert_snapshot!(sandbox.shown(&["init"]), @r"
    exit 0
    out: wrote [DIR]/cutover.toml
    out: added .cutover to [DIR]/.gitignore
    ");
    insta::assert_snapshot!(sandbox.read("cutover.toml"), @r#"
    # What is released together, under one host. `cutover up` serves it; `cutover deploy` releases it.
    app  = "shop"
    host = "localhost"
    keep = 3                  # releases kept at once: what a rollback can go back to

    [site]
    dir = "dist"
    fallback = "index.html"   # answers navigations to paths without a file
    # Files whose name changes with their content: cached for good, shared by all releases.
    fingerprinted = ["assets/**"]

    # A service that belongs to the app. Its folder is copied into each release and runs there; it must listen on
    # 127.0.0.1:$PORT. Each release has its own process, and visitors of a release reach only that one.
    # [[service]]
    # name   = "api"
    # routes = ["/api/*"]
    # dir    = "api"
    # run    = "node server.js"
    # health = "/healthz"

    [edge]
    listen  = "127.0.0.1:8080"   # where visitors come in
    control = "127.0.0.1:9400"   # where commands come in; keep it on this machine

    # What visitors read when no release can serve.
    [outage]
    message = "We are back soon."

    # Checked on a new release before visitors get it; it must pass.
    # The command finds the release at CUTOVER_URL, with the cookie in CUTOVER_PREVIEW_COOKIE.
    # [[gate]]
    # name = "e2e"
    # run = "npm run e2e"
    "#);
    assert_eq!(sandbox.read(".gitignore"), "node_modules\n/.cutover/\n");
    // The same file, read by `up`.
    assert_eq!(sandbox.up().end(), 0);
}

#[test]
fn an_unbuilt_project_is_told_to_build() {
    let sandbox = Sandbox::new();
    sandbox.write("package.json", r#"{"name":"shop","scripts":{"build":"vite build"}}"#);
    insta::assert_snapshot!(sandbox.shown(&["init"]), @r"
    exit 0
    out: wrote [DIR]/cutover.toml
    err: dist is not there yet: npm run build
    ");
}

#[test]
fn an_existing_description_is_never_touched() {
    let sandbox = Sandbox::new();
    sandbox.write("cutover.toml", "mine");
    insta::assert_snapshot!(sandbox.shown(&["init"]), @r"
    exit 1
    err: error: [DIR]/cutover.toml is there already; nothing was changed [CUT0904]
    err: hint: edit it, or remove it first
    ");
    assert_eq!(sandbox.read("cutover.toml"), "mine");
}

#[test]
fn options_win_over_what_is_found_and_are_checked() {
    let sandbox = Sandbox::new();
    let report = sandbox.json(&["init", "--app", "till", "--host", "till.example.com", "--site", "www"]);
    assert_eq!((report["app"].as_str(), report["site"].as_str()), (Some("till"), Some("www")));
    assert!(sandbox.read("cutover.toml").contains("host = \"till.example.com\""));

    let other = Sandbox::new();
    let done = other.run(&["init", "--app", "Not A Name"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(!other.path().join("cutover.toml").exists(), "nothing is written where something is wrong");
}
