//! The whole life of releases, by the verbs, with a real service beside the site.

use serde_json::Value;

use crate::support::{Sandbox, Up, get, shop};

/// The id of the release an answer of the command line is about.
fn id(report: &Value) -> String {
    report.as_str().unwrap().to_owned()
}

fn serves(up: &Up, cookie: Option<&str>) -> String {
    let answer = up.open("/", cookie);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.release().to_owned()
}

#[test]
fn a_release_lives_from_its_deployment_to_its_retirement() {
    let sandbox = Sandbox::new();
    let one = shop(&sandbox, "one");
    let state = sandbox.path().join("state");
    let state = state.to_str().unwrap();
    let with = |config: &std::path::Path, words: &[&str]| -> Value {
        let mut all = words.to_vec();
        all.extend(["--config", config.to_str().unwrap(), "--state", state]);
        sandbox.json(&all)
    };
    let up = sandbox.up_with(&["--config", one.to_str().unwrap(), "--state", state]);

    // Nothing is there yet, and everybody is told so.
    assert_eq!(up.open("/", None).status, 503);
    assert!(with(&one, &["status"])["active"].is_null());

    // Deploy one.
    let report = with(&one, &["deploy", "--name", "v1", "--commit", "abc123"]);
    let first = id(&report["stage"]["release"]["id"]);
    assert_eq!(report["switch"]["to"].as_str(), Some(first.as_str()));
    assert_eq!(report["gates"][0]["verdict"], "pass");
    let visitor = up.open("/", None);
    assert_eq!(visitor.release(), first);
    let pin = visitor.cookie().unwrap();

    // The same content again: nothing is done.
    let again = with(&one, &["deploy", "--name", "v1"]);
    assert_eq!((&again["stage"]["created"], &again["switch"]["changed"]), (&false.into(), &false.into()));

    // Stage two: nobody sees it but who holds a link.
    let two = shop(&sandbox, "two");
    let report = with(&two, &["stage", "--name", "v2"]);
    let second = id(&report["release"]["id"]);
    assert_ne!(first, second);
    assert_eq!(serves(&up, None), first);
    let link = with(&two, &["preview", &second, "--to", "/cart"]);
    let url = link["url"].as_str().unwrap();
    let entered = up.open(&url[url.find("/.cutover").unwrap()..], None);
    assert_eq!((entered.status / 100, entered.header("location")), (3, Some("/cart")));
    assert_eq!(serves(&up, entered.cookie().as_deref()), second);
    assert_eq!(serves(&up, link["cookie"].as_str()), second);
    assert_eq!(serves(&up, None), first);

    // Promote it: new visitors and reloads get it, the open page's calls stay.
    let report = with(&two, &["promote"]);
    assert_eq!(
        (report["from"].as_str(), report["to"].as_str()),
        (Some(first.as_str()), Some(second.as_str()))
    );
    assert!(report["took_us"].as_u64().unwrap() > 0);
    assert_eq!(serves(&up, None), second);
    assert_eq!(serves(&up, Some(&pin)), second);
    let call = [("cookie", pin.as_str()), ("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors")];
    let answer = get(up.listen, "/api/version", &call);
    assert_eq!((answer.status, answer.release()), (200, first.as_str()));
    assert!(answer.body.contains(&first), "{}", answer.body);

    // Why: in words.
    let why = with(&two, &["explain", "request", "/cart", "--navigation"]);
    assert_eq!(why["release"].as_str(), Some(second.as_str()));
    assert!(!why["steps"].as_array().unwrap().is_empty());
    let why = with(&two, &["explain", "release", "v2"]);
    assert_eq!(why["release"]["id"].as_str(), Some(second.as_str()));
    assert!(!why["history"].as_array().unwrap().is_empty());

    // Back, and once more: the second time there is nothing to do.
    let report = with(&two, &["rollback", "--reason", "we changed our minds"]);
    assert_eq!((report["to"].as_str(), &report["changed"]), (Some(first.as_str()), &true.into()));
    assert_eq!(serves(&up, None), first);
    let report = with(&two, &["rollback"]);
    assert_eq!(report["changed"], false);

    // Withdrawn, it cannot be promoted until it is pardoned.
    let report = with(&two, &["withdraw", "v2"]);
    assert_eq!(report["verb"], "withdraw");
    let args = ["promote", &second, "--state", state, "--config", two.to_str().unwrap()];
    assert_eq!(sandbox.run(&args).code, 1);
    with(&two, &["withdraw", "v2", "--pardon"]);

    // Retired, it is gone; the active one cannot be.
    let report = with(&two, &["retire", &second, "--force", "--reason", "test"]);
    assert_eq!((report["release"].as_str(), &report["changed"]), (Some(second.as_str()), &true.into()));
    let args = ["retire", &first, "--state", state, "--config", two.to_str().unwrap()];
    assert_eq!(sandbox.run(&args).code, 1);
    assert_eq!(serves(&up, None), first);

    // It is all written down, newest first, with who and why.
    let history = with(&two, &["history", "--limit", "100"]);
    let verbs: Vec<&str> =
        history.as_array().unwrap().iter().map(|entry| entry["verb"].as_str().unwrap()).collect();
    for verb in ["deploy", "stage", "promote", "rollback", "withdraw", "retire"] {
        assert!(verbs.contains(&verb), "{verb} is not in {verbs:?}");
    }
    assert!(history.to_string().contains("we changed our minds"));
    assert!(history.as_array().unwrap().iter().all(|entry| !entry["who"].as_str().unwrap().is_empty()));
    assert_eq!(up.end(), 0);
}

