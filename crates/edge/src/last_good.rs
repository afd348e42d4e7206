//! The last good publication on disk, so that an edge that starts alone serves what it served before.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::serving::Publication;

/// What was found at start.
pub(crate) enum Found {
    /// No file: a first start.
    Nothing,
    /// A publication.
    Publication(Box<Publication>),
    /// Something else. It has been moved aside, where that was possible.
    Corrupt {
        /// Why it cannot be read.
        why: String,
        /// Where it is now.
        aside: Option<PathBuf>,
    },
}

/// Reads the file. What cannot be understood is kept for a person to look at, under another name.
pub(crate) fn read(file: &Path) -> Found {
    let why = match fs::read(file) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(publication) => return Found::Publication(Box::new(publication)),
            Err(error) => error.to_string(),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Nothing,
        Err(error) => error.to_string(),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".corrupt-{now}"));
    let aside = PathBuf::from(name);
    let aside = fs::rename(file, &aside).is_ok().then_some(aside);
    Found::Corrupt { why, aside }
}

/// Replaces the file: readers see the old or the new one, and after this returns a loss of power leaves the new one.
pub(crate) fn write(file: &Path, publication: &Publication) -> io::Result<()> {
    let bytes = serde_json::to_vec(publication).map_err(io::Error::other)?;
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = directory.join(name);
    // A left-over of a crash may have other rights.
    let _ = fs::remove_file(&new);
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let written = out.write_all(&bytes).and_then(|()| out.sync_all()).and_then(|()| fs::rename(&new, file));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use cutover_routing::{Settings, Table};

    use super::*;

    fn publication() -> Publication {
        Publication {
            table: Table::empty(),
            settings: Settings::new("shop.example"),
            serving: crate::serving::ServingSet::default(),
        }
    }

    #[test]
    fn what_was_written_is_read_and_only_by_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("edge.json");
        assert!(matches!(read(&file), Found::Nothing));
        fs::write(dir.path().join("edge.json.new"), "left over").unwrap();
        write(&file, &publication()).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(read(&file), Found::Publication(found) if *found == publication()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gone").join("edge.json");
        assert!(write(&file, &publication()).is_err());
    }

    #[test]
    fn a_corrupt_file_is_kept_aside() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("edge.json");
        fs::write(&file, "{\"table\":").unwrap();
        let Found::Corrupt { aside: Some(aside), .. } = read(&file) else { panic!("not corrupt") };
        assert_eq!(fs::read_to_string(aside).unwrap(), "{\"table\":");
        assert!(!file.exists());
    }
}
