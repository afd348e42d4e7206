//! The commands of the documentation, executed as they stand.
//!
//! A page is followed from top to bottom by one `bash -e` in a fresh directory that holds a small web app: its blocks that
//! open with ```` ```sh run ````, and in its ```` ```console ```` blocks the lines that begin with `$ `. The built `cutover`
//! is first in the PATH. Three things differ from what a person would see: `up` listens on free ports and goes to the
//! background, `--watch` ends after a second, and `npm run build` stands for the app's own build.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;

use crate::Outcome;

const PAGES: &[&str] = &["README.md", "docs/getting-started.md"];

#[derive(Args)]
pub(crate) struct DocsArgs {
    /// The cutover binary to run
    #[arg(long, default_value = BINARY)]
    binary: PathBuf,
}

const BINARY: &str = "target/debug/cutover";

impl Default for DocsArgs {
    fn default() -> Self {
        Self { binary: PathBuf::from(BINARY) }
    }
}

pub(crate) fn run(args: &DocsArgs) -> Outcome {
    let binary = crate::root().join(&args.binary);
    if !binary.is_file() {
        return Err(format!("{} is not there; build it first", binary.display()));
    }
    let mut executed = 0;
    for page in PAGES {
        let text =
            fs::read_to_string(crate::root().join(page)).map_err(|e| format!("reading {page}: {e}"))?;
        let blocks = blocks(&text);
        if !blocks.is_empty() {
            follow(page, &blocks, &binary)?;
            executed += blocks.len();
        }
    }
    if executed == 0 {
        return Err("no page has a block to run: the documentation is not tested".to_owned());
    }
    println!("documentation: {executed} blocks executed");
    Ok(())
}

/// Commands that a page may show and that are not executed here, and why.
const LEFT_OUT: &[(&str, &str)] = &[("cargo install", "CI has built the same binary already")];

/// What the blocks to run hold, block by block.
fn blocks(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.trim().strip_prefix("```").filter(|kind| !kind.is_empty()) else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|l| l.trim() != "```").collect();
        let commands: Vec<String> = match kind {
            "sh run" => body.iter().map(|l| (*l).to_owned()).collect(),
            "console" => body.iter().filter_map(|l| l.strip_prefix("$ ")).map(unattended).collect(),
            _ => continue,
        };
        let commands: Vec<String> = commands
            .into_iter()
            .filter(|command| !LEFT_OUT.iter().any(|(start, _)| command.starts_with(start)))
            .collect();
        if !commands.is_empty() {
            found.push(commands.join("\n"));
        }
    }
    found
}

/// A command that would wait for a person, made to end.
fn unattended(command: &str) -> String {
    let bare = command.split(" #").next().unwrap_or(command).trim();
    if bare == "cutover up" {
        return format!("{bare} &");
    }
    if bare.contains("--watch") {
        return format!("timeout --preserve-status --signal INT 1 {bare} || test $? = 130");
    }
    command.to_owned()
}

fn follow(page: &str, blocks: &[String], binary: &Path) -> Outcome {
    let dir = tempfile::tempdir().map_err(|e| format!("making a directory: {e}"))?;
    prepare(dir.path(), binary).map_err(|e| format!("preparing a directory: {e}"))?;
    let mut script = String::from("set -eu -o pipefail\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n");
    for block in blocks {
        script.push_str(&format!("set -x\n{block}\n{{ set +x; }} 2>/dev/null\n"));
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("bash")
        .arg("-c")
        .arg(&script)
        .current_dir(dir.path().join("app"))
        .env("PATH", format!("{}:{path}", dir.path().join("bin").display()))
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("running bash: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{page}: its commands ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}

/// A small app and a `cutover` that listens on free ports.
fn prepare(dir: &Path, binary: &Path) -> std::io::Result<()> {
    let dist = dir.join("app/dist");
    fs::create_dir_all(dist.join("assets"))?;
    fs::write(
        dist.join("index.html"),
        "<!doctype html><html><head><title>app</title><script type=\"module\" src=\"/assets/app-0a1b2c3d.js\"></script></head></html>",
    )?;
    fs::write(dist.join("assets/app-0a1b2c3d.js"), "document.body.append('hello');\n")?;
    let build = "#!/bin/sh\necho '<!-- built again -->' >> dist/index.html\n";
    let bin = dir.join("bin");
    fs::create_dir_all(&bin)?;
    let wrapper = format!(
        "#!/bin/sh\nif [ \"$1\" = up ]; then shift; set -- up --listen 127.0.0.1:0 --control 127.0.0.1:0 \"$@\"; fi\nexec {} \"$@\"\n",
        binary.display()
    );
    for (name, text) in [("cutover", wrapper.as_str()), ("npm", build)] {
        let file = bin.join(name);
        fs::write(&file, text)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_blocks_marked_to_run_are_taken() {
        let text = "a\n```sh\nno\n```\n```sh run\nyes\nyes\n```\n```toml\nno\n```\n";
        assert_eq!(super::blocks(text), ["yes\nyes"]);
        let text = "```console\n$ cutover up\napp shop\n```\n```console\n$ cargo install x\n```\n";
        assert_eq!(super::blocks(text), ["cutover up &"]);
    }
}
