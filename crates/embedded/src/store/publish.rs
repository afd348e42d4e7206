//! Making what is served of what was found: documents are marked, and everything that shrinks is compressed.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use cutover_edge::manifest::{Blob, SiteFile, SiteManifest};
use cutover_engine::{Error, config::AppConfig, control::Progress};
use cutover_routing::ReleaseId;

use super::{
    compress::{self, Form},
    content::{self, NewBlobs},
    failure,
    html::{self, Marked},
    layout::{Layout, Work},
    media, parallel,
    site_files::{self, SiteInput},
    stage::{counted, human_bytes},
    variants::{Index, Variants},
};

/// Compressions between two lines of progress, at least.
const SAID_FROM: usize = 100;

/// A site ready to be moved into the store.
pub(super) struct Prepared {
    pub(super) blobs: NewBlobs,
    pub(super) site: Option<SiteManifest>,
    /// Compressed forms, for the index.
    pub(super) variants: Vec<(String, Variants)>,
}

/// Prepares the site, if there is one.
pub(super) fn prepare(
    layout: &Layout,
    work: &Work,
    config: &AppConfig,
    inputs: Option<&[SiteInput]>,
    release: &ReleaseId,
    progress: &Progress,
) -> Result<Prepared, Error> {
    let blobs =
        NewBlobs::create(&work.dir, &layout.blobs).map_err(|error| failure::unwritable(&work.dir, &error))?;
    let (Some(site), Some(inputs)) = (&config.site, inputs) else {
        return Ok(Prepared { blobs, site: None, variants: Vec::new() });
    };
    let maker = Maker { layout, work, blobs: &blobs, host: &config.host, tabs: site.tabs, release };
    let mut files = maker.identities(inputs, progress)?;
    let variants = maker.variants(&files, progress)?;
    for (path, file) in &mut files {
        if !media::is_compressible(path, file.identity.size) {
            continue;
        }
        if let Some(found) = variants.get(&file.identity.sha256) {
            let Variants { br, zstd, gzip } = found.clone();
            (file.br, file.zstd, file.gzip) = (br, zstd, gzip);
        }
    }
    let fallback = site.fallback.as_deref().map(site_files::fallback_path);
    Ok(Prepared {
        blobs,
        site: Some(SiteManifest { files, fallback }),
        variants: variants.into_iter().collect(),
    })
}

struct Maker<'a> {
    layout: &'a Layout,
    work: &'a Work,
    blobs: &'a NewBlobs,
    host: &'a str,
    tabs: bool,
    release: &'a ReleaseId,
}

/// What happened to a page.
enum Page {
    Marked,
    /// It forbids the script.
    MetaOnly(String),
    Untouched(String, &'static str),
}

impl Maker<'_> {
    /// Stores every file as it is served uncompressed.
    fn identities(
        &self,
        inputs: &[SiteInput],
        progress: &Progress,
    ) -> Result<BTreeMap<String, SiteFile>, Error> {
        let made = parallel::map(inputs, |input| self.identity(input))?;
        let (mut files, mut marked) = (BTreeMap::new(), 0);
        for (input, (identity, page)) in inputs.iter().zip(made) {
            match page {
                None => {}
                Some(Page::Marked) => marked += 1,
                Some(Page::MetaOnly(path)) => progress.say(format!(
                    "warning: {path}: its Content-Security-Policy forbids visit.js, so it gets the release marker only"
                )),
                Some(Page::Untouched(path, why)) => progress.say(format!("{path}: left as it is, because {why}")),
            }
            files.insert(
                input.path.clone(),
                SiteFile {
                    content_type: media::content_type(&input.path, input.utf8),
                    fingerprinted: input.fingerprinted,
                    html: media::is_html(&input.path),
                    identity,
                    br: None,
                    zstd: None,
                    gzip: None,
                },
            );
        }
        if self.tabs {
            progress.say(format!("documents marked with the release: {marked}"));
        }
        Ok(files)
    }

