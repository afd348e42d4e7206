//! What `status` and `releases` show: the journal, the edge and the supervisor in one picture.

use std::{collections::BTreeMap, sync::Arc};

use cutover_edge::ComponentHealth;
use cutover_engine::{
    config::{SourceSnapshot, parity},
    control::{Component, ComponentKind, Health, Release, ReleaseUsage, Status},
};
use cutover_routing::{BUCKETS, ReleaseId, ReleaseState, Slot, Table};

use super::{Inner, Loaded, address::visitor_url, damage, locked, world::Back};
use crate::{journal::ReleaseRow, process::ProcessStatus};

impl Inner {
    pub(super) async fn status_view(self: &Arc<Self>) -> Status {
        let world = self.with_world(Clone::clone);
        let releases: Vec<Release> =
            self.releases_view().await.into_iter().filter(|release| release.state.is_some()).collect();
        let active = world.table.default;
        let candidate = world.green();
        let config = &self.options.config;
        Status {
            app: config.app.clone(),
            host: config.host.clone(),
            url: visitor_url(config, self.edge.local_addr()),
            generation: world.table.generation,
            active,
            candidate,
            rollback_to: match self.back() {
                Back::To { to, .. } => Some(to),
                Back::Already { .. } | Back::Nowhere(_) => None,
            },
            shares: shares(&world.table),
            parity: match (active, candidate) {
                (Some(blue), Some(green)) => self.parity(&blue, &green).await,
                _ => Vec::new(),
            },
            warnings: self.warnings(&world.table, &releases),
            rollout: self.rollout_view(),
            readiness: self.readiness().await,
            releases,
        }
    }

    /// Every release, newest first.
    pub(super) async fn releases_view(&self) -> Vec<Release> {
        let mut rows: Vec<ReleaseRow> = self.with_world(|world| world.rows.values().cloned().collect());
        rows.sort_by(|one, other| other.staged_at.cmp(&one.staged_at).then(one.id.cmp(&other.id)));
        let health = self.edge.health();
        let mut views = Vec::with_capacity(rows.len());
        for row in rows {
            views.push(self.view(row, &health).await);
        }
        views
    }

    pub(super) async fn release_view(&self, id: &ReleaseId) -> Option<Release> {
        let row = self.row(id)?;
        Some(self.view(row, &self.edge.health()).await)
    }

    async fn view(&self, row: ReleaseRow, health: &[ComponentHealth]) -> Release {
        let table = self.current_table();
        let usage = self.edge.usage(&row.id);
        let state = table.state(&row.id);
        let components = if row.retained() { self.components(&row, state, health).await } else { Vec::new() };
        Release {
            id: row.id,
            name: row.name,
            commit: row.commit,
            state,
            outside: row.outside,
            slot: row.slot,
            staged_at: row.staged_at,
            staged_by: row.staged_by,
            files: row.files,
            bytes: row.bytes,
            components,
            gates: row.gates,
            usage: ReleaseUsage {
                in_flight: usage.in_flight,
                open_streams: usage.open_streams,
                requests: usage.requests,
                server_errors: usage.server_errors,
                last_request_at: usage.last_request_at,
            },
        }
    }

    async fn components(
        &self,
        row: &ReleaseRow,
        state: Option<ReleaseState>,
        health: &[ComponentHealth],
    ) -> Vec<Component> {
        let loaded = match self.load(&row.id).await {
            Ok(loaded) => loaded,
            Err(error) => return vec![unreadable(error.to_string())],
        };
        let open = state.is_some_and(|state| state != ReleaseState::Closed);
        let site = loaded.site.as_ref().map(|_| Component {
            health: match (&loaded.mended, open) {
                (_, false) => Health::Stopped,
                (Some(paths), true) if !paths.is_empty() => Health::Unhealthy,
                (_, true) => Health::Healthy,
            },
            problem: damage::told(&loaded),
            ..component("site", ComponentKind::Site)
        });
        let running = self.supervisor.status(&row.id);
        let services = services(&loaded, row, open, health, &running);
        site.into_iter().chain(services).collect()
    }

    async fn parity(
        &self,
        blue: &ReleaseId,
        green: &ReleaseId,
    ) -> Vec<cutover_engine::control::ParityDifference> {
        match (self.load(blue).await, self.load(green).await) {
            (Ok(blue), Ok(green)) => parity(&blue.snapshot, &green.snapshot),
            _ => Vec::new(),
        }
    }

