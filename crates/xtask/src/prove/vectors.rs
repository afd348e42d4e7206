//! The routing decision is the same everywhere: every vector, and random cases with Rust's answers, on the decision core in
//! JavaScript and on the bundles that run at a content network's edge.
//!
//! Sabotage alters one rule in copies of the bundles.

mod random;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use cutover_testkit::rng::Rng;
use serde::Deserialize;

use super::{Found, Setup};

/// What `js/edge/test/prove.mjs` says last.
#[derive(Deserialize)]
struct Said {
    njs: Option<String>,
    runtimes: Vec<Runtime>,
}

#[derive(Deserialize)]
struct Runtime {
    name: String,
    vectors: usize,
    random: usize,
    differ: usize,
}

pub(super) fn run(setup: &Setup) -> Result<Found, String> {
    let rounds = setup.rounds.unwrap_or(if setup.quick { 40 } else { 600 });
    let mut wrong = Vec::new();
    if !setup.sabotage {
        rust_holds()?;
        println!("Rust: {} vectors", vectors()?);
    }
    let mut rng = Rng::seeded(setup.seed);
    let mut file = tempfile::NamedTempFile::new().map_err(|e| format!("creating a temporary file: {e}"))?;
    for round in 0..rounds {
        for line in random::round(&mut rng, round) {
            writeln!(file, "{line}").map_err(|e| format!("writing random cases: {e}"))?;
        }
    }
    file.flush().map_err(|e| format!("writing random cases: {e}"))?;

    script(
        "scripts/setup-edge-tests.sh",
        &mut Command::new(crate::root().join("scripts/setup-edge-tests.sh")),
    )?;
    let mut command = Command::new("node");
    command.arg("js/edge/test/prove.mjs").arg(file.path());
    if setup.sabotage {
        command.arg("--sabotage");
    }
    let text = script("node js/edge/test/prove.mjs", &mut command)?;
    let (facts, last) =
        text.trim_end().rsplit_once('\n').ok_or("node js/edge/test/prove.mjs said nothing")?;
    println!("{facts}");
    let said: Said = serde_json::from_str(last).map_err(|e| format!("reading `{last}`: {e}"))?;
    for runtime in &said.runtimes {
        if runtime.differ > 0 {
            wrong.push(format!("{}: {} cases differ", runtime.name, runtime.differ));
        }
        if runtime.vectors == 0 || runtime.random == 0 {
            wrong.push(format!("{}: nothing was run", runtime.name));
        }
    }
    let counts: Vec<String> = said
        .runtimes
        .iter()
        .map(|runtime| format!("{}: {} vectors, {} random", runtime.name, runtime.vectors, runtime.random))
        .collect();
    let njs = said.njs.map_or("njs: not run, it is not installed".to_owned(), |njs| format!("njs {njs}"));
    Ok(Found { facts: format!("{}; {njs}", counts.join("; ")), wrong })
}

/// Runs the vectors on Rust, by the tests that do so.
fn rust_holds() -> Result<(), String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["test", "--quiet", "--locked", "--package", "cutover-routing", "--test", "conformance"];
    script("cargo test --test conformance", Command::new(cargo).args(arguments)).map(|_| ())
}

fn vectors() -> Result<u64, String> {
    let path = crate::root().join("conformance/index.json");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("reading {}: {e}", path.display()))?;
    let index: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| format!("reading {}: {e}", path.display()))?;
    index["cases"].as_u64().ok_or_else(|| format!("{}: no number of cases", path.display()))
}

/// Runs a command and gives what it prints.
fn script(shown: &str, command: &mut Command) -> Result<String, String> {
    let output = command
        .current_dir(crate::root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("running {shown}: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text) } else { Err(format!("{shown}: {}\n{text}", output.status)) }
}
