//! Gates: checks on a release before visitors come, made on the real thing: through the edge, by preview token.
//!
//! Promises: `pass` only on evidence from the very release that is judged; a check that could not be made is an
//! `error`, never a `pass`; whatever a command started is gone when its gate is done, also when Cutover is killed
//! meanwhile (it runs under the same shim as services do).
//!
//! [`run_gate`] runs the kinds that are run once. What is watched is judged by its readers: [`prometheus`] asks for a
//! number, [`metrics`] holds it against its limits, [`synthetic`] makes up visitors where too few come.

mod caller;
mod command;
mod histogram;
mod load;
pub mod metrics;
mod page;
pub mod prometheus;
mod results;
pub mod synthetic;
mod tls;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use cutover_engine::{
    Error, ErrorKind,
    config::{Gate, GateKind},
    control::{GateResult, Verdict},
};
use cutover_routing::ReleaseId;

/// The release to judge, and how to reach it.
#[derive(Debug, Clone)]
pub struct GateTarget {
    /// Where the edge listens.
    pub edge: SocketAddr,
    /// Whether the edge itself speaks TLS there (not: whether something before it does).
    pub tls: bool,
    /// The app's host.
    pub host: String,
    /// The release.
    pub release: ReleaseId,
    /// A preview cookie for it, `name=value`.
    pub preview_cookie: String,
    /// Where each of its services answers, `host:port` by name; commands may ask them directly.
    pub services: BTreeMap<String, String>,
    /// The directory of the app description; commands run here.
    pub dir: PathBuf,
    /// Where the output of commands is kept, one `gate-<name>.log` each.
    pub log_dir: PathBuf,
}

impl GateTarget {
    fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.edge)
    }
}

/// What a gate found, before it is dated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The verdict.
    pub verdict: Verdict,
    /// The facts, for a person.
    pub detail: String,
}

impl Found {
    fn new(verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { verdict, detail: detail.into() }
    }
}

/// Runs one gate. Never fails: trouble with the check itself is the verdict `error`.
///
/// Dropping the future ends the gate's command.
pub async fn run_gate(gate: &Gate, target: &GateTarget) -> GateResult {
    let began = Instant::now();
    let found = match &gate.kind {
        GateKind::Http { path, status, body_contains, headers, response_headers, max_latency } => {
            let expected = page::Expected {
                status: *status,
                body: body_contains.as_deref(),
                headers: response_headers,
                within: *max_latency,
            };
            page::check(target, path, headers, &expected).await
        }
        GateKind::Run { command, timeout, junit, jtl, max_failed } => {
            let command = command::Command {
                run: command,
                within: *timeout,
                junit: junit.as_deref(),
                jtl: jtl.as_deref(),
                max_failed: *max_failed,
            };
            command::check(&gate.name, &command, target).await
        }
        GateKind::Load(load) => load::check(load, target).await,
        GateKind::Compare(_) | GateKind::Metrics(_) | GateKind::Approval(_) => {
            Found::new(Verdict::Error, format!("a {} gate is not run but judged", gate.kind.word()))
        }
    };
    GateResult {
        name: gate.name.clone(),
        verdict: found.verdict,
        detail: found.detail,
        at: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

/// The error that a result stands for: none for `pass`, `CUT0401` where the check does not hold, `CUT0402` where it
/// could not be made or has not enough evidence.
pub fn obstacle(release: &ReleaseId, result: &GateResult) -> Option<Error> {
    let (code, what) = match result.verdict {
        Verdict::Pass => return None,
        Verdict::Fail => ("CUT0401", "does not hold"),
        Verdict::Insufficient => ("CUT0402", "has not enough evidence"),
        Verdict::Error => ("CUT0402", "could not be checked"),
    };
    let error =
        Error::new(ErrorKind::Failed, code, format!("gate `{}` {what} for release {release}", result.name));
    Some(error.because(&result.detail).hint(format!(
        "no visitor was sent to {release}; look at it with `cutover preview {release}`, mend it, and deploy again"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pass_is_no_obstacle() {
        let release: ReleaseId = "abcdefgh".parse().unwrap();
        for (verdict, code) in [
            (Verdict::Pass, None),
            (Verdict::Fail, Some("CUT0401")),
            (Verdict::Insufficient, Some("CUT0402")),
            (Verdict::Error, Some("CUT0402")),
        ] {
            let result =
                GateResult { name: "smoke".into(), verdict, detail: "facts".into(), at: 1, took_ms: 2 };
            let error = obstacle(&release, &result);
            assert_eq!(error.as_ref().map(|error| error.code.as_str()), code);
            if let Some(error) = error {
                assert!(
                    error.to_string().contains("smoke") && error.to_string().contains("facts"),
                    "{error}"
                );
            }
        }
    }
}
