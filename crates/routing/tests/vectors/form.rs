//! The form of the vector files; `conformance/README.md` describes it for everybody.

use std::net::IpAddr;

use cutover_routing::{Action, Decision, PreviewToken};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Time of a case that names none.
pub(crate) const NOW: u64 = 1_800_000_000;

/// `index.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Index {
    pub(crate) version: u32,
    pub(crate) cases: usize,
    pub(crate) files: Vec<Listed>,
}

/// One file of the index.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listed {
    pub(crate) file: String,
    pub(crate) kind: String,
    pub(crate) cases: usize,
}

/// A vector file; what stands beside the cases depends on the kind.
#[derive(Debug, Deserialize)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) cases: Vec<Value>,
    #[serde(flatten)]
    pub(crate) head: Map<String, Value>,
}

/// A described request.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    #[serde(default = "get", skip_serializing_if = "is_get")]
    pub(crate) method: String,
    pub(crate) path: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) country: Option<String>,
    #[serde(default = "req_1", skip_serializing_if = "is_req_1")]
    pub(crate) request_id: String,
    #[serde(default = "now", skip_serializing_if = "is_now")]
    pub(crate) now: u64,
}

fn get() -> String {
    "GET".to_owned()
}

fn is_get(method: &str) -> bool {
    method == "GET"
}

fn req_1() -> String {
    "req-1".to_owned()
}

fn is_req_1(id: &str) -> bool {
    id == "req-1"
}

fn now() -> u64 {
    NOW
}

fn is_now(now: &u64) -> bool {
    *now == NOW
}

/// What a decision has to be; what is absent is null or false.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    pub(crate) action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) release: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<Token>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<String>,
    pub(crate) reason: String,
    pub(crate) kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bucket: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) set_pin: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) clear_preview: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) stale: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) strip_conditionals: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) bot: bool,
}

/// What a preview token has to say, beside its release.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    pub(crate) kid: String,
    pub(crate) tid: String,
    pub(crate) expiry: u64,
}

impl Expected {
    /// A decision in the vectors' words. `path` is the request's.
    pub(crate) fn of(decision: &Decision, path: &str) -> Self {
        let mut expected = Self {
            action: decision.action.as_str().to_owned(),
            release: decision.action.release().map(|release| release.to_string()),
            rest: None,
            token: None,
            ended: None,
            reason: decision.reason.as_str().to_owned(),
            kind: decision.kind.as_str().to_owned(),
            bucket: decision.bucket,
            set_pin: decision.set_pin.map(|pin| pin.to_string()),
            clear_preview: decision.clear_preview,
            stale: decision.stale,
            strip_conditionals: decision.strip_conditionals,
            bot: decision.bot,
        };
        match &decision.action {
            Action::Path { rest, .. } => expected.rest = Some(path[*rest..].to_owned()),
            Action::Preview { token: PreviewToken { kid, tid, expiry, .. }, .. } => {
                expected.token = Some(Token { kid: kid.clone(), tid: tid.clone(), expiry: *expiry });
            }
            Action::PreviewEnded { why } => expected.ended = Some(why.as_str().to_owned()),
            _ => {}
        }
        expected
    }
}
