//! The store's errors: one function for each thing that goes wrong with a file, so that all of them read alike.

use std::{io, path::Path};

use cutover_engine::{Error, ErrorKind};

/// Something to be staged cannot be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Error {
    let unreadable =
        Error::new(ErrorKind::Invalid, "CUT0201", format!("cannot read {} to stage it", path.display()))
            .because(error);
    match error.kind() {
        io::ErrorKind::PermissionDenied => unreadable
            .hint("make it readable for the user that runs `cutover up`, or move it out of the directory"),
        io::ErrorKind::NotFound => {
            unreadable.hint("it vanished while it was being staged: stage again when the build is done")
        }
        _ => unreadable,
    }
}

/// The store's own files cannot be written.
pub(super) fn unwritable(path: &Path, error: &io::Error) -> Error {
    use io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let failed = Error::new(
        ErrorKind::Failed,
        "CUT0208",
        format!("cannot write {}; nothing was staged", path.display()),
    )
    .because(error);
    match error.kind() {
        StorageFull | QuotaExceeded => failed
            .hint("make room on the disk, or retire releases that are no longer needed: `cutover releases`, `cutover retire RELEASE`")
            .hint("keep the state on a larger disk: `cutover up --state DIR`"),
        FileTooLarge => failed.hint("raise the limit on file sizes of the user that runs `cutover up` (`ulimit -f`)"),
        PermissionDenied | ReadOnlyFilesystem => failed.hint("the state directory must be writable for the user that runs `cutover up`"),
        _ => failed,
    }
}

/// The store's own files cannot be read.
pub(super) fn unusable(path: &Path, error: &io::Error) -> Error {
    let failed = Error::new(
        ErrorKind::Failed,
        "CUT0215",
        format!("cannot use {} of the release store", path.display()),
    )
    .because(error);
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            failed.hint("the state directory must belong to the user that runs `cutover up`")
        }
        io::ErrorKind::NotADirectory => {
            failed.hint("the state directory must be a directory: choose another with `--state DIR`")
        }
        _ => failed,
    }
}

/// A file is not what it was a moment ago.
pub(super) fn changed(path: &Path) -> Error {
    Error::new(
        ErrorKind::Failed,
        "CUT0207",
        format!("{} changed while it was being staged; nothing was staged", path.display()),
    )
    .hint("stage again when the build is done, and stop what writes there")
}
