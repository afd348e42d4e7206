//! Why things are as they are.

use cutover_engine::{
    codes::Code,
    control::{ExplainReport, Release},
};
use serde::Serialize;

use super::{
    View,
    history::History,
    page::{Page, STRONG, paint},
    releases,
};

/// Why a request goes where it goes.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Request(pub(crate) ExplainReport);

impl View for Request {
    fn human(&self, page: &mut Page) {
        match self.0.release {
            Some(release) => page.field("release", paint(STRONG, release)),
            None => page.field("release", "none"),
        }
        page.field("reason", &self.0.reason);
        page.field("answered by", &self.0.component);
        page.gap();
        for (number, step) in self.0.steps.iter().enumerate() {
            page.line(format_args!("{:>2}. {step}", number + 1));
        }
    }
}

/// A release and how it came to be what it is.
#[derive(Debug, Serialize)]
pub(crate) struct OneRelease {
    pub(crate) release: Release,
    pub(crate) history: History,
}

impl View for OneRelease {
    fn human(&self, page: &mut Page) {
        releases::full(page, &self.release);
        page.gap();
        self.history.human(page);
    }
}

/// What an error code means.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct OneCode(pub(crate) Code);

impl View for OneCode {
    fn human(&self, page: &mut Page) {
        page.line(format_args!("{}  {}", paint(STRONG, self.0.code), self.0.title));
        page.gap();
        page.line(self.0.text);
    }
}
