//! Tables and settings at the edges of what is well formed.

use cutover_routing::{BUCKETS, Entry, PreviewKey, ReleaseId, ReleaseState, Settings, Share, Slot, Table};
use cutover_testkit::rng::Rng;
use serde_json::json;

use super::{HOST, pick};

/// Ids, some of which are names that every object of JavaScript has, or look like numbers.
pub(super) const IDS: [&str; 12] = [
    "blue0001",
    "green002",
    "constructor",
    "12345678",
    "00000001",
    "4294967294",
    "undefined",
    "prototype",
    "zzzzzzzzzzzzzzzz",
    "aaaaaaaa",
    "0a0a0a0a",
    "third003",
];
const AUDIENCES: [&str; 6] = ["staff", "constructor", "toString", "__proto__", "hasOwnProperty", "0"];

pub(super) fn id(text: &str) -> Option<ReleaseId> {
    ReleaseId::from_bytes(text.as_bytes())
}

/// A well-formed table.
pub(super) fn table(rng: &mut Rng) -> Table {
    loop {
        let mut table = Table { generation: pick_number(rng), ..Table::empty() };
        for name in IDS {
            if rng.chance(45) {
                let state = *pick(rng, &ReleaseState::ALL.each_ref());
                let slot = [None, Some(Slot::Blue), Some(Slot::Green)][rng.below(3) as usize];
                let Some(id) = id(name) else { continue };
                if state == ReleaseState::Active && table.default.is_some() {
                    continue;
                }
                if state == ReleaseState::Active {
                    table.default = Some(id);
                }
                table.releases.insert(id, Entry { state, slot });
            }
        }
        let mut first = u16::try_from(rng.below(3000)).unwrap_or(0);
        let releases: Vec<(ReleaseId, ReleaseState)> =
            table.releases.iter().map(|(id, entry)| (*id, entry.state)).collect();
        for (release, state) in &releases {
            let width = match state {
                ReleaseState::Candidate if table.default.is_some() && rng.chance(70) => {
                    u16::try_from(rng.below(4000)).unwrap_or(0).min(BUCKETS - first)
                }
                ReleaseState::Candidate | ReleaseState::Draining if rng.chance(40) => 0,
                _ => continue,
            };
            table.shares.push(Share { release: *release, first, width });
            first += width;
        }
        if rng.chance(60) {
            table.offset = u16::try_from(rng.below(u64::from(BUCKETS))).unwrap_or(0);
        }
        for name in AUDIENCES {
            let takes: Vec<&ReleaseId> = releases
                .iter()
                .filter(|(_, state)| matches!(state, ReleaseState::Active | ReleaseState::Candidate))
                .map(|(id, _)| id)
                .collect();
            if !takes.is_empty() && rng.chance(30) {
                table.audiences.insert(name.to_owned(), *pick(rng, &takes));
            }
        }
        if table.validate().is_ok() {
            return table;
        }
    }
}

/// A generation: small, ordinary, or at the end.
fn pick_number(rng: &mut Rng) -> u64 {
    match rng.below(10) {
        0 => rng.below(3),
        1 => (1 << 53) - 1 - rng.below(2),
        _ => 59_000_000 + rng.below(1000),
    }
}

pub(super) fn settings(rng: &mut Rng, keys: &[PreviewKey]) -> Settings {
    let conditions = [
        json!({ "path": "/app/*" }),
        json!({ "path": "*.png" }),
        json!({ "header": { "name": "X-Team", "value": "core" } }),
        json!({ "header": { "name": "x-team" } }),
        json!({ "cookie": { "name": "beta" } }),
        json!({ "cookie": { "name": "constructor", "value": "1" } }),
        json!({ "query": { "name": "preview" } }),
        json!({ "query": { "name": "a", "value": "b" } }),
        json!({ "country": ["de", "AT"] }),
        json!({ "cidr": ["192.0.2.0/25", "2001:db8::/33", "10.1.2.3/8", "::ffff:0:0/96", "fe80::/10"] }),
        json!({ "cidr": ["203.0.113.7/32", "2001:db8:ffff::1/128", "0.0.0.0/1"] }),
    ];
    let mut rules = Vec::new();
    for name in AUDIENCES {
        if rng.chance(30) {
            rules.push(json!({ "name": name, "when": pick(rng, &conditions.each_ref()) }));
        }
    }
    let keep: &[&str] = pick(rng, &[&[] as &[&str], &["/callback*"], &["/a/*/b", "*.htm"]]);
    let settings = json!({
        "host": HOST,
        "secure": rng.chance(70),
        "policy": pick(rng, &["navigation", "entry", "sticky"]),
        "cookieless": pick(rng, &["default", "split"]),
        "keep": keep,
        "audiences": rules,
        "preview_service_worker": rng.chance(20),
    });
    let settings: Result<Settings, _> = serde_json::from_value(settings);
    Settings { keys: keys.to_vec(), ..settings.unwrap_or_else(|_| Settings::new(HOST)) }
}
