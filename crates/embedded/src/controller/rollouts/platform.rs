//! This machine as a platform: services under the supervisor, files in the store.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cutover_engine::{
    ErrorKind,
    config::SourceSnapshot,
    control::Outside,
    ports::{Fence, Platform, Trouble},
    rollout::{Act, Health, Seen, Traffic},
};
use cutover_routing::{ReleaseId, ReleaseState};

use super::Home;
use crate::{
    controller::{Inner, locked, operation::SELF, stage::is_gone},
    journal::Write,
    process::ProcessState,
};

/// A release is ill once it has seemed so for this long: a service that is started again is not.
const ILL: Duration = Duration::from_secs(2);

/// The services and files of this machine.
#[derive(Debug)]
pub(in super::super) struct LocalPlatform(pub(super) Home);

impl Platform for LocalPlatform {
    async fn stand_up(&self, release: &ReleaseId, _fence: Fence) -> Result<(), Trouble> {
        let inner = self.0.get()?;
        let answer = inner.stand_ready(release).await;
        if let Err(error) = &answer {
            locked(&inner.rolling.unready).insert(*release, error.clone());
        }
        answer.map_err(|error| match error.kind {
            ErrorKind::Unavailable => Trouble::Passing(error.to_string()),
            // It was given its time to start. Who wants it once more says so.
            _ => Trouble::Lasting(error.to_string()),
        })
    }

    async fn observe(&self, release: &ReleaseId) -> Health {
        match self.0.inner() {
            Some(inner) => inner.health_of(release).await,
            None => Health::Unknown,
        }
    }

    async fn drain_evidence(&self, release: &ReleaseId) -> Option<Traffic> {
        let inner = self.0.inner()?;
        let usage = inner.edge.usage(release);
        // What could have come without being seen is not known to be quiet.
        let watched_since = inner.row(release).map(|row| row.state_since.max(inner.opened_at));
        Some(Traffic {
            in_flight: usage.in_flight,
            streams: usage.open_streams,
            last_request: usage.last_request_at,
            watched_since,
        })
    }

    async fn stand_by(&self, release: &ReleaseId, _fence: Fence) -> Result<(), Trouble> {
        let inner = self.0.get()?;
        let row =
            inner.row(release).ok_or_else(|| Trouble::Lasting(format!("there is no release {release}")))?;
        inner.ready(release, row.slot, &cutover_engine::control::Progress::none()).await.map_err(trouble)?;
        inner.set_standby(release, true).await.map_err(trouble)
    }

    async fn park(&self, release: &ReleaseId, _fence: Fence) -> Result<(), Trouble> {
        let inner = self.0.get()?;
        if inner.is_left(release) {
            // First, because the housekeeping starts again what is on standby.
            inner.set_standby(release, false).await.map_err(trouble)?;
            inner.take_down(release).await;
        }
        Ok(())
    }

    async fn tear_down(&self, release: &ReleaseId, _fence: Fence) -> Result<(), Trouble> {
        let inner = self.0.get()?;
        let operation = Inner::own_operation("retire", *release).map_err(trouble)?;
        let held = inner.prepare.lock().await;
        match inner.retire_held(&held, &operation, release, false).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind == ErrorKind::Refused => Err(Trouble::Passing(error.to_string())),
            Err(error) => Err(trouble(inner.fail(&operation, false, error).await)),
        }
    }

    async fn verify(&self, act: &Act) -> Seen {
        let Some(inner) = self.0.inner() else {
            return Seen::Unknown { why: "the program is ending".to_owned() };
        };
        let in_place = match act {
            Act::Prepare { release } => match inner.row(release) {
                Some(row) => inner.look(release, row.slot).await.is_ok(),
                None => false,
            },
            Act::Standby { release } => match inner.row(release) {
                Some(row) => {
                    row.outside == Some(Outside::Standby) && inner.look(release, row.slot).await.is_ok()
                }
                None => false,
            },
            Act::Park { release } => {
                let warm = inner.row(release).is_some_and(|row| row.outside == Some(Outside::Standby));
                !inner.is_left(release) || !warm && inner.supervisor.status(release).is_empty()
            }
            Act::Retire { release } => inner.row(release).is_none_or(|row| is_gone(&row)),
            Act::Route(_) | Act::Gate(_) => {
                return Seen::Unknown { why: "that is not the platform's".to_owned() };
            }
        };
        if in_place { Seen::InPlace { generation: None } } else { Seen::Absent }
    }
}

