//! Where the store keeps what, and the locks that keep stages and removals apart.
//!
//! ```text
//! <state>/blobs/ab/ab12...      content by digest
//! <state>/releases/<id>/        release.json and services/<name>/, read-only
//! <state>/ledger.json           fingerprinted path to digest
//! <state>/variants.json         digest to its compressed forms
//! <state>/stage-work/<n>/       what a stage prepares; nothing in here is ever read by anybody else
//! <state>/stage.lock            shared by every stage while it runs, exclusive for collecting blobs
//! <state>/commit.lock           exclusive while a stage or removal makes its result visible
//! ```

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use cutover_routing::ReleaseId;

/// Paths below the state directory.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) state: PathBuf,
    pub(super) blobs: PathBuf,
    pub(super) releases: PathBuf,
    pub(super) work: PathBuf,
}

impl Layout {
    pub(super) fn at(state: PathBuf) -> Self {
        Self {
            blobs: state.join("blobs"),
            releases: state.join("releases"),
            work: state.join("stage-work"),
            state,
        }
    }

    /// Makes what is missing. Only the owner may look inside: services may come with configuration that is nobody's business.
    pub(super) fn create(&self) -> io::Result<()> {
        for dir in [&self.state, &self.blobs, &self.releases, &self.work] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        Ok(())
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.state.join("ledger.json")
    }

    pub(super) fn variants(&self) -> PathBuf {
        self.state.join("variants.json")
    }

    pub(super) fn release(&self, id: &ReleaseId) -> PathBuf {
        self.releases.join(id.as_str())
    }

    pub(super) fn record(&self, id: &ReleaseId) -> PathBuf {
        self.release(id).join("release.json")
    }

    /// Held by a stage from its first look at the blobs until its release is visible.
    pub(super) fn staging(&self) -> io::Result<Lock> {
        let file = self.lock_file("stage.lock")?;
        file.lock_shared()?;
        Ok(Lock(file))
    }

    /// Held while blobs are collected: no stage is running then.
    pub(super) fn collecting(&self) -> io::Result<Lock> {
        let file = self.lock_file("stage.lock")?;
        file.lock()?;
        Ok(Lock(file))
    }

    /// Like [`Self::collecting`], unless a stage is running.
    pub(super) fn try_collecting(&self) -> io::Result<Option<Lock>> {
        let file = self.lock_file("stage.lock")?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Held while something becomes visible or vanishes.
    pub(super) fn committing(&self) -> io::Result<Lock> {
        let file = self.lock_file("commit.lock")?;
        file.lock()?;
        Ok(Lock(file))
    }

    fn lock_file(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(self.state.join(name))
    }
}

/// A lock, held until dropped; the system drops it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "holding the file open is what holds the lock")] File);

/// A directory of its own for one piece of work, removed with all it contains when dropped.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) dir: PathBuf,
}

impl Work {
    pub(super) fn create(layout: &Layout) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let dir = layout.work.join(name);
            match fs::DirBuilder::new().mode(0o700).create(&dir) {
                Ok(()) => return Ok(Self { dir }),
                // Left by an earlier process of the same number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "leftovers of a stage could not be removed; they go at the next start");
        }
    }
}

/// Removes a directory whose content may be read-only. None there is fine.
pub(super) fn remove_tree(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(dir)?;
            fs::remove_dir_all(dir)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn make_writable(dir: &Path) -> io::Result<()> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

/// Replaces a file whole or not at all, also across a power failure.
pub(super) fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or(OsStr::new("file")).to_owned();
    name.push(".new");
    let temporary = directory.join(name);
    let written = (|| {
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // It is of no use to anybody; that the write failed is what is reported.
        fs::remove_file(&temporary).ok();
    }
    written?;
    File::open(directory)?.sync_all()
}

/// Waits until all that was written below `dir` would survive a power failure.
pub(super) fn settle(dir: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        // One call instead of one per file: a stage writes thousands of small files.
        nix::unistd::syncfs(File::open(dir)?).map_err(io::Error::from)
    }
    #[cfg(not(target_os = "linux"))]
    {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                settle(&entry.path())?;
            } else if kind.is_file() {
                File::open(entry.path())?.sync_all()?;
            }
        }
        File::open(dir)?.sync_all()
    }
}
