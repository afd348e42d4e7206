//! Staging: from an app description to a release that can be previewed.

use std::{path::Path, sync::Arc, time::Instant};

use cutover_engine::{
    Error, ErrorKind,
    config::{AppConfig, ConfigError},
    control::{Outside, Progress, StageReport, StageRequest},
};
use cutover_routing::{Edit, ReleaseId, ReleaseState, Slot};

use super::{
    CrashPoint, Inner,
    commit::Change,
    deed::Deed,
    evict::{self, Retained},
    labels, missing,
    operation::Operation,
    unix_ms,
};
use crate::{
    journal::{RecordKind, ReleaseRow},
    store::{StageInput, Staged},
};

/// The right to make and remove files and processes of releases.
pub(super) type Prepare<'a> = tokio::sync::MutexGuard<'a, ()>;

impl Inner {
    pub(super) async fn stage(
        self: Arc<Self>,
        who: String,
        request: StageRequest,
        progress: Progress,
    ) -> Result<StageReport, Error> {
        let held = self.prepare.lock().await;
        let mut report = self.stage_held(&held, &who, &request, &progress).await?;
        self.relabel(&mut report, &who, &request).await?;
        Ok(report)
    }

    /// Staging under the lock. Content that is there already keeps its labels: what comes after may be refused.
    pub(super) async fn stage_held(
        self: &Arc<Self>,
        held: &Prepare<'_>,
        who: &str,
        request: &StageRequest,
        progress: &Progress,
    ) -> Result<StageReport, Error> {
        let began = Instant::now();
        let known = self.with_world(|world| world.rows.keys().copied().collect());
        labels::check(request, &known)?;
        let config = self.read_config(&request.config).await?;
        let base = config.base.clone();
        progress.say(format!("reading {}", request.config.display()));
        let staged = self.copy(config, progress).await?;
        self.pass(CrashPoint::FilesStaged).await;
        let id = staged.id;
        let known = self.row(&id).filter(ReleaseRow::retained);
        if known.is_some() && self.current_table().state(&id).is_some() {
            if let Some(why) = known.and_then(|row| row.barred) {
                return Err(barred(&id, &why));
            }
            self.made_whole(&id).await?;
            progress.say(format!("release {id} is staged already"));
            return self.stage_report(&id, false, began).await;
        }
        let operation = Operation::new(who, "stage", Some(id), None)?;
        let _busy = self.work_on(id);
        let result = self.stand_up(held, &operation, &staged, request, base, progress).await;
        if let Err(error) = result {
            let error = self.fail(&operation, true, error).await;
            self.take_down(&id).await;
            let removed = self.remove_files(held, &id).await;
            self.trouble(format!("files of {id}"), removed.err().map(|error| error.to_string()));
            return Err(error);
        }
        self.stage_report(&id, true, began).await
    }

    /// From files in the store to a staged release in the table.
    async fn stand_up(
        self: &Arc<Self>,
        held: &Prepare<'_>,
        operation: &Operation,
        staged: &Staged,
        request: &StageRequest,
        base: std::path::PathBuf,
        progress: &Progress,
    ) -> Result<(), Error> {
        let id = staged.id;
        let former = self.row(&id);
        if let Some(why) = former.as_ref().and_then(|row| row.barred.clone()) {
            return Err(barred(&id, &why));
        }
        self.begin(operation).await?;
        self.pass(CrashPoint::Begun).await;
        // Refused before anything is started where nothing can make room.
        if let Err(error) = self.make_room(request.close_oldest) {
            let Some(known) = self.rolling.ledger.known().filter(|known| known.state.ended.is_none()) else {
                return Err(error);
            };
            let rollout = &known.state.plan.rollout;
            if !request.close_oldest || !known.state.promoted {
                return Err(error.hint(format!("rollout {rollout} needs two of them until it is over")));
            }
            // Who closes the oldest gives up the way back to it.
            progress.say(format!("rollout {rollout} ends: what it left has to make room"));
            self.give_way(Deed::Room, &id).await?;
            self.make_room(true)?;
        }
        let slot = self.free_slot();
        self.check_slot(&id, slot).await?;
        self.bring_up(&id, Some(slot), progress).await?;
        self.pass(CrashPoint::ServicesUp).await;

        let switch = self.switch.lock().await;
        let gone = self.make_room(request.close_oldest)?;
        let now = unix_ms();
        let row = ReleaseRow {
            id,
            name: request.name.clone(),
            commit: request.commit.clone(),
            base,
            slot: Some(slot),
            staged_at: now,
            staged_by: operation.who.clone(),
            outside: None,
            barred: None,
            state_since: now,
            promoted_at: None,
            // What was found out about a release that was retired says nothing about how it runs today.
            gates: Vec::new(),
            files: staged.files,
            bytes: staged.bytes,
        };
        let mut change = Change { rows: vec![row], ..Change::default() };
        for one in &gone {
            self.add_retirement(&mut change, one);
        }
        change.edits.push(Edit::Stage { release: id, slot: Some(slot) });
        let generation = self.commit(&switch, operation, change).await?;
        let label = request.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let message = format!("staged {id}{label}: {} files, {} bytes", staged.files, staged.bytes);
        self.end(operation, message, Some(generation)).await;
        drop(switch);
        for one in gone {
            progress.say(format!("release {one} retired to make room"));
            self.clear_away(held, &operation.who, &one, format!("retired {one} to make room for {id}")).await;
        }
        progress.say(format!("release {id} is staged"));
        Ok(())
    }

