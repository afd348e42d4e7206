//! A release that lost files while it is the active one. It stays whole for as much as is left of it: what is damaged gets
//! the outage page, never another page, and never a "not found" that search engines would believe.

use std::sync::Arc;

use cutover_edge::{ReleaseServing, ServiceServing};
use cutover_engine::Error;
use cutover_routing::{PathPattern, ReleaseId};

use super::{Inner, Loaded, locked, publish::NOWHERE};

/// With more damaged files than this a site is no site any more.
const MOST: usize = 64;

/// Paths that are named to a person.
const NAMED: usize = 5;

impl Inner {
    /// Leaves the damaged files of a release out of what is published. Returns what a person should know, if anything.
    pub(super) async fn leave_out_damaged(&self, id: &ReleaseId) -> Option<String> {
        let (store, release) = (Arc::clone(&self.store), *id);
        let found = tokio::task::spawn_blocking(move || store.intact_site(&release)).await;
        let (site, damaged) = found.ok()?.ok()?;
        let whole = self.load(id).await.ok()?;
        if site.as_ref() == whole.site.as_deref() {
            return None;
        }
        let mended = Loaded {
            site: site.map(Arc::new),
            mended: Some(damaged),
            snapshot: whole.snapshot.clone(),
            services_dir: whole.services_dir.clone(),
            files: whole.files,
            bytes: whole.bytes,
        };
        let message = told(&mended).map(|problem| format!("site of {id}, which is active: {problem}"));
        if let Some(message) = &message {
            tracing::error!(message, "damaged files");
        }
        locked(&self.loaded).insert(*id, Arc::new(mended));
        message
    }

    /// True where files of the release are missing or damaged, as far as is known.
    pub(super) async fn is_damaged(&self, id: &ReleaseId) -> bool {
        self.load(id)
            .await
            .map_or(true, |loaded| loaded.mended.as_ref().is_some_and(|paths| !paths.is_empty()))
    }

    /// Serves a release whole again after its content was staged once more, which heals the store.
    pub(super) async fn made_whole(&self, id: &ReleaseId) -> Result<(), Error> {
        let subject = format!("files of {id}");
        let known = locked(&self.loaded).get(id).is_some_and(|loaded| loaded.mended.is_none());
        if known && !locked(&self.problems).contains_key(&subject) {
            return Ok(());
        }
        self.unload(id);
        self.trouble(subject, None);
        self.publish().await
    }
}

/// What is wrong with a site, for a person.
pub(super) fn told(loaded: &Loaded) -> Option<String> {
    let paths = loaded.mended.as_ref()?;
    if paths.is_empty() {
        return Some("compressed forms of files are damaged; the files are served without them".to_owned());
    }
    let mut names = paths.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if paths.len() > NAMED {
        names.push_str(", ...");
    }
    Some(format!(
        "{} files are missing or damaged ({names}) and answer with the outage page; roll back, or stage the same \
         content again",
        paths.len()
    ))
}

/// A release of which nothing can be served: every address gets the outage page.
pub(super) fn outage() -> ReleaseServing {
    ReleaseServing { site: None, services: vec![nowhere(everything())] }
}

/// Stands in the place of damaged files.
pub(super) fn instead_of_files(loaded: &Loaded) -> Option<ServiceServing> {
    let paths = loaded.mended.as_ref().filter(|paths| !paths.is_empty())?;
    let fallback = loaded.snapshot.site.as_ref().and_then(|site| site.fallback.as_ref());
    let shell = fallback.map(|fallback| format!("/{}", fallback.trim_start_matches('/')));
    // Without its shell there is no address of the app that can be opened.
    if paths.len() > MOST || shell.is_some_and(|shell| paths.contains(&shell)) {
        return Some(nowhere(everything()));
    }
    let routes: Vec<_> = paths
        .iter()
        .flat_map(|path| addresses(path))
        .map(|address| PathPattern::parse(&address))
        .collect::<Result<_, _>>()
        .unwrap_or_else(|_| everything());
    Some(nowhere(routes))
}

fn everything() -> Vec<PathPattern> {
    PathPattern::parse("/*").into_iter().collect()
}

/// Every address that shows the file.
fn addresses(path: &str) -> Vec<String> {
    let mut all = vec![path.to_owned()];
    if let Some(directory) = path.strip_suffix("index.html").filter(|rest| rest.ends_with('/')) {
        all.push(directory.to_owned());
    } else if let Some(bare) = path.strip_suffix(".html") {
        all.push(bare.to_owned());
    }
    all
}

fn nowhere(routes: Vec<PathPattern>) -> ServiceServing {
    // No name of a service has a space.
    ServiceServing { name: "damaged files".to_owned(), routes, upstream: NOWHERE.to_owned(), health: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_document_is_found_under_each_of_its_addresses() {
        assert_eq!(addresses("/index.html"), ["/index.html", "/"]);
        assert_eq!(addresses("/a/index.html"), ["/a/index.html", "/a/"]);
        assert_eq!(addresses("/a.html"), ["/a.html", "/a"]);
        assert_eq!(addresses("/logo.png"), ["/logo.png"]);
    }
}
