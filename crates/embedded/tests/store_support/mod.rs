//! An app on disk that can be staged, changed, and staged again.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use cutover_embedded::store::{StageInput, Staged, Store};
use cutover_engine::{Error, config, control::Progress};
use tempfile::TempDir;

/// The usual description of the app.
pub(crate) const DESCRIPTION: &str = r#"
app = "shop"
host = "shop.example.com"

[site]
dir = "dist"
fallback = "index.html"
fingerprinted = ["assets/**"]

[[service]]
name = "api"
routes = ["/api/*"]
dir = "api"
run = "./server"
"#;

/// The same without a service.
pub(crate) const SITE_ONLY: &str = r#"
app = "shop"
host = "shop.example.com"

[site]
dir = "dist"
fallback = "index.html"
fingerprinted = ["assets/**"]
"#;

pub(crate) const PAGE: &str =
    "<!doctype html><html><head><title>shop</title></head><body>hello</body></html>";

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) description: String,
}

impl World {
    /// A shop with a page, a script and a service.
    pub(crate) fn new() -> Self {
        let world = Self { dir: TempDir::new().unwrap(), description: DESCRIPTION.to_owned() };
        world.write("dist/index.html", PAGE);
        world.write("dist/assets/app-1a2b.js", &script(1));
        world.write("dist/robots.txt", "User-agent: *\n");
        world.write("api/server", "#!/bin/sh\nexec true\n");
        world.write("api/lib/data.json", "{}");
        fs::set_permissions(world.path("api/server"), fs::Permissions::from_mode(0o755)).unwrap();
        world
    }

    pub(crate) fn with(description: &str) -> Self {
        Self { description: description.to_owned(), ..Self::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path(".cutover")
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.state()).unwrap()
    }

    pub(crate) fn input(&self) -> StageInput {
        let file = self.path("cutover.toml");
        fs::write(&file, &self.description).unwrap();
        let config = config::parse(&self.description, &file).unwrap_or_else(|errors| panic!("{errors:?}"));
        StageInput { config, state_dir: self.state() }
    }

    pub(crate) fn try_stage(&self) -> Result<Staged, Error> {
        self.store().stage(&self.input(), &Progress::none())
    }

    pub(crate) fn stage(&self) -> Staged {
        self.try_stage().unwrap_or_else(|error| panic!("{error} {:?}", error.hints))
    }

    /// Stages and returns what was said.
    pub(crate) fn stage_listening(&self) -> (Staged, String) {
        let lines = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&lines);
        let progress = Progress::new(move |line| {
            let mut heard = heard.lock().unwrap();
            heard.push_str(&line);
            heard.push('\n');
        });
        let staged = self.store().stage(&self.input(), &progress).unwrap();
        let said = lines.lock().unwrap().clone();
        (staged, said)
    }

    /// The error of a stage that must fail, leaving no trace.
    pub(crate) fn refused(&self) -> Error {
        let store = self.store();
        let before = snapshot(&self.state());
        let error = store.stage(&self.input(), &Progress::none()).expect_err("it should be refused");
        assert_eq!(snapshot(&self.state()), before, "something was changed although: {error}");
        assert!(!error.hints.is_empty(), "{error} has no hint");
        error
    }

    /// The served bytes of a path.
    pub(crate) fn served(&self, staged: &Staged, path: &str) -> String {
        let store = self.store();
        let manifest = store.load(&staged.id).unwrap().manifest.unwrap();
        fs::read_to_string(manifest.files[path].identity.path(store.blobs())).unwrap()
    }

    /// The paths of a release.
    pub(crate) fn paths(&self, staged: &Staged) -> Vec<String> {
        self.store().load(&staged.id).unwrap().manifest.unwrap().files.into_keys().collect()
    }
}

/// A script that compresses well and differs by `number`.
pub(crate) fn script(number: u32) -> String {
    (0..200).map(|line| format!("export const value{line} = {number} + {line};\n")).collect()
}

/// Every file below a directory with its content, but for locks.
pub(crate) fn snapshot(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    add(dir, &mut all);
    all.retain(|path, _| path.extension().is_none_or(|extension| extension != "lock"));
    all
}

fn add(dir: &Path, all: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            all.insert(path.clone(), b"directory".to_vec());
            add(&path, all);
        } else {
            all.insert(path.clone(), fs::read(&path).unwrap_or_default());
        }
    }
}
