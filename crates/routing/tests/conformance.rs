//! Runs every vector of `conformance/` on this crate. A failure names the file, the case and its reason.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests")]

mod vectors;

use std::fs;

use cutover_routing::{
    Kind, PathPattern, Pin, PreviewKey, PreviewToken, Request, Settings, Table, TokenError, bucket_of,
    classify, decide, explain, fnv1a32, normalise_path,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use vectors::{
    directory,
    form::{Asked, Expected, File, Index, Listed},
    matrix,
};

fn read(file: &str) -> String {
    fs::read_to_string(directory().join(file)).unwrap_or_else(|error| panic!("conformance/{file}: {error}"))
}

fn typed<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error} in {value}"))
}

#[test]
fn every_vector_holds() {
    let index: Index = serde_json::from_str(&read("index.json")).unwrap();
    assert_eq!(index.version, 1);
    let mut ran = 0;
    let mut failures = Vec::new();
    for Listed { file, kind, cases } in &index.files {
        let vectors: File =
            serde_json::from_str(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(&vectors.kind, kind, "{file}: kind");
        assert_eq!(vectors.cases.len(), *cases, "{file}: number of cases");
        assert!(!vectors.name.is_empty(), "{file}: name");
        for (at, case) in vectors.cases.iter().enumerate() {
            let why = case["why"].as_str().unwrap_or_else(|| panic!("{file}: case {at} gives no reason"));
            if let Err(error) = run(kind, &vectors.head, case) {
                failures.push(format!("{file} case {at} ({why}):\n  {error}"));
            }
            ran += 1;
        }
    }
    assert!(failures.is_empty(), "{} of {ran} vectors fail\n{}", failures.len(), failures.join("\n"));
    assert_eq!(ran, index.cases, "the index promises another number of cases");
    assert!(ran > 700, "vectors have gone missing: only {ran} are left");
}

#[test]
fn the_index_lists_every_file() {
    let index: Index = serde_json::from_str(&read("index.json")).unwrap();
    let mut listed: Vec<String> = index.files.into_iter().map(|listed| listed.file).collect();
    let mut there: Vec<String> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|file| file.ends_with(".json") && file != "index.json")
        .collect();
    listed.sort();
    there.sort();
    assert_eq!(listed, there);
}

#[test]
fn the_committed_matrix_is_what_the_generator_writes() {
    for policy in matrix::POLICIES {
        let (file, text) = matrix::file(policy);
        assert!(read(&file) == text, "{file} is stale: cargo run -p cutover-routing --example write-vectors");
    }
}

fn same<T: PartialEq + std::fmt::Debug>(have: T, want: T) -> Result<(), String> {
    if have == want { Ok(()) } else { Err(format!("got  {have:?}\n  want {want:?}")) }
}

fn run(kind: &str, head: &Map<String, Value>, case: &Value) -> Result<(), String> {
    let expect = &case["expect"];
    let text = |name: &str| case[name].as_str().unwrap_or_else(|| panic!("no {name} in {case}"));
    match kind {
        "hash" => {
            same(json!({ "hash": fnv1a32(text("text")), "bucket": bucket_of(text("text")) }), expect.clone())
        }
        "pin" => run_pin(text("value"), expect),
        "token" => run_token(head, text("form"), text("value"), expect),
        "path" => run_path(case, expect),
        "pattern" => run_pattern(text("pattern"), expect),
        "classify" => with_request(&typed(&case["request"]), |request| {
            same(json!({ "kind": classify(request).as_str() }), expect.clone())
        }),
        "share" => {
            let table: Table = typed(&case["table"]);
            table.validate().map_err(|error| error.to_string())?;
            let target = table.target(typed(&case["bucket"]));
            same(json!(target), expect.clone())
        }
        "compact" => run_compact(case, expect),
        "decide" => run_decide(head, case),
        other => panic!("unknown kind of vectors: {other}"),
    }
}

fn run_pin(value: &str, expect: &Value) -> Result<(), String> {
    let pin = Pin::parse(value);
    let said =
        pin.map(|pin| json!({ "release": pin.release, "bucket": pin.bucket, "generation": pin.generation }));
    same(json!(said), expect.clone())?;
    pin.map_or(Ok(()), |pin| same(pin.to_string().as_str(), value))
}

