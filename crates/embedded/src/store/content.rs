//! Content-addressed bytes: digests, the blobs that are there, and those a stage is about to add.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use cutover_edge::manifest::Blob;
use sha2::{Digest, Sha256};

/// Bytes read at a time where a file is not held in memory.
const CHUNK: usize = 128 * 1024;

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// The name and size of bytes in memory.
pub(super) fn blob_of(bytes: &[u8]) -> Blob {
    Blob { sha256: hex(&Sha256::digest(bytes)), size: bytes.len() as u64 }
}

/// The name and size of a file's bytes.
pub(super) fn blob_of_file(path: &Path) -> io::Result<Blob> {
    copy_hashed(&mut File::open(path)?, &mut io::sink())
}

/// Copies and names in one go, so that what is named is what was copied.
pub(super) fn copy_hashed(from: &mut impl Read, to: &mut impl Write) -> io::Result<Blob> {
    let mut hasher = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        size += read as u64;
    }
    Ok(Blob { sha256: hex(&hasher.finalize()), size })
}

/// Whether a blob is there and is what its name says. Anything else there counts as missing, so that staging heals it.
pub(super) fn is_intact(blobs: &Path, blob: &Blob) -> bool {
    let path = blob.path(blobs);
    fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == blob.size)
        && blob_of_file(&path).is_ok_and(|found| found == *blob)
}

/// The blobs a stage adds: written beside the others, moved among them when everything is ready.
#[derive(Debug)]
pub(super) struct NewBlobs {
    dir: PathBuf,
    blobs: PathBuf,
}

impl NewBlobs {
    pub(super) fn create(work: &Path, blobs: &Path) -> io::Result<Self> {
        let dir = work.join("blobs");
        fs::create_dir(&dir)?;
        Ok(Self { dir, blobs: blobs.to_owned() })
    }

    /// Adds bytes, unless they are there already.
    pub(super) fn add(&self, bytes: &[u8]) -> io::Result<Blob> {
        let blob = blob_of(bytes);
        if is_intact(&self.blobs, &blob) {
            return Ok(blob);
        }
        match create_new(&self.dir.join(&blob.sha256)) {
            Ok(mut file) => file.write_all(bytes)?,
            // Another file of this stage has the same bytes.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(blob)
    }

    /// Adds a file that is too large for memory, known to have been `expected` a moment ago. False where it is not any more.
    pub(super) fn add_file(&self, path: &Path, expected: &Blob) -> io::Result<bool> {
        if is_intact(&self.blobs, expected) {
            return Ok(true);
        }
        let to = self.dir.join(&expected.sha256);
        match create_new(&to) {
            Ok(mut file) => Ok(copy_hashed(&mut File::open(path)?, &mut file)? == *expected),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Where a blob that was added is now.
    pub(super) fn find(&self, blob: &Blob) -> PathBuf {
        let new = self.dir.join(&blob.sha256);
        if new.exists() { new } else { blob.path(&self.blobs) }
    }

    /// Moves all of them among the others. A damaged blob is replaced.
    pub(super) fn commit(self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let to = Blob { sha256: name, size: 0 }.path(&self.blobs);
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::rename(entry.path(), to)?;
        }
        Ok(())
    }
}

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().create_new(true).write(true).mode(0o400).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_are_named_by_sha256() {
        let blob = blob_of(b"abc");
        assert_eq!(blob.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(blob.size, 3);
    }

    #[test]
    fn a_damaged_blob_is_healed_by_adding_it_again() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = dir.path().join("all");
        let (first, second) = (dir.path().join("1"), dir.path().join("2"));
        for work in [&blobs, &first, &second] {
            fs::create_dir(work).unwrap();
        }
        let new = NewBlobs::create(&first, &blobs).unwrap();
        let blob = new.add(b"content").unwrap();
        assert_eq!(new.add(b"content").unwrap(), blob);
        assert!(!is_intact(&blobs, &blob), "not before the commit");
        new.commit().unwrap();
        assert!(is_intact(&blobs, &blob));

        fs::remove_file(blob.path(&blobs)).unwrap();
        fs::write(blob.path(&blobs), b"c0ntent").unwrap();
        assert!(!is_intact(&blobs, &blob));
        let new = NewBlobs::create(&second, &blobs).unwrap();
        new.add(b"content").unwrap();
        new.commit().unwrap();
        assert!(is_intact(&blobs, &blob));
    }
}
