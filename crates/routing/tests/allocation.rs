//! A decision about a pinned visitor costs no memory: it is made for every request.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod world;

use std::hint::black_box;

use cutover_routing::{
    AudienceRule, Condition, Edit, PathPattern, Policy, PreviewKey, Reason, Request, Settings, Table, decide,
    normalise_path,
};
use world::{id, must};

/// The headers a browser sends, with other people's cookies around the pin.
fn headers(pin: &str, navigation: bool) -> Vec<(&'static str, String)> {
    let (dest, mode) = if navigation { ("document", "navigate") } else { ("empty", "cors") };
    vec![
        ("host", "shop.example.com".to_owned()),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36".to_owned(),
        ),
        ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8".to_owned()),
        ("sec-fetch-site", "same-origin".to_owned()),
        ("sec-fetch-mode", mode.to_owned()),
        ("sec-fetch-dest", dest.to_owned()),
        (
            "cookie",
            format!("_ga=GA1.1.1234.5678; theme=dark; __Host-cutover={pin}; session=0123456789abcdef"),
        ),
    ]
}

fn table() -> Table {
    let mut table = Table::empty();
    for release in ["blue0001", "old00003"] {
        table = must(&table, &Edit::Stage { release: id(release), slot: None });
        table = must(&table, &Edit::MakeCandidate { release: id(release) });
    }
    table = must(&table, &Edit::Promote { release: id("old00003") });
    table = must(&table, &Edit::Promote { release: id("blue0001") });
    for release in ["green002", "green003"] {
        table = must(&table, &Edit::Stage { release: id(release), slot: None });
        table = must(&table, &Edit::MakeCandidate { release: id(release) });
        table = must(&table, &Edit::SetShare { release: id(release), width: 500 });
    }
    must(&table, &Edit::SetAudience { name: "staff".to_owned(), release: Some(id("green003")) })
}

fn settings(policy: Policy) -> Settings {
    let rule = |when| AudienceRule { name: "staff".to_owned(), when };
    Settings {
        secure: true,
        policy,
        keep: vec![PathPattern::parse("/callback*").unwrap()],
        audiences: vec![
            rule(Condition::Header { name: "x-team".to_owned(), value: Some("core".to_owned()) }),
            rule(Condition::Cookie { name: "team".to_owned(), value: None }),
            rule(Condition::Query { name: "team".to_owned(), value: None }),
            rule(Condition::Path(PathPattern::parse("/beta/*").unwrap())),
            rule(Condition::Cidr(vec!["10.0.0.0/8".parse().unwrap()])),
        ],
        keys: vec![PreviewKey { kid: "k1".to_owned(), secret: vec![1; 32] }],
        ..Settings::new("shop.example.com")
    }
}

/// Decides under the counter and gives the reason.
#[track_caller]
fn free(pin: &str, navigation: bool, policy: Policy) -> Reason {
    let (table, settings) = (table(), settings(policy));
    let owned = headers(pin, navigation);
    let headers: Vec<(&str, &str)> = owned.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let headers: &[(&str, &str)] = &headers;
    let request = Request {
        method: "GET",
        path: "/products/17",
        query: "sort=price&page=2",
        headers,
        client: Some("203.0.113.9".parse().unwrap()),
        country: Some("CH"),
    };
    let mut reason = None;
    let counted = allocation_counter::measure(|| {
        reason =
            Some(black_box(decide(black_box(&request), &table, &settings, "req-1", 1_800_000_000)).reason);
    });
    assert_eq!(counted.count_total, 0, "{reason:?} allocated");
    reason.unwrap()
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocation_counter::measure(|| drop(black_box(vec![1_u8; 100]))).count_total, 1);
}

#[test]
fn a_pinned_decision_allocates_nothing() {
    assert_eq!(free("1.blue0001.17.1", false, Policy::Navigation), Reason::Pin);
    assert_eq!(free("1.gone9999.17.1", false, Policy::Navigation), Reason::Stale);
    assert_eq!(free("1.old00003.17.1", true, Policy::Navigation), Reason::Moved);
    assert_eq!(free("1.old00003.17.1", true, Policy::Sticky), Reason::Sticky);
    assert_eq!(free("1.old00003.17.1", true, Policy::Entry), Reason::Entry);
}

#[test]
fn a_new_visitor_allocates_nothing_either() {
    assert_eq!(free("none", true, Policy::Navigation), Reason::New);
    assert_eq!(free("none", false, Policy::Navigation), Reason::Default);
}

#[test]
fn an_ordinary_path_is_borrowed() {
    let counted = allocation_counter::measure(|| {
        let path = normalise_path(black_box("/assets/app-1a2b3c.js")).unwrap();
        black_box(path);
    });
    assert_eq!(counted.count_total, 0);
}
