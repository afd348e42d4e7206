//! Files only their owner may read: the control token and what lies beside it.

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

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
        Error::new(ErrorKind::Failed, "CUT0916", format!("cannot write {}", path.display())).because(error)
    })
}

/// The control token of a state directory: the one already there, else a new one of 256 random bits.
///
/// # Errors
/// When it can be neither read nor written.
pub(crate) fn token(state: &Path) -> Result<String> {
    let path = state.join("token");
    if let Ok(token) = std::fs::read_to_string(&path)
        && token.trim().len() >= 32
    {
        return Ok(token.trim().to_owned());
    }
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).map_err(|error| {
        Error::new(ErrorKind::Failed, "CUT0917", "cannot draw a control token").because(error)
    })?;
    let token = URL_SAFE_NO_PAD.encode(random);
    write(&path, token.as_bytes())?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_token_is_kept_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = token(dir.path()).unwrap();
        assert_eq!(first.len(), 43);
        assert_eq!(token(dir.path()).unwrap(), first);
        let mode = std::fs::metadata(dir.path().join("token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
