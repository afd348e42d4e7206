//! The index of compressed forms: digest of a file to the blobs of its forms, so that an unchanged file is never compressed
//! twice. It is a cache: lost or damaged, it is made again.

use std::{collections::BTreeMap, fs, io, path::Path};

use cutover_edge::manifest::Blob;
use serde::{Deserialize, Serialize};

use super::{compress, layout};

/// The compressed forms of one file; none where a form does not pay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Variants {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) br: Option<Blob>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) zstd: Option<Blob>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gzip: Option<Blob>,
}

impl Variants {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Blob> {
        [&self.br, &self.zstd, &self.gzip].into_iter().flatten()
    }
}

/// All known forms, by the digest of the file as it is.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Index {
    recipe: String,
    files: BTreeMap<String, Variants>,
}

impl Default for Index {
    fn default() -> Self {
        Self { recipe: compress::RECIPE.to_owned(), files: BTreeMap::new() }
    }
}

impl Index {
    pub(super) fn read(path: &Path) -> Self {
        let known = fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        known.filter(|index| index.recipe == compress::RECIPE).unwrap_or_default()
    }

    pub(super) fn get(&self, sha256: &str) -> Option<&Variants> {
        self.files.get(sha256)
    }

    pub(super) fn add(&mut self, found: impl IntoIterator<Item = (String, Variants)>) {
        self.files.extend(found);
    }

    /// Keeps the files for which `keep` holds.
    pub(super) fn retain(&mut self, keep: impl Fn(&str, &Variants) -> bool) {
        self.files.retain(|sha256, variants| keep(sha256, variants));
    }

    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        layout::replace_file(path, &serde_json::to_vec(self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_or_foreign_index_is_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("variants.json");
        assert_eq!(Index::read(&path), Index::default());
        let mut index = Index::default();
        index.add([(
            "aa".to_owned(),
            Variants { br: Some(Blob { sha256: "bb".into(), size: 1 }), ..Variants::default() },
        )]);
        index.write(&path).unwrap();
        assert_eq!(Index::read(&path), index);
        let other = fs::read_to_string(&path).unwrap().replace(compress::RECIPE, "another");
        for content in ["{", other.as_str()] {
            fs::write(&path, content).unwrap();
            assert_eq!(Index::read(&path), Index::default());
        }
    }
}
