//! Requests with what rules look for, and what is almost that.

use cutover_routing::{ReleaseId, Request, Table, normalise_path};
use cutover_testkit::rng::Rng;
use serde_json::{Value, json};

use super::{NOW, pick, signed::off, tables::IDS};

/// A request as the vectors describe it.
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) client: Option<String>,
    pub(super) country: Option<String>,
    pub(super) id: String,
}

impl Asked {
    pub(super) fn json(&self) -> Value {
        let mut request = json!({
            "method": self.method, "path": self.path, "query": self.query, "headers": self.headers,
            "request_id": self.id, "now": NOW,
        });
        if let Some(client) = &self.client {
            request["client"] = json!(client);
        }
        if let Some(country) = &self.country {
            request["country"] = json!(country);
        }
        request
    }

    pub(super) fn with<R>(&self, run: impl FnOnce(&Request<'_, [(&str, &str)]>) -> R) -> R {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        run(&Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: headers.as_slice(),
            client: self.client.as_deref().and_then(|client| client.parse().ok()),
            country: self.country.as_deref(),
        })
    }
}

/// Headers that rules look at, with values that are and that are almost what they look for.
const HEADERS: [(&str, &[&str]); 16] = [
    ("accept", &["text/html", "*/*", "application/json, TEXT/HTML;q=0.9", "text/htm"]),
    ("x-requested-with", &["XMLHttpRequest"]),
    ("sec-purpose", &["prefetch", "PREfetch;prerender", "pre"]),
    ("purpose", &["preview", "fetch"]),
    ("x-moz", &["prefetch", "pre"]),
    ("x-purpose", &["fetch"]),
    ("service-worker", &["script", "Script"]),
    ("sec-websocket-key", &["x", ""]),
    ("sec-fetch-site", &["same-origin", "cross-site", "none"]),
    (
        "referer",
        &[
            "https://shop.example.com/x",
            "http://SHOP.example.com:8080",
            "https://shop.example.com@evil.example/",
            "https://[::1]/",
            "HTTPS://shop.example.com/",
            "https://shop.example.com.evil.example/",
            "https://",
        ],
    ),
    ("cache-control", &["no-cache", "max-age=0", " Max-Age=0 , x", "max-age=01", "x-no-cache"]),
    ("x-team", &["core", "Core", ""]),
    (
        "user-agent",
        &[
            "Mozilla/5.0",
            "Googlebot/2.1",
            "CUBOT X30",
            "curl/8",
            "xcurl/8",
            "a robot",
            "robots",
            "ubot",
            "cubot bot",
            "\u{212a}6/1",
            "python-requests/2",
            "python-foo/1",
            "SPIDER",
            "u\u{17f}lurp",
            "WhatsApp/2",
        ],
    ),
    ("x-cutover-release", &["Blue0001", "undefined0"]),
    ("sec-fetch-mode", &["navigate", "websocket", "cors"]),
    ("sec-fetch-dest", &["document", "empty", "script", "iframe", ""]),
];

pub(super) fn asked(rng: &mut Rng, table: &Table) -> Asked {
    let mut headers: Vec<(String, String)> = Vec::new();
    if rng.chance(50) {
        headers.push(("sec-fetch-dest".into(), "document".into()));
        headers.push(("sec-fetch-mode".into(), "navigate".into()));
    }
    for (name, values) in HEADERS {
        if rng.chance(12) {
            headers.push((name.into(), pick(rng, values).into()));
        }
    }
    if rng.chance(20) {
        headers.push(("x-cutover-release".into(), pick(rng, &IDS).into()));
    }
    Asked {
        method: pick(rng, &["GET", "GET", "GET", "GET", "HEAD", "POST"]).into(),
        path: normal_path(rng, table),
        query: pick(rng, &["", "", "a=b", "a=c&a=b", "preview", "&preview=", "a", "=b&a=b", "a=b=c"]).into(),
        headers,
        client: rng.chance(70).then(|| {
            let clients = [
                "192.0.2.1",
                "192.0.2.129",
                "2001:db8::1",
                "2001:db8:8000::1",
                "::ffff:192.0.2.5",
                "::ffff:c000:0205",
                "10.255.0.1",
                "203.0.113.7",
                "2001:db8:ffff::1",
                "::",
                "::1",
                "fe80::1:2",
                "febf:1::",
                "fec0::1",
            ];
            pick(rng, &clients).into()
        }),
        country: rng.chance(30).then(|| pick(rng, &["DE", "at", "CH"]).into()),
        id: format!("{:x}", rng.next_u64()),
    }
}

const PIECES: [&str; 34] = [
    "/",
    "/",
    "/",
    "a",
    "b.png",
    "%2e",
    "..",
    ".",
    "%2E%2e",
    "%2F",
    "%5c",
    "%",
    "%zz",
    "%2",
    "ü",
    "%C3%BC",
    "%ff",
    "%00",
    "\\",
    "%7f",
    " ",
    "+",
    "?",
    "#",
    "%252e",
    "%c2%85",
    "callback",
    ".well-known",
    "%f0%9f%98%80",
    "\u{1f600}",
    "%ed%a0%80",
    "app",
    ".htm",
    "%E2%80%A8",
];

pub(super) fn raw_path(rng: &mut Rng) -> String {
    let mut raw = if rng.chance(95) { "/".to_owned() } else { String::new() };
    for _ in 0..rng.below(8) {
        raw.push_str(pick(rng, &PIECES));
    }
    raw
}

/// A path in normal form: one that rules look for, or any.
pub(super) fn normal_path(rng: &mut Rng, table: &Table) -> String {
    if rng.chance(12) {
        let known: Vec<&ReleaseId> = table.releases.keys().collect();
        let named = if known.is_empty() { IDS[0].to_owned() } else { pick(rng, &known).to_string() };
        let rest = pick(rng, &["/assets/a.js", "/index.html", "/x", "", "/", "/.env", "/a.xhtml"]);
        return format!("/_r/{}{rest}", off(rng, &named, 10));
    }
    let known = [
        "/",
        "/callback",
        "/callback/x",
        "/app",
        "/app/x.png",
        "/a/x/b",
        "/x.html",
        "/x.HTM",
        "/_r",
        "/_rx",
        "/a.b.c/d",
        "/x.abcdefgh",
        "/x.abcdefghi",
        "/x.",
        "/sw.js",
    ];
    if rng.chance(60) {
        return pick(rng, &known).to_owned();
    }
    loop {
        if let Ok(path) = normalise_path(&raw_path(rng))
            && !path.contains(['?', '#'])
            && !path.starts_with("/.cutover")
        {
            return path.into_owned();
        }
    }
}
