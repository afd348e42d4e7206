//! Promotion: a rollout that goes at once, or the open one sent on.

use std::{sync::Arc, time::Instant};

use cutover_engine::{
    Error, ErrorKind,
    control::{Progress, PromoteRequest, SwitchReport},
    rollout::{Act, Does, Event, Refused, RolloutId, State, fold},
    runner::{Now, Refusal},
    story,
};
use cutover_routing::{ReleaseId, Table};

use super::{
    Inner,
    opening::{Opening, arrived},
    operation::Operation,
    rollouts::Known,
    stage::{barred, is_gone},
    world::gave_up,
};
use crate::journal::ReleaseRow;

impl Inner {
    /// Takes the release by itself: others may stage meanwhile.
    pub(super) async fn promote(
        self: Arc<Self>,
        who: String,
        request: PromoteRequest,
        progress: Progress,
    ) -> Result<SwitchReport, Error> {
        let accepted = Instant::now();
        if request.release.is_none()
            && let Some(known) = self.to_send_on().await?
        {
            let report = self.send_on(&known, &who, request.reason, false, accepted, &progress).await?;
            progress.say(report.message.clone());
            return Ok(report);
        }
        let row = self.to_promote(request.release.as_deref()).await?;
        let id = row.id;
        self.not_being_left(&id)?;
        let table = self.current_table();
        if table.default == Some(id) && self.under_way(&id).is_none_or(|known| known.state.promoted) {
            return Ok(unchanged("promote", &table, id));
        }
        promotable(&row)?;
        let _busy = self.work_on(id);
        let report = match self.under_way(&id).filter(|known| !known.state.promoted) {
            Some(known) => self.send_on(&known, &who, request.reason, true, accepted, &progress).await?,
            None => self.promote_at_once(&who, &id, request.reason, accepted, &progress).await?,
        };
        progress.say(report.message.clone());
        Ok(report)
    }

    async fn promote_at_once(
        self: &Arc<Self>,
        who: &str,
        id: &ReleaseId,
        reason: Option<String>,
        accepted: Instant,
        progress: &Progress,
    ) -> Result<SwitchReport, Error> {
        let operation = Operation::new(who, "promote", Some(*id), reason.clone())?;
        self.rolling.accept(Some(accepted));
        let opening = Opening {
            who,
            skip_gates: reason.filter(|reason| !reason.trim().is_empty()),
            reason: None,
            instant: true,
            strategy: None,
            expected: None,
            progress: progress.clone(),
        };
        let promoted = async {
            let rollout = self.open_rollout(id, opening).await?;
            let done = |now: &Now| arrived(&now.state) || self.stopped(&now.state);
            let now = self.runner()?.until(&rollout, done).await?;
            self.promoted(&now)
        };
        match promoted.await {
            Ok(report) => Ok(report),
            Err(error) => Err(self.fail(&operation, false, error).await),
        }
    }

    /// The open rollout that a promotion without a name means: one on its way, or baking with nothing newer waiting.
    pub(super) async fn to_send_on(&self) -> Result<Option<Known>, Error> {
        let Some(known) = self.rolling.ledger.known() else { return Ok(None) };
        let state = &known.state;
        if state.ended.is_some() || state.going_back() {
            return Ok(None);
        }
        let waiting = state.promoted && self.waiting().await?.is_some();
        let held =
            matches!(state.step().map(|step| &step.does), Some(Does::Hold { .. } | Does::Act(Act::Gate(_))));
        Ok((!state.promoted || (held && !waiting)).then_some(known))
    }

