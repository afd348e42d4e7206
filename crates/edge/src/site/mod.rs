//! Static files of one release, answered from what staging prepared.
//!
//! A [`Site`] is immutable, knows nothing of sockets, and never blocks: it says *which* bytes and headers answer a
//! request, and whoever owns the connection sends them. What it promises:
//!
//! * documents, directory indexes and the fallback are found by one look-up in a table that is complete before the first
//!   request ([`resolve`]); a path that looks like an asset and is nowhere is [`SiteAnswer::Missing`], never the fallback;
//! * the smallest encoding the client accepts is chosen by `Accept-Encoding` ([`encoding`], RFC 9110 section 12.5.3), and
//!   every encoding has a strong entity tag of its own;
//! * preconditions and single ranges follow RFC 9110 sections 13 and 14 ([`precondition`], [`range`]);
//! * files that name their content are `immutable`, everything else has to be asked for again each time.
//!
//! There is no `Last-Modified`: content-addressed files have no date that means anything, and a rollback would make it go
//! backwards. `If-Modified-Since` and `If-Unmodified-Since` are therefore ignored, as RFC 9110 section 13.1.3 and 13.1.4
//! require of a resource without a modification date, and an `If-Range` with a date never matches.

mod answer;
mod encoding;
mod load;
mod precondition;
mod range;
mod representation;
mod resolve;

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

pub(crate) use answer::ESCAPED_IN_PATH;
pub use load::LoadError;
pub use resolve::looks_like_asset;

use representation::Resource;
use resolve::Paths;

/// The static files of one release, ready to be served.
#[derive(Debug)]
pub struct Site {
    resources: Vec<Resource>,
    paths: Paths,
    fallback: Option<usize>,
    memory: u64,
}

/// What a request asks of a site.
#[derive(Debug, Clone, Copy)]
pub struct SiteRequest<'a> {
    /// The method. Files answer GET and HEAD.
    pub method: &'a Method,
    /// The path, normalised and percent-decoded, without the query.
    pub path: &'a str,
    /// The query as it came, without `?`; redirects keep it.
    pub query: &'a str,
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// Whether a document for a tab is wanted: only then the fallback answers.
    pub navigation: bool,
    /// Ignore the preconditions a cache would be revalidated with, because the visitor's copy may be another release's.
    pub strip_conditionals: bool,
    /// Answer with fingerprinted files only, by their exact path: how other releases' files are looked for.
    pub fingerprinted_only: bool,
}

/// What a site answers.
#[derive(Debug)]
pub enum SiteAnswer {
    /// A file, or the reason why this request may not have it (304, 405, 412, 416).
    Found(SiteResponse),
    /// The path is a directory without its slash: go to this path and query. It holds for this release only, so it must not
    /// be sent as permanent.
    Redirect(String),
    /// No such file.
    Missing,
}

/// A response without the headers of the release, which the edge adds.
#[derive(Debug)]
pub struct SiteResponse {
    /// Its status.
    pub status: StatusCode,
    /// All its headers that depend on the file, `Content-Length` included where a response has one.
    pub headers: HeaderMap,
    /// What to send; empty for HEAD.
    pub body: SiteBody,
    /// Whether the file is a document.
    pub html: bool,
    /// Whether the file's path names its content.
    pub fingerprinted: bool,
}

/// The bytes of a response.
#[derive(Debug, Clone)]
pub enum SiteBody {
    /// None.
    Empty,
    /// In memory.
    Memory(Bytes),
    /// A part of a file.
    File {
        /// The file, immutable.
        path: Arc<Path>,
        /// First byte to send.
        offset: u64,
        /// Number of bytes to send.
        len: u64,
    },
}

impl Site {
    /// Number of files.
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether there is no file at all.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// Bytes of file content held in memory.
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// The paths of all fingerprinted files, for an index over several releases.
    pub fn fingerprinted_paths(&self) -> impl Iterator<Item = &str> {
        self.paths.files().filter(|(_, file)| self.resources[*file].fingerprinted).map(|(path, _)| path)
    }
}
