//! Writes one release of the shop the way an app's own build would leave it: built files, the service's directory, and
//! the `cutover.toml` that describes both.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{Variant, build, sources};

/// What to write.
#[derive(Debug, Clone)]
pub(crate) struct BuildOptions {
    /// Which release.
    pub(crate) variant: Variant,
    /// Whether pages register a cache-first service worker.
    pub(crate) worker: bool,
    /// Host visitors use, without port.
    pub(crate) host: String,
    /// Address visitors use.
    pub(crate) listen: SocketAddr,
    /// Address of the control API.
    pub(crate) control: SocketAddr,
    /// The program that serves the API: this one.
    pub(crate) command: PathBuf,
    /// In which steps visitors move to it, judged by what they meet; none: everybody at once.
    pub(crate) steps: Option<Steps>,
}

/// How a release is rolled out gradually.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    /// As in `rollout.strategy`.
    pub(crate) strategy: &'static str,
    /// As in `rollout.hold`.
    pub(crate) hold: &'static str,
    /// As in `rollout.bake`.
    pub(crate) bake: &'static str,
}

/// An answer slower than this is slow. The bad release's slow answers take longer.
pub(crate) const SLOW: std::time::Duration = std::time::Duration::from_millis(500);

/// Why a release cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// The sources are wrong.
    #[error("cannot build the example shop: {0}")]
    Bundle(#[from] build::BundleError),
    /// The disk refuses.
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// The command cannot be written down in a configuration.
    #[error("the program's path {} is not text; move it to a path that is", .0.display())]
    Command(PathBuf),
}

/// Writes `dist`, `api` and `cutover.toml` below a directory, which is made if missing; an older build there is
/// replaced. Returns the path of the `cutover.toml`.
pub(crate) fn write_release(dir: &Path, options: &BuildOptions) -> Result<PathBuf, BuildError> {
    let files = build::bundle(&sources::sources(options.variant, options.worker))?;
    let dist = dir.join("dist");
    match fs::remove_dir_all(&dist) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(BuildError::Write { path: dist, source });
        }
        _ => {}
    }
    for (path, text) in &files {
        write(&dist.join(path), text)?;
    }
    write(&dir.join("api/products.json"), sources::PRODUCTS)?;
    let config = dir.join("cutover.toml");
    write(&config, &describe(options)?)?;
    Ok(config)
}

