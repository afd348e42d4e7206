//! The records of rollouts in this controller's journal: written together with the lines of history they are worth, and,
//! where they lead back, with the room that is kept for that.

use std::sync::Arc;

use cutover_engine::{
    Error,
    ports::{self, AppendError},
    rollout::{Body, Cause, Outcome, Record, RolloutId, Why},
    story,
};

use super::{Home, Known};
use crate::{
    controller::operation::SELF,
    journal::{Journal, NewRecord, RecordKind, RolloutAppend, Write},
    rollouts::{RolloutJournal, append_error},
};

/// The journal of a controller.
#[derive(Debug)]
pub(in super::super) struct ToldJournal {
    home: Home,
    plain: RolloutJournal,
}

impl ToldJournal {
    pub(super) fn new(home: Home, journal: Arc<Journal>) -> Self {
        Self { home, plain: RolloutJournal::new(journal) }
    }
}

impl ports::Journal for ToldJournal {
    async fn append(
        &self,
        rollout: &RolloutId,
        expected: u64,
        epoch: u64,
        records: &[Record],
    ) -> Result<(), AppendError> {
        let Some(inner) = self.home.0.upgrade() else {
            return self.plain.append(rollout, expected, epoch, records).await;
        };
        let reason = inner.rolling.asked(rollout).and_then(|asked| asked.reason);
        let after = inner.rolling.ledger.with(records);
        let back = after.as_ref().is_some_and(|known| known.state.going_back());
        let makes_way = records.iter().any(|record| matches!(record.body, Body::SupersedeAsked { .. }));
        let write = Write {
            fence: Some(epoch),
            rollout: Some(RolloutAppend { rollout: rollout.clone(), expected, records: records.to_vec() }),
            records: lines(after.as_ref(), records, reason.as_deref()),
            ..Write::default()
        };
        inner.pass(super::super::CrashPoint::BeforeAppend).await;
        inner.write_told(back || makes_way, write).await.map_err(append_error)?;
        inner.rolling.ledger.set(after);
        if expected == 0 {
            inner.trouble(super::SET_ASIDE, None);
        }
        inner.pass(super::super::CrashPoint::Appended).await;
        Ok(())
    }

    async fn read(&self, rollout: &RolloutId) -> Result<Vec<Record>, Error> {
        let records = self.plain.read(rollout).await?;
        if let Some(inner) = self.home.0.upgrade()
            && inner.rolling.ledger.known().is_some_and(|known| known.state.plan.rollout == *rollout)
        {
            inner.rolling.ledger.read(&records);
        }
        Ok(records)
    }

    async fn newest(&self, limit: usize) -> Result<Vec<RolloutId>, Error> {
        self.plain.newest(limit).await
    }
}

/// The lines of history that records are worth.
fn lines(after: Option<&Known>, records: &[Record], opening: Option<&str>) -> Vec<NewRecord> {
    let Some(state) = after.map(|known| &known.state) else { return Vec::new() };
    let line = |record: &Record| {
        let (says, who) = story::headline(record, state)?;
        let (who, reason) = match &record.body {
            Body::Opened { .. } => (who, opening.map(str::to_owned)),
            Body::UndoStarted { cause: Cause::Operator { by, reason, .. }, .. } => {
                (Some(by.clone()), reason.clone())
            }
            Body::Advanced { why: Why::Forced { reason, .. }, .. } | Body::Paused { reason, .. } => {
                (who, reason.clone())
            }
            _ => (who, None),
        };
        let generation = match &record.body {
            Body::Outcome { outcome: Outcome::Done { generation }, .. } => *generation,
            _ => None,
        };
        Some(NewRecord {
            kind: RecordKind::Note,
            operation: None,
            at: record.at,
            who: who.unwrap_or_else(|| SELF.to_owned()),
            verb: "rollout".to_owned(),
            release: Some(state.plan.green),
            message: says,
            reason,
            generation,
        })
    };
    records.iter().filter_map(line).collect()
}
