//! What a release is: its record, and the id that is the start of its content's digest.

use std::{collections::BTreeMap, fs, io};

use cutover_edge::manifest::{Blob, SiteManifest};
use cutover_engine::{Error, ErrorKind, config::Snapshot};
use cutover_routing::ReleaseId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    content, failure,
    layout::Layout,
    service_files::{Kind, ServiceFile},
};

/// Version of the written form.
const FORMAT: u32 = 1;
/// Characters of an id: 60 bits, so that two contents share one by accident after about a thousand million releases.
const ID_LENGTH: usize = 12;

/// `release.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    format: u32,
    pub(super) id: ReleaseId,
    /// SHA-256 over all inputs, lower-case hex.
    pub(super) digest: String,
    /// The site's files as they were found, by path.
    pub(super) inputs: Vec<Input>,
    /// The services' copies, by name of the service.
    pub(super) services: BTreeMap<String, Vec<ServiceFile>>,
    pub(super) snapshot: Snapshot,
    /// The site's files as they are served.
    pub(super) site: Option<SiteManifest>,
}

/// One file of the site before anything was done to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Input {
    pub(super) path: String,
    #[serde(flatten)]
    pub(super) blob: Blob,
    pub(super) fingerprinted: bool,
}

impl Record {
    /// A record without its site, which needs the id first.
    pub(super) fn new(
        inputs: Vec<Input>,
        services: BTreeMap<String, Vec<ServiceFile>>,
        snapshot: Snapshot,
    ) -> Result<Self, Error> {
        let digest = digest(&inputs, &services, &snapshot);
        let id = id_of(&digest).parse().map_err(|why: cutover_routing::InvalidReleaseId| {
            Error::new(ErrorKind::Internal, "CUT0599", "a digest made no release id").because(why)
        })?;
        Ok(Self { format: FORMAT, id, digest: content::hex(&digest), inputs, services, snapshot, site: None })
    }

    /// The record of a release; none where there is no such release.
    pub(super) fn read(layout: &Layout, id: &ReleaseId) -> Result<Option<Self>, Error> {
        let path = layout.record(id);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failure::unusable(&path, &error)),
        };
        let record: Self = serde_json::from_slice(&bytes).map_err(|error| damaged(id, error))?;
        if record.format != FORMAT {
            return Err(damaged(id, format!("its format {} is not known to this version", record.format)));
        }
        if record.id != *id {
            return Err(damaged(id, format!("it says it is release {}", record.id)));
        }
        Ok(Some(record))
    }

    /// Whether the record's content is what its id was made of.
    pub(super) fn is_consistent(&self) -> bool {
        let digest = digest(&self.inputs, &self.services, &self.snapshot);
        content::hex(&digest) == self.digest && id_of(&digest) == self.id.as_str()
    }

    /// Path and digest of every fingerprinted file.
    pub(super) fn fingerprinted(&self) -> impl Iterator<Item = (&str, &str)> {
        self.inputs
            .iter()
            .filter(|input| input.fingerprinted)
            .map(|input| (input.path.as_str(), input.blob.sha256.as_str()))
    }

    /// Every blob the release is served from.
    pub(super) fn blobs(&self) -> impl Iterator<Item = &Blob> {
        self.site.iter().flat_map(|site| site.files.values()).flat_map(|file| {
            [Some(&file.identity), file.br.as_ref(), file.zstd.as_ref(), file.gzip.as_ref()]
                .into_iter()
                .flatten()
        })
    }

    fn service_blobs(&self) -> impl Iterator<Item = &Blob> {
        self.services.values().flatten().filter_map(|file| match &file.kind {
            Kind::File { blob, .. } => Some(blob),
            _ => None,
        })
    }

    /// Number of files, before compression.
    pub(super) fn file_count(&self) -> u64 {
        (self.inputs.len() + self.service_blobs().count()) as u64
    }

    /// Bytes of those files.
    pub(super) fn bytes(&self) -> u64 {
        self.inputs.iter().map(|input| &input.blob).chain(self.service_blobs()).map(|blob| blob.size).sum()
    }
}

/// A release that is not what it should be.
pub(super) fn damaged(id: &ReleaseId, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Failed, "CUT0214", format!("release {id} is damaged in the store"))
        .because(why)
        .hint("stage the same content again: it heals the release")
}

/// The digest over everything a release consists of. Each part is preceded by its length, so that no two different lists of
/// parts read the same.
fn digest(inputs: &[Input], services: &BTreeMap<String, Vec<ServiceFile>>, snapshot: &Snapshot) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(b"cutover release 1");
    part(&(inputs.len() as u64).to_le_bytes());
    for input in inputs {
        part(input.path.as_bytes());
        part(input.blob.sha256.as_bytes());
        part(if input.fingerprinted { b"fingerprinted" } else { b"" });
    }
    part(&(services.len() as u64).to_le_bytes());
    for (name, files) in services {
        part(name.as_bytes());
        part(&(files.len() as u64).to_le_bytes());
        for file in files {
            part(file.name.as_bytes());
            match &file.kind {
                Kind::Directory => part(b"directory"),
                Kind::File { executable, blob } => {
                    part(if *executable { b"executable" } else { b"file" });
                    part(blob.sha256.as_bytes());
                }
                Kind::Link { target } => {
                    part(b"link");
                    part(target.as_bytes());
                }
            }
        }
    }
    part(&snapshot.canonical_bytes());
    hasher.finalize().into()
}

/// The start of a digest in base 32 (the alphabet of RFC 4648, in lower case).
fn id_of(digest: &[u8; 32]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bits = digest.iter().take(8).fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
    (0..ID_LENGTH).map(|place| char::from(ALPHABET[(bits >> (59 - 5 * place)) as usize & 31])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_start_of_the_digest_in_base_32() {
        assert_eq!(id_of(&[0; 32]), "aaaaaaaaaaaa");
        assert_eq!(id_of(&[0xff; 32]), "777777777777");
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(b"cutover!");
        assert_eq!(id_of(&digest), "mn2xi33wmvzc", "as `base32` writes these bytes");
        digest[20] = 1;
        assert_eq!(id_of(&digest), "mn2xi33wmvzc", "the rest does not matter");
    }
}
