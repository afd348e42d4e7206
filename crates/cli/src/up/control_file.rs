//! `control.json`: how the other verbs find the controller of a state directory.

use std::path::{Path, PathBuf};

use cutover_engine::{Error, ErrorKind, control::Result};
use serde::{Deserialize, Serialize};

/// The running controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ControlFile {
    /// Address of the control API.
    pub(crate) addr: String,
    /// Process of `cutover up`.
    pub(crate) pid: u32,
}

impl ControlFile {
    fn path(state: &Path) -> PathBuf {
        state.join("control.json")
    }

    /// The file's content; none where no `up` has run on this state directory, or it ended in order.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub(crate) fn read(state: &Path) -> Result<Option<Self>> {
        let path = Self::path(state);
        let trouble = |why: String| {
            Error::new(ErrorKind::Failed, "CUT0915", format!("cannot read {}", path.display())).because(why)
        };
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| trouble(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(trouble(error.to_string())),
        }
    }

    /// Writes the file at once or not at all.
    ///
    /// # Errors
    /// When the state directory cannot be written.
    pub(crate) fn write(&self, state: &Path) -> Result<()> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        super::secret::write(&Self::path(state), &text)
    }

    /// Removes the file; it is not an error when it is gone already.
    pub(crate) fn remove(state: &Path) {
        let _ = std::fs::remove_file(Self::path(state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(ControlFile::read(dir.path()).unwrap(), None);
        let control = ControlFile { addr: "127.0.0.1:9400".to_owned(), pid: 7 };
        control.write(dir.path()).unwrap();
        assert_eq!(ControlFile::read(dir.path()).unwrap(), Some(control));
        ControlFile::remove(dir.path());
        assert_eq!(ControlFile::read(dir.path()).unwrap(), None);
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("control.json"), "{").unwrap();
        let error = ControlFile::read(dir.path()).unwrap_err();
        assert!(error.message.contains("control.json"), "{error}");
    }
}
