//! The release store: an app description goes in, an immutable release comes out, and stays what it is.
//!
//! A release is content-addressed: its id is the start of the digest over every file of its site and services and over what
//! it keeps of the app description. Staging the same content again is therefore the same release, and finds it. What a
//! release promises:
//!
//! * it exists whole or not at all, whatever was killed or ran full while it was staged;
//! * its services run in read-only copies of their own, and nothing in it leads out of it;
//! * every file of its site is ready to be sent: marked, compressed, verified by digest;
//! * hidden files, secrets and the state directory are never part of its site.
//!
//! Everything here blocks: call it from a thread that may.

mod compress;
mod content;
mod csp;
mod failure;
mod fingerprints;
mod html;
mod keep;
mod layout;
mod ledger;
mod media;
mod parallel;
mod publish;
mod record;
mod secrets;
mod service_files;
mod site_files;
mod stage;
mod variants;
mod walk;

use std::path::{Path, PathBuf};

use cutover_edge::manifest::SiteManifest;
use cutover_engine::{
    Error,
    config::{AppConfig, Snapshot},
    control::Progress,
};
use cutover_routing::ReleaseId;

use layout::Layout;

/// The releases below one state directory. Several processes and threads may use the same directory.
#[derive(Debug, Clone)]
pub struct Store {
    layout: Layout,
}

/// What to stage.
#[derive(Debug, Clone)]
pub struct StageInput {
    /// The app.
    pub config: AppConfig,
    /// The state directory, which is never part of a release, wherever it lies.
    pub state_dir: PathBuf,
}

/// What staging did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// The release.
    pub id: ReleaseId,
    /// False where the same content was there already: nothing was done.
    pub created: bool,
    /// Number of its files, those of its services included, before compression.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
}

/// A release in the store.
#[derive(Debug, Clone)]
pub struct StagedRelease {
    /// The release.
    pub id: ReleaseId,
    /// Its site, if it has one.
    pub manifest: Option<SiteManifest>,
    /// What it keeps of the app description: everything but `[edge]` and `keep`.
    pub snapshot: Snapshot,
    /// Holds one read-only directory for each service that Cutover runs, of the service's name.
    pub services_dir: PathBuf,
    /// Number of its files.
    pub files: u64,
    /// Bytes of its files.
    pub bytes: u64,
}

impl Store {
    /// Opens the store in a state directory, makes it if there is none, and removes what interrupted stages left.
    ///
    /// # Errors
    /// Where the directory cannot be made or used.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let given = Layout::at(dir.to_owned());
        given.create().map_err(|error| failure::unusable(dir, &error))?;
        let canonical = dir.canonicalize().map_err(|error| failure::unusable(dir, &error))?;
        let layout = Layout::at(canonical);
        keep::clean(&layout)?;
        Ok(Self { layout })
    }

    /// The directory of the blobs that manifests point to.
    pub fn blobs(&self) -> &Path {
        &self.layout.blobs
    }

    /// Stages a release. Idempotent: the same content is the same release, and a release that was damaged is healed.
    ///
    /// # Errors
    /// Where something to be staged is missing, unreadable, reserved or secret, where a fingerprinted path has other content
    /// than before, where the disk is full. The releases in the store are as they were then.
    pub fn stage(&self, input: &StageInput, progress: &Progress) -> Result<Staged, Error> {
        stage::stage(&self.layout, &input.config, &input.state_dir, progress)
    }

    /// Reads a release.
    ///
    /// # Errors
    /// Where there is none of this id, or its record is damaged.
    pub fn load(&self, id: &ReleaseId) -> Result<StagedRelease, Error> {
        keep::load(&self.layout, id)
    }

    /// The ids of all releases in the store, in their own order.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn list(&self) -> Result<Vec<ReleaseId>, Error> {
        keep::list(&self.layout)
    }

    /// Removes a release and every blob that only it needed, and returns the bytes that were freed. It must not be served
    /// any more. Waits for stages that are running.
    ///
    /// # Errors
    /// Where there is none of this id, or files cannot be removed.
    pub fn remove(&self, id: &ReleaseId) -> Result<u64, Error> {
        keep::remove(&self.layout, id)
    }

    /// Reads every byte of a release and compares it with its digest.
    ///
    /// # Errors
    /// The first thing that is missing or damaged.
    pub fn verify(&self, id: &ReleaseId) -> Result<(), Error> {
        keep::verify(&self.layout, id)
    }

    /// The site of a release without what is damaged of it, and the paths whose files are. A file of which only compressed
    /// forms are damaged is kept without them.
    ///
    /// # Errors
    /// Where there is no release of this id, or its record is damaged.
    pub fn intact_site(&self, id: &ReleaseId) -> Result<(Option<SiteManifest>, Vec<String>), Error> {
        keep::intact_site(&self.layout, id)
    }
}
