//! Releases that are in the store: read, listed, verified, removed; and the blobs that nobody needs any more.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use cutover_edge::manifest::{Blob, SiteFile, SiteManifest};
use cutover_engine::{Error, ErrorKind};
use cutover_routing::ReleaseId;

use super::{
    StagedRelease, content, failure,
    layout::{self, Layout, Work},
    parallel,
    record::{self, Record},
    service_files,
    variants::Index,
};

/// Reads a release.
pub(super) fn load(layout: &Layout, id: &ReleaseId) -> Result<StagedRelease, Error> {
    let record = Record::read(layout, id)?.ok_or_else(|| not_found(id))?;
    Ok(StagedRelease {
        id: *id,
        files: record.file_count(),
        bytes: record.bytes(),
        services_dir: layout.release(id).join("services"),
        manifest: record.site,
        snapshot: record.snapshot,
    })
}

/// All releases, by id.
pub(super) fn list(layout: &Layout) -> Result<Vec<ReleaseId>, Error> {
    let unusable = |error| failure::unusable(&layout.releases, &error);
    let mut ids = Vec::new();
    for entry in fs::read_dir(&layout.releases).map_err(unusable)? {
        let name = entry.map_err(unusable)?.file_name();
        ids.extend(name.to_str().and_then(|name| name.parse::<ReleaseId>().ok()));
    }
    ids.sort();
    Ok(ids)
}

/// The records of all releases that can be read.
pub(super) fn records(layout: &Layout) -> Vec<Record> {
    list(layout).unwrap_or_default().iter().filter_map(|id| Record::read(layout, id).ok().flatten()).collect()
}

/// Reads every byte of a release and compares it with its digest.
pub(super) fn verify(layout: &Layout, id: &ReleaseId) -> Result<(), Error> {
    let record = Record::read(layout, id)?.ok_or_else(|| not_found(id))?;
    if !record.is_consistent() {
        return Err(record::damaged(id, "its record does not match its id"));
    }
    let blobs: Vec<&Blob> = record.blobs().collect();
    parallel::map(&blobs, |blob| {
        if content::is_intact(&layout.blobs, blob) {
            Ok(())
        } else {
            Err(record::damaged(id, format!("{} is missing or damaged", blob.path(&layout.blobs).display())))
        }
    })?;
    for (name, files) in &record.services {
        let copy = layout.release(id).join("services").join(name);
        let difference =
            service_files::difference(&copy, files).map_err(|error| failure::unusable(&copy, &error))?;
        if let Some(difference) = difference {
            return Err(record::damaged(id, difference));
        }
    }
    Ok(())
}

/// The site of a release without what is damaged of it, and the paths whose files are.
pub(super) fn intact_site(
    layout: &Layout,
    id: &ReleaseId,
) -> Result<(Option<SiteManifest>, Vec<String>), Error> {
    let record = Record::read(layout, id)?.ok_or_else(|| not_found(id))?;
    let Some(mut site) = record.site else { return Ok((None, Vec::new())) };
    let files: Vec<_> = site.files.iter().collect();
    let intact = |blob: &Blob| content::is_intact(&layout.blobs, blob);
    let looked = parallel::map(&files, |(path, file)| {
        let keep = |form: &Option<Blob>| form.clone().filter(intact);
        let found = intact(&file.identity).then(|| SiteFile {
            br: keep(&file.br),
            zstd: keep(&file.zstd),
            gzip: keep(&file.gzip),
            ..SiteFile::clone(file)
        });
        Ok::<_, Error>((String::clone(path), found))
    })?;
    let damaged: Vec<String> =
        looked.iter().filter(|(_, file)| file.is_none()).map(|(path, _)| path.clone()).collect();
    site.files = looked.into_iter().filter_map(|(path, file)| Some((path, file?))).collect();
    site.fallback = site.fallback.filter(|fallback| site.files.contains_key(fallback));
    Ok((Some(site), damaged))
}

