//! The state directory before the controller has it.

use std::{
    fs::{DirBuilder, File, TryLockError},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use cutover_engine::{Error, ErrorKind};

use super::control_file::ControlFile;

/// True where a controller has this directory.
pub(crate) fn in_use(state: &Path) -> bool {
    let Ok(lock) = File::open(state.join("lock")) else { return false };
    matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Holds the directory where no controller does; none where that cannot be.
pub(super) fn hold(state: &Path) -> Option<File> {
    let lock =
        File::options().read(true).write(true).create(true).truncate(false).open(state.join("lock")).ok()?;
    lock.try_lock().ok()?;
    Some(lock)
}

/// Refuses where another `up` has this directory, before anything is opened: the controller, which takes the lock for
/// good, comes after the addresses, and of a second `up` this is the better thing to say than that a port is taken.
///
/// # Errors
/// When the directory is in use.
pub(super) fn refuse_a_second(state: &Path) -> Result<(), Error> {
    if !in_use(state) {
        return Ok(());
    }
    let mut error =
        Error::new(ErrorKind::Refused, "CUT0918", format!("another cutover up has {}", state.display()));
    if let Ok(Some(control)) = ControlFile::read(state) {
        error = error
            .because(format!("process {} serves it and takes commands at {}", control.pid, control.addr));
    }
    Err(error
        .hint("cutover status and the other verbs talk to the one that runs")
        .hint("--state DIR gives another app a directory of its own"))
}

/// Makes the directory where it is missing, for its owner only.
///
/// # Errors
/// When it cannot be made.
pub(super) fn prepare(state: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(state).map_err(|error| {
        Error::new(
            ErrorKind::Failed,
            "CUT0916",
            format!("cannot make the state directory {}", state.display()),
        )
        .because(error)
        .hint("--state DIR names another place")
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_held_lock_refuses_and_a_free_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        refuse_a_second(dir.path()).unwrap();
        let held = File::create(dir.path().join("lock")).unwrap();
        refuse_a_second(dir.path()).unwrap();
        held.try_lock().unwrap();
        ControlFile { addr: "127.0.0.1:9400".to_owned(), pid: 42 }.write(dir.path()).unwrap();
        let error = refuse_a_second(dir.path()).unwrap_err();
        assert_eq!(error.code, "CUT0918");
        assert!(error.causes[0].contains("process 42"), "{error}");
    }

    #[test]
    fn the_directory_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("a/state");
        prepare(&state).unwrap();
        prepare(&state).unwrap();
        assert_eq!(std::fs::metadata(state).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
