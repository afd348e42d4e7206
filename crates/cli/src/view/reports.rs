//! What the changing verbs did.

use std::path::PathBuf;

use cutover_engine::control::{
    DeployReport, GateResult, PreviewReport, RetireReport, StageReport, SwitchReport,
};
use serde::Serialize;

use super::{
    View,
    page::{DIM, Page, STRONG, paint},
    releases, text,
};

/// What `stage` did.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Staged(pub(crate) StageReport);

impl View for Staged {
    fn human(&self, page: &mut Page) {
        staged(page, &self.0);
    }
}

fn staged(page: &mut Page, report: &StageReport) {
    let release = &report.release;
    if report.created {
        page.line(format_args!(
            "staged {} ({}, {}) in {}",
            paint(STRONG, release.id),
            text::count(release.files, "file"),
            text::bytes(release.bytes),
            text::micros(report.took_ms.saturating_mul(1000)),
        ));
    } else {
        page.line(format_args!("already staged: {}", paint(STRONG, release.id)));
    }
}

/// What `deploy` did.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Deployed(pub(crate) DeployReport);

impl View for Deployed {
    fn human(&self, page: &mut Page) {
        staged(page, &self.0.stage);
        self.0.gates.iter().for_each(|result| gate(page, result));
        if let Some(switch) = &self.0.switch {
            switched(page, switch);
        }
    }
}

fn gate(page: &mut Page, result: &GateResult) {
    page.line(format_args!(
        "gate {}: {} {}",
        result.name,
        releases::verdict(result.verdict),
        paint(DIM, format!("({})", result.detail))
    ));
}

/// What `promote`, `rollback` and `withdraw` did.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Switched(pub(crate) SwitchReport);

impl View for Switched {
    fn human(&self, page: &mut Page) {
        switched(page, &self.0);
    }
}

fn switched(page: &mut Page, report: &SwitchReport) {
    page.line(&report.message);
    if report.changed {
        // The message says how long it took.
        page.line(paint(DIM, format!("the table is at generation {}", report.generation)));
    }
}

/// What `retire` did.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Retired(pub(crate) RetireReport);

impl View for Retired {
    fn human(&self, page: &mut Page) {
        if self.0.changed {
            page.line(format_args!(
                "retired {}; {} freed",
                paint(STRONG, self.0.release),
                text::bytes(self.0.freed_bytes)
            ));
        } else {
            page.line(format_args!("already retired: {}", paint(STRONG, self.0.release)));
        }
    }
}

/// A preview link. The human form is the bare address, so that it can be piped.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Preview(pub(crate) PreviewReport);

impl View for Preview {
    fn human(&self, page: &mut Page) {
        page.line(&self.0.url);
    }
}

/// What `init` did.
#[derive(Debug, Serialize)]
pub(crate) struct Initialised {
    /// The file written.
    pub(crate) config: PathBuf,
    /// Name of the app in it.
    pub(crate) app: String,
    /// The folder that is released as the site.
    pub(crate) site: String,
    /// Whether that folder is there already.
    pub(crate) site_found: bool,
    /// The ignore file that was extended, if one was.
    pub(crate) ignore: Option<PathBuf>,
}

impl View for Initialised {
    fn human(&self, page: &mut Page) {
        page.line(format_args!("wrote {}", self.config.display()));
        if let Some(ignore) = &self.ignore {
            page.line(format_args!("added .cutover to {}", ignore.display()));
        }
    }
}

/// How a `wait` ended.
#[derive(Debug, Serialize)]
pub(crate) struct Waited {
    /// The release waited for.
    pub(crate) release: cutover_routing::ReleaseId,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// One sentence for a person.
    pub(crate) message: String,
}

/// The ends of a `wait`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// The release is active.
    Active,
    /// It was active, or withdrawn before it came to that, and visitors were taken back.
    RolledBack,
    /// It was active and a later one has taken its place.
    Superseded,
    /// Nothing was decided in time.
    TimedOut,
}

impl View for Waited {
    fn human(&self, page: &mut Page) {
        page.line(&self.message);
    }
}
