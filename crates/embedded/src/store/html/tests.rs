//! What becomes of pages, and what never does.

use super::*;

const META: &str = "<meta name=\"cutover-release\" content=\"abcdefgh2345\">";
const TAGS: &str =
    "<meta name=\"cutover-release\" content=\"abcdefgh2345\"><script src=\"/.cutover/visit.js\"></script>";

fn marked(page: impl AsRef<[u8]>) -> Marked {
    mark(page.as_ref(), &"abcdefgh2345".parse().unwrap(), "shop.example.com")
}

/// `|` shows where the tags are expected.
fn assert_placed(expected: &str) {
    let page = expected.replace('|', "");
    let Marked::Whole(actual) = marked(&page) else { panic!("{page}: {:?}", marked(&page)) };
    assert_eq!(String::from_utf8(actual).unwrap(), expected.replace('|', TAGS));
}

#[test]
fn tags_go_to_the_start_of_the_head_whatever_the_page_leaves_out() {
    for page in [
        "<!doctype html><html><head>|<title>x</title></head><body></body></html>",
        "<!DOCTYPE html>\n<HTML lang=en>\n<HEAD data-x='>'>|<script src=a.js></script>",
        "<!doctype html><html lang=en>|<title>x</title><p>y",
        "<!doctype html>|<title>x</title><p>y",
        "<!doctype html>|",
        "<!doctype html>|Hello <b>world</b>",
        "<!-- built 2031 --><!doctype html>|<p>x",
        "<html>|<body>x</body></html>",
        "<head>|</head>",
        "|<title>x</title><p>y",
        "|<body>x",
        "\u{feff}<!doctype html><html><head>|<title>ü</title>",
        "<!doctype html><!-- <head> --><script>'<head>'</script><p>x".replacen("html>", "html>|", 1).as_str(),
        "<!doctype html><body><p>x<head><p>y".replacen("html>", "html>|", 1).as_str(),
        "<html manifest=x><!-- comment --><head>|<title>x",
    ] {
        assert_placed(page);
    }
}

#[test]
fn the_encoding_stays_where_browsers_look_for_it() {
    assert_placed("<!doctype html><html><head><meta charset=\"utf-8\">|<title>x</title>");
    assert_placed("<!doctype html><meta http-equiv='Content-Type' content='text/html; charset=utf-8'>|<p>x");
    assert_placed("<head>\n  <title>x</title><meta charset=utf-8>|<script src=a.js></script>");
    // What fetches or changes addresses must come after the script.
    assert_placed("<head>|<script src=a.js></script><meta charset=utf-8>");
    assert_placed("<head>|<base href='https://cdn.example.com/'><meta charset=utf-8>");
    // Unless the encoding would be pushed out of the first bytes.
    let late = format!("<head><script>/*{}*/</script><meta charset=utf-8>|<p>", "x".repeat(900));
    assert_placed(&late);
    // Beyond them it counts for nothing anyway.
    let beyond = format!("<head>|<script>/*{}*/</script><meta charset=utf-8><p>", "x".repeat(1100));
    assert_placed(&beyond);
}

#[test]
fn a_page_that_is_marked_already_gets_the_right_release_once() {
    let old = "<!doctype html><head><meta name=\"cutover-release\" content=\"oldoldold234\"><script src=\"/.cutover/visit.js\"></script><title>x";
    let expected = old.replace("oldoldold234", "abcdefgh2345");
    assert_eq!(marked(old), Marked::Whole(expected.clone().into_bytes()));
    assert_eq!(marked(&expected), Marked::Whole(expected.into_bytes()));
    assert_eq!(
        marked("<head><meta name=Cutover-Release content=x><p>"),
        Marked::Whole(format!("<head>{TAGS}<p>").into_bytes())
    );
    assert_eq!(
        marked("<head><script src='/.cutover/visit.js'></script>"),
        Marked::Whole(format!("<head>{META}<script src='/.cutover/visit.js'></script>").into_bytes())
    );
}

