//! What a site is made of: every file below its directory, named by the path it is served at.

use std::{
    fs,
    path::{Path, PathBuf},
};

use cutover_edge::manifest::Blob;
use cutover_engine::{
    Error, ErrorKind,
    config::{AppConfig, SiteConfig},
    control::Progress,
};

use super::{
    compress, content, failure,
    fingerprints::Fingerprints,
    parallel,
    secrets::{self, Secret},
    walk::{self, Found, Links, Node, Rules},
};

/// Entries named in a message.
pub(super) const SHOWN: usize = 5;

/// One file of a site as it was found.
#[derive(Debug, Clone)]
pub(super) struct SiteInput {
    /// The path it is served at, decoded.
    pub(super) path: String,
    pub(super) file: PathBuf,
    pub(super) blob: Blob,
    pub(super) fingerprinted: bool,
    /// Whether its content is UTF-8 throughout.
    pub(super) utf8: bool,
}

/// Finds and reads all files of a site; changes nothing.
pub(super) fn look(
    config: &AppConfig,
    site: &SiteConfig,
    states: &[PathBuf],
    progress: &Progress,
) -> Result<Vec<SiteInput>, Error> {
    let root = root(&site.dir, states, "dir in [site]")?;
    let walk = walk::walk(&root, &Rules { links: Links::Follow, hidden: is_hidden, never: states })?;
    report(progress, "site", &walk);
    let reserved =
        walk.found.iter().map(|found| found.name.as_str()).chain(walk.hidden.iter().map(String::as_str));
    refuse_reserved(reserved, &root, states)?;
    let files: Vec<&Found> =
        walk.found.iter().filter(|found| matches!(found.node, Node::File { .. })).collect();
    if files.is_empty() {
        return Err(Error::new(
            ErrorKind::Invalid,
            "CUT0201",
            format!("there are no files to stage in {}", site.dir.display()),
        )
        .hint("build the app first")
        .hint("`dir` in [site] must be the directory the build writes to"));
    }
    if files.iter().any(|found| found.name.starts_with("node_modules/")) {
        progress
            .say("warning: the site contains node_modules; `dir` in [site] is meant to be the build output");
    }
    secrets::refuse(files.iter().filter_map(|found| secrets::by_name(found, config)), &root)?;
    for found in &files {
        servable(found)?;
    }

    let fingerprints = Fingerprints::read(site, &root, progress)?;
    let looked = parallel::map(&files, |found| look_at(found, &fingerprints))?;
    secrets::refuse(looked.iter().filter_map(|(_, secret)| secret.clone()), &root)?;
    let mut inputs: Vec<SiteInput> = looked.into_iter().map(|(input, _)| input).collect();
    inputs.sort_by(|a, b| a.path.cmp(&b.path));
    check_fallback(site, &inputs)?;
    Ok(inputs)
}

/// The canonical form of a directory to be staged.
pub(super) fn root(dir: &Path, states: &[PathBuf], setting: &str) -> Result<PathBuf, Error> {
    let missing = |why: String| {
        Error::new(ErrorKind::Invalid, "CUT0201", format!("{why}: {}", dir.display()))
            .hint("build the app first, if the build makes this directory")
            .hint(format!("`{setting}` is relative to the directory of cutover.toml"))
    };
    let root = match dir.canonicalize() {
        Ok(root) => root,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(missing(format!("the directory of `{setting}` does not exist")));
        }
        Err(error) => return Err(failure::unreadable(dir, &error)),
    };
    if !root.is_dir() {
        return Err(missing(format!("`{setting}` is no directory")));
    }
    if states.iter().any(|state| root.starts_with(state)) {
        return Err(Error::new(
            ErrorKind::Invalid,
            "CUT0203",
            format!("`{setting}` lies in the state directory: {}", root.display()),
        )
        .hint("the state directory is Cutover's own: build to another place"));
    }
    Ok(root)
}

/// Says what was left out.
pub(super) fn report(progress: &Progress, what: &str, walk: &walk::Walk) {
    for line in &walk.skipped {
        progress.say(format!("warning: {what}: not staged: {line}"));
    }
    if !walk.hidden.is_empty() {
        progress.say(format!("{what}: hidden files are not staged: {}", some_of(&walk.hidden)));
    }
}

/// The first few of many.
pub(super) fn some_of(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

/// Names that start with a dot are for tools and secrets; `.well-known` is for the web (RFC 8615).
fn is_hidden(_parent: &str, name: &str) -> bool {
    name.starts_with('.') && name != ".well-known"
}

fn refuse_reserved<'a>(
    names: impl Iterator<Item = &'a str>,
    root: &Path,
    states: &[PathBuf],
) -> Result<(), Error> {
    for name in names {
        let first = name.split('/').next().unwrap_or(name);
        if matches!(first, ".cutover" | "_r") && !states.contains(&root.join(first)) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "CUT0203",
                format!(
                    "the site contains {first}, but addresses below /{first}/ are reserved: {}",
                    root.join(name).display()
                ),
            )
            .hint("rename it, or remove it from the build output"));
        }
    }
    Ok(())
}

/// Refuses names that no request can spell.
fn servable(found: &Found) -> Result<(), Error> {
    let path = format!("/{}", found.name);
    let escaped: String =
        path.bytes().map(|byte| if byte == b'/' { "/".to_owned() } else { format!("%{byte:02X}") }).collect();
    match cutover_routing::normalise_path(&escaped) {
        Ok(reached) if reached == path => Ok(()),
        Ok(_) => Err(unservable(found, "the address means another path")),
        Err(bad) => Err(unservable(found, bad)),
    }
}

fn unservable(found: &Found, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Invalid, "CUT0204", format!("the file name {:?} cannot be served", found.path))
        .because(why)
        .hint("rename the file")
}

fn look_at(found: &Found, fingerprints: &Fingerprints) -> Result<(SiteInput, Option<Secret>), Error> {
    let unreadable = |error| failure::unreadable(&found.path, &error);
    let size = fs::metadata(&found.path).map_err(unreadable)?.len();
    let (blob, utf8, secret) = if size <= compress::LARGEST {
        let bytes = fs::read(&found.path).map_err(unreadable)?;
        (content::blob_of(&bytes), std::str::from_utf8(&bytes).is_ok(), secrets::by_content(found, &bytes))
    } else {
        (content::blob_of_file(&found.path).map_err(unreadable)?, false, None)
    };
    let path = format!("/{}", found.name);
    let fingerprinted = fingerprints.names(&found.name);
    Ok((SiteInput { path, file: found.path.clone(), blob, fingerprinted, utf8 }, secret))
}

fn check_fallback(site: &SiteConfig, inputs: &[SiteInput]) -> Result<(), Error> {
    let Some(fallback) = &site.fallback else { return Ok(()) };
    let path = fallback_path(fallback);
    if inputs.iter().any(|input| input.path == path) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Invalid,
        "CUT0205",
        format!("the fallback {fallback} is not among the files of {}", site.dir.display()),
    )
    .hint("`fallback` in [site] is relative to its `dir`")
    .hint("build the app first, if the build makes it"))
}

/// The path a fallback is served at.
pub(super) fn fallback_path(fallback: &str) -> String {
    format!("/{}", fallback.trim_start_matches("./").trim_start_matches('/'))
}
