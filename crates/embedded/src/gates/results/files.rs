//! Which files a command has written: those a glob matches and that were not there, or not like this, before it ran.

use std::{
    collections::HashMap,
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use cutover_engine::config::Globs;

use super::CLOCKS_DIFFER;

/// How many entries of directories are looked at.
const ENTRIES: usize = 200_000;
/// How many files are read.
const FILES: usize = 10_000;
/// How deep `**` goes.
const DEPTH: usize = 32;

/// Files by a path or glob, and how they were when the command started.
pub(super) struct Named {
    pub(super) pattern: String,
    /// The part of the pattern without a glob.
    root: PathBuf,
    /// The rest.
    rest: Option<(Globs, usize)>,
    started: SystemTime,
    before: HashMap<PathBuf, Stamp>,
}

/// What changes whenever a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            inode: (meta.dev(), meta.ino()),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// A file the command has written.
pub(super) struct Written {
    pub(super) path: PathBuf,
    /// Its path as a person of the app would write it.
    pub(super) shown: String,
    /// It was there before: the command may have added to it.
    pub(super) existed: bool,
}

impl Written {
    /// Opens it; it is a regular file of at most `limit` bytes.
    pub(super) fn open(&self, limit: u64) -> Result<File, String> {
        let opened = File::open(&self.path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (size, file) = opened.map_err(|error| format!("cannot be read: {error}"))?;
        if size > limit {
            return Err(format!("is larger than {} MiB", limit >> 20));
        }
        Ok(file)
    }
}

/// What was found after the command.
pub(super) struct Found {
    pub(super) files: Vec<Written>,
    /// Matching files of earlier runs.
    pub(super) stale: usize,
}

impl Named {
    pub(super) fn new(pattern: &str, dir: &Path, started: SystemTime) -> Result<Self, String> {
        let is_glob = |part: &str| part.contains(['*', '?', '[', '{']);
        let parts: Vec<&str> = pattern.split('/').collect();
        let literal = parts.iter().position(|part| is_glob(part)).unwrap_or(parts.len());
        let root = dir.join(parts[..literal].join("/"));
        let root = if literal > 0 && parts[..literal].iter().all(|part| part.is_empty()) {
            PathBuf::from("/")
        } else {
            root
        };
        let rest = match &parts[literal..] {
            [] => None,
            rest => {
                let glob = rest.join("/");
                if Path::new(&glob).components().any(|part| part == Component::ParentDir) {
                    return Err("`..` cannot come after a wildcard".to_owned());
                }
                let depth = if rest.contains(&"**") { DEPTH } else { rest.len() };
                Some((Globs::new(&[glob])?, depth))
            }
        };
        let mut named = Self { pattern: pattern.to_owned(), root, rest, started, before: HashMap::new() };
        named.before = named.look()?.into_iter().map(|(path, meta)| (path, Stamp::of(&meta))).collect();
        Ok(named)
    }

    /// What counts as written since the command started; clocks that differ a little are allowed for.
    pub(super) fn since(&self) -> u64 {
        let since = self.started - CLOCKS_DIFFER;
        since
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn written(&self) -> Result<Found, String> {
        let mut found = Found { files: Vec::new(), stale: 0 };
        for (path, meta) in self.look()? {
            let before = self.before.get(&path);
            let modified =
                u128::try_from(i128::from(meta.mtime()) * 1000 + i128::from(meta.mtime_nsec()) / 1_000_000);
            let old = modified.unwrap_or(0) < u128::from(self.since());
            if old || before == Some(&Stamp::of(&meta)) {
                found.stale += 1;
                continue;
            }
            let shown = if self.rest.is_some() {
                path.strip_prefix(&self.root).unwrap_or(&path).display().to_string()
            } else {
                "the file".to_owned()
            };
            found.files.push(Written { existed: before.is_some(), path, shown });
        }
        found.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Every regular file that matches. Links to directories are not followed.
    fn look(&self) -> Result<Vec<(PathBuf, Metadata)>, String> {
        let Some((globs, depth)) = &self.rest else {
            return match fs::metadata(&self.root) {
                Ok(meta) if meta.is_file() => Ok(vec![(self.root.clone(), meta)]),
                Ok(meta) if meta.is_dir() => Err(format!(
                    "is a directory; name the files in it, e.g. `{}/*`",
                    self.pattern.trim_end_matches('/')
                )),
                Ok(_) => Err("is not a regular file".to_owned()),
                Err(error) if absent(&error) => Ok(Vec::new()),
                Err(error) => Err(format!("cannot be looked at: {error}")),
            };
        };
        let mut matching = Vec::new();
        let mut open = vec![(self.root.clone(), 1)];
        let mut entries = 0;
        while let Some((dir, level)) = open.pop() {
            let listed = match fs::read_dir(&dir) {
                Ok(listed) => listed,
                Err(error) if absent(&error) => continue,
                Err(error) => return Err(format!("cannot list {}: {error}", dir.display())),
            };
            for entry in listed {
                let entry = entry.map_err(|error| format!("cannot list {}: {error}", dir.display()))?;
                entries += 1;
                if entries > ENTRIES {
                    return Err(format!("matches among more than {ENTRIES} files; name a narrower place"));
                }
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    if level < *depth {
                        open.push((path, level + 1));
                    }
                    continue;
                }
                let below = path.strip_prefix(&self.root).ok().and_then(Path::to_str);
                if below.is_some_and(|below| globs.matches(below))
                    && let Ok(meta) = fs::metadata(&path)
                    && meta.is_file()
                {
                    matching.push((path, meta));
                    if matching.len() > FILES {
                        return Err(format!("matches more than {FILES} files"));
                    }
                }
            }
        }
        Ok(matching)
    }
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn names(found: &Found) -> Vec<&str> {
        found.files.iter().map(|file| file.shown.as_str()).collect()
    }

    fn write(dir: &Path, name: &str, text: &str) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn only_what_was_written_since_counts() {
        let dir = tempfile::tempdir().unwrap();
        let (dir, now) = (dir.path(), SystemTime::now());
        write(dir, "out/old.xml", "old");
        write(dir, "out/again.xml", "old");
        let named = Named::new("out/*.xml", dir, now).unwrap();
        write(dir, "out/again.xml", "new text");
        write(dir, "out/new.xml", "new");
        write(dir, "out/new.txt", "new");
        write(dir, "out/deeper/new.xml", "new");
        // Unpacked or copied with its time: new here, but not of this run.
        write(dir, "out/copied.xml", "old");
        let hour_ago = now - Duration::from_secs(3600);
        File::options().write(true).open(dir.join("out/copied.xml")).unwrap().set_modified(hour_ago).unwrap();
        let found = named.written().unwrap();
        assert_eq!((names(&found), found.stale), (vec!["again.xml", "new.xml"], 2));
        assert_eq!(found.files.iter().map(|file| file.existed).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn a_path_a_glob_and_an_absolute_place_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let (dir, now) = (dir.path(), SystemTime::now());
        let absolute = format!("{}/out/**/*.xml", dir.display());
        let named: Vec<Named> = ["out/a.xml", "out/**/*.xml", "./out/{a,b}.xml", "*/a.xml", &absolute]
            .iter()
            .map(|pattern| Named::new(pattern, dir, now).unwrap())
            .collect();
        for named in &named {
            assert!(named.written().unwrap().files.is_empty(), "{}", named.pattern);
        }
        write(dir, "out/a.xml", "x");
        write(dir, "out/deep/er/b.xml", "x");
        let found: Vec<usize> = named.iter().map(|named| named.written().unwrap().files.len()).collect();
        assert_eq!(found, [1, 2, 1, 1, 2]);
    }

    #[test]
    fn what_cannot_be_results_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "out/a.xml", "x");
        let why = |pattern| Named::new(pattern, dir.path(), SystemTime::now()).map(|_| ()).unwrap_err();
        assert!(why("out").contains("`out/*`"), "{}", why("out"));
        assert!(why("*/../out/a.xml").contains("`..`"));
        assert!(why("out/[.xml").contains("["), "{}", why("out/[.xml"));
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("out/zero.xml")).unwrap();
        assert!(why("out/zero.xml").contains("not a regular file"));
        let named = Named::new("out/*.xml", dir.path(), SystemTime::now()).unwrap();
        assert_eq!(named.before.len(), 1, "a device is no file of results");
    }
}
