//! The picture of now.

use std::io::{IsTerminal, Write};

use cutover_engine::control::Status;
use cutover_routing::ReleaseState;
use serde::Serialize;

use super::{
    View,
    page::{DIM, Page, STRONG, YELLOW, paint},
    releases,
    rollout::section,
    text,
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
        if let Some(rollout) = &status.rollout {
            page.gap();
            section::rollout(page, rollout);
        }
        // Of the first release there is no going back, and nothing to be said of it.
        if status.readiness.to.is_some() {
            page.gap();
            section::readiness(page, &status.readiness);
        } else if let Some(back) = status.rollback_to {
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

/// Draws a status over the one drawn before, on a terminal: line by line, so that nothing flickers.
///
/// # Errors
/// When nobody reads any more.
pub(crate) fn redraw(view: &StatusView) -> std::io::Result<()> {
    let text = super::render(view, crate::args::Output::Human, Page::now());
    let mut stdout = std::io::stdout();
    // Where colours are not wanted the screen is drawn over all the same.
    let plain = anstream::AutoStream::choice(&stdout) == anstream::ColorChoice::Never;
    let text = if plain { anstream::adapter::strip_str(&text).to_string() } else { text };
    let text = if stdout.is_terminal() { over(&text) } else { text };
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// A text that replaces what is on the screen: from its first line, each cleared behind its end, and all below.
fn over(text: &str) -> String {
    format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use cutover_engine::control::{
        Component, ComponentKind, Health, ParityDifference, Readiness, ReadinessCheck, Release, ReleaseUsage,
    };

    use super::*;
    use crate::{
        args::Output,
        view::{render, rollout::fixtures},
    };

    fn release(id: &str, name: &str, state: ReleaseState, health: Health) -> Release {
        Release {
            id: id.parse().unwrap(),
            name: Some(name.to_owned()),
            commit: None,
            state: Some(state),
            outside: None,
            slot: None,
            staged_at: 60_000,
            staged_by: "ann".to_owned(),
            files: 3,
            bytes: 4096,
            components: vec![Component {
                name: "api".to_owned(),
                kind: ComponentKind::Process,
                health,
                address: Some("127.0.0.1:20001".to_owned()),
                pid: Some(7),
                restarts: 2,
                log: None,
                problem: (health == Health::Unhealthy).then(|| "it ended with code 1".to_owned()),
            }],
            gates: Vec::new(),
            usage: ReleaseUsage {
                requests: 1200,
                server_errors: 3,
                in_flight: 2,
                open_streams: 1,
                last_request_at: None,
            },
        }
    }

    pub(crate) fn status() -> StatusView {
        let (blue, green) = ("aaaaaaaa".parse().unwrap(), "bbbbbbbb".parse().unwrap());
        StatusView(Status {
            app: "shop".to_owned(),
            host: "localhost".to_owned(),
            url: "http://localhost:8080/".to_owned(),
            generation: 5,
            active: Some(blue),
            candidate: Some(green),
            rollback_to: Some(green),
            shares: BTreeMap::from([(green, 2_500)]),
            releases: vec![
                release("bbbbbbbb", "v2", ReleaseState::Candidate, Health::Unhealthy),
                release("aaaaaaaa", "v1", ReleaseState::Active, Health::Healthy),
            ],
            parity: vec![ParityDifference {
                setting: "service.api.run".to_owned(),
                blue: Some("node a.js".to_owned()),
                green: None,
            }],
            warnings: vec!["the disk is nearly full".to_owned()],
            rollout: Some(fixtures::held()),
            readiness: Readiness {
                ready: true,
                to: Some(blue),
                expected_ms: Some(12),
                checks: vec![ReadinessCheck {
                    what: "files".to_owned(),
                    ok: true,
                    detail: "there".to_owned(),
                }],
            },
        })
    }

    #[test]
    fn people_see_roles_shares_health_differences_and_warnings() {
        let text = render(&status(), Output::Human, Page::at(120_000));
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string(), @r"
        shop  http://localhost:8080/  generation 5

        RELEASE   STATE      NAME  NEW VISITORS  REQUESTS  5XX  OPEN  STAGED
        bbbbbbbb  candidate  v2    25%           1200      3    3     1m ago
        aaaaaaaa  active     v1    75%           1200      3    3     1m ago

        bbbbbbbb  api unhealthy at 127.0.0.1:20001, 2 restarts: it ended with code 1
        aaaaaaaa  api healthy at 127.0.0.1:20001, 2 restarts

        rollout     ro-7  aaaaaaaa -> bbbbbbbb  held
        step        shift 1 of 1: 5% (step 4 of 9)
        share       5% of visitors on bbbbbbbb
        hold        [##----------------------] 12s of 2m
        waiting     1m48s to go, not counting: errors: too few visitors so far
        gate        errors insufficient: too few visitors so far
                    green 120 visits, 1 failed; blue 2280 visits, 11 failed; evidence for fail 0%, for pass 50%; 900ms old
        held        gate errors has not enough evidence after 2m
        what helps  cutover resume                 tries again
                    cutover promote --reason TEXT  goes on in spite of the gates
                    cutover rollback               takes visitors back

        rollback    ready, to aaaaaaaa, in about 12ms
                    ok       files: there

        different between blue and green
          service.api.run: node a.js -> absent

        warning: the disk is nearly full
        ");
    }

    #[test]
    fn without_a_rollout_the_way_back_is_one_line() {
        let mut view = status();
        view.0.rollout = None;
        view.0.readiness = Readiness::default();
        let text = render(&view, Output::Human, Page::at(120_000));
        assert!(text.contains("\nrollback would go to bbbbbbbb\n"), "{text}");
        assert!(!text.contains("rollout"), "{text}");
    }

    #[test]
    fn a_picture_is_drawn_over_the_one_before() {
        assert_eq!(over("a\nb\n"), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
    }

    #[test]
    fn programs_see_the_model_itself() {
        let text = render(&status(), Output::Json, Page::at(0));
        let read: Status = serde_json::from_str(&text).unwrap();
        assert_eq!(read.shares, status().0.shares);
        assert_eq!(read.releases.len(), 2);
    }
}
