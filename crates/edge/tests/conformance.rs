//! The shared vectors of the routing decision, over real sockets: what `decide` says is what visitors get.
//!
//! Preview tokens are signed anew for the real clock. Left out, and counted: what no HTTP client can send, files by
//! release path, which the stand-in service does not have, and, of a case that hangs on its request id, that part.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::{collections::HashMap, fs, path::Path};

use cutover_edge::{Edge, EdgeOptions, Publication, ServingSet};
use cutover_routing::{Pin, PreviewToken, ReleaseState, Settings, Table, TokenError, preview_cookie_name};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use support::{client::Client, now, options, service, upstream::Upstream};

fn json(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance").join(file);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Replaces whole members, as the vectors' description says.
fn patched(base: &Value, patch: Option<&Value>) -> Value {
    let mut value = base.clone();
    for (name, member) in patch.and_then(Value::as_object).into_iter().flatten() {
        value[name] = member.clone();
    }
    value
}

/// One edge for each table and settings.
struct Edges {
    upstream: Upstream,
    running: HashMap<String, (Edge, Client)>,
}

impl Edges {
    fn client(&mut self, table: &Value, settings: &Value) -> Option<&mut Client> {
        let parsed: Table = serde_json::from_value(table.clone()).unwrap();
        parsed.validate().ok()?;
        let settings_parsed: Settings = serde_json::from_value(settings.clone()).unwrap();
        let upstream = self.upstream.at();
        let (_, client) = self.running.entry(format!("{table}{settings}")).or_insert_with(|| {
            let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
            let edge = Edge::start(EdgeOptions { workers: 1, trusted_proxies, ..options() }).unwrap();
            let live = parsed.releases.iter().filter(|(_, entry)| entry.state != ReleaseState::Closed);
            let releases = live.map(|(id, _)| (*id, service(&upstream, "/*", None))).collect();
            let serving = ServingSet { releases, ..ServingSet::default() };
            if parsed.generation > 0 {
                edge.publish(Publication { table: parsed, settings: settings_parsed, serving }).unwrap();
            }
            let client = Client::connect(edge.local_addr());
            (edge, client)
        });
        Some(client)
    }
}

/// A `Cookie` header with its preview tokens signed anew, as far from now as they are from the vectors' now.
fn on_our_clock(header: &str, settings: &Settings, vector_now: u64) -> String {
    let name = preview_cookie_name(settings.secure);
    let again = |pair: &str| {
        let value = pair.trim().strip_prefix(name)?.strip_prefix('=')?;
        let token = match PreviewToken::verify_cookie(value, &settings.host, &settings.keys, vector_now) {
            Ok(token) | Err(TokenError::Expired(token)) => token,
            Err(_) => return None,
        };
        let expiry = (token.expiry + now()).saturating_sub(vector_now);
        let key = settings.keys.iter().find(|key| key.kid == token.kid)?;
        Some(format!("{name}={}", PreviewToken { expiry, ..token }.sign_cookie(key, &settings.host)))
    };
    let pairs: Vec<_> =
        header.split(';').map(|pair| again(pair).unwrap_or_else(|| pair.trim().to_owned())).collect();
    pairs.join("; ")
}

#[test]
fn what_decide_says_is_what_visitors_get() {
    let index = json("index.json");
    let files: Vec<&str> = index["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|file| file["kind"] == "decide")
        .map(|file| file["file"].as_str().unwrap())
        .collect();
    let mut edges = Edges { upstream: Upstream::start("pages"), running: HashMap::new() };
    let (mut run, mut left_out) = (0, 0);
    for file in files {
        let vectors = json(file);
        for (number, case) in vectors["cases"].as_array().unwrap().iter().enumerate() {
            let (request, expect) = (&case["request"], &case["expect"]);
            let why = format!("{file} case {number}: {}", case["why"]);
            let given: Vec<(&str, &str)> = request["headers"]
                .as_array()
                .map(|list| {
                    list.iter().map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect()
                })
                .unwrap_or_default();
            // What HTTP cannot carry, or takes the blanks off.
            let sendable = given.iter().all(|(name, value)| {
                !name.is_empty() && value.trim() == *value && !value.chars().any(char::is_control)
            });
            let files = expect["action"] == "path";
            let path = request["path"].as_str().unwrap();
            let table = patched(&vectors["table"], case["patch"].get("table"));
            let settings = patched(&vectors["settings"], case["patch"].get("settings"));
            let built_in = path.starts_with("/.cutover");
            // A real client always has an address.
            let nowhere =
                request["client"].is_null() && settings["audiences"].to_string().contains("\"cidr\"");
            if files || !sendable || built_in || nowhere {
                left_out += 1;
                continue;
            }
            let Some(client) = edges.client(&table, &settings) else {
                left_out += 1;
                continue;
            };
            let parsed: Settings = serde_json::from_value(settings.clone()).unwrap();
            let vector_now = request["now"].as_u64().unwrap_or(1_800_000_000);
            let cookies: Vec<String> =
                given.iter().map(|(_, value)| on_our_clock(value, &parsed, vector_now)).collect();
            let mut headers: Vec<(&str, &str)> = given
                .iter()
                .zip(&cookies)
                .map(|((name, value), cookie)| (*name, if *name == "cookie" { cookie } else { *value }))
                .collect();
            for (member, header) in [("client", "x-forwarded-for"), ("country", "x-client-country")] {
                if let Some(value) = request[member].as_str() {
                    headers.push((header, value));
                }
            }
            let encoded: Vec<_> = path
                .split('/')
                .map(|segment| utf8_percent_encode(segment, NON_ALPHANUMERIC).to_string())
                .collect();
            let mut target = encoded.join("/");
            if let Some(query) = request["query"].as_str().filter(|query| !query.is_empty()) {
                target = format!("{target}?{query}");
            }
            let method = request["method"].as_str().unwrap_or("GET");
            let reply =
                client.request(method, &target, &headers, b"").unwrap_or_else(|| panic!("{why}: no answer"));
            run += 1;
            let reason = expect["reason"].as_str().unwrap();
            assert_eq!(reply.reason(), reason, "{why}");
            assert_eq!(reply.header("x-cutover-stale") == "1", expect["stale"] == true, "{why}");
            match expect["action"].as_str().unwrap() {
                "serve" => assert_eq!(reply.status, 200, "{why}"),
                "preview" => {
                    assert_eq!((reply.status, reply.header("cache-control")), (200, "no-store"), "{why}");
                }
                "preview-ended" => {
                    assert_eq!((reply.status, reply.header("cache-control")), (410, "no-store"), "{why}");
                }
                "not-found" => assert_eq!(reply.status, 404, "{why}"),
                "no-release" => assert_eq!(reply.status, 503, "{why}"),
                other => panic!("{why}: unknown action {other}"),
            }
            // The edge draws request ids of its own.
            let drawn = matches!(reason, "new" | "split");
            if let (false, Some(release)) = (drawn, expect["release"].as_str()) {
                assert_eq!(reply.release(), release, "{why}");
            }
            let secure = settings["secure"] == true;
            let pin = reply.cookie(Pin::cookie_name(secure));
            let cleared = reply.cookie(preview_cookie_name(secure)) == Some("");
            assert_eq!(cleared, expect["clear_preview"] == true, "{why}");
            // A rule may move a visitor without a pin: then the release is certain and the bucket is not.
            let pinned = headers.iter().any(|(name, value)| *name == "cookie" && value.contains("cutover="));
            match expect["set_pin"].as_str() {
                None => assert_eq!(pin, None, "{why}"),
                Some(expected) if pinned && !drawn => assert_eq!(pin, Some(expected), "{why}"),
                Some(expected) => {
                    let (pin, expected) =
                        (Pin::parse(pin.expect(&why)).unwrap(), Pin::parse(expected).unwrap());
                    assert_eq!(pin.generation, expected.generation, "{why}");
                    assert_eq!(pin.release.as_str(), reply.release(), "{why}");
                }
            }
        }
    }
    assert!(run > 10 * left_out && run > 700, "{run} run, {left_out} left out");
}
