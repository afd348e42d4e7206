//! Decides, writes down, begins; and finds out what was written down where that is not known.

use std::sync::Arc;

use cutover_rollout::{Body, Event, Next, Record, RolloutId, step};

use super::{
    Now, Refusal,
    driver::{AGAIN, Driver, deposed},
};
use crate::{
    Error,
    ports::{AppendError, Clock as _, Journal as _, Ports},
};

/// Former rollouts that are remembered as they ended.
const FORMER: usize = 16;

/// Records that may have been appended, or may yet be.
pub(super) struct Unsure {
    event: Event,
    expected: u64,
    next: Next,
}

impl<P: Ports> Driver<P> {
    /// Decides, writes down, begins.
    pub(super) async fn take(&mut self, event: &Event) -> Result<(), Refusal> {
        if self.settle(event).await.map_err(Refusal::Failed)? {
            return Ok(());
        }
        let opens = matches!(event, Event::Open { .. });
        let state = self.now.as_ref().map(|now| &now.state).filter(|state| !opens || state.ended.is_none());
        let next = step(state, event, self.ports.clock().now()).map_err(Refusal::Refused)?;
        if next.records.is_empty() {
            return Ok(());
        }
        let expected = state.map_or(0, |state| state.seq);
        let rollout = next.state.plan.rollout.clone();
        let journal = self.ports.journal();
        match journal.append(&rollout, expected, self.grant.epoch, &next.records).await {
            Ok(()) => {
                self.trouble(None);
                self.adopt(next);
                Ok(())
            }
            Err(AppendError::Failed(error)) => {
                self.unsure = Some(Unsure { event: event.clone(), expected, next });
                // Where that can be found out at once, nobody is told that it failed though it did not.
                match self.settle(event).await {
                    Ok(true) => Ok(()),
                    Ok(false) | Err(_) => Err(Refusal::Failed(error)),
                }
            }
            Err(lost @ (AppendError::Conflict { .. } | AppendError::Fenced { .. })) => {
                self.depose(lost.to_string());
                Err(Refusal::Failed(deposed(&lost.to_string())))
            }
        }
    }

    /// Finds out whether records that may have been appended were; true where the event has thereby been taken in.
    async fn settle(&mut self, event: &Event) -> Result<bool, Error> {
        let Some(unsure) = &self.unsure else { return Ok(false) };
        let found = self.after(&unsure.next.state.plan.rollout, unsure.expected).await?;
        let Some(unsure) = self.unsure.take() else { return Ok(false) };
        if found.is_empty() {
            return Ok(false);
        }
        if found != unsure.next.records {
            let why = "the journal has records of another controller";
            self.depose(why.to_owned());
            return Err(deposed(why));
        }
        let same = unsure.event == *event;
        self.adopt(unsure.next);
        Ok(same)
    }

    async fn after(&self, rollout: &RolloutId, known: u64) -> Result<Vec<Record>, Error> {
        let records = self.ports.journal().read(rollout).await?;
        Ok(records.into_iter().skip(usize::try_from(known).unwrap_or(usize::MAX)).collect())
    }

    /// Tries again to write down what could not be.
    pub(super) async fn again(&mut self) {
        let unsure = self.unsure.as_ref().map(|unsure| unsure.event.clone());
        if let Some(event) = unsure
            && let Err(error) = self.settle(&event).await
        {
            if self.deposed.is_none() {
                self.trouble(Some(format!("the journal cannot be read: {error}")));
                self.again_at = Some(self.ports.clock().now() + AGAIN);
            }
            return;
        }
        while let Some(event) = self.backlog.pop_front() {
            if !self.took(&event).await {
                self.backlog.push_front(event);
                return;
            }
        }
    }

    /// The state that was written down is the state; its effects begin.
    fn adopt(&mut self, next: Next) {
        let opened = next.records.first().and_then(|record| match &record.body {
            Body::Opened { by, .. } => Some((record.at, by.clone())),
            _ => None,
        });
        let before = self.now.as_ref().map(|now| now.state.cursor).filter(|_| opened.is_none());
        let changed_at = next.records.last().map(|record| record.at);
        match (&mut self.now, opened) {
            (Some(now), None) => {
                now.state = next.state;
                now.changed_at = changed_at.unwrap_or(now.changed_at);
            }
            (now, opened) => {
                let (opened_at, opened_by) = opened.unwrap_or_default();
                let former = now.replace(Now {
                    state: next.state,
                    opened_at,
                    opened_by,
                    changed_at: changed_at.unwrap_or(opened_at),
                    readings: Vec::new(),
                    evidence: Vec::new(),
                    trouble: None,
                });
                if let Some(former) = former {
                    self.show.send_modify(|shown| {
                        shown.former.push_front(Arc::new(former));
                        shown.former.truncate(FORMER);
                    });
                }
            }
        }
        if let Some(now) = self.now.as_mut().filter(|now| before != Some(now.state.cursor)) {
            // What was said of another step says nothing of this one; and what this one waits for may be there already.
            now.readings.clear();
            now.evidence.clear();
            self.look_at = 0;
        }
        self.tell();
        for effect in next.effects {
            self.perform(effect);
        }
    }
}
