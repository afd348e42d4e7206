//! The precedence matrix: every combination of what may pull a request one way or the other.
//!
//! What each combination has to give is stated here as a list of rows, the first that fits decides, in the words of the
//! contract and without a look at `decide`.

use cutover_routing::{PreviewKey, PreviewToken};
use serde_json::{Value, json};

use super::form::{Asked, Expected, NOW, Token};

const ACTIVE: &str = "blue0001";
const CANDIDATE: &str = "green002";
const SUPERSEDED: &str = "old00003";
const RECALLED: &str = "back0004";
const STAGED: &str = "stage005";
const CLOSED: &str = "close006";
const TEAM: &str = "team0007";

/// The policies, one file each.
pub(crate) const POLICIES: [&str; 3] = ["navigation", "entry", "sticky"];

/// One combination.
#[derive(Debug, Clone, Copy)]
struct Case {
    policy: &'static str,
    navigation: bool,
    preview: bool,
    hint: bool,
    pin: Option<&'static str>,
    audience: bool,
    in_share: bool,
}

/// One row: what it asks (none: whatever), and release and reason that follow.
struct Row {
    navigation: Option<bool>,
    preview: Option<bool>,
    hint: Option<bool>,
    audience: Option<bool>,
    /// Any of these; empty: whatever. `None` is no pin.
    pins: &'static [Option<&'static str>],
    in_share: Option<bool>,
    /// Under a policy that holds; none: whatever.
    holding: Option<bool>,
    gives: (&'static str, &'static str),
}

const ANY: Row = Row {
    navigation: None,
    preview: None,
    hint: None,
    audience: None,
    pins: &[],
    in_share: None,
    holding: None,
    gives: ("", ""),
};

/// A word that stands for the policy's own name.
const POLICY: &str = "(policy)";

fn rows() -> Vec<Row> {
    let sub = || Row { navigation: Some(false), ..ANY };
    let nav = || Row { navigation: Some(true), ..ANY };
    vec![
        Row { preview: Some(true), gives: (STAGED, "preview"), ..ANY },
        // Sub-requests: hint, then pin, then the bucket of a void pin, then the default.
        Row { hint: Some(true), gives: (SUPERSEDED, "hint"), ..sub() },
        Row { pins: &[Some(ACTIVE)], gives: (ACTIVE, "pin"), ..sub() },
        Row { pins: &[Some(CANDIDATE)], gives: (CANDIDATE, "pin"), ..sub() },
        Row { pins: &[Some(SUPERSEDED)], gives: (SUPERSEDED, "pin"), ..sub() },
        Row { pins: &[Some(RECALLED)], gives: (RECALLED, "pin"), ..sub() },
        Row { pins: &[Some(CLOSED)], in_share: Some(true), gives: (CANDIDATE, "stale"), ..sub() },
        Row { pins: &[Some(CLOSED)], in_share: Some(false), gives: (ACTIVE, "stale"), ..sub() },
        Row { pins: &[None], gives: (ACTIVE, "default"), ..sub() },
        // Navigations: audience, then policies that hold against promotion, then the share.
        Row { audience: Some(true), gives: (TEAM, "audience"), ..nav() },
        Row { pins: &[None], in_share: Some(true), gives: (CANDIDATE, "new"), ..nav() },
        Row { pins: &[None], in_share: Some(false), gives: (ACTIVE, "new"), ..nav() },
        Row { pins: &[Some(CANDIDATE)], in_share: Some(true), gives: (CANDIDATE, "pin"), ..nav() },
        Row { pins: &[Some(ACTIVE)], in_share: Some(false), gives: (ACTIVE, "pin"), ..nav() },
        Row { pins: &[Some(ACTIVE)], holding: Some(true), gives: (ACTIVE, POLICY), ..nav() },
        Row { pins: &[Some(SUPERSEDED)], holding: Some(true), gives: (SUPERSEDED, POLICY), ..nav() },
        Row { in_share: Some(true), gives: (CANDIDATE, "moved"), ..nav() },
        Row { in_share: Some(false), gives: (ACTIVE, "moved"), ..nav() },
    ]
}

impl Row {
    fn fits(&self, case: &Case) -> bool {
        let same = |asked: Option<bool>, is: bool| asked.is_none_or(|asked| asked == is);
        same(self.navigation, case.navigation)
            && same(self.preview, case.preview)
            && same(self.hint, case.hint)
            && same(self.audience, case.audience)
            && same(self.in_share, case.in_share)
            && same(self.holding, case.policy != "navigation")
            && (self.pins.is_empty() || self.pins.contains(&case.pin))
    }
}

fn all(policy: &'static str) -> Vec<Case> {
    let mut cases = Vec::new();
    let pins = [None, Some(ACTIVE), Some(CANDIDATE), Some(SUPERSEDED), Some(RECALLED), Some(CLOSED)];
    for navigation in [true, false] {
        for preview in [false, true] {
            for hint in [false, true] {
                for pin in pins {
                    for audience in [false, true] {
                        for in_share in [false, true] {
                            cases.push(Case { policy, navigation, preview, hint, pin, audience, in_share });
                        }
                    }
                }
            }
        }
    }
    cases
}

