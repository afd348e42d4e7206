//! Places at which tests end the controller as a crash would.

use std::sync::Arc;

/// Between which two effects an operation is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CrashPoint {
    /// Staging: the files are in the store, nothing is written down yet.
    FilesStaged,
    /// Staging: the intent is written, no service runs.
    Begun,
    /// Staging: the services are up, the table does not know the release.
    ServicesUp,
    /// A rollout: what was decided is about to be written down.
    BeforeAppend,
    /// A rollout: what was decided is written down, nothing of it is done.
    Appended,
    /// A rollout: a change of the table is about to be made.
    BeforeApply,
    /// The new table is about to be written down.
    BeforeCommit,
    /// The new table is written down, the edge does not have it.
    Committed,
    /// The edge has the new table, the outcome is not written down.
    Published,
    /// Retiring: the release is out of the table, its services run.
    Dropped,
    /// Retiring: its services are gone, its files are there.
    Stopped,
    /// Retiring: its files are gone, the outcome is not written down.
    Removed,
}

impl CrashPoint {
    /// Every point.
    pub const ALL: [Self; 12] = [
        Self::FilesStaged,
        Self::Begun,
        Self::ServicesUp,
        Self::BeforeAppend,
        Self::Appended,
        Self::BeforeApply,
        Self::BeforeCommit,
        Self::Committed,
        Self::Published,
        Self::Dropped,
        Self::Stopped,
        Self::Removed,
    ];
}

/// Asked at every point; on `true` the operation stops there for ever, as if the program had ended.
#[derive(Clone)]
pub struct CrashHook(Arc<dyn Fn(CrashPoint) -> bool + Send + Sync>);

impl CrashHook {
    /// Asks a function.
    pub fn new(ask: impl Fn(CrashPoint) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// Passes the point, or never returns.
    pub(super) async fn pass(&self, point: CrashPoint) {
        if (self.0)(point) {
            std::future::pending::<()>().await;
        }
    }
}

impl std::fmt::Debug for CrashHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CrashHook")
    }
}
