//! Which release answers, and what the answer carries.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

mod support;

use cutover_routing::{Pin, ReleaseState};
use support::{
    BLUE, GREEN, NAVIGATE, Plan, api,
    client::{Client, Reply, get, request},
    id, navigate, shop, start, temp,
    upstream::Upstream,
};

fn pin(release: &str, generation: u64) -> String {
    format!("cutover={}", Pin { release: id(release), bucket: 7, generation })
}

#[test]
fn before_the_first_release_the_edge_says_so() {
    let edge = start();
    let page = get(edge.local_addr(), "/", &NAVIGATE);
    assert_eq!(
        (page.status, page.header("cache-control"), page.header("retry-after")),
        (503, "no-store", "5")
    );
    assert!(page.text().contains("no release here yet"), "{}", page.text());
    let other = get(edge.local_addr(), "/api/x", &[]);
    assert_eq!((other.status, other.header("content-type")), (503, "application/json"));
    assert_eq!(other.release(), "none");
    assert_eq!(edge.generation(), 0);
    assert!(edge.publication().is_none());
}

#[test]
fn a_navigation_gets_a_page_and_a_pin_and_its_files_follow() {
    let blobs = temp();
    let edge = start();
    edge.publish(
        Plan::new(5)
            .blobs(blobs.path())
            .release(BLUE, ReleaseState::Active, shop(blobs.path(), "blue"))
            .done(),
    )
    .unwrap();
    let page = get(edge.local_addr(), "/", &NAVIGATE);
    assert_eq!((page.status, page.release(), page.reason()), (200, BLUE, "new"));
    assert_eq!(page.header("cache-control"), "private, no-cache");
    let pin = Pin::parse(page.cookie("cutover").unwrap()).unwrap();
    assert_eq!((pin.release, pin.generation), (id(BLUE), 5));
    let line = page.all("set-cookie").next().unwrap();
    assert!(line.contains("HttpOnly") && line.contains("SameSite=Lax") && !line.contains("Secure"), "{line}");

    let cookie = format!("cutover={pin}");
    let again = get(edge.local_addr(), "/", &navigate(&[("cookie", &cookie)]));
    assert!(again.cookie("cutover").is_none(), "nothing has changed");
    let chunk = get(edge.local_addr(), "/assets/blue.js", &[("cookie", &cookie)]);
    assert_eq!((chunk.status, chunk.text(), chunk.release()), (200, "export default 'blue'", BLUE));
    assert!(chunk.header("cache-control").contains("immutable"));
    assert_eq!(chunk.all("set-cookie").count(), 0);
}

#[test]
fn an_open_page_keeps_its_files_after_a_switch_and_the_next_load_moves() {
    let blobs = temp();
    let edge = start();
    let (blue, green) = (shop(blobs.path(), "blue"), shop(blobs.path(), "green"));
    edge.publish(Plan::new(5).blobs(blobs.path()).release(BLUE, ReleaseState::Active, blue.clone()).done())
        .unwrap();
    edge.publish(
        Plan::new(6)
            .blobs(blobs.path())
            .release(BLUE, ReleaseState::Draining, blue)
            .release(GREEN, ReleaseState::Active, green)
            .done(),
    )
    .unwrap();
    let cookie = pin(BLUE, 5);
    let mut client = Client::connect(edge.local_addr());
    let lazy = client.get("/assets/blue.js", &[("cookie", &cookie)]);
    assert_eq!((lazy.status, lazy.release(), lazy.reason()), (200, BLUE, "pin"));
    let page = client.get("/", &navigate(&[("cookie", &cookie), ("if-none-match", "*")]));
    assert_eq!((page.status, page.release(), page.reason()), (200, GREEN, "moved"));
    assert!(page.text().contains("green"));
    assert_eq!(Pin::parse(page.cookie("cutover").unwrap()).unwrap().bucket, 7);
    // The other tab still shows blue; its pin now says green, but the file is in the commons.
    let common = client.get("/assets/blue.js", &[("cookie", &pin(GREEN, 6))]);
    assert_eq!((common.status, common.release(), common.reason()), (200, BLUE, "commons"));
    let hinted = client.get("/robots.txt", &[("cookie", &pin(GREEN, 6)), ("x-cutover-release", BLUE)]);
    assert_eq!((hinted.text(), hinted.release(), hinted.reason()), ("blue", BLUE, "hint"));
    let nowhere = client.get("/assets/none.js", &navigate(&[]));
    assert_eq!((nowhere.status, nowhere.header("cache-control")), (404, "no-store"));
    let deep = client.get("/some/route", &navigate(&[("cookie", &pin(GREEN, 6))]));
    assert_eq!((deep.status, deep.release()), (200, GREEN), "the fallback is for navigations");
    assert_eq!(client.get("/some/route", &[]).status, 404);
    for hidden in ["/.env", "/.git/config", "/a/.hidden/b", "/%2eenv"] {
        let nothing = client.get(hidden, &NAVIGATE);
        assert_eq!((nothing.status, nothing.header("cache-control")), (404, "no-store"), "{hidden}");
    }
    assert_eq!(client.get("/.well-known/route", &NAVIGATE).status, 200);
    assert!(edge.metrics().contains(&format!("cutover_pins_moved_total{{release=\"{GREEN}\"}} 1")));
}