/// Removes a release and every blob that only it needed; returns the bytes that were freed. Waits for running stages.
pub(super) fn remove(layout: &Layout, id: &ReleaseId) -> Result<u64, Error> {
    let mut freed = 0;
    {
        let _committing = layout.committing().map_err(|error| failure::unusable(&layout.state, &error))?;
        let release = layout.release(id);
        if !release.exists() {
            return Err(not_found(id));
        }
        let work = Work::create(layout).map_err(|error| failure::unwritable(&layout.work, &error))?;
        let gone = work.dir.join("removed");
        // One step: a release is there with all it has, or it is not there.
        fs::rename(&release, &gone).map_err(|error| failure::unwritable(&release, &error))?;
        freed += size_of(&gone).unwrap_or(0);
    }
    let _collecting = layout.collecting().map_err(|error| failure::unusable(&layout.state, &error))?;
    freed += collect(layout)?;
    Ok(freed)
}

/// Removes what interrupted stages left, unless a stage is running.
pub(super) fn clean(layout: &Layout) -> Result<(), Error> {
    let Some(_collecting) =
        layout.try_collecting().map_err(|error| failure::unusable(&layout.state, &error))?
    else {
        return Ok(());
    };
    let unusable = |error| failure::unusable(&layout.work, &error);
    let mut interrupted = false;
    for entry in fs::read_dir(&layout.work).map_err(unusable)? {
        layout::remove_tree(&entry.map_err(unusable)?.path()).map_err(unusable)?;
        interrupted = true;
    }
    if interrupted {
        let freed = collect(layout)?;
        tracing::info!(freed, "removed what an interrupted stage had left");
    }
    Ok(())
}

/// Removes blobs that no release needs. No stage may be running. Returns the bytes that were freed.
fn collect(layout: &Layout) -> Result<u64, Error> {
    let mut needed = HashSet::new();
    let mut files = HashSet::new();
    for id in list(layout)? {
        match Record::read(layout, &id) {
            Ok(Some(record)) => {
                needed.extend(record.blobs().map(|blob| blob.sha256.clone()));
                files.extend(
                    record
                        .site
                        .iter()
                        .flat_map(|site| site.files.values())
                        .map(|file| file.identity.sha256.clone()),
                );
            }
            Ok(None) => {}
            Err(error) => {
                // What it needs is not known, so nothing is known to be garbage.
                tracing::warn!(%id, %error, "blobs are not collected while a release cannot be read");
                return Ok(0);
            }
        }
    }
    let mut freed = 0;
    for blob in all_blobs(&layout.blobs).map_err(|error| failure::unusable(&layout.blobs, &error))? {
        let is_needed =
            blob.file_name().and_then(|name| name.to_str()).is_some_and(|name| needed.contains(name));
        if !is_needed {
            let size = fs::symlink_metadata(&blob).map_or(0, |metadata| metadata.len());
            fs::remove_file(&blob).map_err(|error| failure::unwritable(&blob, &error))?;
            freed += size;
        }
    }
    let mut index = Index::read(&layout.variants());
    index.retain(|sha256, variants| {
        files.contains(sha256) && variants.iter().all(|blob| needed.contains(&blob.sha256))
    });
    if let Err(error) = index.write(&layout.variants()) {
        tracing::warn!(%error, "the index of compressed files could not be written; what it misses is compressed again");
    }
    Ok(freed)
}

fn all_blobs(blobs: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for directory in fs::read_dir(blobs)? {
        let directory = directory?;
        if directory.file_type()?.is_dir() {
            for blob in fs::read_dir(directory.path())? {
                all.push(blob?.path());
            }
        }
    }
    Ok(all)
}

/// Bytes of all files below a directory.
fn size_of(dir: &Path) -> io::Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = fs::symlink_metadata(entry.path())?;
        size += if metadata.is_dir() { size_of(&entry.path())? } else { metadata.len() };
    }
    Ok(size)
}

fn not_found(id: &ReleaseId) -> Error {
    Error::new(ErrorKind::NotFound, "CUT0213", format!("there is no release {id} in the store"))
        .hint("`cutover releases` lists those there are")
}