fn run_token(head: &Map<String, Value>, form: &str, value: &str, expect: &Value) -> Result<(), String> {
    let keys: Vec<PreviewKey> = typed(&head["keys"]);
    let (host, now): (String, u64) = (typed(&head["host"]), typed(&head["now"]));
    let link = form == "link";
    let verify = if link { PreviewToken::verify_link } else { PreviewToken::verify_cookie };
    let said = match verify(value, &host, &keys, now) {
        Ok(token) => {
            let key = keys.iter().find(|key| key.kid == token.kid).unwrap();
            let again = if link { token.sign_link(key, &host) } else { token.sign_cookie(key, &host) };
            same(again.as_str(), value)?;
            let PreviewToken { kid, release, expiry, tid } = token;
            json!({ "ok": { "kid": kid, "release": release, "expiry": expiry, "tid": tid } })
        }
        Err(error) => json!({ "error": match error {
            TokenError::Malformed => "malformed",
            TokenError::UnknownKey => "unknown-key",
            TokenError::BadMac => "bad-mac",
            TokenError::Expired(_) => "expired",
        } }),
    };
    same(said, expect.clone())
}

fn run_path(case: &Value, expect: &Value) -> Result<(), String> {
    let times = |value: &Value| value.as_u64().map_or(1, |times| usize::try_from(times).unwrap());
    let raw = case["raw"].as_str().unwrap().repeat(times(&case["times"]));
    let want = match expect.get("path_times") {
        Some(pair) => json!({ "path": pair[0].as_str().unwrap().repeat(times(&pair[1])) }),
        None => expect.clone(),
    };
    let said = normalise_path(&raw);
    if let Ok(path) = &said
        && !path.contains(['%', '?', '#'])
    {
        let again = normalise_path(path);
        same(again.as_deref(), Ok(path.as_ref()))?;
    }
    same(said.map_or_else(|error| json!({ "error": error.as_str() }), |path| json!({ "path": path })), want)
}

fn run_pattern(text: &str, expect: &Value) -> Result<(), String> {
    let pattern = match PathPattern::parse(text) {
        Ok(pattern) => pattern,
        Err(_) => return same(json!({ "error": true }), expect.clone()),
    };
    let matches = |names: &str, wanted: bool| {
        let paths: Vec<String> = expect.get(names).map(typed).ok_or("it is a pattern")?;
        match paths.iter().find(|path| pattern.matches(path) != wanted) {
            Some(path) => Err(format!("{path:?} is in {names:?}")),
            None => Ok(()),
        }
    };
    matches("matches", true)?;
    matches("not", false)
}

fn run_compact(case: &Value, expect: &Value) -> Result<(), String> {
    if let Some(compact) = case.get("compact") {
        let said = Table::from_compact(compact.as_str().unwrap());
        return same(json!({ "error": said.is_err() }), expect.clone());
    }
    let table: Table = typed(&case["table"]);
    let compact = table.to_compact();
    same(json!({ "compact": compact, "digest": table.digest() }), expect.clone())?;
    same(Table::from_compact(&compact), Ok(table))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Patch {
    #[serde(default)]
    table: Map<String, Value>,
    #[serde(default)]
    settings: Map<String, Value>,
}

fn run_decide(head: &Map<String, Value>, case: &Value) -> Result<(), String> {
    let patch: Patch = case.get("patch").map(typed).unwrap_or_default();
    let patched = |value: &Value, patch: Map<String, Value>| {
        let mut object = value.as_object().unwrap().clone();
        object.extend(patch);
        Value::Object(object)
    };
    let table: Table = typed(&patched(&head["table"], patch.table));
    table.validate().map_err(|error| error.to_string())?;
    let settings: Settings = typed(&patched(&head["settings"], patch.settings));
    let asked: Asked = typed(&case["request"]);
    with_request(&asked, |request| {
        let decision = decide(request, &table, &settings, &asked.request_id, asked.now);
        same(Expected::of(&decision, request.path), typed(&case["expect"]))?;
        let explained = explain(request, &table, &settings, &asked.request_id, asked.now);
        same(explained.decision, decision.clone())?;
        if explained.steps.len() < 2 {
            return Err(format!("explained by {:?} alone", explained.steps));
        }
        // What travels to an edge as the compact form decides alike.
        let travelled = Table::from_compact(&table.to_compact()).map_err(|error| error.to_string())?;
        same(decide(request, &travelled, &settings, &asked.request_id, asked.now), decision)
    })
}

fn with_request<R>(asked: &Asked, run: impl FnOnce(&Request<'_, [(&str, &str)]>) -> R) -> R {
    let headers: Vec<(&str, &str)> =
        asked.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    run(&Request {
        method: &asked.method,
        path: &asked.path,
        query: &asked.query,
        headers: headers.as_slice(),
        client: asked.client,
        country: asked.country.as_deref(),
    })
}

#[test]
fn every_kind_has_its_word() {
    let kinds = [Kind::Navigation, Kind::ServiceWorker, Kind::Speculative, Kind::WebSocket, Kind::Sub];
    let words: std::collections::BTreeSet<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(words.len(), kinds.len());
}
