//! What people read first.

use crate::support::Sandbox;

#[test]
fn the_whole_command_is_explained_on_one_screen() {
    insta::assert_snapshot!(Sandbox::new().shown(&["--help"]), @r"
    exit 0
    out: Blue/green releases for web apps
    out:
    out: Usage: cutover [OPTIONS] <COMMAND>
    out:
    out: Commands:
    out:   demo      Show blue/green releases of an example shop under live visitors
    out:   init      Write a cutover.toml for the project in this folder
    out:   up        Serve the app and take commands, in the foreground
    out:   stage     Build a release beside the active one; nobody sees it yet
    out:   plan      Say what a deployment would do, step by step, and do nothing
    out:   deploy    Stage a release and move visitors to it, step by step
    out:   preview   Make a link that shows one release to its holder
    out:   promote   Make a release the one that everybody gets, or let the open rollout go on
    out:   pause     Stop the open rollout where it is
    out:   resume    Let a rollout that is paused or held go on
    out:   approve   Answer a gate that asks a person
    out:   rollback  Take visitors back to the release before, from any step and after the promotion
    out:   withdraw  Close a release for everybody and bar it from promotion
    out:   retire    End a release for good and free its disk space
    out:   status    Show what is served to whom
    out:   wait      Wait until it is decided what becomes of a release
    out:   releases  List the releases, newest first
    out:   history   List what happened, newest first
    out:   explain   Say why a request, a release, a rollout or an error is as it is
    out:
    out: Options:
    out:   -h, --help     Print help
    out:   -V, --version  Print version
    out:
    out: Global options:
    out:       --config <FILE>  The app's description [default: cutover.toml here or in a folder above]
    out:       --state <DIR>    The state directory [default: .cutover beside the description]
    out:       --output <FORM>  How results and errors are written: human or json [default: human]
    out:   -q, --quiet          Say nothing but results and errors
    out:       --no-color       No colours; NO_COLOR does the same
    out:   -y, --yes            Never ask, go on
    out:
    out: Exit codes: 0 done, 1 refused or failed, 2 usage or configuration, 3 held for a person,
    out: 4 rolled back, 5 superseded, 6 timed out waiting, 70 bug.
    ");
}

#[test]
fn every_verb_explains_itself() {
    let sandbox = Sandbox::new();
    let verbs = [
        "demo", "init", "up", "stage", "plan", "deploy", "preview", "promote", "pause", "resume", "approve",
        "rollback", "withdraw", "retire", "status", "wait", "releases", "history", "explain",
    ];
    for verb in verbs {
        let done = sandbox.run(&[verb, "--help"]);
        assert_eq!(done.code, 0, "{verb}");
        assert!(done.out.contains("Usage: cutover"), "{verb}: {}", done.out);
        assert!(done.err.is_empty(), "{verb}: {}", done.err);
        // Nothing that a verb takes is left unexplained: below or behind each option there are words.
        let lines: Vec<&str> = done.out.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with('-')) {
            let next = lines.get(at + 1).copied().unwrap_or_default();
            assert!(line.contains("  ") || (!next.is_empty() && !next.starts_with('-')), "{verb}: {line}");
        }
    }
}

#[test]
fn withdraw_and_deploy_list_their_options() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!(sandbox.shown(&["withdraw", "-h"]), @r"
    exit 0
    out: Close a release for everybody and bar it from promotion
    out:
    out: Usage: cutover withdraw [OPTIONS] <RELEASE>
    out:
    out: Arguments:
    out:   <RELEASE>  Id, its start, or name of the release
    out:
    out: Options:
    out:       --purge          Remove its files and processes at once
    out:       --pardon         Lift an earlier withdrawal instead
    out:       --reason <TEXT>  Why; recorded
    out:   -h, --help           Print help
    out:
    out: Global options:
    out:       --config <FILE>  The app's description [default: cutover.toml here or in a folder above]
    out:       --state <DIR>    The state directory [default: .cutover beside the description]
    out:       --output <FORM>  How results and errors are written: human or json [default: human]
    out:   -q, --quiet          Say nothing but results and errors
    out:       --no-color       No colours; NO_COLOR does the same
    out:   -y, --yes            Never ask, go on
    ");
    insta::assert_snapshot!(sandbox.shown(&["deploy", "-h"]), @r"
    exit 0
    out: Stage a release and move visitors to it, step by step
    out:
    out: Usage: cutover deploy [OPTIONS]
    out:
    out: Options:
    out:       --name <TEXT>          A label for people, such as a version
    out:       --commit <ID>          The commit it was built from [default: what git says]
    out:       --close-oldest         Where all places are taken, close and retire the oldest release
    out:       --strategy <STEPS>     In which steps, instead of the description's `rollout.strategy`: such
    out:                              as `instant` or `5% for 10m, 100%`
    out:       --skip-gates <REASON>  Promote without running the gates; the reason is recorded
    out:       --wait                 Wait until the release is promoted and its bake is over, or has lost
    out:                              its chance
    out:       --timeout <TIME>       With --wait: longest wait [default: 10m and twice what the holds take]
    out:       --through-holds        With --wait: go on waiting while the rollout is held and needs a person
    out:   -h, --help                 Print help
    out:
    out: Global options:
    out:       --config <FILE>  The app's description [default: cutover.toml here or in a folder above]
    out:       --state <DIR>    The state directory [default: .cutover beside the description]
    out:       --output <FORM>  How results and errors are written: human or json [default: human]
    out:   -q, --quiet          Say nothing but results and errors
    out:       --no-color       No colours; NO_COLOR does the same
    out:   -y, --yes            Never ask, go on
    ");
}

#[test]
fn hidden_commands_stay_hidden() {
    let done = Sandbox::new().run(&["--help"]);
    assert!(!done.out.contains("shim") && !done.out.contains("  example"), "{}", done.out);
}

#[test]
fn a_misspelt_verb_is_a_usage_error_with_a_suggestion() {
    insta::assert_snapshot!(Sandbox::new().shown(&["promoet"]), @r"
exit 2
err: error: unrecognized subcommand 'promoet'
err:
err:   tip: some similar subcommands exist: 'approve', 'promote'
err:
err: Usage: cutover [OPTIONS] <COMMAND>
err:
err: For more information, try '--help'.
");
}

#[test]
fn usage_errors_are_json_where_json_is_asked_for() {
    insta::assert_snapshot!(Sandbox::new().shown(&["wait", "--output", "json"]), @r#"
    exit 2
    err: {
    err:   "errors": [
    err:     {
    err:       "kind": "invalid",
    err:       "code": "CUT0900",
    err:       "message": "the following required arguments were not provided: --release <RELEASE>",
    err:       "hints": [
    err:         "cutover --help"
    err:       ]
    err:     }
    err:   ],
    err:   "exit": 2
    err: }
    "#);
}

#[test]
fn the_version_is_one_line_on_stdout() {
    let done = Sandbox::new().run(&["--version"]);
    assert_eq!((done.code, done.out.as_str()), (0, concat!("cutover ", env!("CARGO_PKG_VERSION"), "\n")));
}

#[test]
fn an_error_code_is_explained_without_a_running_up() {
    insta::assert_snapshot!(Sandbox::new().shown(&["explain", "error", "cut0910"]), @r"
    exit 0
    out: CUT0910  no cutover up runs
    out:
    out: Commands are carried out by `cutover up`, which serves the app in the foreground. None answers for this state
    out: directory: start it in another terminal, or name the right app with --config or --state.
    ");
    assert_eq!(Sandbox::new().run(&["explain", "error", "CUT9999"]).code, 1);
}
