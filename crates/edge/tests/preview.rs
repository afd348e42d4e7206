//! Entering, using and leaving a preview; the edge's own addresses.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

mod support;

use std::net::SocketAddr;

use cutover_edge::Edge;
use cutover_routing::{Pin, PreviewToken, ReleaseState};
use support::{
    BLUE, GREEN, HOST, NAVIGATE, Plan,
    client::{Reply, get, request},
    id, key, navigate, now, shop, start, temp,
};

fn serving(state: ReleaseState) -> (Edge, tempfile::TempDir) {
    let blobs = temp();
    let edge = start();
    edge.publish(
        Plan::new(5)
            .blobs(blobs.path())
            .release(BLUE, ReleaseState::Active, shop(blobs.path(), "blue"))
            .release(GREEN, state, shop(blobs.path(), "green"))
            .done(),
    )
    .unwrap();
    (edge, blobs)
}

fn token(release: &str, expiry: u64) -> PreviewToken {
    PreviewToken { kid: "k1".into(), release: id(release), expiry, tid: "t1".into() }
}

fn link(release: &str) -> String {
    token(release, now() + 300).sign_link(&key(), HOST)
}

fn enter(at: SocketAddr, token: &str, rest: &str) -> Reply {
    get(at, &format!("/.cutover/preview?token={token}{rest}"), &NAVIGATE)
}

#[test]
fn a_link_shows_a_staged_release_until_it_is_left() {
    let (edge, _blobs) = serving(ReleaseState::Staged);
    let at = edge.local_addr();
    let entered = enter(at, &link(GREEN), "&to=/docs/%3Fa=b");
    assert_eq!((entered.status, entered.header("location")), (303, "/docs/?a=b"));
    assert_eq!(entered.header("cache-control"), "no-store");
    assert_eq!(entered.header("referrer-policy"), "no-referrer");
    let line = entered.all("set-cookie").next().unwrap();
    assert!(
        line.contains("Max-Age=86400") && line.contains("HttpOnly") && line.contains("SameSite=Lax"),
        "{line}"
    );
    let cookie = format!("cutover-preview={}", entered.cookie("cutover-preview").unwrap());

    let pinned = format!("{cookie}; cutover={}", Pin { release: id(BLUE), bucket: 1, generation: 5 });
    let page = get(at, "/", &navigate(&[("cookie", &pinned), ("if-none-match", "*")]));
    assert_eq!((page.status, page.release(), page.reason()), (200, GREEN, "preview"));
    assert_eq!((page.header("cache-control"), page.header("x-robots-tag")), ("no-store", "noindex"));
    assert_eq!(page.all("set-cookie").count(), 0, "the pin is left alone");
    let file = get(at, "/assets/green.js", &[("cookie", &cookie)]);
    assert_eq!((file.status, file.header("cache-control")), (200, "no-store"));
    let without = get(at, "/assets/green.js", &[]);
    assert_eq!(without.status, 404, "a staged release is not in the commons");
    let usage = edge.usage(&id(GREEN));
    assert_eq!((usage.requests, usage.previews, usage.last_request_at), (0, 2, None));

    let left = get(at, "/.cutover/leave?to=/docs/", &[("cookie", &cookie)]);
    assert_eq!(
        (left.status, left.header("location"), left.header("cache-control")),
        (303, "/docs/", "no-store")
    );
    assert!(
        left.header("set-cookie").starts_with("cutover-preview=; ")
            && left.header("set-cookie").contains("Max-Age=0")
    );
}

#[test]
fn how_long_a_preview_lasts_is_signed_in_its_link() {
    let (edge, _blobs) = serving(ReleaseState::Staged);
    let lasting = |tid: &str| PreviewToken { tid: tid.into(), ..token(GREEN, now() + 300) };
    for (link, seconds) in [
        (lasting("t1").lasting(60), 60),
        (lasting("t1").lasting(1), 1),
        (lasting("t-5-1").lasting(86_400), 86_400),
        (lasting("t1"), 86_400),
        (lasting("t1-x"), 86_400),
        (lasting("t1-"), 86_400),
        (lasting("t1-0"), 86_400),
        (lasting("t1-060"), 86_400),
        (lasting("t1-999999"), 86_400),
    ] {
        let signed = link.sign_link(&key(), HOST);
        for rest in ["", "&for=86400", "&for=5"] {
            let before = now();
            let entered = enter(edge.local_addr(), &signed, rest);
            let line = entered.header("set-cookie");
            assert!(line.ends_with(&format!("Max-Age={seconds}")), "{link:?} {rest}: {line}");
            let cookie = entered.cookie("cutover-preview").unwrap();
            let cookie = PreviewToken::verify_cookie(cookie, HOST, &[key()], now()).unwrap();
            assert!((before + seconds..=now() + seconds).contains(&cookie.expiry), "{link:?} {rest}");
        }
        for other in ["t1", "t1-86400", "t1-61"] {
            if other != link.tid {
                let changed = signed.replacen(&format!(".{}.", link.tid), &format!(".{other}."), 1);
                assert_eq!(enter(edge.local_addr(), &changed, "").status, 403, "{link:?} as {other}");
            }
        }
    }
}