    fn identity(&self, input: &SiteInput) -> Result<(Blob, Option<Page>), Error> {
        let unreadable = |error| failure::unreadable(&input.file, &error);
        let unwritable = |error| failure::unwritable(&self.work.dir, &error);
        if input.blob.size > compress::LARGEST {
            let same = self.blobs.add_file(&input.file, &input.blob).map_err(unwritable)?;
            return if same { Ok((input.blob.clone(), None)) } else { Err(failure::changed(&input.file)) };
        }
        let bytes = fs::read(&input.file).map_err(unreadable)?;
        if content::blob_of(&bytes) != input.blob {
            return Err(failure::changed(&input.file));
        }
        // A path that names its content keeps exactly that content.
        let (bytes, page) = if self.tabs && media::takes_tags(&input.path) && !input.fingerprinted {
            match html::mark(&bytes, self.release, self.host) {
                Marked::Whole(marked) => (marked, Some(Page::Marked)),
                Marked::MetaOnly(marked) => (marked, Some(Page::MetaOnly(input.path.clone()))),
                Marked::Untouched(why) => (bytes, Some(Page::Untouched(input.path.clone(), why))),
            }
        } else {
            (bytes, None)
        };
        Ok((self.blobs.add(&bytes).map_err(unwritable)?, page))
    }

    /// The compressed forms of all files that may have any: known ones from the index, the others made now.
    fn variants(
        &self,
        files: &BTreeMap<String, SiteFile>,
        progress: &Progress,
    ) -> Result<HashMap<String, Variants>, Error> {
        let index = Index::read(&self.layout.variants());
        let mut seen = HashSet::new();
        let wanted: Vec<&Blob> = files
            .iter()
            .filter(|(path, file)| {
                media::is_compressible(path, file.identity.size) && file.identity.size <= compress::LARGEST
            })
            .map(|(_, file)| &file.identity)
            .filter(|blob| seen.insert(&blob.sha256))
            .collect();
        let mut known = HashMap::new();
        let mut tasks: Vec<(&Blob, Form)> = Vec::new();
        for blob in &wanted {
            match index.get(&blob.sha256) {
                Some(variants)
                    if variants.iter().all(|variant| content::is_intact(&self.layout.blobs, variant)) =>
                {
                    known.insert(blob.sha256.clone(), variants.clone());
                }
                _ => tasks.extend(Form::ALL.map(|form| (*blob, form))),
            }
        }
        let kept = known.len();
        if !tasks.is_empty() {
            let files = counted((tasks.len() / Form::ALL.len()) as u64, "file");
            progress.say(format!("compressing {files} ({kept} unchanged)"));
        }
        // The longest first, so that no core is left with one at the end.
        tasks.sort_by_key(|(blob, _)| std::cmp::Reverse(blob.size));
        let (done, step) = (AtomicUsize::new(0), tasks.len().div_ceil(4).max(SAID_FROM));
        let made = parallel::map(&tasks, |(blob, form)| {
            let variant = self.variant(blob, *form);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(step) && done < tasks.len() {
                progress.say(format!("compressing: {} % of the files done", done * 100 / tasks.len()));
            }
            variant
        })?;
        for ((blob, form), variant) in tasks.iter().zip(made) {
            let variants: &mut Variants = known.entry(blob.sha256.clone()).or_default();
            match form {
                Form::Brotli => variants.br = variant,
                Form::Zstd => variants.zstd = variant,
                Form::Gzip => variants.gzip = variant,
            }
        }
        if !wanted.is_empty() {
            let smallest = |blob: &&Blob| {
                let variants = known.get(&blob.sha256).into_iter().flat_map(Variants::iter);
                variants.map(|variant| variant.size).min().unwrap_or(blob.size)
            };
            let (before, after) =
                (wanted.iter().map(|blob| blob.size).sum(), wanted.iter().map(smallest).sum());
            progress.say(format!(
                "compressible: {}, compressed: {}",
                human_bytes(before),
                human_bytes(after)
            ));
        }
        Ok(known)
    }

    fn variant(&self, blob: &Blob, form: Form) -> Result<Option<Blob>, Error> {
        let path: PathBuf = self.blobs.find(blob);
        let bytes = fs::read(&path).map_err(|error| failure::unusable(&path, &error))?;
        let compressed =
            compress::compress(&bytes, form).map_err(|error| failure::unusable(&path, &error))?;
        let add = |bytes: Vec<u8>| {
            self.blobs.add(&bytes).map_err(|error| failure::unwritable(&self.work.dir, &error))
        };
        compressed.map(add).transpose()
    }
}
