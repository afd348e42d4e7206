//! What happens by itself: drained releases are closed, what is beyond `keep` goes, services that ended for good are
//! tried again, and the edge learns of new addresses.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use cutover_engine::{
    Error,
    config::{After, SourceSnapshot},
    control::{Outside, Progress},
};
use cutover_routing::{Edit, ReleaseId, ReleaseState, Slot};
use tokio::task::JoinHandle;

use super::{Inner, alert::Alerts, commit::Change, evict, locked, rollback::on_standby, unix_ms};
use crate::journal::ReleaseRow;

/// Pause before services that could not be started are tried again.
const TRY_AGAIN: Duration = Duration::from_secs(15);

/// Looks after everything until the controller is dropped.
pub(super) fn watch(inner: &Arc<Inner>) -> JoinHandle<()> {
    let (pace, inner) = (inner.options.pace, Arc::downgrade(inner));
    tokio::spawn(async move {
        let mut since_starts = Duration::ZERO;
        let mut alerts = Alerts::default();
        loop {
            tokio::time::sleep(pace).await;
            let Some(inner) = Weak::upgrade(&inner) else { return };
            since_starts += pace;
            if since_starts >= TRY_AGAIN {
                since_starts = Duration::ZERO;
                Inner::start_others(&inner);
            }
            inner.look_after_disk().await;
            inner.look_for_errors(&mut alerts).await;
            inner.look_at_both().await;
            let result = inner.tidy().await;
            inner.trouble("housekeeping", result.err().map(|error| error.to_string()));
        }
    })
}

/// Publishes again whenever a service came back at another address.
pub(super) fn follow_addresses(inner: &Arc<Inner>) -> JoinHandle<()> {
    let (moved, inner) = (Arc::clone(&inner.moved), Arc::downgrade(inner));
    tokio::spawn(async move {
        loop {
            moved.notified().await;
            let Some(inner) = Weak::upgrade(&inner) else { return };
            inner.republish().await;
        }
    })
}

impl Inner {
    /// Looks how the active release is and the one a rollback goes to, so that how long they have been ill is known when
    /// it matters.
    async fn look_at_both(&self) {
        let (active, target) = self.with_world(|world| (world.table.default, world.rollback_to()));
        for id in active.into_iter().chain(target) {
            self.health_of(&id).await;
        }
    }

    /// One round. Does nothing where nothing is due.
    async fn tidy(self: &Arc<Self>) -> Result<(), Error> {
        for id in self.drained() {
            self.close_drained(id).await?;
        }
        // A build may hold the lock for minutes: what is not urgent waits for the next round.
        let Ok(held) = self.prepare.try_lock() else { return Ok(()) };
        for id in self.surplus() {
            let operation = Self::own_operation("retire", id)?;
            let retired = self.retire_held(&held, &operation, &id, false).await;
            if let Err(error) = retired {
                return Err(self.fail(&operation, false, error).await);
            }
        }
        for id in self.cold() {
            self.take_down(&id).await;
        }
        Ok(())
    }

    /// Draining releases whose drain is over. It begins when the promotion is baked.
    fn drained(&self) -> Vec<ReleaseId> {
        let rollout = self.governing().rollout;
        let over = |row: &ReleaseRow| {
            let age = Duration::from_millis(unix_ms().saturating_sub(row.state_since));
            age >= rollout.drain.at_most || (age >= rollout.bake && self.quiet_for(row, rollout.drain.quiet))
        };
        let draining = self.with_world(|world| world.in_state(ReleaseState::Draining));
        draining
            .into_iter()
            .filter(|id| !self.is_needed(id))
            .filter(|id| self.row(id).is_some_and(|row| over(&row)))
            .collect()
    }

