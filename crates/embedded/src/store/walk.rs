//! All files below a directory, and what of it is never staged: hidden files, the state directory, links that leave it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use cutover_engine::{Error, ErrorKind};

use super::failure;

/// What to do with what.
pub(super) struct Rules<'a> {
    /// Symbolic links: taken for what they lead to, or kept as links.
    pub(super) links: Links,
    /// Whether an entry of this name, in a directory of this relative path, is left out.
    pub(super) hidden: fn(parent: &str, name: &str) -> bool,
    /// Directories that are left out wherever they are met; canonical.
    pub(super) never: &'a [PathBuf],
}

/// What becomes of symbolic links that stay inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    Follow,
    Keep,
}

/// One thing below the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Relative, with forward slashes.
    pub(super) name: String,
    /// Where it really is.
    pub(super) path: PathBuf,
    pub(super) node: Node,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Directory,
    File {
        executable: bool,
    },
    /// A link to another place inside, relative to its own directory.
    Link {
        target: String,
    },
}

/// Everything that was found, sorted by name.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) found: Vec<Found>,
    /// Names that were left out because they are hidden.
    pub(super) hidden: Vec<String>,
    /// What else was left out and why, one line each.
    pub(super) skipped: Vec<String>,
}

/// Walks `root`, which is canonical.
pub(super) fn walk(root: &Path, rules: &Rules<'_>) -> Result<Walk, Error> {
    let mut walker = Walker { root, rules, walk: Walk::default(), above: vec![root.to_owned()] };
    walker.directory(root, "")?;
    let mut walk = walker.walk;
    walk.found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(walk)
}

struct Walker<'a> {
    root: &'a Path,
    rules: &'a Rules<'a>,
    walk: Walk,
    /// The canonical directories that are being walked, outermost first.
    above: Vec<PathBuf>,
}

impl Walker<'_> {
    fn directory(&mut self, dir: &Path, parent: &str) -> Result<(), Error> {
        for entry in fs::read_dir(dir).map_err(|error| failure::unreadable(dir, &error))? {
            let entry = entry.map_err(|error| failure::unreadable(dir, &error))?;
            let file_name = entry.file_name();
            let Some(file_name) = file_name.to_str() else { return Err(not_utf8(&entry.path())) };
            let name = if parent.is_empty() { file_name.to_owned() } else { format!("{parent}/{file_name}") };
            if (self.rules.hidden)(parent, file_name) {
                self.walk.hidden.push(name);
                continue;
            }
            let kind = entry.file_type().map_err(|error| failure::unreadable(&entry.path(), &error))?;
            if kind.is_symlink() {
                self.link(&entry.path(), name)?;
            } else {
                self.plain(entry.path(), name)?;
            }
        }
        Ok(())
    }

    /// Something at its canonical path.
    fn plain(&mut self, path: PathBuf, name: String) -> Result<(), Error> {
        if self.rules.never.contains(&path) {
            return Ok(());
        }
        let metadata = fs::symlink_metadata(&path).map_err(|error| failure::unreadable(&path, &error))?;
        if metadata.is_dir() {
            self.walk.found.push(Found { name: name.clone(), path: path.clone(), node: Node::Directory });
            self.above.push(path.clone());
            self.directory(&path, &name)?;
            self.above.pop();
        } else if metadata.is_file() {
            let executable = metadata.permissions().mode() & 0o111 != 0;
            self.walk.found.push(Found { name, path, node: Node::File { executable } });
        } else {
            self.walk.skipped.push(format!("{name} is neither a file nor a directory"));
        }
        Ok(())
    }

    fn link(&mut self, path: &Path, name: String) -> Result<(), Error> {
        let Ok(target) = path.canonicalize() else {
            self.walk.skipped.push(format!("{name} is a link that leads nowhere"));
            return Ok(());
        };
        let Ok(inside) = target.strip_prefix(self.root) else {
            self.walk
                .skipped
                .push(format!("{name} is a link that leaves the directory, to {}", target.display()));
            return Ok(());
        };
        let Some(inside) = inside.to_str() else { return Err(not_utf8(&target)) };
        if self.rules.never.iter().any(|never| target.starts_with(never)) || self.is_hidden(inside) {
            self.walk.skipped.push(format!("{name} is a link to {inside}, which is never staged"));
            return Ok(());
        }
        match self.rules.links {
            Links::Keep => {
                let target = relative(&name, inside);
                self.walk.found.push(Found { name, path: path.to_owned(), node: Node::Link { target } });
            }
            Links::Follow if self.above.contains(&target) => {
                self.walk.skipped.push(format!("{name} is a link to a directory it is in"));
            }
            Links::Follow => self.plain(target, name)?,
        }
        Ok(())
    }

    fn is_hidden(&self, inside: &str) -> bool {
        let mut start = 0;
        inside.split('/').any(|name| {
            let parent = inside[..start].trim_end_matches('/');
            start += name.len() + 1;
            !name.is_empty() && (self.rules.hidden)(parent, name)
        })
    }
}

/// The way from the directory of `from` to `to`, both relative to the same root.
fn relative(from: &str, to: &str) -> String {
    let from: Vec<&str> = from.split('/').collect();
    let directory = &from[..from.len() - 1];
    let to: Vec<&str> = to.split('/').filter(|part| !part.is_empty()).collect();
    let shared = directory.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let mut way = vec![".."; directory.len() - shared];
    way.extend(&to[shared..]);
    if way.is_empty() { ".".to_owned() } else { way.join("/") }
}

fn not_utf8(path: &Path) -> Error {
    Error::new(
        ErrorKind::Invalid,
        "CUT0204",
        format!("the file name {path:?} is not UTF-8, so no address can name it"),
    )
    .hint("rename the file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_links_lead_from_the_links_directory() {
        for (from, to, expected) in [
            ("link", "file", "file"),
            ("a/link", "file", "../file"),
            ("a/b/link", "a/file", "../file"),
            ("a/b/link", "c/d", "../../c/d"),
            ("node_modules/.bin/tool", "node_modules/tool/bin.js", "../tool/bin.js"),
            ("a/link", "a", "."),
            ("a/link", "", ".."),
            ("link", "", "."),
        ] {
            assert_eq!(relative(from, to), expected, "{from} to {to}");
        }
    }
}
