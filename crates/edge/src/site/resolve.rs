//! From a path to the file that answers it, decided for every path before the first request.
//!
//! In this order: the file of exactly that name; for `/a/` the file `/a/index.html`; for `/a` the file `/a.html`; for `/a`
//! where only `/a/index.html` exists a redirect to `/a/`, so that the page's relative links work.

use std::collections::{BTreeMap, HashMap};

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The file of that name, by position.
    File(usize),
    /// A document that has another name too, by position.
    Alias(usize),
    /// The same path with a slash.
    Directory,
}

/// All paths of a site.
#[derive(Debug, Default)]
pub(super) struct Paths {
    targets: HashMap<Box<str>, Target>,
}

impl Paths {
    /// Derives all paths from those of the files, which come in the order of their positions.
    pub(super) fn of<'a>(files: impl Iterator<Item = &'a str>) -> Self {
        // Later kinds of name give way to earlier ones.
        let mut names: [BTreeMap<&str, Target>; 3] = Default::default();
        let mut targets = HashMap::new();
        for (position, path) in files.enumerate() {
            targets.insert(Box::from(path), Target::File(position));
            if let Some(directory) = path.strip_suffix("index.html").filter(|rest| rest.ends_with('/')) {
                names[0].insert(directory, Target::Alias(position));
                if let Some(bare) = directory.strip_suffix('/').filter(|bare| !bare.is_empty()) {
                    names[2].insert(bare, Target::Directory);
                }
            }
            if let Some(bare) = path.strip_suffix(".html").filter(|bare| !bare.ends_with('/')) {
                names[1].insert(bare, Target::Alias(position));
            }
        }
        for (path, target) in names.into_iter().flatten() {
            targets.entry(Box::from(path)).or_insert(target);
        }
        Self { targets }
    }

    pub(super) fn find(&self, path: &str) -> Option<Target> {
        self.targets.get(path).copied()
    }

    /// The files' own paths and positions.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, usize)> {
        self.targets.iter().filter_map(|(path, target)| match target {
            Target::File(position) => Some((&**path, *position)),
            _ => None,
        })
    }
}

/// Sorted, lower case, at most 11 bytes each.
const ASSET_EXTENSIONS: [&str; 89] = [
    "7z",
    "aac",
    "apk",
    "atom",
    "avi",
    "avif",
    "bin",
    "bmp",
    "br",
    "bz2",
    "cjs",
    "css",
    "csv",
    "cur",
    "data",
    "deb",
    "dmg",
    "doc",
    "docx",
    "eot",
    "epub",
    "exe",
    "flac",
    "geojson",
    "gif",
    "glb",
    "gltf",
    "gz",
    "heic",
    "ico",
    "ics",
    "iso",
    "jar",
    "jpeg",
    "jpg",
    "js",
    "json",
    "jsonld",
    "jsx",
    "jxl",
    "less",
    "m4a",
    "m4v",
    "map",
    "md",
    "mjs",
    "mov",
    "mp3",
    "mp4",
    "mpeg",
    "mpg",
    "msi",
    "oga",
    "ogg",
    "ogv",
    "opus",
    "otf",
    "pdf",
    "png",
    "ppt",
    "pptx",
    "rar",
    "rss",
    "scss",
    "svg",
    "tar",
    "tgz",
    "tif",
    "tiff",
    "ts",
    "tsx",
    "ttf",
    "txt",
    "vtt",
    "wasm",
    "wav",
    "webm",
    "webmanifest",
    "webp",
    "woff",
    "woff2",
    "xls",
    "xlsx",
    "xml",
    "xsl",
    "yaml",
    "yml",
    "zip",
    "zst",
];

/// Whether a path asks for an asset rather than for a page: its last segment ends in the extension of something that is
/// loaded by pages. Such a path is never answered with the fallback; `/users/jane.doe` is a page.
pub fn looks_like_asset(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some((_, extension)) = name.rsplit_once('.') else { return false };
    if extension.is_empty() || extension.len() > 11 {
        return false;
    }
    let mut lower = [0_u8; 11];
    for (to, from) in lower.iter_mut().zip(extension.bytes()) {
        *to = from.to_ascii_lowercase();
    }
    let Ok(lower) = std::str::from_utf8(&lower[..extension.len()]) else { return false };
    ASSET_EXTENSIONS.binary_search(&lower).is_ok()
}

/// Whether a path names something hidden: a segment that begins with a dot, `.well-known` (RFC 8615) excepted. No site
/// has such files, and who asks for `/.env` or `/.git/config` must not take a page for one.
pub(super) fn is_hidden(path: &str) -> bool {
    path.split('/').any(|segment| segment.starts_with('.') && segment != ".well-known")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_document_leads_to_it() {
        let files = [
            "/index.html",
            "/a/index.html",
            "/b.html",
            "/c.html",
            "/c/index.html",
            "/d",
            "/d.html",
            "/app.js",
            "/e/x/index.html",
            "/f/.html",
        ];
        let paths = Paths::of(files.iter().copied());
        let position = |name: &str| files.iter().position(|file| *file == name).unwrap();
        let file = |name| Some(Target::File(position(name)));
        let alias = |name| Some(Target::Alias(position(name)));
        let cases = [
            ("/", alias("/index.html")),
            ("/index.html", file("/index.html")),
            ("/index", alias("/index.html")),
            ("/a", Some(Target::Directory)),
            ("/a/", alias("/a/index.html")),
            ("/a/index", alias("/a/index.html")),
            ("/b", alias("/b.html")),
            ("/b/", None),
            ("/c", alias("/c.html")),
            ("/c/", alias("/c/index.html")),
            ("/d", file("/d")),
            ("/app.js", file("/app.js")),
            ("/app", None),
            ("/e/x", Some(Target::Directory)),
            ("/e", None),
            ("/e/", None),
            ("/f/", None),
            ("", None),
            ("/A", None),
        ];
        for (path, expected) in cases {
            assert_eq!(paths.find(path), expected, "{path}");
        }
    }

    #[test]
    fn the_extensions_can_be_searched() {
        assert!(ASSET_EXTENSIONS.is_sorted());
        assert!(ASSET_EXTENSIONS.iter().all(|extension| extension.len() <= 11));
    }

    #[test]
    fn hidden_is_what_begins_with_a_dot() {
        for path in ["/.env", "/.git/config", "/a/.b/c", "/.well-known/.x", "/.well-knownish", "/.x/"] {
            assert!(is_hidden(path), "{path}");
        }
        for path in ["/", "", "/a.b", "/.well-known/change-password", "/users/jane.", "/a/b..c"] {
            assert!(!is_hidden(path), "{path}");
        }
    }

    #[test]
    fn assets_are_told_from_pages_by_their_extension() {
        for asset in [
            "/a.js",
            "/assets/x-1234.CSS",
            "/favicon.ico",
            "/a.b.map",
            "/site.webmanifest",
            "/x.zst",
            "/.js",
            "/7z.7z",
        ] {
            assert!(looks_like_asset(asset), "{asset}");
        }
        for page in [
            "/",
            "/a",
            "/users/jane.doe",
            "/v1.2",
            "/a.js/",
            "/a.html",
            "/x.",
            "/a.js/b",
            "/ü.ü",
            "/x.aaaaaaaaaaaaaaaaaa",
            "",
        ] {
            assert!(!looks_like_asset(page), "{page}");
        }
    }
}