    pub(super) async fn read_config(&self, file: &Path) -> Result<AppConfig, Error> {
        let text = tokio::fs::read_to_string(file).await.map_err(|error| {
            Error::new(
                ErrorKind::Invalid,
                "CUT0100",
                format!("cannot read the app description {}", file.display()),
            )
            .because(error)
        })?;
        let config = cutover_engine::config::parse(&text, file).map_err(ConfigError::into_error)?;
        let ours = &self.options.config;
        if config.app != ours.app {
            return Err(Error::new(
                ErrorKind::Refused,
                "CUT0512",
                format!(
                    "{} describes the app `{}`, this controller runs `{}`",
                    file.display(),
                    config.app,
                    ours.app
                ),
            )
            .hint("each app has its own `cutover up` with its own state directory"));
        }
        if config.host != ours.host {
            return Err(Error::new(
                ErrorKind::Refused,
                "CUT0512",
                format!(
                    "{} names the host {}, this controller serves {}",
                    file.display(),
                    config.host,
                    ours.host
                ),
            )
            .hint("start `cutover up` again with the new host first: it belongs to the edge"));
        }
        Ok(config)
    }

    async fn copy(&self, config: AppConfig, progress: &Progress) -> Result<Staged, Error> {
        let (store, progress) = (Arc::clone(&self.store), progress.clone());
        let input = StageInput { config, state_dir: self.options.state_dir.clone() };
        tokio::task::spawn_blocking(move || store.stage(&input, &progress)).await.map_err(|error| {
            Error::new(ErrorKind::Internal, "CUT0599", "staging ended early").because(error)
        })?
    }

    /// The slot the active release does not have; before the first promotion one that nobody has, if there is one.
    fn free_slot(&self) -> Slot {
        self.with_world(|world| {
            let active = world.table.default.and_then(|id| world.table.slot(&id));
            let taken = |slot| {
                let mut entries = world.table.releases.values();
                entries.any(|entry| entry.slot == Some(slot) && entry.state != ReleaseState::Closed)
            };
            match active {
                Some(slot) => slot.other(),
                None if taken(Slot::Blue) && !taken(Slot::Green) => Slot::Green,
                None => Slot::Blue,
            }
        })
    }

    /// A service that somebody else runs has one address per slot: there can be only one release in it.
    async fn check_slot(&self, id: &ReleaseId, slot: Slot) -> Result<(), Error> {
        let loaded = self.load(id).await?;
        let fixed = loaded
            .snapshot
            .services
            .iter()
            .any(|service| matches!(service.source, cutover_engine::config::SourceSnapshot::Upstream(_)));
        let table = self.current_table();
        let inside = table.releases.iter().find(|(other, entry)| {
            *other != id && entry.slot == Some(slot) && entry.state != ReleaseState::Closed
        });
        match inside {
            Some((other, entry)) if fixed => Err(Error::new(
                ErrorKind::Refused,
                "CUT0513",
                format!("slot {slot} is taken by release {other}, which is {}", entry.state),
            )
            .because("a service with `upstream` has one address per slot")
            .hint(format!("`cutover retire {other}` gives the slot free once nobody uses it"))),
            _ => Ok(()),
        }
    }

    /// Who has to go so that one more release fits.
    fn make_room(&self, close_oldest: bool) -> Result<Vec<ReleaseId>, Error> {
        let keep = usize::try_from(self.options.config.keep).unwrap_or(usize::MAX);
        evict::choose(&self.retained(), keep, close_oldest)
    }

    pub(super) fn retained(&self) -> Vec<Retained> {
        let quiet = self.governing().rollout.drain.quiet;
        let world = self.with_world(Clone::clone);
        let target = world.rollback_to();
        let entries = world.table.releases.iter();
        entries
            .filter_map(|(id, entry)| {
                let row = world.rows.get(id)?;
                Some(Retained {
                    id: *id,
                    state: entry.state,
                    withdrawn: row.barred.is_some(),
                    rollback_target: target == Some(*id),
                    quiet: self.quiet_for(row, quiet),
                    busy: self.is_needed(id),
                    staged_at: row.staged_at,
                })
            })
            .collect()
    }

    /// The same content again, perhaps under another name.
    pub(super) async fn relabel(
        &self,
        report: &mut StageReport,
        who: &str,
        request: &StageRequest,
    ) -> Result<(), Error> {
        if report.created {
            return Ok(());
        }
        let id = &report.release.id.clone();
        let _held = self.switch.lock().await;
        let mut row = self.row(id).ok_or_else(|| missing(id))?;
        let before = (row.name.clone(), row.commit.clone());
        row.name = request.name.clone().or(row.name);
        row.commit = request.commit.clone().or(row.commit);
        if (&row.name, &row.commit) == (&before.0, &before.1) {
            return Ok(());
        }
        let operation = Operation::new(who, "stage", Some(*id), None)?;
        let note = operation.record(RecordKind::Note, format!("{id} has new labels"), None);
        let write =
            crate::journal::Write { releases: vec![row.clone()], records: vec![note], ..Default::default() };
        self.write(write).await?;
        report.release.name.clone_from(&row.name);
        report.release.commit.clone_from(&row.commit);
        self.change_world(|world| {
            world.rows.insert(*id, row);
        });
        Ok(())
    }

    async fn stage_report(
        &self,
        id: &ReleaseId,
        created: bool,
        began: Instant,
    ) -> Result<StageReport, Error> {
        let release = self.release_view(id).await.ok_or_else(|| missing(id))?;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(StageReport { release, created, took_ms })
    }
}

pub(super) fn barred(id: &ReleaseId, why: &str) -> Error {
    Error::new(ErrorKind::Refused, "CUT0514", format!("release {id} is withdrawn"))
        .because(why)
        .hint(format!("`cutover withdraw {id} --pardon` lifts that"))
}

/// True where the release was taken away for good.
pub(super) fn is_gone(row: &ReleaseRow) -> bool {
    row.outside == Some(Outside::Retired)
}
