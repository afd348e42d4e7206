//! What the journal remembers, as data.

use std::path::PathBuf;

use cutover_engine::control::{GateResult, Outside};
use cutover_routing::{ReleaseId, Slot};
use serde::{Deserialize, Serialize};

/// What is known of a release beside the routing table and its files.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseRow {
    /// The release.
    pub id: ReleaseId,
    /// Label.
    pub name: Option<String>,
    /// Commit it was built from.
    pub commit: Option<String>,
    /// Directory of the app description it was staged from: gates that run commands run there.
    pub base: PathBuf,
    /// The place it lives in, or lived in.
    pub slot: Option<Slot>,
    /// Unix milliseconds of staging.
    pub staged_at: u64,
    /// Who staged it.
    pub staged_by: String,
    /// State outside the table.
    pub outside: Option<Outside>,
    /// Why it may not be promoted; outlives retirement, so that staging it again does not lift it.
    pub barred: Option<String>,
    /// Unix milliseconds since which it is in its present state of the table.
    pub state_since: u64,
    /// Unix milliseconds of its last promotion.
    pub promoted_at: Option<u64>,
    /// Results of its gates, one per gate.
    pub gates: Vec<GateResult>,
    /// Number of its files.
    pub files: u64,
    /// Bytes of its files.
    pub bytes: u64,
}

impl ReleaseRow {
    /// True where its files are still there.
    pub fn retained(&self) -> bool {
        self.outside != Some(Outside::Retired)
    }
}

/// What is meant to be done, written before anything is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Names the operation: `op-...`.
    pub operation: String,
    /// Unix milliseconds.
    pub at: u64,
    /// Who asked.
    pub who: String,
    /// The verb.
    pub verb: String,
    /// The release concerned, where it is known beforehand.
    pub release: Option<ReleaseId>,
    /// Generation of the table the operation wrote; none: it wrote none yet.
    pub committed: Option<u64>,
}

/// What sort of record it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// An operation is done.
    Outcome,
    /// An operation failed; what it had changed was undone.
    Failure,
    /// Something else worth remembering; ends no operation.
    Note,
}

impl RecordKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::Failure => "failure",
            Self::Note => "note",
        }
    }
}

/// One line of history before it has its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// What sort of record it is.
    pub kind: RecordKind,
    /// The operation it belongs to.
    pub operation: Option<String>,
    /// Unix milliseconds.
    pub at: u64,
    /// Who asked.
    pub who: String,
    /// The verb.
    pub verb: String,
    /// The release concerned.
    pub release: Option<ReleaseId>,
    /// One sentence for a person.
    pub message: String,
    /// Why, where somebody said so.
    pub reason: Option<String>,
    /// Generation of the table after it, where it wrote one.
    pub generation: Option<u64>,
}

/// The last change of the default: what a rollback goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSwitch {
    /// The default before.
    pub from: Option<ReleaseId>,
    /// The default after.
    pub to: ReleaseId,
    /// True for a promotion, false for a rollback.
    pub promotion: bool,
    /// Unix milliseconds.
    pub at: u64,
}