#[test]
fn bad_links_get_a_plain_refusal_and_no_cookie() {
    let (edge, _blobs) = serving(ReleaseState::Staged);
    let at = edge.local_addr();
    let good = token(GREEN, now() + 300);
    let other = cutover_routing::PreviewKey { kid: "k1".into(), secret: vec![8; 32] };
    let mut unknown_key = key();
    unknown_key.kid = "k2".into();
    let (forged, foreign, unknown) = (
        good.sign_link(&other, HOST),
        good.sign_link(&key(), "other.example"),
        PreviewToken { kid: "k2".into(), ..good.clone() }.sign_link(&unknown_key, HOST),
    );
    for (case, token) in [
        ("none", String::new()),
        ("noise", "l1.x.y".into()),
        ("forged", forged),
        ("of another host", foreign),
        ("of an unknown key", unknown),
        ("expired", token(GREEN, now() - 1).sign_link(&key(), HOST)),
        ("a cookie as a link", good.sign_cookie(&key(), HOST)),
        ("of a release that is gone", token("gone0000", now() + 300).sign_link(&key(), HOST)),
    ] {
        let refused = enter(at, &token, "&to=/");
        assert_eq!(
            (refused.status, refused.header("content-type")),
            (403, "text/html; charset=utf-8"),
            "{case}"
        );
        assert_eq!(
            (refused.all("set-cookie").count(), refused.header("cache-control")),
            (0, "no-store"),
            "{case}"
        );
    }
    let (edge, _blobs) = serving(ReleaseState::Closed);
    assert_eq!(enter(edge.local_addr(), &link(GREEN), "").status, 403, "withdrawn");
}

#[test]
fn the_redirect_never_leaves_the_host() {
    let (edge, _blobs) = serving(ReleaseState::Staged);
    for to in [
        "//evil.example",
        "/%5Cevil.example",
        "https://evil.example",
        "/%09/evil.example",
        "/a%0D%0Aset-cookie:%20x=1",
        "%2F%2Fevil.example",
        "",
    ] {
        for path in
            [format!("/.cutover/preview?token={}&to={to}", link(GREEN)), format!("/.cutover/leave?to={to}")]
        {
            let reply = get(edge.local_addr(), &path, &[]);
            assert_eq!((reply.status, reply.header("location")), (303, "/"), "{to}");
            assert_eq!(reply.all("set-cookie").count(), 1, "{to}");
        }
    }
}

#[test]
fn bad_preview_cookies_are_cleared_and_good_ones_that_are_over_say_so() {
    let (edge, blobs) = serving(ReleaseState::Staged);
    let at = edge.local_addr();
    let cookie = |token: String| format!("cutover-preview={token}");
    let good = token(GREEN, now() + 300);
    for bad in [good.sign_cookie(&key(), "other.example"), good.sign_link(&key(), HOST), "x".into()] {
        let page = get(at, "/", &navigate(&[("cookie", &cookie(bad))]));
        assert_eq!((page.status, page.release()), (200, BLUE));
        assert!(page.all("set-cookie").any(|line| line.starts_with("cutover-preview=;")), "{page:?}");
    }
    for over in [token(GREEN, now() - 10), token("gone0000", now() + 300)] {
        let over = cookie(over.sign_cookie(&key(), HOST));
        let page = get(at, "/", &navigate(&[("cookie", &over)]));
        assert!(
            page.header("content-type").starts_with("text/html") && page.text().contains("preview"),
            "{page:?}"
        );
        assert!(page.header("cache-control") == "no-store" && page.status < 500);
        assert_eq!(get(at, "/robots.txt", &[("cookie", &over)]).status, 410);
    }
    edge.publish(
        Plan::new(6)
            .blobs(blobs.path())
            .release(BLUE, ReleaseState::Active, shop(blobs.path(), "blue"))
            .release(GREEN, ReleaseState::Closed, shop(blobs.path(), "green"))
            .done(),
    )
    .unwrap();
    let withdrawn = get(at, "/robots.txt", &[("cookie", &cookie(good.sign_cookie(&key(), HOST)))]);
    assert_eq!(withdrawn.status, 410);
}

#[test]
fn the_edge_s_own_addresses() {
    let (edge, _blobs) = serving(ReleaseState::Candidate);
    let at = edge.local_addr();
    let state = get(at, "/.cutover/state", &[]);
    assert_eq!((state.status, state.header("cache-control")), (200, "no-store"));
    let value: serde_json::Value = serde_json::from_slice(&state.body).unwrap();
    assert_eq!(value, serde_json::json!({ "generation": 5, "default": BLUE }));
    let shown = format!("cutover-preview={}", token(GREEN, now() + 60).sign_cookie(&key(), HOST));
    let shown = [("cookie", shown.as_str())];
    let value: serde_json::Value = serde_json::from_slice(&get(at, "/.cutover/state", &shown).body).unwrap();
    assert_eq!(value, serde_json::json!({ "generation": 5, "default": BLUE, "preview": GREEN }));
    let forged = [("cookie", "cutover-preview=d1.k1.green002.9999999999.t1.AAAA")];
    assert!(!get(at, "/.cutover/state", &forged).text().contains("preview"));
    assert_eq!(get(at, "/.cutover/health", &[]).text(), "ok\n");

    let script = get(at, "/.cutover/visit.js", &[]);
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert!(script.text().contains("cutover-release"));
    let again = get(at, "/.cutover/visit.js", &[("if-none-match", script.header("etag"))]);
    assert_eq!((again.status, again.body.len()), (304, 0));

    for path in ["/.cutover", "/.cutover/", "/.cutover/none", "/x/../.cutover/none", "/.cutover/state/x"] {
        let none = get(at, path, &NAVIGATE);
        assert_eq!((none.status, none.header("cache-control")), (404, "no-store"), "{path}");
    }
    assert_eq!(get(at, "/x/..//.cutover/health", &[]).text(), "ok\n", "whatever the spelling");
    assert_eq!(get(at, "/.cutoverish", &NAVIGATE).release(), BLUE, "only the prefix is reserved");
    let posted = request(at, "POST", "/.cutover/state", &[], b"x");
    assert_eq!((posted.status, posted.header("allow")), (405, "GET, HEAD"));
}
