//! `[[gate]]`.

use std::{collections::BTreeMap, time::Duration};

use super::{
    super::{
        meant::{Gate, GateKind},
        place::{At, Trouble},
        written::{self, HttpGate},
    },
    routing::is_token,
    text, unique,
};

const DEFAULT_RUN: Duration = Duration::from_secs(600);
const LONGEST_RUN: Duration = Duration::from_secs(86_400);
const LONGEST_ANSWER: Duration = Duration::from_secs(600);

pub(super) fn check(written: &[At<written::Gate>], trouble: &mut Trouble<'_>) -> Option<Vec<Gate>> {
    unique("gate", written.iter().filter_map(|gate| gate.get().name.as_ref()), trouble);
    let checked: Vec<_> = written.iter().map(|gate| one(gate, trouble)).collect();
    checked.into_iter().collect()
}

fn one(written: &At<written::Gate>, trouble: &mut Trouble<'_>) -> Option<Gate> {
    let gate = written.get();
    let name = gate.name.as_ref().and_then(|name| text::name("gate.name", name, trouble));
    let kind = match (&gate.http, &gate.run) {
        (Some(http), None) => {
            if let Some(timeout) = &gate.timeout {
                let hint = "say how long the answer may take with `http = { path = ..., max_latency = ... }`";
                trouble.add_hint("CUT0107", timeout.span(), "`timeout` belongs to `run` gates", hint);
            }
            request(http, trouble)
        }
        (None, Some(run)) => {
            let command = text::line("gate.run", run, 16_384, trouble);
            let timeout =
                text::time_or("gate.timeout", gate.timeout.as_ref(), DEFAULT_RUN, LONGEST_RUN, trouble);
            command.zip(timeout).map(|(command, timeout)| GateKind::Run {
                command,
                timeout,
                junit: None,
                jtl: None,
                max_failed: 0.0,
            })
        }
        (Some(_), Some(run)) => {
            let hint = "write two gates; both have to pass";
            trouble.add_hint("CUT0107", run.span(), "a gate has either `http` or `run`", hint);
            None
        }
        (None, None) if trouble.was_cut(&written.span()) => None,
        (None, None) => {
            let hint = "add `http` (a request to the release) or `run` (a command)";
            trouble.add_hint("CUT0104", written.span(), "the gate does not say what it checks", hint);
            None
        }
    };
    let mut meant = Gate::new(name?, kind?);
    meant.required = gate.required.unwrap_or(true);
    Some(meant)
}

fn request(written: &At<HttpGate>, trouble: &mut Trouble<'_>) -> Option<GateKind> {
    let http = written.get();
    let path = http.path.as_ref().and_then(|path| text::target("gate.http.path", path, true, trouble));
    let status = http.status.as_ref().map_or(Some(200), |status| u16::try_from(*status.get()).ok());
    let mut headers = Some(BTreeMap::new());
    for (name, value) in &http.headers {
        let lower = name.to_ascii_lowercase();
        let why = if lower.is_empty() || !lower.bytes().all(is_token) {
            Some(("CUT0105", "is no header name"))
        } else if lower.starts_with("x-cutover-")
            || matches!(
                lower.as_str(),
                "host" | "cookie" | "content-length" | "transfer-encoding" | "connection"
            )
        {
            Some(("CUT0108", "is set by the gate itself"))
        } else if !value.get().bytes().all(|b| (b' '..=b'~').contains(&b)) {
            Some(("CUT0105", "has a value that is not visible ASCII"))
        } else {
            None
        };
        match (why, &mut headers) {
            (Some((code, why)), _) => {
                trouble.add(code, value.span(), format!("`gate.http.headers`: {name:?} {why}"));
                headers = None;
            }
            (None, Some(headers)) => {
                headers.insert(lower, value.get().clone());
            }
            (None, None) => {}
        }
    }
    let max_latency = match &http.max_latency {
        Some(time) => text::time("gate.http.max_latency", time, LONGEST_ANSWER, trouble).map(Some),
        None => Some(None),
    };
    Some(GateKind::Http {
        path: path?,
        status: status?,
        body_contains: http.body_contains.as_ref().map(|text| text.get().clone()),
        headers: headers?,
        response_headers: BTreeMap::new(),
        max_latency: max_latency?,
    })
}