fn write(path: &Path, text: &str) -> Result<(), BuildError> {
    let failed = |source| BuildError::Write { path: path.to_owned(), source };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

/// The text of the release's `cutover.toml`.
fn describe(options: &BuildOptions) -> Result<String, BuildError> {
    let command = options.command.to_str().ok_or_else(|| BuildError::Command(options.command.clone()))?;
    let run = format!("{} example api --variant {}", shell_word(command), options.variant.word());
    Ok(format!(
        r#"app = "shop"
host = {host}

[site]
dir = "dist"
fallback = "index.html"
fingerprinted = ["assets/**"]

[[service]]
name = "api"
routes = ["/api/*", "/callback"]
dir = "api"
run = {run}
health = "/healthz"

[routing]
keep = ["/callback*"]

[edge]
listen = "{listen}"
control = "{control}"

[outage]
message = "The shop is being repaired. Baskets are kept."

[[gate]]
name = "smoke"
http = {{ path = "/api/version", status = 200 }}
{steps}"#,
        host = toml_string(&options.host),
        run = toml_string(&run),
        listen = options.listen,
        control = options.control,
        steps = options.steps.as_ref().map(Steps::describe).unwrap_or_default(),
    ))
}

impl Steps {
    /// The part of a `cutover.toml` that says so.
    fn describe(&self) -> String {
        format!(
            r#"
[[gate]]
name = "errors"
compare = {{ metric = "errors", worse_by = "2%" }}

[[gate]]
name = "slow"
compare = {{ metric = "slow", worse_by = "5%" }}

[rollout]
strategy = "{}"
hold = "{}"
bake = "{}"
slow = "{}ms"
"#,
            self.strategy,
            self.hold,
            self.bake,
            SLOW.as_millis()
        )
    }
}

/// A word that a shell takes as it is.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A TOML basic string.
fn toml_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(variant: Variant) -> BuildOptions {
        BuildOptions {
            variant,
            worker: false,
            host: "127.0.0.1".into(),
            listen: ([127, 0, 0, 1], 8080).into(),
            control: ([127, 0, 0, 1], 9400).into(),
            command: "/opt/cutover".into(),
            steps: None,
        }
    }

    #[test]
    fn a_release_is_written_and_an_older_one_in_its_place_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let config = write_release(dir.path(), &options(Variant::Two)).unwrap();
        assert_eq!(config, dir.path().join("cutover.toml"));
        let favourites = |dir: &Path| {
            let names: Vec<_> = fs::read_dir(dir.join("dist/assets"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.iter().any(|name| name.starts_with("favourites-"))
        };
        assert!(favourites(dir.path()));
        write_release(dir.path(), &options(Variant::One)).unwrap();
        assert!(!favourites(dir.path()));
        let text = fs::read_to_string(config).unwrap();
        assert!(text.contains(r#"run = "/opt/cutover example api --variant one""#), "{text}");
        assert!(dir.path().join("api/products.json").exists());
    }

    #[test]
    fn the_description_is_one_that_cutover_accepts() {
        let dir = tempfile::tempdir().unwrap();
        for variant in [Variant::One, Variant::Two, Variant::Bad] {
            let config = write_release(dir.path(), &options(variant)).unwrap();
            let text = fs::read_to_string(&config).unwrap();
            let meant = cutover_engine::config::parse(&text, &config).unwrap();
            assert_eq!(meant.app, "shop");
            assert_eq!(meant.services.len(), 1);
        }
    }

    #[test]
    fn a_gradual_release_is_judged_by_errors_and_slow_answers_at_each_step() {
        let dir = tempfile::tempdir().unwrap();
        let steps = Steps { strategy: "5%, 50%, 100%", hold: "20s", bake: "30s" };
        let options = BuildOptions { steps: Some(steps), ..options(Variant::Bad) };
        let config = write_release(dir.path(), &options).unwrap();
        let meant = cutover_engine::config::parse(&fs::read_to_string(&config).unwrap(), &config).unwrap();
        assert_eq!(meant.rollout.strategy.text(), "5%, 50%, 100%");
        assert_eq!(meant.rollout.slow, SLOW);
        let watched: Vec<_> = meant.gates.iter().filter(|gate| gate.kind.watched()).collect();
        assert_eq!(watched.len(), 2);
        assert!(watched.iter().all(|gate| gate.required), "{watched:?}");
    }

    #[test]
    fn the_commented_description_of_the_example_says_the_same() {
        let read =
            |path: &Path| cutover_engine::config::parse(&fs::read_to_string(path).unwrap(), path).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let mut options = options(Variant::One);
        options.command = "cutover".into();
        let written = read(&write_release(&out, &options).unwrap());
        let commented = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop/cutover.toml");
        fs::copy(commented, dir.path().join("cutover.toml")).unwrap();
        let commented = read(&dir.path().join("cutover.toml"));
        assert_eq!(commented.snapshot(), written.snapshot());
        assert_eq!(commented.edge, written.edge);
    }

    #[test]
    fn a_path_with_anything_in_it_survives_shell_and_toml() {
        assert_eq!(shell_word("/opt/cut over"), "'/opt/cut over'");
        assert_eq!(shell_word("/o'b"), r"'/o'\''b'");
        assert_eq!(toml_string("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000A\"");
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("api"), "in the way").unwrap();
        let error = write_release(dir.path(), &options(Variant::One)).unwrap_err();
        assert!(error.to_string().contains("api"), "{error}");
    }
}