fn trouble(error: cutover_engine::Error) -> Trouble {
    match error.kind {
        ErrorKind::Internal => Trouble::Unknown(error.to_string()),
        _ => Trouble::Passing(error.to_string()),
    }
}

impl Inner {
    /// Whether a release has been left by everybody: its services are not needed.
    fn is_left(&self, release: &ReleaseId) -> bool {
        matches!(self.current_table().state(release), None | Some(ReleaseState::Closed))
    }

    async fn stand_ready(self: &Arc<Self>, release: &ReleaseId) -> Result<(), cutover_engine::Error> {
        let row = self.row(release).ok_or_else(|| crate::controller::missing(release))?;
        let progress = self.rolling.progress(release);
        let began = Instant::now();
        let started = match self.rolling.ledger.known().is_some_and(|known| known.state.going_back()) {
            true => self.ready_again(release, row.slot).await.map(|()| false)?,
            false => self.ready(release, row.slot, &progress).await?,
        };
        locked(&self.rolling.unready).remove(release);
        if started && !self.is_left(release) {
            self.publish().await?;
        }
        if started || began.elapsed() > Duration::from_millis(100) {
            // Until here no visitor waited for anything.
            self.rolling.accept(None);
        }
        Ok(())
    }

    /// Notes whether a closed release is kept warm.
    async fn set_standby(&self, release: &ReleaseId, warm: bool) -> Result<(), cutover_engine::Error> {
        let _held = self.switch.lock().await;
        let Some(mut row) = self.row(release) else { return Ok(()) };
        if (row.outside == Some(Outside::Standby)) == warm {
            return Ok(());
        }
        row.outside = warm.then_some(Outside::Standby);
        let says = if warm { "stays warm" } else { "does not stay warm any more" };
        let note = Self::own_operation("close", *release)?.record(
            crate::journal::RecordKind::Note,
            format!("{release} {says}"),
            None,
        );
        debug_assert_eq!(note.who, SELF);
        self.write(Write { releases: vec![row.clone()], records: vec![note], ..Write::default() }).await?;
        self.change_world(|world| {
            world.rows.insert(*release, row);
        });
        Ok(())
    }

    /// How a release is, as the supervisor, the edge and the store know it.
    pub(in super::super) async fn health_of(&self, release: &ReleaseId) -> Health {
        if self.is_damaged(release).await {
            return Health::Unhealthy(format!("files of {release} are missing or damaged"));
        }
        let Ok(loaded) = self.load(release).await else { return Health::Unknown };
        if locked(&self.starting).contains(release) {
            return Health::Unknown;
        }
        let (running, seen) = (self.supervisor.status(release), self.edge.health());
        let mut found = Health::Healthy;
        for service in &loaded.snapshot.services {
            let name = &service.name;
            if let SourceSnapshot::Process { .. } = service.source {
                let status = running.iter().find(|status| status.component == *name);
                match status.map(|status| status.state) {
                    Some(ProcessState::Healthy) => {}
                    Some(ProcessState::Starting | ProcessState::Stopping) => found = Health::Unknown,
                    Some(ProcessState::Waiting) | None => {
                        let why = status.and_then(|status| status.problem.clone());
                        let why = why.unwrap_or_else(|| "it does not run".to_owned());
                        return self.ill(release, format!("service {name}: {why}"));
                    }
                }
            }
            let seen = seen.iter().find(|seen| seen.release == *release && seen.component == *name);
            if let Some(seen) = seen.filter(|seen| !seen.healthy) {
                let why = seen.problem.as_deref().unwrap_or("it does not answer");
                return self.ill(release, format!("service {name}: {why}"));
            }
        }
        locked(&self.rolling.unwell).remove(release);
        found
    }

    fn ill(&self, release: &ReleaseId, why: String) -> Health {
        let since = *locked(&self.rolling.unwell).entry(*release).or_insert_with(Instant::now);
        if since.elapsed() >= ILL { Health::Unhealthy(why) } else { Health::Unknown }
    }
}
