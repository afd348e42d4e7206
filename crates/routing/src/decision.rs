//! What `decide` says.

use crate::{Kind, Pin, PreviewToken, ReleaseId};

/// What to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What to do.
    pub action: Action,
    /// The rule that chose.
    pub reason: Reason,
    /// What kind of request it is.
    pub kind: Kind,
    /// The visitor's bucket, where one is known or was drawn.
    pub bucket: Option<u16>,
    /// A pin for the visitor; to be sent only on HTML answers below 400 that are no attachments, on redirects, and on a
    /// service worker's script.
    pub set_pin: Option<Pin>,
    /// Send the cookie that clears the preview.
    pub clear_preview: bool,
    /// Send `x-cutover-stale: 1`.
    pub stale: bool,
    /// Drop `If-None-Match` and `If-Modified-Since`.
    pub strip_conditionals: bool,
    /// A known bot or tool: counted apart.
    pub bot: bool,
}

/// What to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Serve from a release.
    Serve {
        /// The release.
        release: ReleaseId,
    },
    /// Serve a static, non-HTML file of a release named in the path; else 404. The method is GET or HEAD. With reason
    /// [`Reason::Preview`] the release was reached by token only: `no-store`.
    Path {
        /// The release.
        release: ReleaseId,
        /// Offset in the path where the rest begins, which starts with `/`.
        rest: usize,
    },
    /// Serve a preview: `no-store`, `noindex`.
    Preview {
        /// The release.
        release: ReleaseId,
        /// The verified token.
        token: PreviewToken,
    },
    /// The preview is over: a page for navigations, 410 for the rest.
    PreviewEnded {
        /// Why.
        why: PreviewEnd,
    },
    /// 404, `no-store`.
    NotFound,
    /// 503: there is no release yet.
    NoRelease,
}

impl PreviewEnd {
    /// A stable word for logs and conformance vectors.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl Action {
    /// A stable word for logs and conformance vectors.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Serve { .. } => "serve",
            Self::Path { .. } => "path",
            Self::Preview { .. } => "preview",
            Self::PreviewEnded { .. } => "preview-ended",
            Self::NotFound => "not-found",
            Self::NoRelease => "no-release",
        }
    }

    /// The release that answers, if one does.
    pub fn release(&self) -> Option<ReleaseId> {
        match self {
            Self::Serve { release } | Self::Path { release, .. } | Self::Preview { release, .. } => {
                Some(*release)
            }
            Self::PreviewEnded { .. } | Self::NotFound | Self::NoRelease => None,
        }
    }
}

/// Why a properly signed preview is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PreviewEnd {
    /// The token's time is over.
    Expired,
    /// The table does not know the release.
    Unknown,
    /// The release is closed.
    Withdrawn,
}

/// The rule that chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The path names the release.
    Path,
    /// A preview token.
    Preview,
    /// A preview token that is over.
    PreviewEnded,
    /// The document's hint header.
    Hint,
    /// The pin, which is where the table would send the visitor as well, or not a navigation.
    Pin,
    /// The pin's release serves nobody any more; the bucket decided.
    Stale,
    /// No cookie and not a navigation: the default.
    Default,
    /// No cookie and not a navigation: drawn for this request.
    Split,
    /// An audience rule.
    Audience,
    /// A known bot or tool: the default.
    Bot,
    /// A visitor without a pin; the bucket was drawn.
    New,
    /// The visitor leaves their release for the one their bucket belongs to.
    Moved,
    /// The pin is newer than this table: the edge is behind.
    NewerPin,
    /// The pin was kept because of the path.
    Keep,
    /// The pin was kept by policy `sticky`.
    Sticky,
    /// The pin was kept by policy `entry`.
    Entry,
    /// There is no release to serve.
    NoRelease,
}

impl Reason {
    /// The word for `x-cutover-reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Preview => "preview",
            Self::PreviewEnded => "preview-ended",
            Self::Hint => "hint",
            Self::Pin => "pin",
            Self::Stale => "stale",
            Self::Default => "default",
            Self::Split => "split",
            Self::Audience => "audience",
            Self::Bot => "bot",
            Self::New => "new",
            Self::Moved => "moved",
            Self::NewerPin => "newer-pin",
            Self::Keep => "keep",
            Self::Sticky => "sticky",
            Self::Entry => "entry",
            Self::NoRelease => "no-release",
        }
    }
}
