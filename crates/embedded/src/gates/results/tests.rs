use std::fs;

use super::*;

/// Judges what `write` leaves in `out/`, as if a command had.
fn judged(form: Form, pattern: &str, max_failed: f64, write: impl FnOnce(&Path)) -> Found {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("out")).unwrap();
    let expected = Expected::before(form, pattern, dir.path()).unwrap();
    write(&dir.path().join("out"));
    expected.judge(max_failed)
}

fn junit(max_failed: f64, text: &str) -> Found {
    judged(Form::Junit, "out/*.xml", max_failed, |dir| fs::write(dir.join("a.xml"), text).unwrap())
}

fn jtl(text: &str) -> Found {
    judged(Form::Jtl, "out/results.jtl", 0.0, |dir| fs::write(dir.join("results.jtl"), text).unwrap())
}

fn said(found: &Found, verdict: Verdict, parts: &[&str]) {
    assert_eq!(found.verdict, verdict, "{}", found.detail);
    for part in parts {
        assert!(found.detail.contains(part), "{part:?} in {}", found.detail);
    }
}

const HEADER: &str =
    "timeStamp,elapsed,label,responseCode,responseMessage,threadName,success,failureMessage\n";

fn now() -> u64 {
    SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
}

#[test]
fn tests_that_all_pass_pass_and_one_that_fails_fails() {
    let good = "<testsuite><testcase name='a'/><testcase name='b'><skipped/></testcase></testsuite>";
    said(&junit(0.0, good), Verdict::Pass, &["1 of 1 tests passed in 1 file; 1 skipped"]);
    let bad =
        "<testsuite><testcase name='a'/><testcase name='b'><failure message='no'/></testcase></testsuite>";
    said(&junit(0.0, bad), Verdict::Fail, &["1 of 2 tests passed", "1 failed: b (no)"]);
    said(&junit(0.5, bad), Verdict::Pass, &["1 failed (up to 50% may): b (no)"]);
    said(&junit(0.49, bad), Verdict::Fail, &["up to 49% may"]);
}

#[test]
fn many_failures_are_counted_and_the_first_are_named() {
    let cases: String = (0..1000).map(|n| format!("<testcase name='t{n}'><failure/></testcase>")).collect();
    let found = junit(0.0, &format!("<testsuite>{cases}</testsuite>"));
    said(&found, Verdict::Fail, &["0 of 1000", "1000 failed: t0 | t1 | t2 | t3 | t4 | ..."]);
    let steering = "<testsuite><testcase name='&#27;[31mred'><failure/></testcase></testsuite>";
    let found = junit(0.0, steering);
    assert!(found.verdict == Verdict::Fail && !found.detail.contains('\u{1b}'), "{:?}", found.detail);
}

#[test]
fn several_files_are_judged_together_and_one_broken_file_is_an_error() {
    let good = "<testsuite><testcase name='a'/></testsuite>";
    let two = judged(Form::Junit, "out/**/*.xml", 0.0, |dir| {
        fs::write(dir.join("a.xml"), good).unwrap();
        fs::create_dir(dir.join("deep")).unwrap();
        fs::write(dir.join("deep/b.xml"), good).unwrap();
    });
    said(&two, Verdict::Pass, &["2 of 2 tests passed in 2 files"]);
    let broken = judged(Form::Junit, "out/*.xml", 0.0, |dir| {
        fs::write(dir.join("a.xml"), good).unwrap();
        fs::write(dir.join("b.xml"), &good[..20]).unwrap();
    });
    said(&broken, Verdict::Error, &["JUnit XML `out/*.xml`: b.xml"]);
}

#[test]
fn nothing_written_nothing_in_it_and_nothing_run_are_errors() {
    said(&judged(Form::Junit, "out/*.xml", 1.0, |_| {}), Verdict::Error, &["written no such file"]);
    said(
        &judged(Form::Jtl, "out/a.jtl", 1.0, |_| {}),
        Verdict::Error,
        &["JTL `out/a.jtl`: the command has written"],
    );
    said(&junit(1.0, "<testsuite tests='3'/>"), Verdict::Error, &["not one of the tests"]);
    said(&junit(1.0, ""), Verdict::Error, &["a.xml is empty"]);
    let skipped = "<testsuite><testcase name='a'><skipped/></testcase></testsuite>";
    said(&junit(1.0, skipped), Verdict::Error, &["all 1 tests were skipped"]);
    said(&jtl(HEADER), Verdict::Error, &["not one of the samples"]);
    said(&jtl(""), Verdict::Error, &["is empty"]);
    let found = judged(Form::Junit, "out/*.xml", 0.0, |dir| {
        fs::write(dir.join("a.xml"), b"\xff\xfe<\0t\0e\0s\0t\0").unwrap();
    });
    said(&found, Verdict::Error, &["UTF-16"]);
}

#[test]
fn results_of_an_earlier_run_are_no_evidence() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.xml"), "<testsuite><testcase name='a'/></testsuite>").unwrap();
    let expected = Expected::before(Form::Junit, "*.xml", dir.path()).unwrap();
    said(&expected.judge(1.0), Verdict::Error, &["the one file is older than this run"]);
    fs::write(dir.path().join("b.xml"), "<testsuite><testcase name='b'/></testsuite>").unwrap();
    said(&expected.judge(1.0), Verdict::Pass, &["1 of 1 tests passed in 1 file; 1 older files ignored"]);
}

