//! Commands that leave results in files, and say much.

use std::{fs, time::Duration};

use cutover_embedded::gates::{GateTarget, run_gate};
use cutover_engine::{
    config::{Gate, GateKind},
    control::{GateResult, Verdict},
};

use crate::{
    gates::{nowhere, target},
    harness::tests,
    support::World,
};

tests![
    a_command_whose_tests_passed_passes,
    a_command_whose_tests_failed_fails_whatever_its_exit_code,
    results_that_are_missing_broken_or_old_are_an_error,
    a_command_that_failed_fails_whatever_its_results,
    samples_and_tests_are_judged_together,
    a_command_that_was_ended_is_not_judged_by_what_it_left,
    the_output_that_is_kept_is_bounded,
];

struct Run<'a> {
    command: &'a str,
    junit: Option<&'a str>,
    jtl: Option<&'a str>,
    max_failed: f64,
    timeout: Duration,
}

impl<'a> Run<'a> {
    fn junit(command: &'a str) -> Self {
        let timeout = Duration::from_secs(60);
        Self { command, junit: Some("out/*.xml"), jtl: None, max_failed: 0.0, timeout }
    }

    async fn check(self, target: &GateTarget) -> GateResult {
        let kind = GateKind::Run {
            command: self.command.into(),
            timeout: self.timeout,
            junit: self.junit.map(str::to_owned),
            jtl: self.jtl.map(str::to_owned),
            max_failed: self.max_failed,
        };
        run_gate(&Gate::new("e2e", kind), target).await
    }
}

fn said(result: &GateResult, verdict: Verdict, parts: &[&str]) {
    assert_eq!(result.verdict, verdict, "{}", result.detail);
    for part in parts {
        assert!(result.detail.contains(part), "{part:?} in {}", result.detail);
    }
}

fn place(world: &World) -> GateTarget {
    fs::create_dir(world.file("out")).unwrap();
    target(world, nowhere())
}

const GOOD: &str = "echo \"<testsuite><testcase name='a'/><testcase name='b'/></testsuite>\" > out/a.xml";
const BAD: &str = "echo \"<testsuite><testcase name='a'/><testcase name='b'><failure message='no card'/></testcase></testsuite>\" > out/a.xml";

async fn a_command_whose_tests_passed_passes() {
    let world = World::new();
    let target = place(&world);
    let result = Run::junit(GOOD).check(&target).await;
    said(&result, Verdict::Pass, &["ended with exit code 0; 2 of 2 tests passed in 1 file"]);
}

async fn a_command_whose_tests_failed_fails_whatever_its_exit_code() {
    let world = World::new();
    let target = place(&world);
    said(
        &Run::junit(BAD).check(&target).await,
        Verdict::Fail,
        &["1 of 2 tests passed", "1 failed: b (no card)"],
    );
    let exits = format!("{BAD}; echo see above; exit 3");
    let result = Run::junit(&exits).check(&target).await;
    said(&result, Verdict::Fail, &["exit code 3; 1 of 2 tests passed", "b (no card)", "  | see above"]);
    said(&Run { max_failed: 0.5, ..Run::junit(BAD) }.check(&target).await, Verdict::Pass, &["up to 50% may"]);
}

async fn results_that_are_missing_broken_or_old_are_an_error() {
    let world = World::new();
    let target = place(&world);
    said(
        &Run::junit("true").check(&target).await,
        Verdict::Error,
        &["exit code 0; JUnit XML `out/*.xml`: the command has written no such file"],
    );
    said(&Run::junit(GOOD).check(&target).await, Verdict::Pass, &[]);
    said(&Run::junit("true").check(&target).await, Verdict::Error, &["older than this run of the command"]);
    said(
        &Run::junit("touch -d '1 hour ago' out/a.xml").check(&target).await,
        Verdict::Error,
        &["older than"],
    );
    said(
        &Run::junit("echo '<testsuite>' > out/a.xml").check(&target).await,
        Verdict::Error,
        &["a.xml ends in the middle"],
    );
    said(
        &Run::junit("echo '<testsuite/>' > out/a.xml").check(&target).await,
        Verdict::Error,
        &["not one of the tests"],
    );
    let directory = Run { junit: Some("out"), ..Run::junit("touch ran") };
    said(&directory.check(&target).await, Verdict::Error, &["is a directory"]);
    assert!(!world.file("ran").exists(), "what cannot be judged is not run");
}

async fn a_command_that_failed_fails_whatever_its_results() {
    let world = World::new();
    let target = place(&world);
    let good = format!("{GOOD}; exit 1");
    said(&Run::junit(&good).check(&target).await, Verdict::Fail, &["exit code 1; 2 of 2 tests passed"]);
    said(&Run::junit("exit 1").check(&target).await, Verdict::Fail, &["exit code 1; JUnit XML"]);
    let result = Run::junit("surely-no-such-command").check(&target).await;
    said(&result, Verdict::Error, &["exit code 127"]);
}

async fn samples_and_tests_are_judged_together() {
    let world = World::new();
    let target = place(&world);
    let samples = |success: &str| {
        format!(
            "printf 'timeStamp,elapsed,label,success\\n%s000,12,home,{success}\\n' $(date +%s) > load.jtl"
        )
    };
    let both = format!("{GOOD}; {}", samples("true"));
    let run = |command| Run { jtl: Some("load.jtl"), ..Run::junit(command) };
    said(
        &run(&both).check(&target).await,
        Verdict::Pass,
        &["2 of 2 tests", "1 of 1 samples passed in 1 file; p95 12 ms"],
    );
    let slow = format!("{GOOD}; {}", samples("false"));
    said(
        &run(&slow).check(&target).await,
        Verdict::Fail,
        &["2 of 2 tests", "0 of 1 samples", "1 failed: home"],
    );
    // A failure that is shown counts more than what is missing.
    fs::remove_file(world.file("load.jtl")).unwrap();
    said(
        &run(BAD).check(&target).await,
        Verdict::Fail,
        &["b (no card)", "JTL `load.jtl`: the command has written no such"],
    );
    said(&run(GOOD).check(&target).await, Verdict::Error, &["JTL `load.jtl`"]);
}

async fn a_command_that_was_ended_is_not_judged_by_what_it_left() {
    let world = World::new();
    let target = place(&world);
    let endless = format!("{GOOD}; sleep 1000");
    let run = Run { timeout: Duration::from_millis(500), ..Run::junit(&endless) };
    said(&run.check(&target).await, Verdict::Fail, &["did not end within 0.5 s"]);
}

async fn the_output_that_is_kept_is_bounded() {
    let world = World::new();
    let target = place(&world);
    let run = Run {
        junit: None,
        ..Run::junit("yes 'a line of output' | head -c 30000000; echo; echo the end; exit 1")
    };
    said(&run.check(&target).await, Verdict::Fail, &["  | the end"]);
    let kept: u64 =
        fs::read_dir(&target.log_dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!((8 << 20..=16 << 20).contains(&kept), "{kept} bytes of 30 million");
}
