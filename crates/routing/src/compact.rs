//! The compact form of a table, for edges whose stores hold a kilobyte.
use crate::{Table, TableError};

impl Table {
    /// The compact form.
    pub fn to_compact(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the compact form.
    ///
    /// # Errors
    /// Unknown version, malformed or invalid.
    pub fn from_compact(text: &str) -> Result<Self, TableError> {
        serde_json::from_str(text).map_err(|error| TableError::Compact(error.to_string()))
    }

    /// Digest.
    pub fn digest(&self) -> String {
        crate::hash::fnv1a32(&self.to_compact()).to_string()
    }
}
