use super::*;

fn tally(text: &str) -> Result<Tally, String> {
    let mut tally = Tally::default();
    parse(text, &mut tally).map(|()| tally)
}

fn counts(text: &str) -> (u64, u64, u64) {
    let tally = tally(text).unwrap();
    (tally.tests, tally.skipped, tally.failed)
}

#[test]
fn suites_alone_nested_and_in_one_another_are_counted() {
    let alone = r#"<?xml version="1.0"?><testsuite tests="2"><testcase name="a"/><testcase name="b"></testcase></testsuite>"#;
    assert_eq!(counts(alone), (2, 0, 0));
    let nested = r#"<testsuites><testsuite><testcase name="a"/></testsuite>
        <testsuite><properties><property name="x" value="y"/></properties>
            <testsuite><testcase name="b"><system-out>failure</system-out></testcase></testsuite>
            <testcase name="c"/></testsuite></testsuites>"#;
    assert_eq!(counts(nested), (3, 0, 0));
    let namespaced = r#"<j:testsuites xmlns:j="urn:x"><j:testsuite><j:testcase name="a"><j:failure/></j:testcase></j:testsuite></j:testsuites>"#;
    assert_eq!(counts(namespaced), (1, 0, 1));
}

#[test]
fn every_dialect_says_failed_and_skipped() {
    for (case, expected) in [
        (r#"<testcase name="t"><failure message="expected 3"/></testcase>"#, (1, 0, 1)),
        (r#"<testcase name="t"><error type="Boom">trace</error></testcase>"#, (1, 0, 1)),
        (r#"<testcase name="t"><failure/><failure/><error/></testcase>"#, (1, 0, 1)),
        (r#"<testcase name="t"><skipped/></testcase>"#, (1, 1, 0)),
        (r#"<testcase name="t"><skipped message="why"/><failure/></testcase>"#, (1, 0, 1)),
        (r#"<testcase name="t" status="run" result="completed"/>"#, (1, 0, 0)),
        (r#"<testcase name="t" status="notrun" result="suppressed"/>"#, (1, 1, 0)),
        (r#"<testcase name="t" status="Failed"/>"#, (1, 0, 1)),
        // Surefire: failed at first and passed when run again; failed both times.
        (r#"<testcase name="t"><flakyFailure message="once"/></testcase>"#, (1, 0, 0)),
        (r#"<testcase name="t"><failure/><rerunFailure/></testcase>"#, (1, 0, 1)),
        // Not about the test but printed by it.
        (r#"<testcase name="t"><system-out><failure/></system-out></testcase>"#, (1, 0, 0)),
        // A suite that could not be set up.
        (r#"<testcase name="t"/><error message="before all">trace</error>"#, (2, 0, 1)),
    ] {
        assert_eq!(counts(&format!("<testsuite>{case}</testsuite>")), expected, "{case}");
    }
}

#[test]
fn failures_that_only_the_suite_counts_are_failures() {
    let unlisted = r#"<testsuites errors="2"><testsuite name="cart" errors="2" failures=""><testcase name="a"/></testsuite></testsuites>"#;
    let tally = tally(unlisted).unwrap();
    assert_eq!((tally.tests, tally.failed), (3, 2));
    assert_eq!(tally.names, ["cart (2 more failed than are listed)"]);
    let listed = r#"<testsuites failures="1" errors="1"><testsuite failures="1" errors="1">
        <testcase name="a"><failure/></testcase><testcase name="b"><error/></testcase></testsuite></testsuites>"#;
    assert_eq!(counts(listed), (2, 0, 2));
    // Counts of what passed are no tests.
    assert_eq!(counts(r#"<testsuite tests="5" failures="0"/>"#), (0, 0, 0));
}

#[test]
fn failing_tests_are_named_with_the_first_line_of_their_reason() {
    let text = r#"<testsuite>
        <testcase classname="shop.Cart" name="adds"><failure message="expected 3 &lt; 2&#10;more"/></testcase>
        <testcase classname="shop.Cart" name="shop.Cart pays"><failure><![CDATA[
            no card
            at line 3]]></failure></testcase>
        <testcase><error>a &amp; b</error></testcase>
    </testsuite>"#;
    let expected =
        ["shop.Cart: adds (expected 3 < 2)", "shop.Cart pays (no card)", "(without a name) (a & b)"];
    assert_eq!(tally(text).unwrap().names, expected);
}

#[test]
fn what_is_no_junit_xml_is_an_error() {
    for (text, why) in [
        ("", "is empty"),
        (" \n ", "is empty"),
        (r#"<?xml version="1.0"?>"#, "is empty"),
        ("<testsuite><testcase name='a'/>", "in the middle"),
        ("<testsuite><testcase></testsuite>", "is not XML"),
        ("<testsuite><testcase name='a'", "is not XML"),
        ("<testsuite/><testsuite/>", "second root"),
        ("PASS\n<testsuite/>", "text outside"),
        ("<assemblies><assembly/></assemblies>", "<assemblies>"),
        ("<html></html>", "<html>"),
        ("all good", "text outside"),
        ("<testsuite failures='some'/>", "failures=\"some\""),
        ("<testsuite name='a' name='b'/>", "is not XML"),
    ] {
        let found = tally(text).map(|_| ()).unwrap_err();
        assert!(found.contains(why), "{text}: {found}");
    }
    let deep = format!("<testsuite>{}", "<a>".repeat(100_000));
    assert!(tally(&deep).map(|_| ()).unwrap_err().contains("deeper"));
}

#[test]
fn entities_a_document_defines_are_never_expanded() {
    let mut text = "<!DOCTYPE x [<!ENTITY a0 \"ha\">".to_owned();
    for level in 1..30 {
        text.push_str(&format!("<!ENTITY a{level} \"{}\">", format!("&a{};", level - 1).repeat(10)));
    }
    text.push_str("<!ENTITY file SYSTEM \"file:///etc/passwd\">]>");
    text.push_str(
        "<testsuite><testcase name='&a29;'><failure>&a29;&file;gone</failure></testcase></testsuite>",
    );
    let tally = tally(&text).unwrap();
    assert_eq!((tally.failed, tally.names), (1, vec!["&a29; (gone)".to_owned()]));
}
