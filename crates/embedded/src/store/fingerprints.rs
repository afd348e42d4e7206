//! Which files name their content: by globs, and by what a bundler wrote about its output.

use std::{collections::BTreeSet, fs, path::Path};

use cutover_engine::{
    Error, ErrorKind,
    config::{Globs, SiteConfig},
    control::Progress,
};
use serde_json::Value;

use super::site_files;

/// The fingerprinted files of a site.
pub(super) struct Fingerprints {
    globs: Globs,
    /// Relative to the site's directory.
    bundled: BTreeSet<String>,
}

impl Fingerprints {
    pub(super) fn read(site: &SiteConfig, root: &Path, progress: &Progress) -> Result<Self, Error> {
        let globs = Globs::new(&site.fingerprinted).map_err(|why| {
            Error::new(ErrorKind::Invalid, "CUT0212", "a glob of `fingerprinted` in [site] is malformed")
                .because(why)
        })?;
        let bundled = match &site.manifest {
            None => BTreeSet::new(),
            Some(manifest) => read_manifest(&root.join(manifest), root)?,
        };
        let missing: Vec<String> =
            bundled.iter().filter(|name| !root.join(name).is_file()).cloned().collect();
        if !missing.is_empty() {
            progress.say(format!(
                "warning: the bundler's manifest names files that are not there: {}",
                site_files::some_of(&missing)
            ));
        }
        Ok(Self { globs, bundled })
    }

    /// Whether the file of this relative name names its content.
    pub(super) fn names(&self, name: &str) -> bool {
        self.bundled.contains(name) || self.globs.matches(name)
    }
}

fn read_manifest(path: &Path, root: &Path) -> Result<BTreeSet<String>, Error> {
    let wrong = |why: String| {
        Error::new(
            ErrorKind::Invalid,
            "CUT0211",
            format!("cannot use the bundler's manifest {}", path.display()),
        )
        .because(why)
        .hint("`manifest` in [site] is relative to its `dir`, e.g. \".vite/manifest.json\"")
        .hint("Vite writes it with `build.manifest = true`")
    };
    let real = path.canonicalize().map_err(|error| wrong(error.to_string()))?;
    if !real.starts_with(root) {
        return Err(wrong("it lies outside of `dir`".to_owned()));
    }
    let text = fs::read(&real).map_err(|error| wrong(error.to_string()))?;
    let value: Value = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    outputs(&value).map_err(wrong)
}

/// The output files of a manifest: Vite's (source to `file`, `css`, `assets`), or a flat map from source to output.
fn outputs(manifest: &Value) -> Result<BTreeSet<String>, String> {
    let Value::Object(entries) = manifest else { return Err("it is no JSON object".to_owned()) };
    let mut outputs = BTreeSet::new();
    for (source, entry) in entries {
        match entry {
            // Flat manifests list pages and copied files too, under the name they had before: those name no content.
            Value::String(output) => outputs.extend(relative(output).filter(|output| output != source)),
            Value::Object(chunk) => {
                outputs.extend(chunk.get("file").and_then(Value::as_str).and_then(relative));
                for list in ["css", "assets"] {
                    let files = chunk.get(list).and_then(Value::as_array).into_iter().flatten();
                    outputs.extend(files.filter_map(Value::as_str).filter_map(relative));
                }
            }
            _ => return Err(format!("its entry {source:?} is neither text nor an object")),
        }
    }
    Ok(outputs)
}

/// None for what is elsewhere or is a page: pages carry their release and so change with each.
fn relative(output: &str) -> Option<String> {
    let name = output.trim_start_matches("./").trim_start_matches('/');
    let is_here = !output.contains("://") && !output.starts_with("//") && !name.is_empty();
    let is_page = super::media::is_html(name);
    (is_here && !is_page).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(json: &str) -> Result<Vec<String>, String> {
        outputs(&serde_json::from_str(json).unwrap()).map(|outputs| outputs.into_iter().collect())
    }

    #[test]
    fn vites_manifest_names_chunks_styles_and_assets() {
        let manifest = r#"{
            "index.html": {"file": "assets/index-a1.js", "isEntry": true, "css": ["assets/index-b2.css"], "imports": ["_shared.js"]},
            "_shared.js": {"file": "assets/shared-c3.js"},
            "src/logo.svg": {"file": "assets/logo-d4.svg", "src": "src/logo.svg"},
            "src/cart.js": {"file": "assets/cart-e5.js", "isDynamicEntry": true, "assets": ["assets/font-f6.woff2"]}
        }"#;
        assert_eq!(
            names(manifest).unwrap(),
            [
                "assets/cart-e5.js",
                "assets/font-f6.woff2",
                "assets/index-a1.js",
                "assets/index-b2.css",
                "assets/logo-d4.svg",
                "assets/shared-c3.js"
            ]
        );
    }

    #[test]
    fn flat_manifests_name_what_was_renamed() {
        let manifest = r#"{"main.js": "/main.a1.js", "robots.txt": "/robots.txt", "index.html": "/index.a1.html", "x.css": "./x.b2.css", "cdn.js": "https://cdn/x.js"}"#;
        assert_eq!(names(manifest).unwrap(), ["main.a1.js", "x.b2.css"]);
    }

    #[test]
    fn other_documents_are_refused() {
        for manifest in ["[]", "3", r#"{"a": 1}"#, r#"{"a": ["b"]}"#] {
            assert!(names(manifest).is_err(), "{manifest}");
        }
    }
}
