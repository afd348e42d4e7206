//! Whether a rollback would work now: what it needs, looked at one by one, all the time.

use std::sync::Arc;

use cutover_engine::{
    control::{Readiness, ReadinessCheck},
    rollout::{End, Health},
};
use cutover_routing::{ReleaseId, ReleaseState};

use super::{Inner, locked, rollouts::Known};

impl Inner {
    /// Whether one command would bring visitors back.
    pub(super) async fn readiness(self: &Arc<Self>) -> Readiness {
        let known = self.rolling.ledger.known().filter(Known::can_go_back);
        let open = known.as_ref().filter(|known| known.state.ended.is_none());
        // Before the promotion the way back is to the default.
        let to = match open {
            Some(known) if !known.state.promoted || known.state.going_back() => known.state.plan.blue,
            _ => self.with_world(super::World::rollback_to),
        };
        let Some(to) = to else {
            let detail = match self.with_world(super::World::back) {
                super::world::Back::Nowhere(why) => why,
                super::world::Back::Already { on, .. } => format!("already on {on}"),
                super::world::Back::To { to, .. } => to.to_string(),
            };
            let checks = vec![check("a release to go back to", false, detail)];
            return Readiness { ready: false, to: None, expected_ms: None, checks };
        };
        let mut checks = self.way_back_to(&to).await;
        let point = known.as_ref().is_some_and(|known| {
            known.state.retiring && !matches!(known.state.ended, Some(End::Superseded { .. }))
        });
        checks.push(check(
            "point of no return",
            !point,
            if point { "tearing it down has begun".to_owned() } else { "not passed".to_owned() },
        ));
        checks.extend(self.controller_checks().await);
        let ready = checks.iter().all(|check| check.ok);
        Readiness { ready, to: Some(to), expected_ms: self.expected_ms(), checks }
    }

    /// What a rollback to this release needs of it.
    pub(super) async fn way_back_to(self: &Arc<Self>, to: &ReleaseId) -> Vec<ReadinessCheck> {
        let state = self.current_table().state(to);
        let place = match state {
            Some(state) => check("place in the table", true, format!("{to} is {state}")),
            None => check("place in the table", false, format!("{to} is retired")),
        };
        let barred = self.row(to).and_then(|row| row.barred);
        let files = match (self.is_damaged(to).await, &barred) {
            (false, None) => check("files", true, "there".to_owned()),
            (true, _) => check("files", false, "missing or damaged".to_owned()),
            (false, Some(why)) => check("files", false, format!("withdrawn: {why}")),
        };
        let rests = state == Some(ReleaseState::Closed) && self.supervisor.status(to).is_empty();
        let health = match self.health_of(to).await {
            _ if rests && self.runs_services(to).await => {
                check("health", true, "its services rest and are started first".to_owned())
            }
            Health::Healthy => check("health", true, "it answers".to_owned()),
            Health::Unknown => check("health", true, "it is starting".to_owned()),
            Health::Unhealthy(why) => check("health", false, why),
        };
        vec![place, files, health]
    }

    async fn runs_services(&self, id: &ReleaseId) -> bool {
        self.load(id).await.is_ok_and(|loaded| !loaded.snapshot.services.is_empty())
    }

    async fn controller_checks(&self) -> Vec<ReadinessCheck> {
        let trouble = self.runner().ok().and_then(cutover_engine::runner::Rollouts::now);
        let trouble = trouble.and_then(|now| now.trouble.clone());
        let right = match trouble {
            None => check("right to write", true, "the lease is held".to_owned()),
            Some(why) => check("right to write", false, why),
        };
        let disk = locked(&self.problems).get("disk").cloned();
        let reserve = Arc::clone(&self.reserve);
        let kept = tokio::task::spawn_blocking(move || reserve.is_there()).await.unwrap_or(false);
        let room = match (kept, disk) {
            (true, _) => check("room on the disk", true, "kept for it".to_owned()),
            (false, Some(why)) => check("room on the disk", false, why),
            (false, None) => check("room on the disk", true, "there".to_owned()),
        };
        vec![right, room]
    }

    /// The middle of the last switches, rounded up.
    fn expected_ms(&self) -> Option<u64> {
        let mut times = locked(&self.rolling.times).clone();
        times.sort_unstable();
        times.get(times.len() / 2).map(|us| us.div_ceil(1000))
    }
}

fn check(what: &str, ok: bool, detail: String) -> ReadinessCheck {
    ReadinessCheck { what: what.to_owned(), ok, detail }
}
