//! What holds for every table, visitor and edit: the promises a rollout is built on.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod world;

use cutover_routing::{
    Action, AudienceRule, BUCKETS, Condition, Cookieless, Edit, MAX_COMPACT, MAX_GENERATION, PathPattern,
    Pin, Policy, PreviewKey, PreviewToken, ReleaseId, ReleaseState, Request, Settings, Table, decide, edit,
    explain, next_generation, normalise_path,
};
use proptest::prelude::*;
use world::{any_edit, any_release, any_table, ask, must, navigate, ready, settle};

const POLICIES: [Policy; 3] = [Policy::Navigation, Policy::Entry, Policy::Sticky];

fn targets(table: &Table) -> Vec<Option<ReleaseId>> {
    (0..BUCKETS).map(|bucket| table.target(bucket)).collect()
}

fn settings(policy: Policy) -> Settings {
    Settings { policy, secure: true, ..Settings::new("shop.example.com") }
}

fn pin(release: ReleaseId, bucket: u16, generation: u64) -> Pin {
    Pin { release, bucket, generation }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn edits_keep_the_table_valid_and_its_generation_growing(edits in proptest::collection::vec(any_edit(), 0..60)) {
        let mut table = Table::empty();
        for change in &edits {
            let before = table.clone();
            if let Ok(next) = edit(&table, change, table.generation + 1) {
                prop_assert_eq!(next.validate(), Ok(()), "after {:?}", change);
                prop_assert!(next.generation > before.generation);
                prop_assert!(Table { generation: before.generation, ..next.clone() } != before, "{:?} did nothing", change);
                table = next;
            }
        }
    }

    #[test]
    fn no_edit_takes_a_generation_that_does_not_grow(table in any_table(), change in any_edit(), back in 0_u64..50) {
        prop_assert!(edit(&table, &change, table.generation.saturating_sub(back)).is_err());
        prop_assert!(edit(&table, &change, MAX_GENERATION + 1).is_err());
    }

    #[test]
    fn the_ring_turns_only_while_nobody_holds_a_share(table in any_table(), change in any_edit()) {
        if let Ok(next) = edit(&table, &change, table.generation + 1) {
            prop_assert!(next.offset == table.offset || table.shares.iter().all(|share| share.width == 0));
        }
    }

    #[test]
    fn everybody_is_served_by_a_release_that_may((table, _) in ready(), edits in proptest::collection::vec(any_edit(), 0..30)) {
        let table = edits.iter().fold(table, |table, change| edit(&table, change, table.generation + 1).unwrap_or(table));
        for target in targets(&table) {
            let target = target.unwrap();
            prop_assert!(matches!(table.state(&target), Some(ReleaseState::Active | ReleaseState::Candidate)));
        }
    }

    #[test]
    fn a_share_gets_exactly_its_buckets((table, green) in ready(), width in 0..=BUCKETS) {
        let table = settle(&table, &Edit::SetShare { release: green, width });
        let sent = targets(&table).into_iter().filter(|target| *target == Some(green)).count();
        prop_assert_eq!(sent, usize::from(width));
    }

    #[test]
    fn raising_moves_nobody_back_and_lowering_nobody_forward(
        (table, green) in ready(), one in 0..=BUCKETS, other in 0..=BUCKETS,
    ) {
        let low = settle(&table, &Edit::SetShare { release: green, width: one.min(other) });
        let high = settle(&low, &Edit::SetShare { release: green, width: one.max(other) });
        let low_again = settle(&high, &Edit::SetShare { release: green, width: one.min(other) });
        for (bucket, (few, many)) in targets(&low).into_iter().zip(targets(&high)).enumerate() {
            prop_assert!(few == many || many == Some(green), "bucket {} went from {:?} to {:?}", bucket, few, many);
        }
        prop_assert_eq!(targets(&low_again), targets(&low), "who was moved forward comes back, nobody else");
    }

    #[test]
    fn a_second_share_moves_nobody_of_the_first((table, green) in ready(), width in 1..BUCKETS, second in 1..=BUCKETS) {
        let yellow: ReleaseId = "yellow11".parse().unwrap();
        let table = must(&table, &Edit::Stage { release: yellow, slot: None });
        let table = must(&table, &Edit::MakeCandidate { release: yellow });
        let one = must(&table, &Edit::SetShare { release: green, width });
        if let Ok(two) = edit(&one, &Edit::SetShare { release: yellow, width: second }, one.generation + 1) {
            for (before, after) in targets(&one).into_iter().zip(targets(&two)) {
                prop_assert!(before == after || (before == one.default && after == Some(yellow)));
            }
        } else {
            prop_assert!(u32::from(width) + u32::from(second) > u32::from(BUCKETS), "there was room");
        }
    }

    #[test]
    fn promote_then_rollback_restores((table, green) in ready(), width in 0..=BUCKETS) {
        let before = settle(&table, &Edit::SetShare { release: green, width });
        let blue = before.default.unwrap();
        let promoted = must(&before, &Edit::Promote { release: green });
        prop_assert!(targets(&promoted).into_iter().all(|target| target == Some(green)));
        let restored = must(&promoted, &Edit::Rollback { to: blue, close: false });
        prop_assert!(targets(&restored).into_iter().all(|target| target == Some(blue)));
        for (release, entry) in &restored.releases {
            let was = before.releases[release];
            let left = was.state == ReleaseState::Candidate;
            prop_assert_eq!(entry.state, if left { ReleaseState::Draining } else { was.state });
            prop_assert_eq!(entry.slot, was.slot);
        }
    }

    #[test]
    fn rollback_moves_exactly_those_it_must((table, green) in ready(), bucket in 0..BUCKETS, close in any::<bool>()) {
        let blue = table.default.unwrap();
        let old = table.releases.keys().copied().find(|release| {
            table.state(release) == Some(ReleaseState::Draining) && table.holds_by_policy(release)
        });
        let promoted = must(&table, &Edit::Promote { release: green });
        let back = must(&promoted, &Edit::Rollback { to: blue, close });
        for policy in POLICIES {
            let settings = settings(policy);
            let lands = |release| navigate(pin(release, bucket, promoted.generation), &back, &settings).action.release();
            prop_assert_eq!(lands(green), Some(blue), "{:?}: the release that is left keeps nobody", policy);
            prop_assert_eq!(lands(blue), Some(blue), "{:?}: who never moved stays", policy);
            if let Some(old) = old {
                let stays = if policy == Policy::Navigation { blue } else { old };
                prop_assert_eq!(lands(old), Some(stays), "{:?}: others follow their policy", policy);
            }
            let open_page = [("sec-fetch-dest", "empty"), ("x-cutover-release", green.as_str())];
            let page = ask("/api", &open_page, &back, &settings);
            prop_assert_eq!(page.action.release(), Some(if close { blue } else { green }));
            prop_assert_eq!(page.stale, close, "an open page is whole, or is told");
        }
    }

    #[test]
    fn rollback_before_promotion_takes_everybody_back((table, green) in ready(), width in 1..=BUCKETS, bucket in 0..BUCKETS) {
        let blue = table.default.unwrap();
        let shared = must(&table, &Edit::SetShare { release: green, width });
        let back = must(&shared, &Edit::Rollback { to: blue, close: false });
        for policy in POLICIES {
            let landed = navigate(pin(green, bucket, shared.generation), &back, &settings(policy));
            prop_assert_eq!(landed.action.release(), Some(blue));
        }
        prop_assert!(targets(&back).into_iter().all(|target| target == Some(blue)));
        let again = edit(&back, &Edit::Rollback { to: blue, close: false }, back.generation + 1);
        prop_assert!(matches!(again, Err(cutover_routing::EditRefused::NoChange(_))), "repeated it says so");
    }

    #[test]
    fn policies_hold_against_promotion((table, green) in ready(), bucket in 0..BUCKETS) {
        let blue = table.default.unwrap();
        let promoted = must(&table, &Edit::Promote { release: green });
        for policy in POLICIES {
            let landed = navigate(pin(blue, bucket, table.generation), &promoted, &settings(policy)).action.release();
            prop_assert_eq!(landed, Some(if policy == Policy::Navigation { green } else { blue }));
        }
    }

    #[test]
    fn an_edge_that_is_behind_bounces_nobody((table, green) in ready(), width in 0..=BUCKETS, bucket in 0..BUCKETS, close in any::<bool>()) {
        let settings = settings(Policy::Navigation);
        let blue = table.default.unwrap();
        let start = pin(blue, bucket, table.generation);
        let mut tables = vec![table];
        for change in [
            Edit::SetShare { release: green, width },
            Edit::Promote { release: green },
            Edit::Rollback { to: blue, close },
        ] {
            tables.push(settle(tables.last().unwrap(), &change));
        }
        for (at, ahead) in tables.iter().enumerate() {
            let moved = navigate(start, ahead, &settings);
            let there = moved.set_pin.unwrap_or(start);
            for behind in &tables[..at] {
                let seen = navigate(there, behind, &settings);
                prop_assert_eq!(seen.action.release(), Some(there.release));
                prop_assert_eq!(seen.set_pin.filter(|pin| pin.release != there.release), None);
            }
        }
    }

    #[test]
    fn a_pinned_visitor_stays_while_the_table_stays(table in any_table(), release in any_release(), bucket in 0..BUCKETS, generation in 0_u64..2000) {
        for policy in POLICIES {
            let settings = settings(policy);
            let first = navigate(pin(release, bucket, generation), &table, &settings);
            let Some(landed) = first.action.release() else { continue };
            let now = first.set_pin.unwrap_or(pin(release, bucket, generation));
            prop_assert_eq!((now.release, now.bucket), (landed, bucket));
            let second = navigate(now, &table, &settings);
            prop_assert_eq!(second.action.release(), Some(landed));
            prop_assert!(second.set_pin.is_none() || now.release == release);
        }
    }

    #[test]
    fn the_compact_form_gives_the_table_back(table in any_table()) {
        let text = table.to_compact();
        prop_assert!(text.len() <= MAX_COMPACT);
        prop_assert_eq!(Table::from_compact(&text), Ok(table.clone()));
        let json = serde_json::to_string(&table).unwrap();
        prop_assert_eq!(serde_json::from_str::<Table>(&json).unwrap(), table);
    }

    #[test]
    fn tables_differ_exactly_when_their_digests_do(one in any_table(), other in any_table()) {
        prop_assert_eq!(one == other, one.digest() == other.digest());
    }

    #[test]
    fn any_text_for_a_compact_form_gives_a_valid_table_or_an_error(text in r#"[{}\[\]",:a-z0-9]{0,80}"#, at in any::<prop::sample::Index>(), table in any_table()) {
        let _ = Table::from_compact(&text);
        let mut broken = table.to_compact().into_bytes();
        let at = at.index(broken.len());
        broken[at] ^= 1;
        if let Ok(other) = Table::from_compact(&String::from_utf8(broken).unwrap()) {
            prop_assert_eq!(other.validate(), Ok(()));
            prop_assert!(other.digest() != table.digest());
        }
    }

    #[test]
    fn generations_grow_and_keep_up_with_the_clock(observed in 0..MAX_GENERATION, now in 0_u64..10_000_000_000) {
        let next = next_generation(observed, now);
        prop_assert!(next > observed);
        prop_assert!(next >= now.saturating_sub(cutover_routing::GENERATION_EPOCH));
    }
}