    /// The release that a promotion without a name means where no rollout is to be sent on: the newest staged one that
    /// nobody has given up, and that was staged after what the last rollout brought or brings.
    pub(super) async fn waiting(&self) -> Result<Option<ReleaseId>, Error> {
        let last = self.rolling.ledger.known().filter(|known| !gave_up(&known.state));
        let green = last.and_then(|known| self.row(&known.state.plan.green));
        for id in self.with_world(super::World::greens) {
            let Some(row) = self.row(&id) else { continue };
            let newer = green.as_ref().is_none_or(|green| row.staged_at > green.staged_at);
            if newer && row.barred.is_none() && !self.was_given_up(&row).await? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Whether the newest rollout of a release came to nothing since it was staged.
    async fn was_given_up(&self, row: &ReleaseRow) -> Result<bool, Error> {
        let id = row.id;
        let records = self.journal.blocking(move |journal| match journal.rollout_of(&id)? {
            Some(rollout) => journal.rollout(&rollout),
            None => Ok(Vec::new()),
        });
        let records = records.await?;
        let since = records.last().is_some_and(|last| last.at >= row.staged_at);
        // Records that do not add up are told of elsewhere: nothing is promoted on the strength of them.
        Ok(since && fold(&records).map_or(true, |state| state.as_ref().is_some_and(gave_up)))
    }

    /// Sends the open rollout on: to its next step, or to the promotion.
    async fn send_on(
        self: &Arc<Self>,
        known: &Known,
        who: &str,
        reason: Option<String>,
        full: bool,
        accepted: Instant,
        progress: &Progress,
    ) -> Result<SwitchReport, Error> {
        let rollout = &known.state.plan.rollout;
        let runner = self.runner()?;
        let mut now;
        loop {
            self.rolling.accept(Some(accepted));
            let event = Event::Promote { by: who.to_owned(), reason: reason.clone(), full };
            match runner.say(rollout, event).await {
                Ok(_) => {}
                // The edge is following, or an effect is about to answer: not for long.
                Err(Refusal::Refused(Refused::Busy(_) | Refused::Converging | Refused::NotAGate))
                    if self.passes(rollout) =>
                {
                    let began = self.rolling.ledger.known().map(|known| known.state.seq);
                    let moved = |now: &Now| Some(now.state.seq) != began || self.stopped(&now.state);
                    runner.until(rollout, moved).await?;
                    continue;
                }
                Err(refusal) => return Err(refusal.into()),
            }
            let rests = |now: &Now| rests(&now.state) || arrived(&now.state) || self.stopped(&now.state);
            now = runner.until(rollout, rests).await?;
            let done = arrived(&now.state) || self.stopped(&now.state) || !full;
            if done {
                break;
            }
            progress.say(story::view(&now).waiting);
        }
        if full || arrived(&now.state) && !known.state.promoted {
            return self.promoted(&now);
        }
        if now.state.going_back() {
            return Err(self.not_promoted(&now));
        }
        let view = story::view(&now);
        let table = self.current_table();
        Ok(SwitchReport {
            verb: "promote".to_owned(),
            from: table.default,
            to: table.default,
            changed: true,
            generation: table.generation,
            took_us: u64::try_from(accepted.elapsed().as_micros()).unwrap_or(u64::MAX),
            message: format!("rollout {rollout} goes on: {}", view.step),
        })
    }

    /// Whether what is under way is over soon by itself.
    fn passes(&self, rollout: &RolloutId) -> bool {
        let known = self.rolling.ledger.known().filter(|known| known.state.plan.rollout == *rollout);
        known.is_some_and(|known| {
            let gate = matches!(known.state.pending.as_ref().map(|one| &one.act), Some(Act::Gate(_)));
            !gate && known.state.failed.is_none() && !self.stopped(&known.state)
        })
    }

    async fn to_promote(&self, reference: Option<&str>) -> Result<ReleaseRow, Error> {
        if let Some(text) = reference {
            return self.resolve(text);
        }
        if let Some(row) = self.waiting().await?.and_then(|id| self.row(&id)) {
            return Ok(row);
        }
        let mut error = Error::new(ErrorKind::Refused, "CUT0515", "there is no staged release to promote");
        if let Some(passed) = self.with_world(super::World::green) {
            error = error.because(format!("{passed} was given up, or is older than what was promoted since"));
        }
        Err(error.hint("stage one, or name the release: `cutover releases` lists them"))
    }
}

/// Whether a step that is held has begun, or a gate runs.
fn rests(state: &State) -> bool {
    matches!(
        state.step().map(|step| &step.does),
        Some(Does::Hold { .. } | Does::Act(Act::Gate(_)) | Does::Quiet { .. })
    )
}

pub(super) fn promotable(row: &ReleaseRow) -> Result<(), Error> {
    if let Some(why) = &row.barred {
        return Err(barred(&row.id, why));
    }
    if is_gone(row) {
        return Err(Error::new(
            ErrorKind::Refused,
            "CUT0516",
            format!("release {} is retired: its files are gone", row.id),
        )
        .hint("stage the same content again: it gets the same id"));
    }
    Ok(())
}

pub(super) fn unchanged(verb: &str, table: &Table, on: ReleaseId) -> SwitchReport {
    SwitchReport {
        verb: verb.to_owned(),
        from: Some(on),
        to: Some(on),
        changed: false,
        generation: table.generation,
        took_us: 0,
        message: format!("already on {on}"),
    }
}

/// Microseconds for a person.
pub(super) fn shown(us: u64) -> String {
    if us < 10_000 { format!("{}.{:02} ms", us / 1000, us % 1000 / 10) } else { format!("{} ms", us / 1000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!(shown(1_234), "1.23 ms");
        assert_eq!(shown(45), "0.04 ms");
        assert_eq!(shown(45_678), "45 ms");
    }
}
