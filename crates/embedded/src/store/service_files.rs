//! What a service is made of: its directory, copied file by file, read-only.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use cutover_edge::manifest::Blob;
use cutover_engine::{Error, control::Progress};
use serde::{Deserialize, Serialize};

use super::{
    content, failure, parallel, site_files,
    walk::{self, Found, Links, Node, Rules},
};

/// One entry of a service's copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ServiceFile {
    /// Relative to the copy, with forward slashes.
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) kind: Kind,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub(super) enum Kind {
    Directory,
    File {
        executable: bool,
        #[serde(flatten)]
        blob: Blob,
    },
    /// A link to another place in the copy.
    Link {
        target: String,
    },
}

/// A service's directory as it was found.
#[derive(Debug)]
pub(super) struct ServiceInput {
    pub(super) root: PathBuf,
    pub(super) files: Vec<ServiceFile>,
}

/// Finds and reads all files of a service; changes nothing.
pub(super) fn look(
    name: &str,
    dir: &Path,
    states: &[PathBuf],
    progress: &Progress,
) -> Result<ServiceInput, Error> {
    let root = site_files::root(dir, states, &format!("dir of service {name}"))?;
    let walk = walk::walk(&root, &Rules { links: Links::Keep, hidden: is_hidden, never: states })?;
    site_files::report(progress, &format!("service {name}"), &walk);
    let files = parallel::map(&walk.found, look_at)?;
    Ok(ServiceInput { root, files })
}

fn look_at(found: &Found) -> Result<ServiceFile, Error> {
    let kind = match &found.node {
        Node::Directory => Kind::Directory,
        Node::Link { target } => Kind::Link { target: target.clone() },
        Node::File { executable } => {
            let blob = content::blob_of_file(&found.path)
                .map_err(|error| failure::unreadable(&found.path, &error))?;
            Kind::File { executable: *executable, blob }
        }
    };
    Ok(ServiceFile { name: found.name.clone(), kind })
}

/// Hidden entries are not copied, but for those that installed packages and builds consist of.
fn is_hidden(parent: &str, name: &str) -> bool {
    /// Where builds put what runs.
    const BUILT: [&str; 7] = [".next", ".nuxt", ".output", ".svelte-kit", ".venv", ".well-known", ".yarn"];
    /// Below these, hidden names are parts of packages.
    const PACKAGES: [&str; 4] = ["node_modules", ".venv", ".yarn", "vendor"];
    /// Never part of what runs, wherever they are.
    const NEVER: [&str; 7] = [".git", ".hg", ".svn", ".npmrc", ".netrc", ".pypirc", ".DS_Store"];
    if !name.starts_with('.') || BUILT.contains(&name) || name == ".pnp.cjs" {
        return false;
    }
    let in_package = parent.split('/').any(|part| PACKAGES.contains(&part));
    !in_package || NEVER.contains(&name) || name == ".env" || name.starts_with(".env.")
}

/// Copies a service into `to`, which does not exist yet. Fails where a file is no longer what it was.
pub(super) fn copy(input: &ServiceInput, to: &Path) -> Result<(), Error> {
    let unwritable = |error| failure::unwritable(to, &error);
    fs::create_dir_all(to).map_err(unwritable)?;
    // Sorted by name, so a directory comes before what it contains.
    for file in &input.files {
        match &file.kind {
            Kind::Directory => fs::create_dir(to.join(&file.name)).map_err(unwritable)?,
            Kind::Link { target } => symlink(target, to.join(&file.name)).map_err(unwritable)?,
            Kind::File { .. } => {}
        }
    }
    parallel::map(&input.files, |file| match &file.kind {
        Kind::File { executable, blob } => {
            copy_file(&input.root.join(&file.name), &to.join(&file.name), *executable, blob)
        }
        _ => Ok(()),
    })?;
    // From the inside out: nothing can be added to a read-only directory.
    let inner =
        input.files.iter().rev().filter(|file| file.kind == Kind::Directory).map(|file| to.join(&file.name));
    for directory in inner.chain([to.to_owned()]) {
        fs::set_permissions(&directory, Permissions::from_mode(0o555))
            .map_err(|error| failure::unwritable(&directory, &error))?;
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, executable: bool, expected: &Blob) -> Result<(), Error> {
    let mut source = File::open(from).map_err(|error| failure::unreadable(from, &error))?;
    let mode = if executable { 0o555 } else { 0o444 };
    let mut target = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(mode)
        .open(to)
        .map_err(|error| failure::unwritable(to, &error))?;
    let copied =
        content::copy_hashed(&mut source, &mut target).map_err(|error| failure::unwritable(to, &error))?;
    if copied != *expected {
        return Err(failure::changed(from));
    }
    // Whatever the process's mask took away.
    fs::set_permissions(to, Permissions::from_mode(mode)).map_err(|error| failure::unwritable(to, &error))
}

/// The first difference between a copy and what it should be.
pub(super) fn difference(copy: &Path, files: &[ServiceFile]) -> io::Result<Option<String>> {
    for file in files {
        let path = copy.join(&file.name);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Some(format!("{} is missing", path.display())));
            }
            Err(error) => return Err(error),
        };
        let same = match &file.kind {
            Kind::Directory => metadata.is_dir(),
            Kind::Link { target } => metadata.is_symlink() && fs::read_link(&path)? == Path::new(target),
            Kind::File { executable, blob } => {
                metadata.is_file()
                    && metadata.len() == blob.size
                    && (metadata.permissions().mode() & 0o111 != 0) == *executable
                    && content::blob_of_file(&path)? == *blob
            }
        };
        if !same {
            return Ok(Some(format!("{} was changed", path.display())));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_files_are_copied_only_where_packages_and_builds_need_them() {
        for (parent, name, hidden) in [
            ("", "server.js", false),
            ("", ".env", true),
            ("", ".env.production", true),
            ("", ".git", true),
            ("", ".eslintrc", true),
            ("", ".next", false),
            (".next/standalone", ".next", false),
            (".next/standalone", ".env", true),
            ("", ".venv", false),
            ("node_modules", ".bin", false),
            ("node_modules", ".pnpm", false),
            ("node_modules/.prisma/client", ".x", false),
            ("node_modules/tool", ".env", true),
            ("node_modules/tool", ".git", true),
            ("node_modules/tool", ".npmrc", true),
            ("my_node_modules", ".x", true),
        ] {
            assert_eq!(is_hidden(parent, name), hidden, "{parent}/{name}");
        }
    }
}
