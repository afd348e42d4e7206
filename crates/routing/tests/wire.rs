//! What leaves this crate as text: ids, cookies, human JSON.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use cutover_routing::{
    Condition, InvalidReleaseId, PathPattern, Pin, PreviewKey, ReleaseId, ReleaseState, Settings, Slot,
    Table, preview_clear_cookie, preview_set_cookie,
};

#[test]
fn release_ids_are_8_to_16_lower_case_letters_and_digits() {
    for good in ["abcdefgh", "00000000", "0123456789abcdef"] {
        let id: ReleaseId = good.parse().unwrap();
        assert_eq!((id.as_str(), id.to_string().as_str()), (good, good));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{good}\""));
    }
    for bad in ["", "abcdefg", "0123456789abcdef0", "Abcdefgh", "abc-efgh", "abcdefg\u{0}", "äbcdefgh"] {
        assert_eq!(bad.parse::<ReleaseId>(), Err(InvalidReleaseId), "{bad:?}");
        assert!(serde_json::from_value::<ReleaseId>(bad.into()).is_err());
    }
}

#[test]
fn release_ids_are_ordered_like_their_text() {
    let ids = ["aaaaaaaa", "aaaaaaaaa", "aaaaaaab", "b0000000"];
    let parsed: Vec<ReleaseId> = ids.iter().map(|id| id.parse().unwrap()).collect();
    assert!(parsed.is_sorted());
    assert_eq!(size_of::<ReleaseId>(), 16);
}

#[test]
fn letters_and_words_of_states_and_slots() {
    let letters: String = ReleaseState::ALL.into_iter().map(ReleaseState::letter).collect();
    assert_eq!(letters, "scadx");
    for state in ReleaseState::ALL {
        assert_eq!(ReleaseState::from_letter(state.letter()), Some(state));
        assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{state}\""));
    }
    assert_eq!(ReleaseState::from_letter('z'), None);
    for slot in [Slot::Blue, Slot::Green] {
        assert_eq!(Slot::from_letter(slot.letter()), Some(slot));
        assert_eq!(slot.other().other(), slot);
        assert_eq!(serde_json::to_string(&slot).unwrap(), format!("\"{slot}\""));
    }
}

#[test]
fn the_pin_cookie_is_bound_to_one_host_over_https() {
    let pin = Pin { release: "green002".parse().unwrap(), bucket: 5953, generation: 45 };
    assert_eq!(
        pin.set_cookie(true),
        "__Host-cutover=1.green002.5953.45; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=2592000"
    );
    assert_eq!(
        pin.set_cookie(false),
        "cutover=1.green002.5953.45; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000"
    );
}

#[test]
fn the_preview_cookie_comes_and_goes() {
    assert_eq!(
        preview_set_cookie(true, "d1.x", 60),
        "__Host-cutover-preview=d1.x; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60"
    );
    assert_eq!(preview_clear_cookie(false), "cutover-preview=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
}

#[test]
fn secrets_are_not_shown() {
    let key = PreviewKey { kid: "k1".to_owned(), secret: b"do not show this".to_vec() };
    let settings = Settings { keys: vec![key.clone()], ..Settings::new("shop.example.com") };
    for shown in [format!("{key:?}"), format!("{settings:?}")] {
        assert!(!shown.contains("do not") && !shown.contains("100, 111"), "{shown}");
    }
    let json = serde_json::to_string(&key).unwrap();
    assert_eq!(json, r#"{"kid":"k1","secret":"ZG8gbm90IHNob3cgdGhpcw=="}"#);
    assert_eq!(serde_json::from_str::<PreviewKey>(&json).unwrap(), key);
}

#[test]
fn settings_are_read_with_their_defaults_and_no_unknown_keys() {
    let settings: Settings = serde_json::from_str(r#"{"host":"shop.example.com"}"#).unwrap();
    assert_eq!(settings, Settings::new("shop.example.com"));
    assert!(serde_json::from_str::<Settings>(r#"{"host":"a","hots":"b"}"#).is_err());
    let text = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
}

#[test]
fn conditions_read_as_they_are_written() {
    let read = |json: &str| serde_json::from_str::<Condition>(json).unwrap();
    assert_eq!(
        read(r#"{"header":{"name":"x-team","value":"core"}}"#),
        Condition::Header { name: "x-team".into(), value: Some("core".into()) }
    );
    assert_eq!(read(r#"{"cookie":{"name":"beta"}}"#), Condition::Cookie { name: "beta".into(), value: None });
    assert_eq!(read(r#"{"path":"/beta/*"}"#), Condition::Path(PathPattern::parse("/beta/*").unwrap()));
    assert_eq!(read(r#"{"country":["CH"]}"#), Condition::Country(vec!["CH".into()]));
    assert_eq!(read(r#"{"cidr":["10.0.0.0/8"]}"#), Condition::Cidr(vec!["10.0.0.0/8".parse().unwrap()]));
    assert!(serde_json::from_str::<Condition>(r#"{"path":"no-slash"}"#).is_err());
}

#[test]
fn the_human_form_of_a_table_refuses_what_it_does_not_know() {
    let table: Table = serde_json::from_str(r#"{"generation":1}"#).unwrap();
    assert_eq!(table, Table { generation: 1, ..Table::empty() });
    assert!(serde_json::from_str::<Table>(r#"{"generation":1,"defualt":null}"#).is_err());
}

#[test]
fn of_two_patterns_the_more_specific_one_decides() {
    let order = ["/*", "/a*", "/api/*", "/api/v1/*", "/api"];
    let sizes: Vec<usize> =
        order.iter().map(|text| PathPattern::parse(text).unwrap().specificity()).collect();
    assert!(sizes.is_sorted_by(|less, more| less < more), "{sizes:?}");
}

#[test]
fn a_refused_pattern_says_what_to_write() {
    let error = PathPattern::parse("/api/**").unwrap_err().to_string();
    assert_eq!(error, "not a path pattern: \"/api/**\" has '**': one '*' covers slashes too");
}