impl Case {
    /// Buckets 0 to 4999 are in the share; `req-2` draws 3096 and `req-1` 5953.
    fn bucket(&self) -> u16 {
        match (self.pin, self.in_share) {
            (Some(_), true) => 100,
            (Some(_), false) => 9000,
            (None, true) => 3096,
            (None, false) => 5953,
        }
    }

    fn request(&self) -> Asked {
        let mut headers: Vec<(String, String)> = Vec::new();
        let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
        let (dest, mode) = if self.navigation { ("document", "navigate") } else { ("empty", "cors") };
        add("sec-fetch-dest", dest.to_owned());
        add("sec-fetch-mode", mode.to_owned());
        add("sec-fetch-site", "same-origin".to_owned());
        if self.hint {
            add("x-cutover-release", SUPERSEDED.to_owned());
        }
        if self.audience {
            add("x-team", "core".to_owned());
        }
        let mut cookies = Vec::new();
        if self.preview {
            cookies.push(format!("__Host-cutover-preview={}", token()));
        }
        if let Some(pin) = self.pin {
            cookies.push(format!("__Host-cutover=1.{pin}.{}.900", self.bucket()));
        }
        if !cookies.is_empty() {
            add("cookie", cookies.join("; "));
        }
        let request_id = if self.in_share { "req-2" } else { "req-1" };
        Asked {
            method: "GET".to_owned(),
            path: if self.navigation { "/" } else { "/api/x" }.to_owned(),
            query: String::new(),
            headers,
            client: None,
            country: None,
            request_id: request_id.to_owned(),
            now: NOW,
        }
    }

    fn expected(&self) -> Expected {
        let rows = rows();
        let (release, reason) = rows.iter().find(|row| row.fits(self)).map(|row| row.gives).unwrap();
        let reason = if reason == POLICY { self.policy } else { reason };
        let kind = if self.navigation { "navigation" } else { "sub" };
        let preview = reason == "preview";
        // A pin is set by every navigation but previews, since all pins here are older than the table.
        let set_pin = (self.navigation && !preview).then(|| format!("1.{release}.{}.1000", self.bucket()));
        Expected {
            action: if preview { "preview" } else { "serve" }.to_owned(),
            release: Some(release.to_owned()),
            rest: None,
            token: preview.then(|| Token { kid: "k1".to_owned(), tid: "t1".to_owned(), expiry: NOW + 3600 }),
            ended: None,
            reason: reason.to_owned(),
            kind: kind.to_owned(),
            bucket: if preview || reason == "default" || (reason == "hint" && self.pin.is_none()) {
                None
            } else {
                Some(self.bucket())
            },
            set_pin,
            clear_preview: false,
            stale: reason == "stale",
            strip_conditionals: preview || self.pin != Some(release),
            bot: false,
        }
    }

    fn why(&self) -> String {
        let said = |is: bool, what: &str| is.then(|| what.to_owned());
        let parts = [
            Some(if self.navigation { "navigation".to_owned() } else { "sub-request".to_owned() }),
            said(self.preview, "preview token"),
            said(self.hint, "hint"),
            self.pin.map(|pin| format!("pin to {pin}")),
            said(self.audience, "audience"),
            Some(if self.in_share { "bucket in the share" } else { "bucket outside" }.to_owned()),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

fn key() -> PreviewKey {
    PreviewKey { kid: "k1".to_owned(), secret: (0..32).collect() }
}

fn token() -> String {
    PreviewToken {
        kid: "k1".to_owned(),
        release: STAGED.parse().unwrap(),
        expiry: NOW + 3600,
        tid: "t1".to_owned(),
    }
    .sign_cookie(&key(), "shop.example.com")
}

/// Name and text of the file for a policy.
pub(crate) fn file(policy: &'static str) -> (String, String) {
    let state = |state: &str| json!({ "state": state });
    let head: [(&str, Value); 4] = [
        ("name", json!(format!("Precedence under policy {policy}: every combination"))),
        ("kind", json!("decide")),
        (
            "table",
            json!({
                "generation": 1000, "default": ACTIVE, "offset": 0,
                "shares": [
                    { "release": CANDIDATE, "first": 0, "width": 5000 },
                    { "release": RECALLED, "first": 0, "width": 0 },
                ],
                "releases": {
                    ACTIVE: state("active"), CANDIDATE: state("candidate"), SUPERSEDED: state("draining"),
                    RECALLED: state("draining"), STAGED: state("staged"), CLOSED: state("closed"),
                    TEAM: state("candidate"),
                },
                "audiences": { "staff": TEAM },
            }),
        ),
        (
            "settings",
            json!({
                "host": "shop.example.com", "secure": true, "policy": policy,
                "audiences": [{ "name": "staff", "when": { "header": { "name": "x-team", "value": "core" } } }],
                "keys": [key()],
            }),
        ),
    ];
    let cases: Vec<String> = all(policy)
        .iter()
        .map(|case| {
            json!({ "why": case.why(), "request": case.request(), "expect": case.expected() }).to_string()
        })
        .collect();
    let mut text = String::from("{\n");
    for (name, value) in head {
        text += &format!("  \"{name}\": {value},\n");
    }
    text += &format!("  \"cases\": [\n    {}\n  ]\n}}\n", cases.join(",\n    "));
    (format!("decide-precedence-{policy}.json"), text)
}
