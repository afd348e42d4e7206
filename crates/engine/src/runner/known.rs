//! A rollout as its records tell it.

use cutover_rollout::{Body, Illegal, RECORD_VERSION, Record, RolloutId, State, fold};

use super::Now;
use crate::{Error, ErrorKind};

/// What a journal answers that is damaged, rather than out of reach for now.
const DAMAGED: &str = "CUT0602";

/// A rollout whose records are damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Which.
    pub rollout: RolloutId,
    /// What is wrong with its records.
    pub why: String,
}

/// Why a rollout is not known.
pub(super) enum Unread {
    /// Its records say nothing that could be gone on with, and never will.
    Damaged(String),
    /// They cannot be read now, or not by this version.
    NotNow(Error),
}

/// A rollout from what the journal answered about it.
pub(super) fn read_back(rollout: &RolloutId, answer: Result<Vec<Record>, Error>) -> Result<Now, Unread> {
    let records = match answer {
        Ok(records) => records,
        Err(error) if error.code == DAMAGED => return Err(Unread::Damaged(error.to_string())),
        Err(error) => return Err(Unread::NotNow(error)),
    };
    if let Some(newer) = records.iter().find(|record| record.v > RECORD_VERSION) {
        let what = format!("a newer version of Cutover wrote rollout {rollout} (form {})", newer.v);
        return Err(Unread::NotNow(
            Error::new(ErrorKind::Refused, "CUT0603", what)
                .hint("run the version of Cutover that wrote it, or a newer one"),
        ));
    }
    match now_from(&records) {
        Ok(Some(now)) if now.state.plan.rollout == *rollout => Ok(now),
        Ok(Some(now)) => Err(Unread::Damaged(format!("its records are of {}", now.state.plan.rollout))),
        Ok(None) => Err(Unread::Damaged("its records are missing".to_owned())),
        Err(illegal) => Err(Unread::Damaged(format!("its records do not add up: {illegal}"))),
    }
}

/// A rollout as its records tell it; none without records.
///
/// # Errors
/// The first record that has no place.
pub fn now_from(records: &[Record]) -> Result<Option<Now>, Illegal> {
    let Some(state): Option<State> = fold(records)? else { return Ok(None) };
    let opened_by = match records.first().map(|record| &record.body) {
        Some(Body::Opened { by, .. }) => by.clone(),
        _ => String::new(),
    };
    Ok(Some(Now {
        state,
        opened_at: records.first().map_or(0, |record| record.at),
        opened_by,
        changed_at: records.last().map_or(0, |record| record.at),
        readings: Vec::new(),
        evidence: Vec::new(),
        trouble: None,
    }))
}
