//! Room on the disk that is kept for the way out: a full disk must not hold an app on the release that filled it.
//!
//! A file of fixed size lies in the state directory for nothing but to be removed. Where writing down a rollback, a
//! withdrawal or a retirement meets a full disk, the file goes first and the write is tried once more. It is made again
//! by itself as soon as there is room for it and something beside it.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use cutover_engine::Error;
use nix::{fcntl::posix_fallocate, sys::statvfs::statvfs};

use super::{Inner, locked};
use crate::journal::{JournalError, Write};

/// Bytes kept: a switch writes some tens of KiB to the journal and its log, and the services that come back a few files.
const SIZE: u64 = 1 << 20;

/// A disk with less room than this many bytes is called full.
const LITTLE: u64 = 256 << 10;

/// What `status` calls the subject.
const SUBJECT: &str = "disk";

/// Codes of failures that more room may mend: of the journal, and of the store's and the services' own files.
const ROOM_MATTERS: [&str; 2] = ["CUT0605", "CUT0606"];

/// The file.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// The reserve of a state directory.
    pub(super) fn of(state_dir: &Path) -> Self {
        Self { path: state_dir.join("reserve") }
    }

    /// True where it can be given back.
    pub(super) fn is_there(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|meta| meta.len() >= SIZE)
    }

    /// Makes it where it is missing and as much again stays free. True where it is there afterwards. Blocks.
    pub(super) fn keep(&self) -> bool {
        if self.is_there() {
            return true;
        }
        let made = self.free().is_none_or(|free| free >= 2 * SIZE) && self.make().is_ok();
        if !made {
            // A part of it would only take room.
            let _ = fs::remove_file(&self.path);
        }
        made
    }

    fn make(&self) -> std::io::Result<()> {
        let file: File =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.path)?;
        // A file that merely says it is long would give nothing back.
        posix_fallocate(&file, 0, SIZE as _)?;
        Ok(())
    }

    /// Gives the room back to the file system. False where there was nothing to give.
    pub(super) fn give_back(&self) -> bool {
        let given = self.is_there() && fs::remove_file(&self.path).is_ok();
        if given {
            tracing::warn!("the disk is full: the room kept for a way back is used");
        }
        given
    }

    /// Gives the room back where next to nothing else is free.
    pub(super) fn give_back_if_full(&self) -> bool {
        self.is_full() && self.give_back()
    }

    /// True where next to nothing is free.
    pub(super) fn is_full(&self) -> bool {
        self.free().is_some_and(|free| free < LITTLE)
    }

    /// Bytes that this user may still write; none where the file system does not say.
    fn free(&self) -> Option<u64> {
        let found = statvfs(self.path.parent()?).ok()?;
        Some(found.blocks_available().saturating_mul(found.fragment_size()))
    }
}

impl Inner {
    /// Writes, as [`Inner::write`] does; what belongs to a way out may use the reserve.
    pub(super) async fn write_for(
        &self,
        way_out: bool,
        write: Write,
    ) -> Result<Vec<cutover_engine::control::HistoryEntry>, Error> {
        if !way_out {
            return self.write(write).await;
        }
        match self.write(write.clone()).await {
            Err(error) if ROOM_MATTERS.contains(&error.code.as_str()) && self.reserve.give_back() => {
                self.write(write).await
            }
            other => other,
        }
    }

    /// Writes what belongs to a rollout and tells everybody who listens; what leads back may use the reserve.
    pub(super) async fn write_told(&self, way_out: bool, write: Write) -> Result<(), JournalError> {
        let again = way_out.then(|| write.clone());
        let mut written = self.journal.blocking(move |journal| journal.write(&write)).await;
        if let (Err(JournalError::Full { .. } | JournalError::Sqlite { .. }), Some(again)) = (&written, again)
            && self.reserve.give_back()
        {
            written = self.journal.blocking(move |journal| journal.write(&again)).await;
        }
        for entry in written? {
            // Nobody listening is no error.
            let _ = self.events.send(entry);
        }
        Ok(())
    }

    /// Makes the reserve again where it was used, and tells `status` how the disk is.
    pub(super) async fn look_after_disk(&self) {
        let reserve = std::sync::Arc::clone(&self.reserve);
        let found = tokio::task::spawn_blocking(move || (reserve.keep(), reserve.is_full())).await;
        let problem = match found {
            Ok((true, true)) => {
                Some("the disk is full: nothing can be staged, a rollback still works; free some space")
            }
            Ok((false, _)) => Some(
                "the disk is full and the room that is kept for a rollback is used; free some space, or retire releases",
            ),
            Ok((true, false)) | Err(_) => None,
        };
        let problem = problem.map(str::to_owned);
        if locked(&self.problems).get(SUBJECT) != problem.as_ref() {
            self.trouble(SUBJECT, problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn what_is_kept_is_really_taken_and_given_back_once() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::of(dir.path());
        assert!(!reserve.give_back(), "there is none yet");
        assert!(reserve.keep());
        let meta = fs::metadata(dir.path().join("reserve")).unwrap();
        assert!(meta.blocks() * 512 >= SIZE, "{} blocks", meta.blocks());
        assert!(reserve.keep(), "kept, not made again");
        assert!(reserve.give_back());
        assert!(!dir.path().join("reserve").exists());
        assert!(!reserve.give_back());
    }

    #[test]
    fn a_part_of_it_is_no_reserve() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("reserve"), "cut short").unwrap();
        let reserve = Reserve::of(dir.path());
        assert!(!reserve.give_back());
        assert!(reserve.keep());
        assert!(reserve.give_back());
    }

    #[test]
    fn a_directory_that_is_not_there_keeps_nothing() {
        let reserve = Reserve::of(Path::new("/nonexistent/state"));
        assert!(!reserve.keep() && !reserve.give_back() && !reserve.give_back_if_full());
    }
}
