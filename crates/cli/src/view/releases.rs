//! Releases as rows and one release in full.

use cutover_engine::control::{Component, Health, Outside, Release, Verdict};
use cutover_routing::ReleaseState;
use serde::Serialize;

use super::{
    View,
    page::{BLUE, DIM, GREEN, Page, RED, STRONG, YELLOW, paint},
    text,
};

/// The list of `cutover releases`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Releases(pub(crate) Vec<Release>);

impl View for Releases {
    fn human(&self, page: &mut Page) {
        if self.0.is_empty() {
            page.line("no release yet");
            return;
        }
        rows(page, &self.0, |release| share_of(release).to_owned());
    }
}

/// The state of a release in one word, in its colour.
pub(crate) fn state(release: &Release) -> String {
    match (release.outside, release.state) {
        (Some(Outside::Withdrawn), _) => paint(RED, "withdrawn"),
        (Some(Outside::Standby), _) => paint(DIM, "standby"),
        (Some(Outside::Retired), _) => paint(DIM, "retired"),
        (None, Some(ReleaseState::Active)) => paint(BLUE, "active"),
        (None, Some(ReleaseState::Candidate)) => paint(GREEN, "candidate"),
        (None, Some(ReleaseState::Staged)) => paint(GREEN, "staged"),
        (None, Some(ReleaseState::Draining)) => paint(YELLOW, "draining"),
        (None, Some(ReleaseState::Closed)) => paint(DIM, "closed"),
        (None, None) => paint(DIM, "unknown"),
    }
}

/// Draws releases as a table; `share` says what part of new visitors each gets.
pub(crate) fn rows(page: &mut Page, releases: &[Release], share: impl Fn(&Release) -> String) {
    let rows: Vec<[String; 8]> = releases
        .iter()
        .map(|release| {
            [
                paint(STRONG, release.id),
                state(release),
                release.name.clone().or_else(|| release.commit.clone()).unwrap_or_default(),
                share(release),
                release.usage.requests.to_string(),
                errors(release.usage.server_errors),
                (release.usage.in_flight + release.usage.open_streams).to_string(),
                page.ago(release.staged_at),
            ]
        })
        .collect();
    page.table(["RELEASE", "STATE", "NAME", "NEW VISITORS", "REQUESTS", "5XX", "OPEN", "STAGED"], &rows);
}

/// The share where nothing more is known than the state.
fn share_of(release: &Release) -> &'static str {
    if release.state == Some(ReleaseState::Active) { "100%" } else { "" }
}

fn errors(count: u64) -> String {
    if count == 0 { "0".to_owned() } else { paint(RED, count) }
}

/// A component in one line.
pub(crate) fn component(component: &Component) -> String {
    let health = match component.health {
        Health::Healthy => paint(GREEN, "healthy"),
        Health::Unhealthy => paint(RED, "unhealthy"),
        Health::Starting => paint(YELLOW, "starting"),
        Health::Stopped => paint(DIM, "stopped"),
        Health::Unknown => paint(DIM, "unknown"),
    };
    let mut line = format!("{} {health}", component.name);
    if let Some(address) = &component.address {
        line.push_str(&format!(" at {address}"));
    }
    if component.restarts > 0 {
        line.push_str(&format!(", {}", text::count(component.restarts.into(), "restart")));
    }
    if let Some(problem) = &component.problem {
        line.push_str(&format!(": {problem}"));
    }
    line
}

/// Draws everything that is known of a release.
pub(crate) fn full(page: &mut Page, release: &Release) {
    page.field("release", paint(STRONG, release.id));
    page.field("state", state(release));
    if let Some(name) = &release.name {
        page.field("name", name);
    }
    if let Some(commit) = &release.commit {
        page.field("commit", commit);
    }
    if let Some(slot) = release.slot {
        page.field("slot", slot);
    }
    page.field("staged", format_args!("{} by {}", text::moment(release.staged_at), release.staged_by));
    page.field(
        "content",
        format_args!("{}, {}", text::count(release.files, "file"), text::bytes(release.bytes)),
    );
    for part in &release.components {
        page.field("component", component(part));
        if let Some(log) = &part.log {
            page.field("log", log.display());
        }
    }
    for gate in &release.gates {
        page.field("gate", format_args!("{} {}: {}", gate.name, verdict(gate.verdict), gate.detail));
    }
    let usage = &release.usage;
    page.field(
        "requests",
        format_args!(
            "{} since the edge started, {} failed, {} in flight, {}",
            usage.requests,
            usage.server_errors,
            usage.in_flight,
            text::count(usage.open_streams, "open stream"),
        ),
    );
    if let Some(at) = usage.last_request_at {
        let ago = page.ago(at);
        page.field("last", ago);
    }
}

/// A verdict in its colour.
pub(crate) fn verdict(verdict: Verdict) -> String {
    match verdict {
        Verdict::Pass => paint(GREEN, "pass"),
        Verdict::Fail => paint(RED, "fail"),
        Verdict::Insufficient => paint(YELLOW, "insufficient"),
        Verdict::Error => paint(RED, "error"),
    }
}
