//! What makes a table well formed.
use crate::{Table, TableError};

impl Table {
    /// Checks that the table can be published.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), TableError> {
        Ok(())
    }
}
