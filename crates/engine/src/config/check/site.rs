//! `[site]`.

use std::path::Path;

use super::{
    super::{
        globs::Globs,
        meant::SiteConfig,
        place::{At, Trouble},
        written::Site,
    },
    text,
};

pub(super) fn check(written: &At<Site>, base: &Path, trouble: &mut Trouble<'_>) -> Option<SiteConfig> {
    let site = written.get();
    let dir = site.dir.as_ref().and_then(|dir| {
        let path = text::path("site.dir", dir, base, trouble)?;
        if base.starts_with(&path) {
            let message = format!(
                "`site.dir` is {:?}, which holds this file: it and everything beside it would be published",
                dir.get()
            );
            trouble.add_hint(
                "CUT0105",
                dir.span(),
                message,
                "build into a directory of its own, such as \"dist\", and name that",
            );
            return None;
        }
        Some(path)
    });
    let optional = |key: &str, written: &Option<At<String>>, trouble: &mut Trouble<'_>| match written {
        Some(written) => text::inside(key, written, "`dir`", trouble).map(Some),
        None => Some(None),
    };
    let fallback = optional("site.fallback", &site.fallback, trouble);
    let manifest = optional("site.manifest", &site.manifest, trouble);
    let shell = fallback.clone().flatten();
    let mut fingerprinted = Some(Vec::new());
    for glob in &site.fingerprinted {
        let checked = fingerprint(glob, shell.as_deref(), trouble);
        fingerprinted = fingerprinted.zip(checked).map(|(mut all, glob)| {
            all.push(glob);
            all
        });
    }
    Some(SiteConfig {
        dir: dir?,
        fallback: fallback?,
        fingerprinted: fingerprinted?,
        manifest: manifest?,
        tabs: site.tabs.unwrap_or(true),
    })
}

/// A glob that covers a document would have it cached for ever under a name that does not change.
fn fingerprint(written: &At<String>, shell: Option<&str>, trouble: &mut Trouble<'_>) -> Option<String> {
    let glob = text::inside("site.fingerprinted", written, "`dir`", trouble)?;
    match Globs::new(&[&glob]) {
        Err(why) => {
            let hint = "`*` stays within a directory, `**` crosses directories, e.g. \"assets/**\"";
            trouble.add_hint(
                "CUT0105",
                written.span(),
                format!("`site.fingerprinted` has the glob {why}"),
                hint,
            );
            None
        }
        Ok(globs) => {
            let document = [Some("index.html"), shell].into_iter().flatten().find(|path| globs.matches(path));
            let Some(document) = document else { return Some(glob) };
            trouble.add_hint(
                "CUT0105",
                written.span(),
                format!("`site.fingerprinted` has {glob:?}, which covers {document:?}: browsers would keep it for a year"),
                "name only files that carry a content hash, e.g. \"assets/**\"",
            );
            None
        }
    }
}
