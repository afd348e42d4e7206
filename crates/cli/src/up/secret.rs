//! Files only their owner may read: the control token and what lies beside it.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use cutover_engine::{Error, ErrorKind, control::Result};

/// Replaces a file by new content in one step; the new file is readable by its owner only.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<()> {
    let draft = path.with_extension("new");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&draft, path));
    written.map_err(|error| {
        // Half a draft helps nobody; where it cannot be removed it is written over the next time.
        let _ = std::fs::remove_file(&draft);
        Error::new(ErrorKind::Failed, "CUT0916", format!("cannot write {}", path.display())).because(error)
    })
}

/// The control token of a state directory.
#[derive(Debug)]
pub(crate) struct Token {
    /// What clients present.
    pub(crate) text: String,
    /// It is in the file.
    pub(crate) saved: bool,
}

/// The token already there, else a new one of 256 random bits, not yet saved. One that others could read is made its
/// owner's alone.
///
/// # Errors
/// When the one that is there belongs to another user, or no random numbers are to be had.
pub(crate) fn token(state: &Path) -> Result<Token> {
    let path = state.join("token");
    if let Ok(mut file) = File::open(&path) {
        keep_private(&file, &path)?;
        let mut text = String::new();
        if file.read_to_string(&mut text).is_ok() && text.trim().len() >= 32 {
            return Ok(Token { text: text.trim().to_owned(), saved: true });
        }
    }
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).map_err(|error| {
        Error::new(ErrorKind::Failed, "CUT0917", "cannot draw a control token").because(error)
    })?;
    Ok(Token { text: URL_SAFE_NO_PAD.encode(random), saved: false })
}

/// Writes a token that is not in its file yet.
///
/// # Errors
/// When the state directory cannot be written.
pub(crate) fn save(state: &Path, token: &mut Token) -> Result<()> {
    if !token.saved {
        write(&state.join("token"), token.text.as_bytes())?;
        token.saved = true;
    }
    Ok(())
}

/// Refuses a token of another user, who knows it; takes one that others could read from them.
fn keep_private(file: &File, path: &Path) -> Result<()> {
    let trouble = |error: std::io::Error| {
        Error::new(ErrorKind::Failed, "CUT0934", format!("cannot make {} private", path.display()))
            .because(error)
    };
    let found = file.metadata().map_err(trouble)?;
    let me = nix::unistd::geteuid().as_raw();
    if !is_mine(found.uid(), me) {
        return Err(Error::new(
            ErrorKind::Refused,
            "CUT0934",
            format!("the control token {} belongs to another user", path.display()),
        )
        .because(format!("it is of user id {}, and cutover up runs as {me}", found.uid()))
        .hint("remove it, and cutover up draws a new one; or run cutover up as its owner"));
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600)).map_err(trouble)?;
        tracing::warn!(
            file = %path.display(),
            "the control token could be used by other users (mode {mode:04o}); it is private now. If one of them may have \
             read it, remove the file and start again: a new one is drawn"
        );
    }
    Ok(())
}

fn is_mine(owner: u32, me: u32) -> bool {
    owner == me
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(dir: &Path) -> u32 {
        std::fs::metadata(dir.join("token")).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_token_is_kept_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = token(dir.path()).unwrap();
        assert_eq!((first.text.len(), first.saved), (43, false));
        save(dir.path(), &mut first).unwrap();
        let again = token(dir.path()).unwrap();
        assert_eq!((again.text, again.saved), (first.text, true));
        assert_eq!(mode(dir.path()), 0o600);
    }

    #[test]
    fn a_token_that_others_could_read_is_made_private() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = token(dir.path()).unwrap();
        save(dir.path(), &mut first).unwrap();
        for open in [0o644, 0o640, 0o666] {
            std::fs::set_permissions(dir.path().join("token"), Permissions::from_mode(open)).unwrap();
            assert_eq!(token(dir.path()).unwrap().text, first.text);
            assert_eq!(mode(dir.path()), 0o600, "after {open:o}");
        }
    }

    #[test]
    fn a_token_of_another_user_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = token(dir.path()).unwrap();
        save(dir.path(), &mut first).unwrap();
        // Only root can give a file away.
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(dir.path().join("token"), Some(12345), None).unwrap();
            let error = token(dir.path()).unwrap_err();
            assert_eq!((error.code.as_str(), error.kind), ("CUT0934", ErrorKind::Refused));
            assert!(error.causes[0].contains("12345"), "{error}");
        }
        assert!(!is_mine(1000, 1001) && is_mine(1000, 1000));
    }
}
