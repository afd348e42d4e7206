//! The `http` gate: one request through the edge, as a visitor with a preview of the release would make it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use cutover_engine::control::Verdict;
use tokio::time::sleep;

use super::{Found, GateTarget, tls};
use crate::process::{
    http::{self, Get, GetError, Got},
    log::plain,
};

/// The longest an answer may take where the gate sets no limit.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of a body is searched.
const BODY: usize = 8 << 20;
/// Tries to connect; an answer, whatever it is, is never asked for twice.
const CONNECTS: u32 = 5;

/// What has to come back.
pub(super) struct Expected<'a> {
    pub(super) status: u16,
    pub(super) body: Option<&'a str>,
    /// By name: the text one of the values must contain; empty: the header must be there.
    pub(super) headers: &'a BTreeMap<String, String>,
    pub(super) within: Option<Duration>,
}

pub(super) async fn check(
    target: &GateTarget,
    path: &str,
    headers: &BTreeMap<String, String>,
    expected: &Expected<'_>,
) -> Found {
    let tls = if target.tls {
        match tls::config() {
            Ok(config) => Some(config),
            Err(error) => return Found::new(Verdict::Error, format!("cannot set up TLS: {error}")),
        }
    } else {
        None
    };
    let mut cookies = vec![target.preview_cookie.as_str()];
    let mut sent: Vec<(&str, &str)> = Vec::new();
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("cookie") {
            cookies.push(value);
        } else {
            sent.push((name, value));
        }
    }
    let cookie = cookies.join("; ");
    sent.push(("cookie", &cookie));
    let get = Get {
        addr: target.edge,
        tls: tls.as_ref(),
        host: &target.host,
        target: path,
        headers: &sent,
        // An answer that is late by little is still worth its status in the detail.
        within: expected.within.map_or(PATIENCE, |limit| limit * 2 + Duration::from_secs(1)),
        limit: BODY,
    };
    let mut tries = 1;
    loop {
        let began = Instant::now();
        match http::get(get).await {
            Ok(got) => return judge(target, path, expected, &got, began.elapsed()),
            Err(GetError::Connect { .. }) if tries < CONNECTS => {
                tries += 1;
                sleep(Duration::from_millis(100)).await;
            }
            Err(error @ (GetError::Connect { .. } | GetError::Invalid(_))) => {
                return Found::new(Verdict::Error, format!("GET {path} through the edge: {error}"));
            }
            Err(error @ (GetError::Timeout { .. } | GetError::Broken { .. })) => {
                return Found::new(Verdict::Fail, format!("GET {path}: {error}"));
            }
        }
    }
}

fn judge(target: &GateTarget, path: &str, expected: &Expected<'_>, got: &Got, took: Duration) -> Found {
    let release = target.release.as_str();
    let from = got.headers.get("x-cutover-release").and_then(|value| value.to_str().ok());
    let seen = format!("GET {path} answered {} in {} ms", got.status, took.as_millis());
    if from != Some(release) {
        let who = from.map_or_else(|| "no release".to_owned(), |from| format!("release {}", plain(from)));
        return Found::new(
            Verdict::Error,
            format!("{seen}, but the answer came from {who}, not from {release}"),
        );
    }
    let mut wrong = Vec::new();
    if got.status.as_u16() != expected.status {
        wrong.push(format!("expected status {}", expected.status));
    }
    if let Some(text) = expected.body
        && !contains(&got.body, text.as_bytes())
    {
        let part =
            if got.cut { format!("the first {} MiB of the body", BODY >> 20) } else { "the body".to_owned() };
        wrong.push(format!("expected {text:?} in {part}{}", beginning(&got.body)));
    }
    for (name, text) in expected.headers {
        wrong.extend(header(got, name, text));
    }
    if let Some(limit) = expected.within
        && took > limit
    {
        wrong.push(format!("expected the whole answer within {} ms", limit.as_millis()));
    }
    if wrong.is_empty() {
        Found::new(Verdict::Pass, seen)
    } else {
        Found::new(Verdict::Fail, format!("{seen}; {}", wrong.join("; ")))
    }
}

/// What is wrong with a header of the answer.
fn header(got: &Got, name: &str, text: &str) -> Option<String> {
    let values: Vec<String> = got
        .headers
        .get_all(name)
        .iter()
        .map(|value| plain(&String::from_utf8_lossy(value.as_bytes())))
        .collect();
    if values.is_empty() {
        return Some(format!("expected the header {name}, which is missing"));
    }
    if values.iter().any(|value| value.contains(text)) {
        return None;
    }
    Some(format!("expected {text:?} in the header {name}, which is {:?}", values.join(", ")))
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

/// The start of a body, to show what came instead.
fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..body.len().min(200)).unwrap_or_default());
    let text = text.lines().map(plain).find(|line| !line.trim().is_empty());
    text.map_or_else(|| ", which is empty".to_owned(), |line| format!(", which begins {line:?}"))
}
