//! One file in its encodings, with the headers of every answer rendered once.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue,
    header::{self, InvalidHeaderValue},
};

use super::{SiteBody, encoding::Encoding};

/// A file that names its content never changes.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Everything else belongs to one visitor's release: browsers ask each time, shared caches keep none.
const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");
/// What is said about a request, not about a file.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// The type we say is the type it is.
pub(super) const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// One file.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) html: bool,
    pub(super) fingerprinted: bool,
    /// In the order of preference: smallest first, the file as it is last.
    pub(super) representations: Vec<Representation>,
}

/// One file in one encoding.
#[derive(Debug)]
pub(super) struct Representation {
    pub(super) encoding: Encoding,
    pub(super) size: u64,
    /// Strong, with its quotes.
    pub(super) etag: HeaderValue,
    /// Headers of a 200.
    pub(super) whole: HeaderMap,
    /// Headers of a 304: those of the 200 that a cache may want to update (RFC 9110 section 15.4.5).
    pub(super) not_modified: HeaderMap,
    pub(super) content: Content,
}

/// Where the bytes are.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Memory(Bytes),
    File(Arc<Path>),
}

/// What the headers of a representation depend on.
pub(super) struct Description<'a> {
    pub(super) content_type: &'a str,
    pub(super) fingerprinted: bool,
    pub(super) encoding: Encoding,
    /// Whether the file has more than one encoding.
    pub(super) varies: bool,
    pub(super) sha256: &'a str,
    pub(super) size: u64,
}

impl Representation {
    pub(super) fn new(description: &Description<'_>, content: Content) -> Result<Self, InvalidHeaderValue> {
        // 128 bits of the digest of exactly these bytes; the suffix is for people, and for encodings that agree by accident.
        let digest = description.sha256.get(..32).unwrap_or(description.sha256);
        let etag = HeaderValue::try_from(format!("\"{digest}{}\"", description.encoding.tag_suffix()))?;

        let mut not_modified = HeaderMap::with_capacity(3);
        let cache = if description.fingerprinted { IMMUTABLE } else { REVALIDATE };
        not_modified.insert(header::CACHE_CONTROL, cache);
        not_modified.insert(header::ETAG, etag.clone());
        if description.varies {
            not_modified.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }

        let mut whole = not_modified.clone();
        whole.insert(header::CONTENT_TYPE, HeaderValue::from_str(description.content_type)?);
        if let Some(name) = description.encoding.name() {
            whole.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        whole.insert(header::CONTENT_LENGTH, HeaderValue::from(description.size));
        whole.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        whole.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        Ok(Self {
            encoding: description.encoding,
            size: description.size,
            etag,
            whole,
            not_modified,
            content,
        })
    }

    /// The tag as text. It was made from hex digits and ASCII.
    pub(super) fn etag(&self) -> &str {
        self.etag.to_str().unwrap_or_default()
    }

    /// `len` bytes from `first`, which lie within the representation.
    pub(super) fn part(&self, first: u64, len: u64) -> SiteBody {
        match &self.content {
            _ if len == 0 => SiteBody::Empty,
            Content::File(path) => SiteBody::File { path: Arc::clone(path), offset: first, len },
            Content::Memory(bytes) => {
                // In memory, so every position fits.
                let start = usize::try_from(first).unwrap_or(usize::MAX).min(bytes.len());
                let end = start.saturating_add(usize::try_from(len).unwrap_or(usize::MAX)).min(bytes.len());
                SiteBody::Memory(bytes.slice(start..end))
            }
        }
    }
}
