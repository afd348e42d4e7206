//! Random cases in the form of `conformance/`, with this implementation's answers.
//!
//! Drawn from what is near the rules' edges: ids that are words of JavaScript, generations at the bounds, pins and tokens
//! with one character off, paths and agents that are almost something.

mod requests;
mod signed;
mod tables;

use cutover_routing::{
    Action, BUCKETS, Decision, PathPattern, Pin, PreviewKey, PreviewToken, Settings, Table, TokenError,
    bucket_of, classify, decide, fnv1a32, normalise_path,
};
use cutover_testkit::rng::Rng;
use requests::{asked, normal_path, raw_path};
use serde_json::{Value, json};
use signed::{off, pin, token_text};

const NOW: u64 = 1_800_000_000;
const HOST: &str = "shop.example.com";

/// The files of one round, each a line of JSON.
pub(super) fn round(rng: &mut Rng, round: u32) -> Vec<String> {
    let keys = signed::keys();
    let table = tables::table(rng);
    let settings = tables::settings(rng, &keys);
    let many = |rng: &mut Rng, count: usize, make: &dyn Fn(&mut Rng) -> Value| -> Vec<Value> {
        (0..count).map(|_| make(rng)).collect()
    };
    let decisions = many(rng, 20, &|rng| decision(rng, &table, &settings));
    let tokens = many(rng, 6, &|rng| token(rng, &table, &keys));
    let kinds = [
        ("path", many(rng, 10, &path)),
        ("pin", many(rng, 8, &|rng| pin_case(rng, &table))),
        ("classify", many(rng, 8, &|rng| kind(rng, &table))),
        ("pattern", many(rng, 3, &pattern)),
        ("hash", many(rng, 4, &hash)),
        ("share", many(rng, 5, &|rng| share(rng, &table))),
        ("compact", many(rng, 6, &|rng| compact(rng, &table))),
    ];
    let mut files = vec![
        json!({ "kind": "decide", "table": table, "settings": settings, "cases": decisions }),
        json!({ "kind": "token", "host": HOST, "now": NOW, "keys": keys, "cases": tokens }),
    ];
    files.extend(kinds.map(|(kind, cases)| json!({ "kind": kind, "cases": cases })));
    for file in &mut files {
        let name = format!("random {} {round}", file["kind"].as_str().unwrap_or_default());
        file["file"] = json!(name);
    }
    files.iter().map(Value::to_string).collect()
}

fn pick<'a, T: ?Sized>(rng: &mut Rng, from: &[&'a T]) -> &'a T {
    from[usize::try_from(rng.below(from.len() as u64)).unwrap_or(0)]
}

fn decision(rng: &mut Rng, table: &Table, settings: &Settings) -> Value {
    let mut asked = asked(rng, table);
    let pin_name = Pin::cookie_name(settings.secure);
    let preview_name = format!("{pin_name}-preview");
    let mut cookies = Vec::new();
    for _ in 0..rng.below(4) {
        cookies.push(match rng.below(10) {
            0..=5 => format!("{pin_name}={}", pin(rng, table)),
            6 => format!("{preview_name}={}", token_text(rng, table, &settings.keys)),
            7 => format!(" beta={} ", rng.below(2)),
            8 => "constructor=1".to_owned(),
            _ => pick(rng, &["a", "=b", "cutover", "__host-cutover=1.blue0001.1.1", "x=\"y\""]).to_owned(),
        });
    }
    if !cookies.is_empty() {
        asked.headers.push(("cookie".into(), cookies.join(pick(rng, &["; ", ";", " ;\t"]))));
    }
    let decided = asked.with(|request| decide(request, table, settings, &asked.id, NOW));
    json!({ "why": "random", "request": asked.json(), "expect": described(&decided, &asked.path) })
}

/// A decision in the words of the vectors.
fn described(decision: &Decision, path: &str) -> Value {
    let mut said = json!({
        "action": decision.action.as_str(),
        "release": decision.action.release(),
        "reason": decision.reason.as_str(),
        "kind": decision.kind.as_str(),
        "bucket": decision.bucket,
        "set_pin": decision.set_pin.map(|pin| pin.to_string()),
        "clear_preview": decision.clear_preview,
        "stale": decision.stale,
        "strip_conditionals": decision.strip_conditionals,
        "bot": decision.bot,
    });
    match &decision.action {
        Action::Path { rest, .. } => said["rest"] = json!(path.get(*rest..)),
        Action::Preview { token, .. } => {
            said["token"] = json!({ "kid": token.kid, "tid": token.tid, "expiry": token.expiry });
        }
        Action::PreviewEnded { why } => said["ended"] = json!(why.as_str()),
        _ => {}
    }
    said
}

