//! Whether a rollback would work now: what it needs, looked at one by one, all the time.

use std::sync::Arc;

use cutover_engine::{
    control::{Readiness, ReadinessCheck},
    rollout::{End, Health},
};
use cutover_routing::{ReleaseId, ReleaseState};

use super::{Inner, locked, rollouts::Known, world::Back};
use crate::process::ProcessState;

/// How the engine's trouble begins where a write failed that is tried again: with room it succeeds.
const WAITS: [&str; 2] = ["the rollout stands still", "the lease cannot be renewed"];

impl Inner {
    /// Whether one command would bring visitors back.
    pub(super) async fn readiness(self: &Arc<Self>) -> Readiness {
        let known = self.rolling.ledger.known().filter(Known::can_go_back);
        let open = known.as_ref().filter(|known| known.state.ended.is_none());
        // Before the promotion the way back is to the default.
        let to = match open {
            Some(known) if !known.state.promoted || known.state.going_back() => known.state.plan.blue,
            _ => match self.back() {
                Back::To { to, .. } => Some(to),
                Back::Already { .. } | Back::Nowhere(_) => None,
            },
        };
        let Some(to) = to else {
            let detail = match self.back() {
                Back::Nowhere(why) => why,
                Back::Already { on, .. } => format!("already on {on}"),
                Back::To { to, .. } => to.to_string(),
            };
            let checks = vec![check("a release to go back to", false, detail)];
            return Readiness { ready: false, to: None, expected_ms: None, checks };
        };
        let rests = self.rests(&to).await;
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
        // How long services take to come up is not known from switches for which nothing had to.
        let expected_ms = if rests { None } else { self.expected_ms() };
        Readiness { ready, to: Some(to), expected_ms, checks }
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
        let health = match self.health_of(to).await {
            _ if self.rests(to).await => {
                check("health", true, "its services rest and are started first".to_owned())
            }
            Health::Healthy => check("health", true, "it answers".to_owned()),
            Health::Unknown => check("health", false, self.not_up_yet(to)),
            Health::Unhealthy(why) => check("health", false, why),
        };
        vec![place, files, health]
    }

    /// Whether a release has services that were ended because nobody needs them: going back starts them.
    async fn rests(&self, id: &ReleaseId) -> bool {
        let closed = self.current_table().state(id) == Some(ReleaseState::Closed);
        let ended = || self.supervisor.status(id).iter().all(|one| one.state == ProcessState::Stopping);
        let services = async { self.load(id).await.is_ok_and(|loaded| !loaded.snapshot.services.is_empty()) };
        closed && ended() && services.await
    }

    /// Why nobody can say that a release answers.
    fn not_up_yet(&self, id: &ReleaseId) -> String {
        let running = self.supervisor.status(id);
        let ill = running.iter().find(|one| one.state != ProcessState::Healthy);
        match ill {
            Some(one) => {
                let why = one.problem.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
                format!("service {} is not up yet{why}", one.component)
            }
            None => "it is not known yet whether it answers".to_owned(),
        }
    }

    async fn controller_checks(&self) -> Vec<ReadinessCheck> {
        let trouble = self.runner().ok().and_then(cutover_engine::runner::Rollouts::now);
        let trouble = trouble.and_then(|now| now.trouble.clone());
        let disk = locked(&self.problems).get("disk").cloned();
        let reserve = Arc::clone(&self.reserve);
        let looked = tokio::task::spawn_blocking(move || (reserve.is_there(), reserve.is_full())).await;
        let (kept, full) = looked.unwrap_or((false, false));
        let right = right_to_write(trouble, kept && (full || disk.is_some()));
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

/// `spare`: the disk is full, and what is kept for a rollback is there.
fn right_to_write(trouble: Option<String>, spare: bool) -> ReadinessCheck {
    let (ok, detail) = match trouble {
        None => (true, "the lease is held".to_owned()),
        Some(why) if spare && WAITS.iter().any(|one| why.starts_with(one)) => {
            (true, format!("{why}; a rollback uses the room that is kept for it"))
        }
        Some(why) => (false, why),
    };
    check("right to write", ok, detail)
}

fn check(what: &str, ok: bool, detail: String) -> ReadinessCheck {
    ReadinessCheck { what: what.to_owned(), ok, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_the_right_to_write_only_where_nothing_is_kept_for_a_rollback() {
        let full = || Some("the rollout stands still: cannot write the journal: the disk is full".to_owned());
        assert!(right_to_write(None, false).ok);
        assert!(!right_to_write(full(), false).ok);
        let kept = right_to_write(full(), true);
        assert!(kept.ok && kept.detail.contains("stands still") && kept.detail.contains("kept"), "{kept:?}");
        let other = right_to_write(Some("another controller has taken over: b".to_owned()), true);
        assert!(!other.ok, "room mends nothing here: {other:?}");
    }
}
