//! Staging: from an app description to a release in the store.
//!
//! First everything is looked at and nothing is written; then everything is prepared in a directory of its own; at last
//! it is moved into place, and the very last move is the one that makes the release exist. Whatever goes wrong, or is
//! killed, before that move leaves the store's releases as they were.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use cutover_engine::{
    Error, ErrorKind,
    config::{AppConfig, Source},
    control::Progress,
};
use cutover_routing::ReleaseId;

use super::{
    Staged, content, failure,
    layout::{self, Layout, Work},
    ledger::Ledger,
    publish::{self, Prepared},
    record::{Input, Record},
    service_files::{self, ServiceInput},
    site_files::{self, SiteInput},
    variants::Index,
};

/// Stages what `config` describes, the state directory left out wherever it lies.
pub(super) fn stage(
    layout: &Layout,
    config: &AppConfig,
    state_dir: &Path,
    progress: &Progress,
) -> Result<Staged, Error> {
    let _staging = layout.staging().map_err(|error| failure::unusable(&layout.state, &error))?;
    let mut states = vec![layout.state.clone()];
    states.extend(state_dir.canonicalize());
    let looked = look(&states, config, progress)?;
    let mut record = looked.record()?;
    let id = record.id;

    let damaged = match standing(layout, &record) {
        Standing::Intact => return Ok(existing(&record, progress)),
        Standing::Collision(other) => return Err(collision(&id, &other)),
        Standing::Damaged => true,
        Standing::Absent => false,
    };
    if damaged {
        progress.say(format!("release {id} is damaged in the store; it is made again"));
    }
    let now = now();
    Ledger::read(&layout.ledger())?.check(record.fingerprinted(), now)?;

    let work = Work::create(layout).map_err(|error| failure::unwritable(&layout.work, &error))?;
    let (prepared, services) = prepare(layout, &work, config, &looked, &mut record, progress)?;
    layout::settle(&work.dir).map_err(|error| failure::unwritable(&work.dir, &error))?;
    if !commit(layout, &work, &record, prepared, now)? {
        return Ok(existing(&record, progress));
    }
    let release =
        format!("release {id}: {}, {}", counted(record.file_count(), "file"), human_bytes(record.bytes()));
    progress.say(if services == 0 { release } else { format!("{release}, services copied: {services}") });
    Ok(Staged { id, created: true, files: record.file_count(), bytes: record.bytes() })
}

/// What was found.
struct Looked {
    site: Option<Vec<SiteInput>>,
    services: BTreeMap<String, ServiceInput>,
    snapshot: cutover_engine::config::Snapshot,
}

fn look(states: &[PathBuf], config: &AppConfig, progress: &Progress) -> Result<Looked, Error> {
    let site = match &config.site {
        None => None,
        Some(site) => {
            let inputs = site_files::look(config, site, states, progress)?;
            let bytes = inputs.iter().map(|input| input.blob.size).sum();
            let fingerprinted = inputs.iter().filter(|input| input.fingerprinted).count();
            progress.say(format!(
                "site: {}, {}, {fingerprinted} fingerprinted",
                counted(inputs.len() as u64, "file"),
                human_bytes(bytes)
            ));
            Some(inputs)
        }
    };
    let mut services = BTreeMap::new();
    for service in &config.services {
        if let Source::Process { dir, .. } = &service.source {
            let input = service_files::look(&service.name, dir, states, progress)?;
            progress.say(format!("service {}: {} files and directories", service.name, input.files.len()));
            services.insert(service.name.clone(), input);
        }
    }
    Ok(Looked { site, services, snapshot: config.snapshot() })
}

impl Looked {
    fn record(&self) -> Result<Record, Error> {
        let inputs = self.site.iter().flatten().map(|input| Input {
            path: input.path.clone(),
            blob: input.blob.clone(),
            fingerprinted: input.fingerprinted,
        });
        let services =
            self.services.iter().map(|(name, service)| (name.clone(), service.files.clone())).collect();
        Record::new(inputs.collect(), services, self.snapshot.clone())
    }
}

/// How a release stands in the store.
enum Standing {
    Absent,
    Intact,
    Damaged,
    /// Another content has this id; its digest.
    Collision(String),
}

