//! A build of the shop without any tool: every file but the document gets a name made of its content, and whoever
//! refers to it is rewritten before it is named in turn.
//!
//! What counts as a reference is a quoted or `url(...)` path that starts with `./` or `../`: the form that browsers and
//! bundlers understand alike. A reference to nothing and a circle of references are refused: the first would be a 404
//! for a visitor, the second cannot be named by content.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::sources::Sources;

/// The document everything starts from.
const DOCUMENT: &str = "index.html";
/// The service worker, where there is one. Browsers find its next version by its fixed address.
const WORKER: &str = "sw.js";
/// What the build replaces in the service worker.
const WORKER_SLOT: &str = "/* filled in by the build */ { id: '', files: [] }";

/// Why sources cannot be built.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum BundleError {
    /// The document is missing.
    #[error("there is no {DOCUMENT} among the sources")]
    NoDocument,
    /// A reference leads nowhere.
    #[error("{file} refers to {reference}, which is not among the sources")]
    Unknown { file: String, reference: String },
    /// Files refer to each other in a circle.
    #[error("{0} refers back to itself through what it imports")]
    Circle(String),
    /// The service worker has no place for the list of files.
    #[error("{WORKER} does not contain `{WORKER_SLOT}`")]
    NoSlot,
}

/// Builds the document and all it leads to. Returns path below the output directory to text.
pub(crate) fn bundle(sources: &Sources) -> Result<BTreeMap<String, String>, BundleError> {
    let mut build = Build { sources, named: BTreeMap::new(), open: Vec::new(), written: BTreeMap::new() };
    let document = *sources.get(DOCUMENT).ok_or(BundleError::NoDocument)?;
    let document = build.rewrite(DOCUMENT, document, "/assets/")?;
    let mut written = build.written;
    if let Some(worker) = sources.get(WORKER) {
        let files: Vec<_> = written.keys().map(|path| format!("'/{path}'")).collect();
        let id = short_hash(&[document.as_str(), &files.concat()].concat());
        let filled = format!("{{ id: '{id}', files: [{}] }}", files.join(", "));
        if !worker.contains(WORKER_SLOT) {
            return Err(BundleError::NoSlot);
        }
        written.insert(WORKER.to_owned(), worker.replace(WORKER_SLOT, &filled));
    }
    written.insert(DOCUMENT.to_owned(), document);
    Ok(written)
}

struct Build<'a> {
    sources: &'a Sources,
    /// Source path to name below `assets/`.
    named: BTreeMap<String, String>,
    /// Sources being rewritten now, outermost first.
    open: Vec<String>,
    written: BTreeMap<String, String>,
}

