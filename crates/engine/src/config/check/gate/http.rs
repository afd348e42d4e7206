//! Gates that make one request.

use std::{collections::BTreeMap, time::Duration};

use super::super::{
    super::{
        meant::GateKind,
        place::{At, Trouble},
        written::HttpGate,
    },
    routing::is_token,
    text,
};

const LONGEST_ANSWER: Duration = Duration::from_secs(600);

pub(super) fn check(written: &At<HttpGate>, trouble: &mut Trouble<'_>) -> Option<GateKind> {
    let http = written.get();
    let path = http.path.as_ref().and_then(|path| text::target("gate.http.path", path, true, trouble));
    let status = http.status.as_ref().map_or(Some(200), |status| u16::try_from(*status.get()).ok());
    let own = |lower: &str| {
        lower.starts_with("x-cutover-")
            || matches!(lower, "host" | "cookie" | "content-length" | "transfer-encoding" | "connection")
    };
    let headers = headers("gate.http.headers", &http.headers, own, trouble);
    let response_headers =
        self::headers("gate.http.response_headers", &http.response_headers, |_| false, trouble);
    let max_latency = match &http.max_latency {
        Some(time) => text::time("gate.http.max_latency", time, LONGEST_ANSWER, trouble).map(Some),
        None => Some(None),
    };
    Some(GateKind::Http {
        path: path?,
        status: status?,
        body_contains: http.body_contains.as_ref().map(|text| text.get().clone()),
        headers: headers?,
        response_headers: response_headers?,
        max_latency: max_latency?,
    })
}

/// Headers by lower-case name; `own` are those that the gate sets itself.
fn headers(
    key: &str,
    written: &BTreeMap<String, At<String>>,
    own: impl Fn(&str) -> bool,
    trouble: &mut Trouble<'_>,
) -> Option<BTreeMap<String, String>> {
    let mut headers = Some(BTreeMap::new());
    for (name, value) in written {
        let lower = name.to_ascii_lowercase();
        let why = if lower.is_empty() || !lower.bytes().all(is_token) {
            Some(("CUT0105", "is no header name"))
        } else if own(&lower) {
            Some(("CUT0108", "is set by the gate itself"))
        } else if !value.get().bytes().all(|b| (b' '..=b'~').contains(&b)) {
            Some(("CUT0105", "has a value that is not visible ASCII"))
        } else if headers.as_ref().is_some_and(|headers| headers.contains_key(&lower)) {
            Some(("CUT0107", "is there twice, in upper and lower case"))
        } else {
            None
        };
        match (why, &mut headers) {
            (Some((code, why)), _) => {
                trouble.add(code, value.span(), format!("`{key}`: {name:?} {why}"));
                headers = None;
            }
            (None, Some(headers)) => {
                headers.insert(lower, value.get().clone());
            }
            (None, None) => {}
        }
    }
    headers
}