fn standing(layout: &Layout, record: &Record) -> Standing {
    match Record::read(layout, &record.id) {
        Ok(None) if !layout.release(&record.id).exists() => Standing::Absent,
        Ok(Some(there)) if there.digest != record.digest => Standing::Collision(there.digest),
        Ok(Some(there)) if !there.is_consistent() => Standing::Damaged,
        Ok(Some(there)) => {
            let blobs = there.blobs().all(|blob| content::is_intact(&layout.blobs, blob));
            let services = there.services.iter().all(|(name, files)| {
                let copy = layout.release(&record.id).join("services").join(name);
                matches!(service_files::difference(&copy, files), Ok(None))
            });
            if blobs && services { Standing::Intact } else { Standing::Damaged }
        }
        Ok(None) | Err(_) => Standing::Damaged,
    }
}

fn existing(record: &Record, progress: &Progress) -> Staged {
    progress.say(format!("release {} was staged before with the same content", record.id));
    Staged { id: record.id, created: false, files: record.file_count(), bytes: record.bytes() }
}

fn collision(id: &ReleaseId, other: &str) -> Error {
    Error::new(
        ErrorKind::Refused,
        "CUT0209",
        format!("release id {id} belongs to other content already; nothing was staged"),
    )
    .because(format!("the digest of the release in the store is {other}"))
    .hint("change anything in the app, a comment will do, and stage again")
}

/// Makes the whole release in the work directory; returns the number of services copied too.
fn prepare(
    layout: &Layout,
    work: &Work,
    config: &AppConfig,
    looked: &Looked,
    record: &mut Record,
    progress: &Progress,
) -> Result<(Prepared, usize), Error> {
    let prepared = publish::prepare(layout, work, config, looked.site.as_deref(), &record.id, progress)?;
    record.site.clone_from(&prepared.site);
    let release = work.dir.join("release");
    let services = release.join("services");
    fs::create_dir_all(&services).map_err(|error| failure::unwritable(&services, &error))?;
    for (name, input) in &looked.services {
        service_files::copy(input, &services.join(name))?;
    }
    let path = release.join("release.json");
    let written = serde_json::to_vec(&record)
        .map_err(io::Error::from)
        .and_then(|json| layout::replace_file(&path, &json));
    written
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o400)))
        .map_err(|error| failure::unwritable(&path, &error))?;
    Ok((prepared, looked.services.len()))
}

/// Makes the release exist. False where another stage did so in the meantime.
fn commit(
    layout: &Layout,
    work: &Work,
    record: &Record,
    prepared: Prepared,
    now: u64,
) -> Result<bool, Error> {
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| failure::unwritable(&path, &error)
    };
    let _committing = layout.committing().map_err(|error| failure::unusable(&layout.state, &error))?;
    let release = layout.release(&record.id);
    match standing(layout, record) {
        Standing::Intact => return Ok(false),
        Standing::Collision(other) => return Err(collision(&record.id, &other)),
        Standing::Damaged | Standing::Absent => {}
    }
    // Checked again: another stage may have committed since.
    let mut ledger = Ledger::read(&layout.ledger())?;
    ledger.check(record.fingerprinted(), now)?;
    prepared.blobs.commit().map_err(unwritable(&layout.blobs))?;
    // Before the release exists: an entry too many refuses too much, an entry too few is never noticed.
    let retained = super::keep::records(layout);
    ledger.note(retained.iter().flat_map(Record::fingerprinted).chain(record.fingerprinted()), now);
    ledger.write(&layout.ledger())?;
    let mut index = Index::read(&layout.variants());
    index.add(prepared.variants);
    index.write(&layout.variants()).map_err(unwritable(&layout.variants()))?;
    layout::settle(&layout.blobs).map_err(unwritable(&layout.blobs))?;
    if release.exists() {
        fs::rename(&release, work.dir.join("damaged")).map_err(unwritable(&release))?;
    }
    fs::rename(work.dir.join("release"), &release).map_err(unwritable(&release))?;
    fs::File::open(&layout.releases).and_then(|dir| dir.sync_all()).map_err(unwritable(&layout.releases))?;
    Ok(true)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A number of things, for a person.
pub(super) fn counted(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Bytes for a person.
pub(super) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut tenths, mut unit) = (bytes.saturating_mul(10) / 1024, 0);
    while tenths >= 10240 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1024, unit + 1);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::human_bytes;

    #[test]
    fn bytes_are_shown_in_a_fitting_unit() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "1677721.5 TiB"),
        ] {
            assert_eq!(human_bytes(bytes), shown);
        }
    }
}