impl Build<'_> {
    /// The name of a source below `assets/`, after naming everything it refers to.
    fn name(&mut self, path: &str, text: &str) -> Result<String, BundleError> {
        if let Some(name) = self.named.get(path) {
            return Ok(name.clone());
        }
        if self.open.iter().any(|open| open == path) {
            return Err(BundleError::Circle(path.to_owned()));
        }
        self.open.push(path.to_owned());
        // All files lie side by side in `assets/`.
        let text = self.rewrite(path, text, "./")?;
        self.open.pop();
        let file = path.rsplit('/').next().unwrap_or(path);
        let (stem, extension) = file.rsplit_once('.').unwrap_or((file, "bin"));
        let name = format!("{stem}-{}.{extension}", short_hash(&text));
        self.written.insert(format!("assets/{name}"), text);
        self.named.insert(path.to_owned(), name.clone());
        Ok(name)
    }

    /// The text with every reference replaced by `prefix` and the name of what it refers to.
    fn rewrite(&mut self, file: &str, text: &str, prefix: &str) -> Result<String, BundleError> {
        let sources = self.sources;
        let mut out = String::with_capacity(text.len() + 512);
        let mut rest = text;
        while let Some((start, end)) = next_reference(rest) {
            let (Some(before), Some(reference), Some(after)) =
                (rest.get(..start), rest.get(start..end), rest.get(end..))
            else {
                break;
            };
            let unknown = || BundleError::Unknown { file: file.to_owned(), reference: reference.to_owned() };
            let target = resolve(file, reference).ok_or_else(unknown)?;
            let (path, source) = sources.get_key_value(target.as_str()).ok_or_else(unknown)?;
            out.push_str(before);
            out.push_str(prefix);
            out.push_str(&self.name(path, source)?);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// Where the next reference starts and ends in the text, delimiters apart.
fn next_reference(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(found) = text.get(from..)?.find("./") {
        let dot = from + found;
        from = dot + 2;
        let head = text.get(..dot)?;
        // Of `../x` the second dot was found; the reference starts at the first.
        let start = if head.ends_with('.') { dot - 1 } else { dot };
        let close = match text.get(..start)?.chars().next_back() {
            Some('\'') => '\'',
            Some('"') => '"',
            Some('(') => ')',
            _ => continue,
        };
        let length = text.get(start..)?.find(close)?;
        return Some((start, start + length));
    }
    None
}

/// The source path that a relative reference in `file` means; none where it leaves the source directory.
fn resolve(file: &str, reference: &str) -> Option<String> {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in reference.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Ten hex digits of a text's digest: 40 bits tell the few files of a build apart.
fn short_hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::Variant, super::sources::sources, *};

    fn name_of<'a>(built: &'a BTreeMap<String, String>, stem: &str) -> &'a str {
        built.keys().find(|path| path.starts_with(&format!("assets/{stem}-"))).unwrap()
    }

    #[test]
    fn every_reference_of_every_variant_leads_to_a_written_file() {
        for (variant, worker) in
            [(Variant::One, false), (Variant::Two, false), (Variant::Bad, false), (Variant::Two, true)]
        {
            let built = bundle(&sources(variant, worker)).unwrap();
            let mut references = 0;
            for (path, text) in &built {
                let mut rest = text.as_str();
                while let Some((start, end)) = next_reference(rest) {
                    let target = resolve(path, &rest[start..end]).unwrap();
                    assert!(built.contains_key(&target), "{path} -> {target}");
                    references += 1;
                    rest = &rest[end..];
                }
            }
            assert!(references > 30, "{references}");
            assert!(built["index.html"].contains(&format!("src=\"/{}\"", name_of(&built, "main"))));
        }
    }

    #[test]
    fn a_change_renames_the_file_and_all_that_lead_to_it_and_nothing_else() {
        let before = sources(Variant::One, false);
        let mut after = before.clone();
        after.insert("shape.js", "export const SHAPE = 7;");
        let (before, after) = (bundle(&before).unwrap(), bundle(&after).unwrap());
        for changed in ["shape", "api", "catalogue", "router", "main"] {
            assert_ne!(name_of(&before, changed), name_of(&after, changed), "{changed}");
        }
        for same in ["dom", "images", "styles", "mug", "go"] {
            assert_eq!(name_of(&before, same), name_of(&after, same), "{same}");
        }
    }

    #[test]
    fn the_same_sources_give_the_same_names() {
        assert_eq!(bundle(&sources(Variant::Two, true)), bundle(&sources(Variant::Two, true)));
    }

    #[test]
    fn the_service_worker_names_every_file_and_changes_with_the_build() {
        let one = bundle(&sources(Variant::One, true)).unwrap();
        let two = bundle(&sources(Variant::Two, true)).unwrap();
        for path in one.keys().filter(|path| path.starts_with("assets/")) {
            assert!(one["sw.js"].contains(&format!("'/{path}'")), "{path}");
        }
        assert_ne!(one["sw.js"], two["sw.js"]);
        let without_slot = Sources::from([("index.html", ""), ("sw.js", "")]);
        assert_eq!(bundle(&without_slot), Err(BundleError::NoSlot));
    }

    #[test]
    fn what_leads_nowhere_or_in_a_circle_is_refused() {
        assert_eq!(bundle(&Sources::new()), Err(BundleError::NoDocument));
        let missing = Sources::from([("index.html", "<script src=\"./main.js\">")]);
        let outside = Sources::from([("index.html", "<script src='../main.js'>"), ("main.js", "")]);
        for (sources, reference) in [(missing, "./main.js"), (outside, "../main.js")] {
            let error = BundleError::Unknown { file: "index.html".into(), reference: reference.into() };
            assert_eq!(bundle(&sources), Err(error));
        }
        let circle = Sources::from([
            ("index.html", "'./a.js'"),
            ("a.js", "import './b.js'"),
            ("b.js", "import('./a.js')"),
        ]);
        assert_eq!(bundle(&circle), Err(BundleError::Circle("a.js".into())));
    }

    #[test]
    fn references_are_found_in_scripts_styles_and_markup_only_where_quoted() {
        for (text, reference) in [
            ("import('./a.js')", Some("./a.js")),
            ("from \"../b.js\"", Some("../b.js")),
            ("url(./c.svg)", Some("./c.svg")),
            ("see ./d.js or a../e", None),
            ("'unclosed './f", None),
            ("", None),
        ] {
            let found = next_reference(text).map(|(start, end)| &text[start..end]);
            assert_eq!(found, reference, "{text}");
        }
    }
}
