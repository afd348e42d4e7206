//! Globs over the paths of a site's files.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A set of globs. `*` and `?` stay within one directory, `**` crosses directories, `{a,b}` and `[0-9]` choose.
///
/// Paths are relative to the site's `dir`, with forward slashes and without one in front.
#[derive(Debug, Clone)]
pub struct Globs(GlobSet);

impl Globs {
    /// Compiles globs; an empty set matches nothing.
    ///
    /// # Errors
    /// The first glob that is malformed, and why.
    pub fn new<S: AsRef<str>>(globs: &[S]) -> Result<Self, String> {
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            let glob = glob.as_ref();
            let built = GlobBuilder::new(glob).literal_separator(true).backslash_escape(false).build();
            set.add(built.map_err(|why| format!("{glob:?}: {}", why.kind()))?);
        }
        set.build().map(Self).map_err(|why| why.to_string())
    }

    /// Whether one of them matches the path.
    pub fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}
