//! The legs of the edge: HTTP on the wire, towards visitors and towards upstreams.
//!
//! The only modules that name the HTTP library. What is between them sees heads of the `http` crate, [`Inbound`] and
//! [`crate::body::Body`], so that a leg can be replaced by a codec of our own.

pub(crate) mod client;
mod guard;
pub(crate) mod server;
mod wire;

pub(crate) use server::Inbound;
pub(crate) use wire::Wire;

/// Why it cannot be told where a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ambiguity {
    /// `Content-Length` and `Transfer-Encoding`.
    LengthAndCoding,
    /// `Content-Length` twice, or not a number.
    Length,
    /// A `Transfer-Encoding` other than one `chunked`.
    Coding,
    /// A field continued on the next line.
    Folding,
    /// A line that does not end in CR LF.
    LineEnd,
    /// A malformed chunk.
    Chunks,
    /// A head that is too long.
    Head,
}

impl Ambiguity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::LengthAndCoding => "Content-Length together with Transfer-Encoding",
            Self::Length => "Content-Length is repeated or no number",
            Self::Coding => "Transfer-Encoding is not exactly 'chunked'",
            Self::Folding => "a header is continued on the next line",
            Self::LineEnd => "a line does not end in CR LF",
            Self::Chunks => "a chunk is malformed",
            Self::Head => "the head is too long",
        }
    }
}