#[test]
fn a_pin_of_a_closed_release_is_void_and_sub_requests_are_marked_stale() {
    let blobs = temp();
    let edge = start();
    edge.publish(
        Plan::new(6)
            .blobs(blobs.path())
            .release(BLUE, ReleaseState::Closed, shop(blobs.path(), "blue"))
            .release(GREEN, ReleaseState::Active, shop(blobs.path(), "green"))
            .done(),
    )
    .unwrap();
    let cookie = pin(BLUE, 5);
    let sub = get(edge.local_addr(), "/robots.txt", &[("cookie", &cookie)]);
    assert_eq!((sub.text(), sub.release(), sub.header("x-cutover-stale")), ("green", GREEN, "1"));
    let gone = get(edge.local_addr(), "/assets/blue.js", &[("cookie", &cookie)]);
    assert_eq!(gone.status, 404, "a closed release is not in the commons");
}

/// Sends a GET with a header of any bytes.
fn get_with(
    edge: &cutover_edge::Edge,
    path: &str,
    headers: &[(&str, &str)],
    name: &str,
    value: &[u8],
) -> Reply {
    let mut client = Client::connect(edge.local_addr());
    let mut head = format!("GET {path} HTTP/1.1\r\nhost: shop.example\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    client.write(&[head.as_bytes(), name.as_bytes(), b": ", value, b"\r\n\r\n"].concat());
    client.receive("GET").expect("an answer")
}

#[test]
fn cookies_in_any_charset_do_not_hide_the_pin_or_the_preview() {
    let blobs = temp();
    let edge = start();
    let plan = Plan::new(6)
        .blobs(blobs.path())
        .release(BLUE, ReleaseState::Draining, shop(blobs.path(), "blue"))
        .release(GREEN, ReleaseState::Active, shop(blobs.path(), "green"))
        .settings(|settings| {
            settings.keep = vec![cutover_routing::PathPattern::parse("/docs/*").unwrap()];
            let staff = |when| cutover_routing::AudienceRule { name: "staff".into(), when };
            settings.audiences = vec![
                staff(cutover_routing::Condition::Cookie { name: "staff".into(), value: Some("1".into()) }),
                staff(cutover_routing::Condition::Header { name: "x-name".into(), value: None }),
            ];
        });
    edge.publish(plan.done()).unwrap();
    let pin = pin(BLUE, 5);
    for name in [&b"J\xc3\xbcrgen"[..], b"J\xfcrgen", b"\xff\xfe", b"\xc3"] {
        for cookie in [
            [pin.as_bytes(), b"; name=", name].concat(),
            [b"name=", name, b"; ", pin.as_bytes()].concat(),
            [b"a=1; ", name, b"=x; ", pin.as_bytes(), b"; b=2"].concat(),
        ] {
            let sub = get_with(&edge, "/robots.txt", &[], "cookie", &cookie);
            assert_eq!((sub.release(), sub.reason(), sub.text()), (BLUE, "pin", "blue"), "{cookie:?}");
            let kept = get_with(&edge, "/docs/", &NAVIGATE, "cookie", &cookie);
            assert_eq!((kept.release(), kept.reason()), (BLUE, "keep"), "{cookie:?}");
            let moved = get_with(&edge, "/", &NAVIGATE, "cookie", &cookie);
            assert_eq!((moved.release(), moved.reason()), (GREEN, "moved"), "{cookie:?}");
            assert_eq!(Pin::parse(moved.cookie("cutover").unwrap()).unwrap().bucket, 7, "{cookie:?}");
        }
        let token = cutover_routing::PreviewToken {
            kid: "k1".into(),
            release: id(BLUE),
            expiry: support::now() + 60,
            tid: "t".into(),
        };
        let preview = format!("cutover-preview={}", token.sign_cookie(&support::key(), support::HOST));
        let cookie = [b"name=", name, b"; ", preview.as_bytes()].concat();
        let page = get_with(&edge, "/", &NAVIGATE, "cookie", &cookie);
        assert_eq!((page.release(), page.reason()), (BLUE, "preview"), "{cookie:?}");
        let state = get_with(&edge, "/.cutover/state", &[], "cookie", &cookie);
        assert!(state.text().contains("preview"), "{cookie:?}");
    }
    let mut plan = Plan::new(7)
        .blobs(blobs.path())
        .release(BLUE, ReleaseState::Candidate, shop(blobs.path(), "blue"))
        .release(GREEN, ReleaseState::Active, shop(blobs.path(), "green"))
        .settings(|settings| settings.audiences = edge.publication().unwrap().settings.audiences.clone());
    plan.table.audiences.insert("staff".into(), id(BLUE));
    edge.publish(plan.done()).unwrap();
    for (name, value) in [("cookie", &b"name=J\xfcrgen; staff=1"[..]), ("x-name", b"J\xfcrgen")] {
        let page = get_with(&edge, "/", &NAVIGATE, name, value);
        assert_eq!((page.release(), page.reason()), (BLUE, "audience"), "{name}");
    }
}

#[test]
fn files_by_release_path_are_files_only() {
    let blobs = temp();
    let edge = start();
    let upstream = Upstream::start("blue");
    let mut blue = shop(blobs.path(), "blue");
    blue.services = api(&upstream.at()).services;
    edge.publish(
        Plan::new(6)
            .blobs(blobs.path())
            .release(BLUE, ReleaseState::Draining, blue)
            .release(GREEN, ReleaseState::Active, shop(blobs.path(), "green"))
            .done(),
    )
    .unwrap();
    let at = edge.local_addr();
    let file = get(at, "/_r/blue0001/robots.txt", &[]);
    assert_eq!((file.status, file.text(), file.release()), (200, "blue", BLUE));
    for path in [
        "/_r/blue0001/",
        "/_r/blue0001/index.html",
        "/_r/blue0001/api/version",
        "/_r/none0000/robots.txt",
        "/_r/blue0001/docs",
    ] {
        let refused = get(at, path, &NAVIGATE);
        assert_eq!((refused.status, refused.header("cache-control")), (404, "no-store"), "{path}");
    }
    assert_eq!(request(at, "POST", "/_r/blue0001/robots.txt", &[], b"").status, 404);
    assert_eq!(upstream.state.requests.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn pins_are_set_on_pages_and_redirects_only() {
    let upstream = Upstream::start("blue");
    let edge = start();
    edge.publish(Plan::new(5).release(BLUE, ReleaseState::Active, api(&upstream.at())).done()).unwrap();
    for (path, headers, pinned) in [
        ("/api/page", navigate(&[]), true),
        ("/api/redirect", navigate(&[]), true),
        ("/api/error", navigate(&[]), false),
        ("/api/missing", navigate(&[]), false),
        ("/api/attachment", navigate(&[]), false),
        ("/api/echo", navigate(&[]), false),
        ("/api/page", vec![], false),
        ("/api/page", navigate(&[("sec-purpose", "prefetch")]), false),
        ("/api/page", vec![("sec-fetch-dest", "iframe"), ("sec-fetch-mode", "navigate")], false),
        ("/api/script", vec![("service-worker", "script"), ("sec-fetch-dest", "serviceworker")], true),
    ] {
        let reply = get(edge.local_addr(), path, &headers);
        assert_eq!(reply.cookie("cutover").is_some(), pinned, "{path} {headers:?}");
        if pinned {
            assert_eq!(reply.header("cache-control"), "private, no-cache", "{path}");
        }
    }
    assert_eq!(request(edge.local_addr(), "HEAD", "/api/page", &NAVIGATE, b"").all("set-cookie").count(), 0);
}

#[test]
fn an_https_site_has_cookies_that_only_https_carries() {
    let blobs = temp();
    let edge = start();
    let plan =
        Plan::new(5).blobs(blobs.path()).release(BLUE, ReleaseState::Active, shop(blobs.path(), "blue"));
    edge.publish(plan.settings(|settings| settings.secure = true).done()).unwrap();
    let page = get(edge.local_addr(), "/", &NAVIGATE);
    assert!(page.cookie("__Host-cutover").is_some() && page.header("set-cookie").contains("Secure"));
    let ignored = get(edge.local_addr(), "/", &navigate(&[("cookie", "cutover=1.none0000.1.1")]));
    assert_eq!(ignored.reason(), "new");
}

#[test]
fn conditionals_are_dropped_towards_services_when_a_visitor_moves() {
    let (blue, green) = (Upstream::start("blue"), Upstream::start("green"));
    let edge = start();
    edge.publish(
        Plan::new(6)
            .release(BLUE, ReleaseState::Draining, api(&blue.at()))
            .release(GREEN, ReleaseState::Active, api(&green.at()))
            .done(),
    )
    .unwrap();
    let at = edge.local_addr();
    let (old, new) = (pin(BLUE, 5), pin(GREEN, 6));
    let tag = ("if-none-match", "\"1\"");
    assert_eq!(get(at, "/api/conditional", &navigate(&[("cookie", &old), tag])).status, 200);
    assert_eq!(get(at, "/api/conditional", &navigate(&[("cookie", &new), tag])).status, 304);
    assert_eq!(get(at, "/api/conditional", &navigate(&[tag])).status, 200, "no pin at all");
    assert_eq!(
        get(at, "/api/conditional", &[("cookie", &old), tag]).status,
        304,
        "an open page's own request"
    );
}

#[test]
fn the_most_specific_route_wins_whatever_the_order() {
    let (wide, narrow) = (Upstream::start("wide"), Upstream::start("narrow"));
    let edge = start();
    let mut serving = support::service(&wide.at(), "/*", None);
    let mut second = support::service(&narrow.at(), "/api/v2/*", None).services.remove(0);
    second.name = "second".into();
    serving.services.push(second);
    edge.publish(Plan::new(1).release(BLUE, ReleaseState::Active, serving).done()).unwrap();
    assert_eq!(get(edge.local_addr(), "/api/v2/x", &[]).text(), "narrow");
    assert_eq!(get(edge.local_addr(), "/api/v1/x", &[]).text(), "wide");
}

#[test]
fn head_has_the_length_of_get_and_no_body() {
    let blobs = temp();
    let upstream = Upstream::start("blue");
    let edge = start();
    let mut blue = shop(blobs.path(), "blue");
    blue.services = api(&upstream.at()).services;
    edge.publish(Plan::new(5).blobs(blobs.path()).release(BLUE, ReleaseState::Active, blue).done()).unwrap();
    let mut client = Client::connect(edge.local_addr());
    for path in [
        "/",
        "/robots.txt",
        "/assets/none.js",
        "/.cutover/state",
        "/.cutover/visit.js",
        "/.cutover/nothing",
        "/docs",
    ] {
        let get = client.get(path, &[]);
        let head = client.request("HEAD", path, &[], b"").unwrap();
        assert_eq!(
            (head.status, head.header("content-length")),
            (get.status, get.header("content-length")),
            "{path}"
        );
    }
    // The connection is still in step after all of them.
    let head = client.request("HEAD", "/api/any", &[], b"").unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, "123"));
    assert_eq!(client.get("/robots.txt", &[]).text(), "blue");
}
