//! The picture of now.

use std::io::{IsTerminal, Write};

use cutover_engine::control::Status;
use cutover_routing::ReleaseState;
use serde::Serialize;

use super::{
    View,
    page::{DIM, Page, STRONG, YELLOW, paint},
    releases, text,
};

/// What `cutover status` shows.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct StatusView(pub(crate) Status);

impl View for StatusView {
    fn human(&self, page: &mut Page) {
        let status = &self.0;
        page.line(format_args!(
            "{}  {}  {}",
            paint(STRONG, &status.app),
            status.url,
            paint(DIM, format!("generation {}", status.generation))
        ));
        page.gap();
        if status.releases.is_empty() {
            page.line("no release yet: visitors get a page that says so");
        } else {
            releases::rows(page, &status.releases, |release| share(status, release.id));
            page.gap();
            for release in &status.releases {
                if release.components.is_empty() || release.outside.is_some() {
                    continue;
                }
                let parts: Vec<String> = release.components.iter().map(releases::component).collect();
                page.line(format_args!("{}  {}", release.id, parts.join(" · ")));
            }
        }
        if let Some(back) = status.rollback_to {
            page.line(format_args!("rollback would go to {back}"));
        }
        if !status.parity.is_empty() {
            page.gap();
            page.line(paint(DIM, "different between blue and green"));
            for difference in &status.parity {
                let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "absent".to_owned());
                page.line(format_args!(
                    "  {}: {} -> {}",
                    difference.setting,
                    value(&difference.blue),
                    value(&difference.green)
                ));
            }
        }
        if !status.warnings.is_empty() {
            page.gap();
            for warning in &status.warnings {
                page.line(format_args!("{} {warning}", paint(YELLOW, "warning:")));
            }
        }
    }
}

/// What part of new visitors a release gets: its own share, and the active one what the shares leave.
fn share(status: &Status, release: cutover_routing::ReleaseId) -> String {
    let own = status.shares.get(&release).copied();
    let active =
        status.releases.iter().any(|other| other.id == release && other.state == Some(ReleaseState::Active));
    match own {
        Some(width) => text::share(width),
        None if active => {
            let given: u16 = status.shares.values().copied().fold(0, u16::saturating_add);
            text::share(10_000_u16.saturating_sub(given))
        }
        None => String::new(),
    }
}

/// Draws a status over the one drawn before: the screen is cleared first, on a terminal.
///
/// # Errors
/// When nobody reads any more.
pub(crate) fn redraw(view: &StatusView) -> std::io::Result<()> {
    let text = super::render(view, crate::args::Output::Human, Page::now());
    let mut stdout = anstream::stdout();
    if std::io::stdout().is_terminal() {
        stdout.write_all(b"\x1b[H\x1b[2J")?;
    }
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