#[test]
fn people_read_what_was_done() {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    insta::assert_snapshot!(sandbox.shown(&["status"]), @r"
    exit 0
    out: shop  http://[ADDRESS]/  generation 0
    out:
    out: no release yet: visitors get a page that says so
    ");
    insta::assert_snapshot!(sandbox.shown(&["deploy", "--name", "v1", "--quiet"]), @r"
    exit 0
    out: staged [RELEASE] (2 files, 81 B) in [TIME]
    out: [RELEASE] is active in [TIME]; it is the first release
    out: the table is at generation [GENERATION]
    ");
    sandbox.site("two");
    insta::assert_snapshot!(sandbox.shown(&["stage", "--name", "v2"]), @r"
    exit 0
    out: staged [RELEASE] (2 files, 81 B) in [TIME]
    err:   reading [DIR]/cutover.toml
    err:   site: 2 files, 81 B, 0 fingerprinted
    err:   documents marked with the release: 1
    err:   release [RELEASE]: 2 files, 81 B
    err:   release [RELEASE] is staged
    ");
    insta::assert_snapshot!(sandbox.shown(&["promote"]), @r"
    exit 0
    out: [RELEASE] is active in [TIME]; [RELEASE] drains
    out: the table is at generation [GENERATION]
    ");
    insta::assert_snapshot!(sandbox.shown(&["promote"]), @r"
    exit 0
    out: rollout [ROLLOUT] goes on: drain
    out: the table is at generation [GENERATION]
    ");
    insta::assert_snapshot!(sandbox.shown(&["rollback"]), @r"
    exit 0
    out: back on [RELEASE] in [TIME]; [RELEASE] drains
    out: the table is at generation [GENERATION]
    ");
    insta::assert_snapshot!(sandbox.shown(&["rollback"]), @r"
    exit 0
    out: already on [RELEASE]
    ");
    insta::assert_snapshot!(sandbox.shown(&["releases"]), @r"
    exit 0
    out: RELEASE       STATE     NAME  NEW VISITORS  REQUESTS  5XX  OPEN  STAGED
    out: [RELEASE]  draining  v2                  0         0    0     just now
    out: [RELEASE]  active    v1    100%          0         0    0     just now
    ");
    let status = sandbox.shown(&["status"]);
    for line in [
        "out: [RELEASE]  draining  v2                  0         0    0     just now",
        "out: [RELEASE]  active    v1    100%          0         0    0     just now",
        "out: [RELEASE]  site healthy",
        "out: rollout     [ROLLOUT]  [RELEASE] -> [RELEASE]  going back",
        "out: share       0% of visitors on [RELEASE]",
        "out: going back  rolled back by ",
        "out: rollback    ready, to [RELEASE]",
        "out:             ok       files: ",
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }
    insta::assert_snapshot!(sandbox.shown(&["retire", "v1"]), @r"
    exit 1
    err: error: release [RELEASE] is active and cannot be retired [CUT0519]
    err: hint: promote another release, or roll back, first
    ");
    insta::assert_snapshot!(sandbox.shown(&["explain", "request", "/x.png"]), @r"
    exit 0
    out: release     [RELEASE]
    out: reason      default
    out: answered by site
    out:
    out:  1. the request is of kind sub
    out:  2. there is no pin
    out:  3. release [RELEASE] answers: default
    ");
    assert_eq!(up.end(), 0);
}

#[test]
fn nothing_is_coloured_where_nobody_looks_and_the_same_words_come_with_no_color() {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    sandbox.run(&["deploy"]);
    let plain = sandbox.run(&["status", "--no-color"]);
    assert!(!plain.out.contains('\u{1b}'), "{}", plain.out);
    let output =
        sandbox.command(&["status"]).env("NO_COLOR", "1").env("CLICOLOR_FORCE", "0").output().unwrap();
    assert!(!output.stdout.contains(&0x1b));
    let forced = sandbox.command(&["status"]).env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(forced.stdout.contains(&0x1b), "colours can be asked for");
    assert_eq!(up.end(), 0);
}

#[test]
fn a_preview_link_can_be_piped() {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    let report = sandbox.json(&["deploy"]);
    let done = sandbox.run(&["preview", report["stage"]["release"]["id"].as_str().unwrap()]);
    assert_eq!(done.out.lines().count(), 1);
    assert!(done.out.starts_with("http://127.0.0.1:"), "{}", done.out);
    assert!(done.err.is_empty(), "{}", done.err);
    assert_eq!(up.end(), 0);
}

#[test]
fn watching_gives_one_document_a_line_and_ends_with_its_reader() {
    use std::io::BufRead;

    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    let mut watching = sandbox
        .command(&["status", "--watch", "--output", "json"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(watching.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let status: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(status["app"], "shop");
    }
    drop(lines);
    assert_eq!(watching.wait().unwrap().code(), Some(0));
    assert_eq!(up.end(), 0);
}

#[test]
fn a_commit_is_taken_from_git_where_there_is_one() {
    let sandbox = Sandbox::with_site();
    let git = |words: &[&str]| {
        let done = std::process::Command::new("git")
            .current_dir(sandbox.path())
            .args(["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"])
            .args(words)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "cutover.toml", "dist"]);
    git(&["commit", "-q", "-m", "first"]);
    let commit = git(&["rev-parse", "--short=12", "HEAD"]);
    let up = sandbox.up();
    let report = sandbox.json(&["stage"]);
    assert_eq!(report["release"]["commit"].as_str(), Some(commit.as_str()));
    sandbox.site("two");
    let report = sandbox.json(&["stage"]);
    assert_eq!(report["release"]["commit"].as_str(), Some(format!("{commit}-dirty").as_str()));
    let report = sandbox.json(&["releases"]);
    assert_eq!(report.as_array().unwrap().len(), 2);
    assert_eq!(up.end(), 0);
}