/// Text that may come as a cookie, hint or token: noise, and well-formed things nobody signed or issued.
fn hostile() -> impl Strategy<Value = String> {
    let pin = (any_release(), any::<u16>(), any::<u64>()).prop_map(|(release, bucket, generation)| {
        Pin { release, bucket: bucket % BUCKETS, generation: generation >> (bucket % 64) }.to_string()
    });
    let forged = any_release().prop_map(|release| {
        PreviewToken { kid: "k1".into(), release, expiry: 1_800_003_600, tid: "t".into() }
            .sign_cookie(&PreviewKey { kid: "k1".into(), secret: vec![9; 32] }, "shop.example.com")
    });
    prop_oneof![
        "\\PC{0,40}",
        "[a-z0-9.=; ~_-]{0,60}",
        any_release().prop_map(|release| release.to_string()),
        pin,
        forged
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_hostile_selects_what_may_not_be_served(
        table in any_table(),
        texts in proptest::collection::vec(hostile(), 8),
        method in prop_oneof![Just("GET"), Just("HEAD"), Just("POST"), Just("\u{0}")],
        navigation in any::<bool>(),
        split in any::<bool>(),
        secure in any::<bool>(),
        policy in 0..3_usize,
        below in any::<bool>(),
    ) {
        let settings = Settings {
            secure,
            policy: POLICIES[policy],
            cookieless: if split { Cookieless::Split } else { Cookieless::Default },
            keep: vec![PathPattern::parse("/c*").unwrap()],
            audiences: vec![
                AudienceRule { name: "staff".into(), when: Condition::Header { name: "x-team".into(), value: None } },
                AudienceRule { name: "beta".into(), when: Condition::Query { name: "b".into(), value: None } },
            ],
            keys: vec![PreviewKey { kid: "k1".into(), secret: vec![1; 32] }],
            ..Settings::new("shop.example.com")
        };
        let own = format!("{}={}; cutover-preview={}; __Host-cutover-preview={}", Pin::cookie_name(secure), texts[0], texts[1], texts[2]);
        let path = if below { format!("/_r/{}/x", texts[3]) } else { format!("/{}", texts[3]) };
        let mut headers = vec![("cookie", own.as_str()), ("x-cutover-release", &texts[4]), ("user-agent", &texts[5]), ("cache-control", &texts[6])];
        if navigation {
            headers.extend([("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate"), ("x-team", &texts[7])]);
        }
        let request = Request { method, path: &path, query: &texts[7], headers: headers.as_slice(), client: None, country: Some(&texts[6]) };
        let decision = decide(&request, &table, &settings, &texts[6], 1_800_000_000);
        if let Some(release) = decision.action.release() {
            prop_assert!(table.servable(&release), "{:?}", decision);
        }
        prop_assert!(!matches!(decision.action, Action::Preview { .. } | Action::PreviewEnded { .. }), "{:?}", decision);
        if let Action::Path { rest, .. } = decision.action {
            prop_assert!(path[rest..].starts_with('/'));
        }
        if let Some(pin) = decision.set_pin {
            prop_assert_eq!(Some(pin.release), decision.action.release());
            prop_assert_eq!(pin.generation, table.generation);
            prop_assert_eq!(Pin::parse(&pin.to_string()), Some(pin));
        }
        let explained = explain(&request, &table, &settings, &texts[6], 1_800_000_000);
        prop_assert_eq!(explained.decision, decision);
    }

    #[test]
    fn other_peoples_cookies_change_nothing(table in any_table(), release in any_release(), bucket in 0..BUCKETS, before in "[a-zA-Z0-9=, ]{0,30}", behind in "[a-zA-Z0-9=;, ]{0,30}") {
        let settings = settings(Policy::Navigation);
        let own = format!("__Host-cutover={}", pin(release, bucket, table.generation));
        let among = format!("{before}; {own};{behind}");
        let base = [("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate")];
        let alone = [base[0], base[1], ("cookie", own.as_str())];
        let crowd = [base[0], base[1], ("cookie", among.as_str())];
        prop_assert_eq!(ask("/", &alone, &table, &settings), ask("/", &crowd, &table, &settings));
    }

    #[test]
    fn a_normal_path_is_absolute_and_stays_below_the_root(raw in "(/|%2[eEfF]|\\.|%|a|\\\\|\u{e9}|%c3%a9|[ -~]){0,12}") {
        if let Ok(path) = normalise_path(&raw) {
            prop_assert!(path.starts_with('/') && !path.contains("//") && !path.contains('\\'));
            prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
            prop_assert!(!path.chars().any(char::is_control));
        }
    }

    #[test]
    fn patterns_match_as_the_plain_definition_says(text in "/[ab/*]{0,6}", path in "/[ab/]{0,8}") {
        fn plain(pattern: &[u8], path: &[u8]) -> bool {
            match (pattern, path) {
                ([], []) => true,
                ([b'*', rest @ ..], _) => (0..=path.len()).any(|at| plain(rest, &path[at..])),
                ([a, rest @ ..], [b, tail @ ..]) => a == b && plain(rest, tail),
                _ => false,
            }
        }
        if let Ok(pattern) = PathPattern::parse(&text) {
            let itself = text.strip_suffix("/*").is_some_and(|base| plain(base.as_bytes(), path.as_bytes()));
            prop_assert_eq!(pattern.matches(&path), itself || plain(text.as_bytes(), path.as_bytes()));
        }
    }
}