    fn warnings(&self, table: &Table, releases: &[Release]) -> Vec<String> {
        let mut warnings: Vec<String> =
            locked(&self.problems).iter().map(|(subject, problem)| format!("{subject}: {problem}")).collect();
        for release in releases {
            let serves = release.state.is_some_and(ReleaseState::servable);
            for component in
                release.components.iter().filter(|component| serves && component.health == Health::Unhealthy)
            {
                let why = component.problem.as_deref().unwrap_or("it does not answer");
                let service = if component.kind == ComponentKind::Site { "" } else { "service " };
                warnings.push(format!(
                    "{service}{} of release {} is unhealthy: {why}",
                    component.name, release.id
                ));
            }
        }
        let edge = self.edge.generation();
        if edge != table.generation && edge > 0 {
            warnings.push(format!("the edge is at generation {edge}, the table at {}", table.generation));
        }
        warnings
    }
}

fn services<'a>(
    loaded: &'a Loaded,
    row: &'a ReleaseRow,
    open: bool,
    health: &'a [ComponentHealth],
    running: &'a [ProcessStatus],
) -> impl Iterator<Item = Component> + 'a {
    loaded.snapshot.services.iter().map(move |service| {
        let seen =
            health.iter().find(|seen| open && seen.release == row.id && seen.component == service.name);
        match &service.source {
            SourceSnapshot::Process { .. } => {
                let status = running.iter().find(|status| status.component == service.name);
                process(&service.name, status, seen)
            }
            SourceSnapshot::Upstream(upstream) => Component {
                address: Some(match row.slot {
                    Some(Slot::Green) => upstream.green.clone(),
                    Some(Slot::Blue) | None => upstream.blue.clone(),
                }),
                health: seen.map_or(Health::Unknown, as_health),
                problem: seen.and_then(|seen| seen.problem.clone()),
                ..component(&service.name, ComponentKind::Upstream)
            },
        }
    })
}

/// The supervisor knows whether it runs, the edge whether it answers.
fn process(name: &str, status: Option<&ProcessStatus>, seen: Option<&ComponentHealth>) -> Component {
    let base = component(name, ComponentKind::Process);
    let Some(status) = status else { return Component { health: Health::Stopped, ..base } };
    let unanswered = seen.filter(|seen| !seen.healthy);
    let health = match status.state.health() {
        Health::Healthy if unanswered.is_some() => Health::Unhealthy,
        health => health,
    };
    Component {
        health,
        address: status.addr.map(|addr| addr.to_string()),
        pid: status.pid,
        restarts: status.restarts,
        log: Some(status.log.clone()),
        problem: status.problem.clone().or_else(|| unanswered.and_then(|seen| seen.problem.clone())),
        ..base
    }
}

fn as_health(seen: &ComponentHealth) -> Health {
    if seen.healthy { Health::Healthy } else { Health::Unhealthy }
}

fn component(name: &str, kind: ComponentKind) -> Component {
    Component {
        name: name.to_owned(),
        kind,
        health: Health::Unknown,
        address: None,
        pid: None,
        restarts: 0,
        log: None,
        problem: None,
    }
}

fn unreadable(problem: String) -> Component {
    Component { health: Health::Unhealthy, problem: Some(problem), ..component("site", ComponentKind::Site) }
}

/// Buckets of new visitors per release; what no share claims is the default's.
fn shares(table: &Table) -> BTreeMap<ReleaseId, u16> {
    let mut shares: BTreeMap<ReleaseId, u16> = table
        .shares
        .iter()
        .filter(|share| share.width > 0)
        .map(|share| (share.release, share.width))
        .collect();
    if let Some(default) = table.default {
        let rest = BUCKETS.saturating_sub(shares.values().sum());
        shares.insert(default, rest);
    }
    shares
}

#[cfg(test)]
mod tests {
    use cutover_routing::Share;

    use super::*;

    #[test]
    fn what_no_share_claims_is_the_defaults() {
        let (blue, green) = ("aaaaaaaa".parse().unwrap(), "bbbbbbbb".parse().unwrap());
        let mut table = Table { default: Some(blue), ..Table::empty() };
        assert_eq!(shares(&table), BTreeMap::from([(blue, 10_000)]));
        table.shares = vec![Share { release: green, first: 0, width: 500 }];
        assert_eq!(shares(&table), BTreeMap::from([(blue, 9_500), (green, 500)]));
        assert!(shares(&Table::empty()).is_empty());
    }
}
