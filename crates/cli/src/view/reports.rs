//! What the changing verbs did.

use std::path::PathBuf;

use cutover_engine::control::{
    DeployReport, GateResult, PreviewReport, RetireReport, RolloutView, StageReport, SwitchReport,
};
use serde::Serialize;

use super::{
    View,
    page::{DIM, Page, STRONG, paint},
    releases,
    rollout::{
        awaited,
        end::{Outcome, Waited},
    },
    text,
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
pub(crate) struct Deployed {
    /// The controller's report; with `--wait` its rollout is the one seen last.
    #[serde(flatten)]
    pub(crate) report: DeployReport,
    /// What the rollout has come to; none while it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<Waited>,
}

/// What became of the rollout of a `deploy --wait` that has no report: it failed before visitors moved, or its controller
/// was away when it ended.
#[derive(Debug, Serialize)]
pub(crate) struct Unreported {
    /// The rollout as it was seen last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rollout: Option<Box<RolloutView>>,
    /// What it has come to.
    pub(crate) end: Waited,
}

impl View for Unreported {
    fn human(&self, page: &mut Page) {
        self.end.human(page);
    }
}

impl View for Deployed {
    fn human(&self, page: &mut Page) {
        let report = &self.report;
        staged(page, &report.stage);
        report.gates.iter().for_each(|result| gate(page, result));
        if let Some(switch) = &report.switch {
            switched(page, switch);
        }
        match (&self.end, &report.rollout) {
            // The switch has said it.
            (Some(Waited { outcome: Outcome::Active, .. }), _) if report.switch.is_some() => {}
            (Some(end), _) => end.human(page),
            (None, Some(rollout)) if report.switch.is_none() => page.line(format_args!(
                "rollout {} is at {}; {}",
                paint(STRONG, &rollout.id),
                rollout.step,
                awaited(&text::one_line(&rollout.waiting))
            )),
            (None, _) => {}
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