    async fn close_drained(&self, id: ReleaseId) -> Result<(), Error> {
        let switch = self.switch.lock().await;
        let Some(mut row) = self.row(&id) else { return Ok(()) };
        if self.current_table().state(&id) != Some(ReleaseState::Draining) {
            return Ok(());
        }
        let rollout = self.governing().rollout;
        let quiet = self.quiet_for(&row, rollout.drain.quiet);
        let standby = rollout.after == After::Standby;
        row.outside = standby.then_some(Outside::Standby);
        let operation = Self::own_operation("close", id)?;
        let change = Change {
            begin: true,
            edits: vec![Edit::Close { release: id }],
            rows: vec![row],
            ..Change::default()
        };
        let generation = match self.commit(&switch, &operation, change).await {
            Ok(generation) => generation,
            Err(error) => return Err(self.fail(&operation, false, error).await),
        };
        let why = if quiet {
            format!("nobody has used it for {} s", rollout.drain.quiet.as_secs())
        } else {
            format!("it has drained for {} s, the most that is allowed", rollout.drain.at_most.as_secs())
        };
        let then = if standby { "; it stays warm" } else { "" };
        self.end(&operation, format!("closed {id}: {why}{then}"), Some(generation)).await;
        Ok(())
    }

    /// Closed releases beyond `keep`, where the description says that they go by themselves.
    fn surplus(&self) -> Vec<ReleaseId> {
        if self.governing().rollout.after != After::Retire {
            return Vec::new();
        }
        let keep = usize::try_from(self.options.config.keep).unwrap_or(usize::MAX);
        let retained = self.retained();
        let Some(surplus) = retained.len().checked_sub(keep).filter(|surplus| *surplus > 0) else {
            return Vec::new();
        };
        let closed: Vec<_> = retained
            .iter()
            .filter(|one| one.state == ReleaseState::Closed && one.quiet && !one.rollback_target)
            .copied()
            .collect();
        let take = surplus.min(closed.len());
        // One less than all of them fits, so that exactly `take` have to go.
        evict::choose(&closed, closed.len() + 1 - take, false).unwrap_or_default()
    }

    /// Closed releases whose services are not needed: neither what a rollback goes to nor on standby, and idle.
    fn cold(&self) -> Vec<ReleaseId> {
        let world = self.with_world(Clone::clone);
        let target = world.rollback_to();
        let idle = |id: &ReleaseId| {
            let usage = self.edge.usage(id);
            usage.in_flight == 0 && usage.open_streams == 0
        };
        world
            .in_state(ReleaseState::Closed)
            .into_iter()
            .filter(|id| target != Some(*id) && !self.is_needed(id))
            .filter(|id| !world.rows.get(id).is_some_and(|row| on_standby(row.outside)))
            .filter(|id| !self.supervisor.status(id).is_empty() && idle(id))
            .collect()
    }

    /// Starts, behind everything else, what should run and does not: every release that visitors or previews may
    /// reach, what a rollback goes to, and what is on standby.
    pub(super) fn start_others(inner: &Arc<Self>) {
        let world = inner.with_world(Clone::clone);
        // What a rollout has given its rest comes up again when somebody goes back to it.
        let target = world.rollback_to().filter(|target| inner.rolling.ledger.parked() != Some(*target));
        for (id, entry) in &world.table.releases {
            let warm = entry.state != ReleaseState::Closed
                || target == Some(*id)
                || world.rows.get(id).is_some_and(|row| on_standby(row.outside));
            if !warm || !inner.lacks_services(id) {
                continue;
            }
            if !locked(&inner.starting).insert(*id) {
                continue;
            }
            let (inner, id, slot) = (Arc::clone(inner), *id, entry.slot);
            tokio::spawn(async move {
                inner.start_behind(&id, slot).await;
                locked(&inner.starting).remove(&id);
            });
        }
    }

    async fn start_behind(self: &Arc<Self>, id: &ReleaseId, slot: Option<Slot>) {
        let result = self.bring_up(id, slot, &Progress::none()).await;
        if self.current_table().state(id).is_none() {
            // Retired meanwhile: what came up too late goes again.
            self.take_down(id).await;
            return;
        }
        self.trouble(format!("release {id}"), result.err().map(|error| error.to_string()));
        self.republish().await;
    }

    /// Whether an operation or an open rollout looks after the release.
    pub(super) fn is_needed(&self, id: &ReleaseId) -> bool {
        self.is_busy(id) || self.rolling.ledger.owned().contains(id)
    }

    /// True where a service that Cutover runs is not even being started again by its supervisor.
    fn lacks_services(&self, id: &ReleaseId) -> bool {
        let running = self.supervisor.status(id);
        let Some(loaded) = locked(&self.loaded).get(id).cloned() else { return true };
        loaded.snapshot.services.iter().any(|service| {
            matches!(service.source, SourceSnapshot::Process { .. })
                && !running.iter().any(|status| status.component == service.name)
        })
    }
}
