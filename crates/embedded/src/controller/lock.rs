//! One controller per state directory: a file lock that the kernel takes back when its holder ends, however it ends.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

use cutover_engine::{Error, ErrorKind};

/// The held lock. Dropping it gives the directory free.
#[derive(Debug)]
pub(super) struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the lock or says who has it.
    pub(super) fn take(state_dir: &Path) -> Result<Self, Error> {
        let path = state_dir.join("lock");
        let unusable = |error: std::io::Error| {
            Error::new(
                ErrorKind::Failed,
                "CUT0601",
                format!("cannot lock the state directory {}", state_dir.display()),
            )
            .because(error)
            .hint("it has to be a directory on a local disk that this user may write to")
        };
        // Never truncated on opening: the content belongs to the holder.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(state_dir, &mut file)),
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(unusable)?;
        writeln!(file, "{}", std::process::id()).and_then(|()| file.flush()).map_err(unusable)?;
        Ok(Self { _file: file })
    }
}

fn held(state_dir: &Path, file: &mut File) -> Error {
    let mut text = String::new();
    // The holder may be between taking the lock and writing its number; then there is none to show.
    let _ = file.read_to_string(&mut text);
    let holder = match text.trim() {
        "" => "another process".to_owned(),
        pid => format!("process {pid}"),
    };
    Error::new(
        ErrorKind::Refused,
        "CUT0600",
        format!("the state directory {} is in use by {holder}", state_dir.display()),
    )
    .hint("commands such as `cutover status` talk to the one that runs; give a second app its own directory with --state")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_with_the_number_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateLock::take(dir.path()).unwrap();
        let refused = StateLock::take(dir.path()).unwrap_err();
        assert_eq!((refused.kind, refused.code.as_str()), (ErrorKind::Refused, "CUT0600"));
        assert!(refused.message.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(first);
        StateLock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_directory_that_is_not_there_is_a_clear_error() {
        let error = StateLock::take(Path::new("/nonexistent/state")).unwrap_err();
        assert_eq!(error.code, "CUT0601");
        assert!(error.to_string().contains("/nonexistent/state"), "{error}");
    }
}
