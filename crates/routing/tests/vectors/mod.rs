//! Conformance vectors: their form, and the precedence matrix, which is generated.

pub(crate) mod form;
pub(crate) mod matrix;

use std::path::PathBuf;

/// `conformance/` at the root of the repository.
pub(crate) fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../conformance")
}
