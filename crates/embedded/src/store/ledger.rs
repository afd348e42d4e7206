//! The ledger of fingerprinted paths: which bytes a path that names its content has stood for.
//!
//! Browsers and caches keep such files for a year without asking, so a path that is given other bytes would show some
//! visitors the old and some the new ones, and no rollback could repair it. Such a release is refused. Entries are kept for
//! longer than anything is cached.

use std::{collections::BTreeMap, fs, io, path::Path};

use cutover_engine::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::{failure, layout};

/// Seconds an entry is kept after its path was last part of a release: a year of `max-age`, and more.
const KEPT: u64 = 400 * 24 * 60 * 60;
/// Paths named in an error.
const SHOWN: usize = 5;

/// All paths, by URL path.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Ledger {
    format: Format,
    paths: BTreeMap<String, Entry>,
}

/// Version of the written form.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
enum Format {
    #[default]
    #[serde(rename = "1")]
    One,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    sha256: String,
    /// Unix seconds when the path was last part of a release.
    seen: u64,
}

impl Ledger {
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                // Starting afresh would be quietly unsafe: only a person may decide that.
                Error::new(ErrorKind::Failed, "CUT0216", format!("the ledger of fingerprinted paths {} is damaged", path.display()))
                    .because(error)
                    .hint("restore it from a backup; or remove it, if every fingerprinted path really names its content")
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(failure::unusable(path, &error)),
        }
    }

    /// Refuses paths that stood for other bytes within the time entries are kept.
    pub(super) fn check<'a>(
        &self,
        files: impl Iterator<Item = (&'a str, &'a str)>,
        now: u64,
    ) -> Result<(), Error> {
        let changed: Vec<&str> = files
            .filter(|(path, sha256)| {
                self.paths.get(*path).is_some_and(|entry| entry.sha256 != *sha256 && !entry.expired(now))
            })
            .map(|(path, _)| path)
            .collect();
        let Some(first) = changed.first() else { return Ok(()) };
        let mut error = Error::new(
            ErrorKind::Invalid,
            "CUT0206",
            if changed.len() == 1 {
                format!("{first} is declared fingerprinted, but had other content in an earlier release")
            } else {
                format!(
                    "{} paths are declared fingerprinted, but had other content in an earlier release",
                    changed.len()
                )
            },
        );
        if changed.len() > 1 {
            for path in changed.iter().take(SHOWN) {
                error = error.because(path);
            }
            if changed.len() > SHOWN {
                error = error.because(format!("and {} more", changed.len() - SHOWN));
            }
        }
        Err(error
            .because("browsers keep fingerprinted files for a year without asking, so visitors would see old and new ones mixed")
            .hint("narrow `fingerprinted` in [site] to files whose name contains a hash of their content, e.g. \"assets/*-*.js\"")
            .hint("or make the bundler put a content hash into the name"))
    }

    /// Notes paths and forgets expired ones.
    pub(super) fn note<'a>(&mut self, files: impl Iterator<Item = (&'a str, &'a str)>, now: u64) {
        self.paths.retain(|_, entry| !entry.expired(now));
        for (path, sha256) in files {
            self.paths.insert(path.to_owned(), Entry { sha256: sha256.to_owned(), seen: now });
        }
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), Error> {
        let written = serde_json::to_vec(self)
            .map_err(io::Error::from)
            .and_then(|bytes| layout::replace_file(path, &bytes));
        written.map_err(|error| failure::unwritable(path, &error))
    }
}

impl Entry {
    fn expired(&self, now: u64) -> bool {
        now > self.seen.saturating_add(KEPT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    #[test]
    fn a_path_keeps_its_content_for_400_days() {
        let mut ledger = Ledger::default();
        ledger.note([("/a-1.js", "aa")].into_iter(), 1000);
        let check = |ledger: &Ledger, sha256, now| {
            ledger.check([("/a-1.js", sha256), ("/new.js", "zz")].into_iter(), now)
        };
        assert!(check(&ledger, "aa", 2000).is_ok());
        assert!(check(&ledger, "bb", 1000 + 400 * DAY).is_err());
        assert!(check(&ledger, "bb", 1001 + 400 * DAY).is_ok(), "expired");
        assert!(check(&ledger, "bb", 0).is_err(), "a clock that went back expires nothing");

        ledger.note([("/a-1.js", "aa")].into_iter(), 1000 + 300 * DAY);
        assert!(check(&ledger, "bb", 1001 + 400 * DAY).is_err(), "seen again");
        ledger.note([("/b.js", "bb")].into_iter(), 1001 + 700 * DAY);
        assert_eq!(ledger.paths.keys().collect::<Vec<_>>(), ["/b.js"], "expired entries are forgotten");
    }

    #[test]
    fn the_refusal_names_the_paths_and_says_what_to_do() {
        let mut ledger = Ledger::default();
        let paths: Vec<String> = (0..7).map(|number| format!("/{number}.js")).collect();
        ledger.note(paths.iter().map(|path| (path.as_str(), "aa")), 0);
        let error = ledger.check(paths.iter().map(|path| (path.as_str(), "bb")), 1).unwrap_err();
        assert_eq!(error.code, "CUT0206");
        assert!(error.to_string().contains("/4.js: and 2 more"), "{error}");
        assert!(error.hints[0].contains("narrow `fingerprinted`"));
        let one = ledger.check([("/3.js", "bb")].into_iter(), 1).unwrap_err();
        assert!(one.message.starts_with("/3.js is declared"), "{one}");
    }

    #[test]
    fn a_damaged_ledger_is_not_taken_for_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.json");
        assert_eq!(Ledger::read(&path).unwrap(), Ledger::default());
        let mut ledger = Ledger::default();
        ledger.note([("/a.js", "aa")].into_iter(), 7);
        ledger.write(&path).unwrap();
        assert_eq!(Ledger::read(&path).unwrap(), ledger);
        for damaged in ["", "{", r#"{"format":"2","paths":{}}"#, r#"{"paths":{}}"#] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(Ledger::read(&path).unwrap_err().code, "CUT0216", "{damaged}");
        }
    }
}
