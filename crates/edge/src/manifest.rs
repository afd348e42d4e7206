//! The site of a release as staging wrote it and the edge serves it.
//!
//! Everything that can be known before the first request is known here: type, digest, encodings, whether a path is
//! fingerprinted. The edge adds nothing per request but the choice among what is listed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All static files of one release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteManifest {
    /// URL path, percent-decoded and starting with `/`, to the file behind it.
    pub files: BTreeMap<String, SiteFile>,
    /// The file that answers navigations to paths nobody owns (a single-page app's shell), e.g. `/index.html`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

/// One static file in all its encodings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteFile {
    /// Value of `Content-Type`.
    pub content_type: String,
    /// True where the path names its content (a content hash), so that it may be cached for ever.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fingerprinted: bool,
    /// True for documents.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub html: bool,
    /// The bytes as they are.
    pub identity: Blob,
    /// Brotli, where it is smaller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub br: Option<Blob>,
    /// Zstandard, where it is smaller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zstd: Option<Blob>,
    /// gzip, where it is smaller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gzip: Option<Blob>,
}

/// Content-addressed bytes: the file `<blobs>/<first two hex digits>/<sha256 in hex>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Blob {
    /// SHA-256 in lower-case hex.
    pub sha256: String,
    /// Length in bytes.
    pub size: u64,
}

impl Blob {
    /// Where the blob lies below the directory of all blobs.
    pub fn path(&self, blobs: &std::path::Path) -> std::path::PathBuf {
        blobs.join(self.sha256.get(..2).unwrap_or("xx")).join(&self.sha256)
    }
}