#[test]
fn a_policy_against_own_scripts_leaves_only_the_marker() {
    let page = |policy: &str| {
        format!("<head><meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\"><title>x</title>")
    };
    for policy in [
        "default-src 'none'",
        "script-src 'nonce-abc' 'strict-dynamic'",
        "script-src cdn.example.com",
        "script-src &#39;none&#39;",
        "script-src 'self' &unheard-of;",
        "script-src 'self' & more",
    ] {
        let expected = page(policy).replacen("<head>", &format!("<head>{META}"), 1);
        assert_eq!(marked(page(policy)), Marked::MetaOnly(expected.into_bytes()), "{policy}");
    }
    for policy in
        ["default-src 'self'", "img-src 'none'", "script-src &#39;self&#x27;", "script-src &apos;self&apos;"]
    {
        assert!(matches!(marked(page(policy)), Marked::Whole(_)), "{policy}");
    }
    let two = page("script-src 'self'")
        + "<meta http-equiv='content-security-policy' content=\"script-src 'none'\">";
    assert!(matches!(marked(two), Marked::MetaOnly(_)), "all policies of a page count");
    let reported =
        "<head><meta http-equiv='Content-Security-Policy-Report-Only' content=\"script-src 'none'\">";
    assert!(matches!(marked(reported), Marked::Whole(_)));
}

#[test]
fn what_is_no_document_stays_as_it_is() {
    for fragment in [
        "",
        "  \n",
        "plain text",
        "<div>part</div>",
        "<tr><td>1</td></tr>",
        "<p>a<p>b",
        "<script src=x></script>",
        "<!-- c -->",
    ] {
        assert!(matches!(marked(fragment), Marked::Untouched(_)), "{fragment}");
    }
    for encoded in [&b"\xff\xfe<\0h\0t\0m\0l\0>\0"[..], b"\xfe\xff\0<\0h", b"<html>\0<head>"] {
        assert!(matches!(marked(encoded), Marked::Untouched(_)));
    }
}

#[test]
fn broken_pages_keep_every_byte() {
    for page in [
        &b"<!doctype html><head><title>unclosed"[..],
        b"<html><head><script>if (a < b && c) { '</scr' }",
        b"<html><head></head></head></body><p></html><<>><//><a b='",
        b"<html><head><title>caf\xe9 \xff\xfe</title>",
        b"<html><head><textarea><head></textarea><svg><head/></svg><select><div><option>",
        b"<html><head><math><mi><table><tr><td></math><script></table>",
        b"<html",
    ] {
        match marked(page) {
            Marked::Whole(out) => {
                let at = out.windows(TAGS.len()).position(|window| window == TAGS.as_bytes()).unwrap();
                assert_eq!([&out[..at], &out[at + TAGS.len()..]].concat(), page);
            }
            Marked::Untouched(_) => {}
            Marked::MetaOnly(_) => panic!("there is no policy"),
        }
    }
}

/// Token soup: whatever browsers may meet, in any order.
#[test]
fn in_any_soup_the_tags_are_elements_and_nothing_else_changes() {
    const TOKENS: [&str; 40] = [
        "<!doctype html>",
        "<html>",
        "<html lang='a>b'>",
        "</html>",
        "<head>",
        "<head >",
        "</head>",
        "<body>",
        "</body>",
        "<title>",
        "</title>",
        "<meta charset=utf-8>",
        "<meta name=x content='<head>'>",
        "<base href=/x/>",
        "<script>",
        "</script>",
        "<script src=a.js></script>",
        "<style>",
        "</style>",
        "<!--",
        "-->",
        "<!-- <head> -->",
        "<p>",
        "</p>",
        "<svg>",
        "</svg>",
        "<math>",
        "<template>",
        "</template>",
        "<noscript>",
        "</noscript>",
        "<textarea>",
        "</textarea>",
        "<![CDATA[",
        "]]>",
        "text & more",
        "<",
        ">",
        "'",
        "\"",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let mut marked_pages = 0;
    for _ in 0..5000 {
        let page: String = (0..random(14)).map(|_| TOKENS[random(TOKENS.len())]).collect();
        let Marked::Whole(out) = marked(&page) else { continue };
        marked_pages += 1;
        let text = String::from_utf8(out.clone()).unwrap();
        assert_eq!(text.replacen(TAGS, "", 1), page);
        let found = examine(&out).unwrap();
        assert!(found.marker.is_some() && found.script, "the tags are not elements in {text}");
        assert_eq!(marked(&out), Marked::Whole(out.clone()), "marking again changes {text}");
    }
    assert!(marked_pages > 1000);
}