fn pin_case(rng: &mut Rng, table: &Table) -> Value {
    let value = pin(rng, table);
    let read = Pin::parse(&value)
        .map(|pin| json!({ "release": pin.release, "bucket": pin.bucket, "generation": pin.generation }));
    json!({ "why": "random", "value": value, "expect": read })
}

fn token(rng: &mut Rng, table: &Table, keys: &[PreviewKey]) -> Value {
    let value = token_text(rng, table, keys);
    let link = rng.chance(30);
    let read = if link { PreviewToken::verify_link } else { PreviewToken::verify_cookie };
    let expect = match read(&value, HOST, keys, NOW) {
        Ok(PreviewToken { kid, release, expiry, tid }) => {
            json!({ "ok": { "kid": kid, "release": release, "expiry": expiry, "tid": tid } })
        }
        Err(error) => json!({ "error": match error {
            TokenError::Malformed => "malformed",
            TokenError::UnknownKey => "unknown-key",
            TokenError::BadMac => "bad-mac",
            TokenError::Expired(_) => "expired",
        } }),
    };
    json!({ "why": "random", "form": if link { "link" } else { "cookie" }, "value": value, "expect": expect })
}

fn path(rng: &mut Rng) -> Value {
    let raw = raw_path(rng);
    let expect = match normalise_path(&raw) {
        Ok(path) => json!({ "path": path }),
        Err(error) => json!({ "error": error.as_str() }),
    };
    json!({ "why": "random", "raw": raw, "expect": expect })
}

fn pattern(rng: &mut Rng) -> Value {
    let mut text = pick(rng, &["/", "*", "/a"]).to_owned();
    for _ in 0..rng.below(5) {
        text.push_str(pick(rng, &["*", "/", "a", "b", "/*", "ab", ".png", "%"]));
    }
    let expect = match PathPattern::parse(&text) {
        Err(_) => json!({ "error": true }),
        Ok(pattern) => {
            let paths = (0..6).map(|_| {
                let mut path = "/".to_owned();
                for _ in 0..rng.below(6) {
                    path.push_str(pick(rng, &["a", "b", "ab", "a/", "x/", ".png"]));
                }
                path
            });
            let mut paths: Vec<String> = paths.collect();
            paths.sort();
            paths.dedup();
            let (matches, not): (Vec<String>, Vec<String>) =
                paths.into_iter().partition(|path| pattern.matches(path));
            json!({ "matches": matches, "not": not })
        }
    };
    json!({ "why": "random", "pattern": text, "expect": expect })
}

fn hash(rng: &mut Rng) -> Value {
    let mut text = format!("{:x}", rng.next_u64());
    if rng.chance(50) {
        text.push_str(pick(rng, &["ü", "\u{1f600}", "\u{10ffff}", "\u{ffff}", "€"]));
    }
    json!({ "why": "random", "text": text, "expect": { "hash": fnv1a32(&text), "bucket": bucket_of(&text) } })
}

fn kind(rng: &mut Rng, table: &Table) -> Value {
    let mut asked = asked(rng, table);
    while asked.path.starts_with("/_r") {
        asked.path = normal_path(rng, table);
    }
    // The hint is not what this is about, and would be seen.
    asked.headers.retain(|(name, _)| name != "x-cutover-release");
    let kind = asked.with(|request| classify(request).as_str());
    json!({ "why": "random", "request": asked.json(), "expect": { "kind": kind } })
}

fn share(rng: &mut Rng, table: &Table) -> Value {
    let edges: Vec<u64> =
        table.shares.iter().map(|share| u64::from(share.first) + u64::from(share.width)).collect();
    let at = if edges.is_empty() || rng.chance(50) {
        rng.below(u64::from(BUCKETS))
    } else {
        let edge = *pick(rng, &edges.iter().collect::<Vec<_>>());
        (edge + 2 * u64::from(BUCKETS) - u64::from(table.offset) - rng.below(2)) % u64::from(BUCKETS)
    };
    let bucket = u16::try_from(at).unwrap_or(0);
    json!({ "why": "random", "table": table, "bucket": bucket, "expect": table.target(bucket) })
}

fn compact(rng: &mut Rng, table: &Table) -> Value {
    let text = off(rng, &table.to_compact(), 75);
    match Table::from_compact(&text) {
        Ok(table) => json!({
            "why": "random", "table": table, "expect": { "compact": text, "digest": table.digest() },
        }),
        Err(_) => json!({ "why": "random", "compact": text, "expect": { "error": true } }),
    }
}
