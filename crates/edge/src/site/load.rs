//! From a manifest to a [`Site`]: small files are read into memory, all others are checked to be there.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{
    Site,
    encoding::Encoding,
    representation::{Content, Description, Representation, Resource},
    resolve::Paths,
};
use crate::manifest::{Blob, SiteFile, SiteManifest};

/// Larger files are never held in memory: for them the cost of opening a file is nothing beside that of sending it.
const LARGEST_IN_MEMORY: u64 = 512 * 1024;

/// Why a site cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A blob cannot be read.
    #[error("the content of {path} cannot be read from {}", blob.display())]
    Unreadable {
        /// The URL path.
        path: String,
        /// The blob's file.
        blob: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A blob is not what its name says.
    #[error("the content of {path} in {} is damaged: {problem}", blob.display())]
    Damaged {
        /// The URL path.
        path: String,
        /// The blob's file.
        blob: PathBuf,
        /// In what way.
        problem: &'static str,
    },
    /// The manifest itself is wrong.
    #[error("the manifest's entry for {path} is wrong: {problem}")]
    Manifest {
        /// The URL path.
        path: String,
        /// In what way.
        problem: &'static str,
    },
}

impl Site {
    /// Loads a site whose blobs lie below `blobs`, holding at most `memory_limit` bytes of content in memory: the smallest
    /// files first, because they profit most. What is read is checked against its digest, the rest against its size. Blocks.
    ///
    /// # Errors
    /// Where a blob is missing, unreadable or damaged, or the manifest contradicts itself. Nothing is kept then.
    pub fn load(manifest: &SiteManifest, blobs: &Path, memory_limit: u64) -> Result<Self, LoadError> {
        let (contents, memory) = read_contents(manifest, blobs, memory_limit)?;
        let resources = manifest
            .files
            .iter()
            .map(|(path, file)| resource(path, file, &contents))
            .collect::<Result<Vec<_>, _>>()?;
        let fallback = match &manifest.fallback {
            None => None,
            Some(fallback) => {
                Some(manifest.files.keys().position(|path| path == fallback).ok_or_else(|| {
                    LoadError::Manifest {
                        path: fallback.clone(),
                        problem: "it is the fallback, but no such file exists",
                    }
                })?)
            }
        };
        Ok(Self { resources, paths: Paths::of(manifest.files.keys().map(String::as_str)), fallback, memory })
    }
}

/// The encodings of a file in the manifest.
fn encodings(file: &SiteFile) -> impl Iterator<Item = (Encoding, &Blob)> {
    [
        (Encoding::Brotli, file.br.as_ref()),
        (Encoding::Zstd, file.zstd.as_ref()),
        (Encoding::Gzip, file.gzip.as_ref()),
        (Encoding::Identity, Some(&file.identity)),
    ]
    .into_iter()
    .filter_map(|(encoding, blob)| blob.map(|blob| (encoding, blob)))
}

/// Every blob once, by digest, and the bytes that are held in memory.
fn read_contents<'a>(
    manifest: &'a SiteManifest,
    blobs: &Path,
    memory_limit: u64,
) -> Result<(HashMap<&'a str, Content>, u64), LoadError> {
    let mut wanted: Vec<(&Blob, &str)> = manifest
        .files
        .iter()
        .flat_map(|(path, file)| encodings(file).map(move |(_, blob)| (blob, path.as_str())))
        .collect();
    wanted.sort_by_key(|(blob, _)| (blob.size, &blob.sha256));
    wanted.dedup_by_key(|(blob, _)| *blob);
    let mut contents = HashMap::with_capacity(wanted.len());
    let mut memory = 0;
    for (blob, path) in wanted {
        if !is_sha256(&blob.sha256) {
            return Err(LoadError::Manifest {
                path: path.to_owned(),
                problem: "a digest is not 64 lower-case hex digits",
            });
        }
        let in_memory = blob.size <= LARGEST_IN_MEMORY && memory + blob.size <= memory_limit;
        let content = if in_memory { read(blob, blobs, path)? } else { check(blob, blobs, path)? };
        if in_memory {
            memory += blob.size;
        }
        if contents.insert(blob.sha256.as_str(), content).is_some() {
            return Err(LoadError::Manifest {
                path: path.to_owned(),
                problem: "a digest is listed with two sizes",
            });
        }
    }
    Ok((contents, memory))
}

fn read(blob: &Blob, blobs: &Path, path: &str) -> Result<Content, LoadError> {
    let file = blob.path(blobs);
    let bytes = fs::read(&file).map_err(|source| unreadable(path, &file, source))?;
    if bytes.len() as u64 != blob.size {
        return Err(LoadError::Damaged { path: path.to_owned(), blob: file, problem: "its length is wrong" });
    }
    if !Sha256::digest(&bytes)
        .iter()
        .zip(hex_bytes(&blob.sha256))
        .all(|(actual, expected)| *actual == expected)
    {
        return Err(LoadError::Damaged { path: path.to_owned(), blob: file, problem: "its digest is wrong" });
    }
    Ok(Content::Memory(Bytes::from(bytes)))
}

fn check(blob: &Blob, blobs: &Path, path: &str) -> Result<Content, LoadError> {
    let file = blob.path(blobs);
    let opened = fs::File::open(&file).map_err(|source| unreadable(path, &file, source))?;
    let metadata = opened.metadata().map_err(|source| unreadable(path, &file, source))?;
    if !metadata.is_file() {
        return Err(LoadError::Damaged { path: path.to_owned(), blob: file, problem: "it is no file" });
    }
    if metadata.len() != blob.size {
        return Err(LoadError::Damaged { path: path.to_owned(), blob: file, problem: "its length is wrong" });
    }
    Ok(Content::File(Arc::from(file)))
}

fn unreadable(path: &str, blob: &Path, source: io::Error) -> LoadError {
    LoadError::Unreadable { path: path.to_owned(), blob: blob.to_owned(), source }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The bytes that hex digits stand for.
fn hex_bytes(digits: &str) -> impl Iterator<Item = u8> {
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |value, digit| (value << 4) | (digit_value(*digit))))
}

fn digit_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit.wrapping_sub(b'a').wrapping_add(10) & 0xf,
    }
}

fn resource(path: &str, file: &SiteFile, contents: &HashMap<&str, Content>) -> Result<Resource, LoadError> {
    let wrong = |problem| LoadError::Manifest { path: path.to_owned(), problem };
    if !path.starts_with('/') {
        return Err(wrong("it does not start with '/'"));
    }
    let varies = encodings(file).count() > 1;
    let mut representations = encodings(file)
        .map(|(encoding, blob)| {
            let content = contents.get(blob.sha256.as_str()).ok_or_else(|| wrong("a blob was not loaded"))?;
            let description = Description {
                content_type: &file.content_type,
                fingerprinted: file.fingerprinted,
                encoding,
                varies,
                sha256: &blob.sha256,
                size: blob.size,
            };
            Representation::new(&description, content.clone())
                .map_err(|_| wrong("its content type is no header value"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    // Smallest first; the file as it is stays last, because it is what everybody understands.
    representations
        .sort_by_key(|representation| (representation.encoding == Encoding::Identity, representation.size));
    Ok(Resource { html: file.html, fingerprinted: file.fingerprinted, representations })
}
