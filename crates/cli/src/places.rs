//! Finds the app's description and its state directory.

use std::path::{Path, PathBuf};

use cutover_engine::{Error, ErrorKind};

use crate::failure::Failure;

/// Name of the app's description.
pub(crate) const CONFIG: &str = "cutover.toml";
/// Name of the state directory beside it.
pub(crate) const STATE: &str = ".cutover";

/// Where things are; both paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// The description; it may be missing where only `--state` was given.
    pub(crate) config: PathBuf,
    /// The state directory; it may not exist yet.
    pub(crate) state: PathBuf,
}

impl Places {
    /// The description is `--config`, or the nearest `cutover.toml` from the current folder upwards; the state is
    /// `--state`, or `.cutover` beside the description.
    ///
    /// # Errors
    /// When there is no description and `--state` was not given.
    pub(crate) fn find(config: Option<&Path>, state: Option<&Path>) -> Result<Self, Failure> {
        let here = std::env::current_dir().map_err(|error| {
            Error::new(ErrorKind::Failed, "CUT0901", "cannot read the current folder").because(error)
        })?;
        Self::find_from(&here, config, state)
    }

    fn find_from(here: &Path, config: Option<&Path>, state: Option<&Path>) -> Result<Self, Failure> {
        let config = match config {
            Some(file) => Some(absolute(here, file)),
            None => here.ancestors().map(|folder| folder.join(CONFIG)).find(|file| file.is_file()),
        };
        match (config, state) {
            (Some(config), Some(state)) => Ok(Self { config, state: absolute(here, state) }),
            (Some(config), None) => {
                let state = config.parent().unwrap_or(here).join(STATE);
                Ok(Self { config, state })
            }
            (None, Some(state)) => Ok(Self { config: here.join(CONFIG), state: absolute(here, state) }),
            (None, None) => Err(Error::new(
                ErrorKind::Invalid,
                "CUT0902",
                format!("no {CONFIG} in {} or a folder above", here.display()),
            )
            .hint("cutover init writes one")
            .hint("--config FILE names one elsewhere")
            .into()),
        }
    }
}

/// Makes a path absolute without asking the disk, dropping `.` and resolving leading `..` by name.
fn absolute(here: &Path, path: &Path) -> PathBuf {
    std::path::absolute(here.join(path)).unwrap_or_else(|_| here.join(path)).components().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_description_upwards_is_taken_and_state_lies_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(dir.path().join(CONFIG), "").unwrap();
        let places = Places::find_from(&inner, None, None).unwrap();
        assert_eq!(places.config, dir.path().join(CONFIG));
        assert_eq!(places.state, dir.path().join(STATE));
    }

    #[test]
    fn options_win_and_are_made_absolute() {
        let here = Path::new("/srv/app");
        let places =
            Places::find_from(here, Some(Path::new("conf/x.toml")), Some(Path::new("state"))).unwrap();
        assert_eq!(places.config, Path::new("/srv/app/conf/x.toml"));
        assert_eq!(places.state, Path::new("/srv/app/state"));
    }

    #[test]
    fn without_a_description_the_error_says_how_to_get_one() {
        let dir = tempfile::tempdir().unwrap();
        let failure = Places::find_from(dir.path(), None, None).unwrap_err();
        assert_eq!(failure.errors[0].code, "CUT0902");
        assert!(failure.errors[0].hints[0].contains("cutover init"));
    }
}
