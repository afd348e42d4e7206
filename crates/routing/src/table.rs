//! The routing table: the small document `decide` reads.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ReleaseId, ReleaseState, Slot, hash::BUCKETS};

/// What the table says about one release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Who may reach it.
    pub state: ReleaseState,
    /// The fixed place it lives in, where the platform has such places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
}

/// A range of buckets that goes to one release.
///
/// A share of width 0 of a *draining* release marks it as recalled (rolled back, or reopened after it was closed): no
/// policy holds its visitors. A draining release without a share was superseded by a promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The release.
    pub release: ReleaseId,
    /// First bucket of the range, after rotation by the table's offset.
    pub first: u16,
    /// How many buckets, out of 10 000. `0` sends nobody.
    pub width: u16,
}

/// The document `decide` reads. Changed only by [`crate::edit()`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Grows with every change, everywhere; see [`crate::next_generation`].
    pub generation: u64,
    /// The active release, which gets everything no share claims. None before the first promotion.
    #[serde(default)]
    pub default: Option<ReleaseId>,
    /// Ranges of buckets that go elsewhere.
    #[serde(default)]
    pub shares: Vec<Share>,
    /// Rotation of the ring of buckets, so that the same visitors are not always first.
    #[serde(default)]
    pub offset: u16,
    /// Every release the table knows.
    #[serde(default)]
    pub releases: BTreeMap<ReleaseId, Entry>,
    /// Audience name to the release it is sent to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub audiences: BTreeMap<String, ReleaseId>,
}

/// Why a table is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The compact form cannot be read.
    #[error("compact routing table: {0}")]
    Compact(String),
    /// The table contradicts itself.
    #[error("routing table: {0}")]
    Invalid(String),
}

impl Table {
    /// The table before the first release: generation 0, no default.
    pub fn empty() -> Self {
        Self {
            generation: 0,
            default: None,
            shares: Vec::new(),
            offset: 0,
            releases: BTreeMap::new(),
            audiences: BTreeMap::new(),
        }
    }

    /// The release that owns a bucket: the share that holds it, else the default.
    pub fn target(&self, bucket: u16) -> Option<ReleaseId> {
        let at = (u32::from(bucket) + u32::from(self.offset)) % u32::from(BUCKETS);
        self.shares
            .iter()
            .find(|share| {
                let first = u32::from(share.first);
                at >= first && at < first + u32::from(share.width)
            })
            .map(|share| share.release)
            .or(self.default)
    }

    /// The state of a release, if the table knows it.
    pub fn state(&self, release: &ReleaseId) -> Option<ReleaseState> {
        self.releases.get(release).map(|entry| entry.state)
    }

    /// True where visitors without a preview token may be served this release.
    pub fn servable(&self, release: &ReleaseId) -> bool {
        self.state(release).is_some_and(ReleaseState::servable)
    }

    /// True where a policy may hold the visitors of a release: it is active, or was superseded by a promotion. Never
    /// of a candidate whose share shrank, or of a release that was rolled back or closed.
    pub fn holds_by_policy(&self, release: &ReleaseId) -> bool {
        match self.state(release) {
            Some(ReleaseState::Active) => true,
            Some(ReleaseState::Draining) => self.shares.iter().all(|share| share.release != *release),
            _ => false,
        }
    }

    /// The slot of a release.
    pub fn slot(&self, release: &ReleaseId) -> Option<Slot> {
        self.releases.get(release).and_then(|entry| entry.slot)
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::empty()
    }
}
