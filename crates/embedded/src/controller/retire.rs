//! Retiring: the point of no return. A release goes only when nothing reaches it any more.

use std::{sync::Arc, time::Duration};

use cutover_engine::{
    Error, ErrorKind,
    control::{Outside, RetireReport, RetireRequest},
    rollout::Event,
    runner::Now,
};
use cutover_routing::{Edit, ReleaseId, ReleaseState};

use super::{
    CrashPoint, Inner,
    commit::Change,
    deed::Deed,
    missing,
    operation::{Operation, SELF},
    rollback::given_up,
    stage::{Prepare, is_gone},
    unix_ms,
};
use crate::journal::{RecordKind, ReleaseRow};

impl Inner {
    pub(super) async fn retire(
        self: Arc<Self>,
        who: String,
        reference: String,
        request: RetireRequest,
    ) -> Result<RetireReport, Error> {
        let row = self.resolve(&reference)?;
        let id = row.id;
        if request.force && request.reason.as_deref().is_none_or(str::is_empty) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "CUT0511",
                format!("retiring {id} by force needs a reason"),
            )
            .hint("say why with --reason; it is recorded"));
        }
        let operation = Operation::new(&who, "retire", Some(id), request.reason.clone())?;
        if request.force
            && self.current_table().default != Some(id)
            && self.rolling.ledger.owned().contains(&id)
        {
            self.end_rollout_of(&operation, &id).await?;
        }
        let held = self.prepare.lock().await;
        // A build ends before the lock is free; what is left is a promotion that is being prepared.
        if self.is_busy(&id) {
            let what = format!("another operation works on release {id}");
            return Err(Error::new(ErrorKind::Unavailable, "CUT0504", what)
                .hint("wait for it; `cutover history` shows what is going on"));
        }
        let _busy = self.work_on(id);
        match self.retire_held(&held, &operation, &id, request.force).await {
            Ok(report) => Ok(report),
            Err(error) => Err(self.fail(&operation, false, error).await),
        }
    }

    /// Ends the rollout that cannot go on without a release. Visitors on their way to it go back first, and the records
    /// of that say who wanted it and why.
    async fn end_rollout_of(self: &Arc<Self>, operation: &Operation, id: &ReleaseId) -> Result<(), Error> {
        let open = self.rolling.ledger.known().filter(|known| known.state.ended.is_none());
        let Some(known) = open.filter(|known| known.state.plan.green == *id) else {
            return self.give_way(Deed::Retire, id).await;
        };
        let (rollout, runner) = (&known.state.plan.rollout, self.runner()?);
        let why = operation.reason.as_deref().unwrap_or_default();
        let event = Event::Rollback {
            by: operation.who.clone(),
            reason: Some(format!("{id} is retired by force: {why}")),
            now: Some(true),
        };
        match runner.say(rollout, event).await {
            Ok(_) => {}
            Err(refusal) if refusal.is_already_so() => {}
            Err(refusal) => return Err(refusal.into()),
        }
        let done = |now: &Now| now.state.ended.is_some() || given_up(&now.state).is_some();
        let now = runner.until(rollout, done).await?;
        if now.state.ended.is_none() {
            return Err(self.not_back(&now));
        }
        Ok(())
    }

    /// Retiring under the lock; the housekeeping does the same.
    pub(super) async fn retire_held(
        &self,
        held: &Prepare<'_>,
        operation: &Operation,
        id: &ReleaseId,
        force: bool,
    ) -> Result<RetireReport, Error> {
        let switch = self.switch.lock().await;
        let row = self.row(id).ok_or_else(|| missing(id))?;
        if is_gone(&row) {
            return Ok(RetireReport { release: *id, changed: false, freed_bytes: 0 });
        }
        if !force {
            self.may_go(&row)?;
        }
        let mut change = Change { begin: true, ..Change::default() };
        if self.current_table().default == Some(*id) {
            return Err(active(id));
        }
        self.add_retirement(&mut change, id);
        let generation = self.commit(&switch, operation, change).await?;
        drop(switch);
        self.pass(CrashPoint::Dropped).await;
        self.take_down(id).await;
        self.pass(CrashPoint::Stopped).await;
        let freed_bytes = self.remove_files(held, id).await?;
        self.pass(CrashPoint::Removed).await;
        let force = if force { " by force" } else { "" };
        self.end(operation, format!("retired {id}{force}: {freed_bytes} bytes freed"), Some(generation))
            .await;
        Ok(RetireReport { release: *id, changed: true, freed_bytes })
    }

    /// Refuses while anything reaches the release.
    fn may_go(&self, row: &ReleaseRow) -> Result<(), Error> {
        let id = &row.id;
        let state = self.current_table().state(id);
        match state {
            Some(ReleaseState::Active) => return Err(active(id)),
            Some(ReleaseState::Candidate) => {
                return Err(in_use(id, "it is the candidate".to_owned())
                    .hint("`cutover rollback` gives the candidate up"));
            }
            _ => {}
        }
        if row.promoted_at.is_none() && state == Some(ReleaseState::Staged) {
            return Ok(());
        }
        let usage = self.edge.usage(id);
        if usage.in_flight > 0 || usage.open_streams > 0 {
            return Err(in_use(
                id,
                format!(
                    "{} requests are being answered, {} streams are open",
                    usage.in_flight, usage.open_streams
                ),
            ));
        }
        if let Some(known) = self.rolling.ledger.known()
            && self.rolling.ledger.owned().contains(id)
        {
            let why = format!("rollout {} is not over, and may go back to it", known.state.plan.rollout);
            return Err(in_use(id, why));
        }
        let quiet = self.governing().rollout.drain.quiet;
        if !self.quiet_for(row, quiet) {
            let silent = unix_ms().saturating_sub(self.last_sign(row)) / 1000;
            return Err(in_use(id, format!("it has been quiet for {silent} s of {} s", quiet.as_secs())));
        }
        Ok(())
    }

    /// When something last reached the release, or could have without this controller seeing it. Unix milliseconds.
    pub(super) fn last_sign(&self, row: &ReleaseRow) -> u64 {
        let seen = self.edge.usage(&row.id).last_request_at.unwrap_or(0);
        seen.max(row.state_since).max(self.opened_at)
    }

    /// True where no request and no stream reached the release for this long.
    pub(super) fn quiet_for(&self, row: &ReleaseRow, quiet: Duration) -> bool {
        let usage = self.edge.usage(&row.id);
        let silent = Duration::from_millis(unix_ms().saturating_sub(self.last_sign(row)));
        usage.in_flight == 0 && usage.open_streams == 0 && silent >= quiet
    }

    /// Adds to a change what takes a release out of the table for good.
    pub(super) fn add_retirement(&self, change: &mut Change, id: &ReleaseId) {
        let release = *id;
        let table = self.current_table();
        match table.state(id) {
            Some(ReleaseState::Staged | ReleaseState::Closed) => change.edits.push(Edit::Retire { release }),
            Some(_) => change.edits.extend([Edit::Close { release }, Edit::Retire { release }]),
            None => {}
        }
        if let Some(mut row) = self.row(id) {
            row.outside = Some(Outside::Retired);
            change.rows.push(row);
        }
    }

    /// Ends the services and removes the files of a release that is out of the table already. Trouble is a warning: the
    /// next start tries again.
    pub(super) async fn clear_away(&self, held: &Prepare<'_>, who: &str, id: &ReleaseId, message: String) {
        self.take_down(id).await;
        let result = async {
            let bytes = self.remove_files(held, id).await?;
            let operation = Operation::new(who, "retire", Some(*id), None)?;
            let record = operation.record(RecordKind::Note, format!("{message}: {bytes} bytes freed"), None);
            self.append(vec![record]).await
        };
        let trouble = result.await.err().map(|error| error.to_string());
        self.trouble(format!("files of {id}"), trouble);
    }

    /// Removes the files of a release from the store.
    pub(super) async fn remove_files(&self, _held: &Prepare<'_>, id: &ReleaseId) -> Result<u64, Error> {
        self.unload(id);
        // Removing moves directories before it frees them.
        self.reserve.give_back_if_full();
        let (store, release) = (Arc::clone(&self.store), *id);
        let removed = tokio::task::spawn_blocking(move || store.remove(&release)).await.map_err(|error| {
            Error::new(ErrorKind::Internal, "CUT0599", format!("removing release {id} ended early"))
                .because(error)
        })?;
        match removed {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(0),
            other => other,
        }
    }

    /// The operation of something nobody asked for.
    pub(super) fn own_operation(verb: &'static str, id: ReleaseId) -> Result<Operation, Error> {
        Operation::new(SELF, verb, Some(id), None)
    }
}

fn active(id: &ReleaseId) -> Error {
    Error::new(ErrorKind::Refused, "CUT0519", format!("release {id} is active and cannot be retired"))
        .hint("promote another release, or roll back, first")
}

fn in_use(id: &ReleaseId, why: String) -> Error {
    Error::new(ErrorKind::Refused, "CUT0520", format!("release {id} is still in use")).because(why).hint(format!(
        "wait: it is closed by itself when it is quiet; `cutover retire {id} --force --reason ...` takes it away from \
         those who use it"
    ))
}