#[test]
fn names_that_are_not_utf_8_are_read_all_the_same() {
    let found = judged(Form::Junit, "out/*.xml", 0.0, |dir| {
        let text = b"<?xml version='1.0' encoding='ISO-8859-1'?><testsuite><testcase name='caf\xe9'><failure/></testcase></testsuite>";
        fs::write(dir.join("a.xml"), text).unwrap();
    });
    said(&found, Verdict::Fail, &["1 failed: caf\u{fffd}"]);
}

#[test]
fn samples_in_csv_are_counted_with_their_times() {
    let at = now();
    let mut text = HEADER.to_owned();
    for n in 1..=100 {
        text.push_str(&format!("{at},{n},home,200,OK,main 1-1,true,\n"));
    }
    said(&jtl(&text), Verdict::Pass, &["100 of 100 samples passed", "p95 9"]);
    text.push_str(&format!(
        "{at},5,\"cart, \"\"big\"\"\",500,Internal,main 1-1,false,\"line one\nline two\"\r\n"
    ));
    text.push_str(&format!("{at},5,cart,503,Unavailable,main 1-1,false,\n"));
    let parts =
        ["100 of 102 samples", "2 failed: cart, \"big\" (500 line oneline two) | cart (503 Unavailable)"];
    said(&jtl(&text), Verdict::Fail, &parts);
    let other = text.replace(',', ";").replace("cart; \"", "cart, \"");
    said(&jtl(&other), Verdict::Fail, &["100 of 102 samples"]);
    said(&jtl(&format!("\u{feff}{text}")), Verdict::Fail, &["100 of 102 samples"]);
}

#[test]
fn samples_in_xml_are_counted_and_their_parts_are_not() {
    let at = now();
    let text = format!(
        "<?xml version=\"1.0\"?><testResults version=\"1.2\">
        <httpSample t=\"12\" ts=\"{at}\" s=\"true\" lb=\"home\" rc=\"200\" rm=\"OK\"><httpSample t=\"3\" ts=\"{at}\" s=\"false\" lb=\"part\"/></httpSample>
        <sample t=\"40\" ts=\"{at}\" s=\"false\" lb=\"pay\" rc=\"500\" rm=\"Boom\"><assertionResult><failure>true</failure></assertionResult></sample>
        </testResults>"
    );
    said(&jtl(&text), Verdict::Fail, &["1 of 2 samples", "p95 40 ms", "1 failed: pay (500 Boom)"]);
    said(&jtl(&text.replace("s=\"false\" lb=\"pay\"", "s=\"true\" lb=\"pay\"")), Verdict::Pass, &["2 of 2"]);
    for (text, why) in [
        ("<testResults><sample s='true'/>", "in the middle"),
        ("<testResults><sample t='1'/></testResults>", "attribute `s`"),
        ("<testsuite/>", "<testsuite>"),
        ("<testResults/><testResults/>", "second root"),
        ("<testResults><sample s='true' t='soon'/></testResults>", "elapsed \"soon\""),
    ] {
        said(&jtl(text), Verdict::Error, &[why]);
    }
}

#[test]
fn a_file_jmeter_went_on_writing_gives_only_the_new_samples() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.jtl");
    let line = |at: u64, ok: bool| format!("{at},5,home,200,OK,main 1-1,{ok},\n");
    let old = format!("{HEADER}{}", line(now() - 3_600_000, false).repeat(3));
    fs::write(&path, &old).unwrap();
    let expected = Expected::before(Form::Jtl, "a.jtl", dir.path()).unwrap();
    said(&expected.judge(0.0), Verdict::Error, &["older than this run"]);
    fs::write(&path, format!("{old}{HEADER}{}", line(now(), true))).unwrap();
    said(
        &expected.judge(0.0),
        Verdict::Pass,
        &["1 of 1 samples passed in 1 file, besides 3 of earlier runs"],
    );
    fs::write(&path, format!("{old}\n")).unwrap();
    said(&expected.judge(0.0), Verdict::Error, &["not one of the samples", "besides 3 of earlier runs"]);
    fs::write(&path, old.replace(",5,home", ",6,home").replace(char::is_numeric, "x:y")).unwrap();
    said(&expected.judge(0.0), Verdict::Error, &["is broken"]);
    let dated = format!("{HEADER}2026/01/02 10:00:00,5,home,200,OK,main 1-1,true,\n");
    fs::write(&path, &dated).unwrap();
    said(&expected.judge(0.0), Verdict::Error, &["which are new?"]);
    said(&jtl(&dated), Verdict::Pass, &["1 of 1"]);
}

#[test]
fn broken_samples_are_errors() {
    let at = now();
    for (text, why) in [
        (format!("{at},5,home,200,OK,main 1-1,true,\n"), "no header line"),
        (format!("{HEADER}{at},5,home,200,OK,main 1-1,true\n"), "record 2 has 7 columns and the header 8"),
        (format!("{HEADER}{at},5,home,200,OK,main 1-1,maybe,\n"), "success \"maybe\""),
        (format!("{HEADER}{at},soon,home,200,OK,main 1-1,true,\n"), "elapsed \"soon\""),
        (format!("{HEADER}{at},5,home,200,OK,main 1-1,true,\"no end\n"), "does not end"),
        (format!("{HEADER}{at},5,\"{}\n", "x".repeat(2 << 20)), "longer than 1 MiB"),
        (format!("success,elapsed,{}\n", "a,".repeat(5000)), "too many columns"),
    ] {
        said(&jtl(&text), Verdict::Error, &[why]);
    }
}
