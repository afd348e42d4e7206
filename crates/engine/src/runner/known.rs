//! A rollout as its records tell it.

use cutover_rollout::{Body, Illegal, Record, State, fold};

use super::Now;

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
