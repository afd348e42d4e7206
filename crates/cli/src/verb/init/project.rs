//! What can be known of a project by looking at its folder.

use std::path::Path;

use serde_json::Value;

/// Folders bundlers write to, the most telling first.
const OUTPUTS: [&str; 4] = ["dist", "build", "out", "public"];

/// Folders below the output whose file names carry a digest of their content, and who writes them.
const FINGERPRINTED: [&str; 8] = [
    "assets",         // Vite, and what is built on it
    "_app/immutable", // SvelteKit
    "_astro",         // Astro
    "_next/static",   // Next.js export
    "_nuxt",          // Nuxt
    "static/js",      // Create React App
    "static/css",
    "static/media",
];

/// A project as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Project {
    /// Name for the app.
    pub(super) app: String,
    /// The folder that is released, relative to the project.
    pub(super) site: String,
    /// Whether it is there.
    pub(super) site_found: bool,
    /// Whether it holds an `index.html`, or is not there to tell.
    pub(super) index: bool,
    /// Globs of fingerprinted files.
    pub(super) fingerprinted: Vec<String>,
    /// The command that builds the site.
    pub(super) build: Option<String>,
    /// The command that runs a server.
    pub(super) start: Option<String>,
    /// The command that runs end-to-end tests.
    pub(super) e2e: Option<String>,
}

impl Project {
    /// Looks at a folder.
    pub(super) fn detect(folder: &Path) -> Self {
        let package: Option<Value> = std::fs::read(folder.join("package.json"))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let script = |names: &[&str]| {
            let scripts = package.as_ref()?.get("scripts")?;
            let name = names.iter().find(|name| scripts.get(**name).is_some_and(Value::is_string))?;
            Some(format!("npm run {name}"))
        };
        let name = package
            .as_ref()
            .and_then(|package| package.get("name")?.as_str())
            .or_else(|| folder.file_name()?.to_str())
            .unwrap_or_default();
        let mut project = Self {
            app: app_name(name),
            site: String::new(),
            site_found: false,
            index: true,
            fingerprinted: Vec::new(),
            build: script(&["build"]),
            start: script(&["start", "serve"]),
            e2e: script(&["e2e", "test:e2e"]),
        };
        let found = OUTPUTS.iter().find(|output| folder.join(output).join("index.html").is_file());
        let found = found.or_else(|| OUTPUTS.iter().find(|output| folder.join(output).is_dir()));
        // `public` is where bundlers take files from, so with a build script it is not what the build makes.
        let found = found.filter(|output| **output != "public" || project.build.is_none());
        project.choose_site(folder, found.unwrap_or(&"dist"));
        project
    }

    /// Takes a folder for the site, whether it is there or not.
    pub(super) fn choose_site(&mut self, folder: &Path, site: &str) {
        let path = folder.join(site);
        self.site = site.to_owned();
        self.site_found = path.is_dir();
        self.index = !self.site_found || path.join("index.html").is_file();
        self.fingerprinted = FINGERPRINTED
            .iter()
            .filter(|below| path.join(below).is_dir())
            .map(|below| format!("{below}/**"))
            .collect();
        if !self.site_found && self.fingerprinted.is_empty() {
            self.fingerprinted.push("assets/**".to_owned());
        }
    }
}

/// A name as `cutover.toml` wants it: lower-case letters, digits and hyphens, a letter first.
fn app_name(name: &str) -> String {
    // `@scope/name`: the scope says who, not what.
    let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let mut plain = String::new();
    for letter in name.chars() {
        if letter.is_ascii_alphanumeric() {
            plain.push(letter);
        } else if !plain.is_empty() && !plain.ends_with('-') {
            plain.push('-');
        }
    }
    let plain = plain.trim_matches('-').trim_start_matches(|c: char| !c.is_ascii_lowercase());
    if plain.is_empty() { "app".to_owned() } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn a_vite_project_is_recognised_before_and_after_its_build() {
        let package = r#"{"name":"@acme/Shop_Front","scripts":{"build":"vite build","test:e2e":"x"}}"#;
        let before = folder(&[("package.json", package), ("public/icon.svg", "")]);
        let project = Project::detect(before.path());
        assert_eq!((project.app.as_str(), project.site.as_str()), ("shop-front", "dist"));
        assert!(!project.site_found);
        assert_eq!(project.build.as_deref(), Some("npm run build"));
        assert_eq!(project.e2e.as_deref(), Some("npm run test:e2e"));

        let after =
            folder(&[("package.json", package), ("dist/index.html", ""), ("dist/assets/a-1234.js", "")]);
        let project = Project::detect(after.path());
        assert!(project.site_found && project.index);
        assert_eq!(project.fingerprinted, ["assets/**"]);
    }

    #[test]
    fn a_folder_with_an_index_wins_over_one_without() {
        let dir = folder(&[("dist/server.js", ""), ("build/index.html", ""), ("build/static/js/m.js", "")]);
        let project = Project::detect(dir.path());
        assert_eq!(project.site, "build");
        assert_eq!(project.fingerprinted, ["static/js/**"]);
    }

    #[test]
    fn plain_pages_in_public_are_a_site_where_nothing_is_built() {
        let project = Project::detect(folder(&[("public/index.html", "")]).path());
        assert_eq!(project.site, "public");
        assert!(project.fingerprinted.is_empty());
    }

    #[test]
    fn names_are_made_to_fit() {
        for (name, app) in [("My App", "my-app"), ("42", "app"), ("7up!", "up"), ("", "app"), ("--x--", "x")]
        {
            assert_eq!(app_name(name), app, "{name}");
        }
    }

    #[test]
    fn a_broken_package_file_is_no_obstacle() {
        let project = Project::detect(folder(&[("package.json", "{")]).path());
        assert_eq!(project.build, None);
    }
}
