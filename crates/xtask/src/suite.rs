//! Everything CI runs, in one command, with a summary that says what passed, what failed and what could not run.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use clap::Args;

use crate::{Outcome, deps, docs, layers, prove, sizes};

#[derive(Args)]
pub(crate) struct TestArgs {
    /// Leave out the proofs and the browser tests; CI leaves out nothing
    #[arg(long)]
    quick: bool,
}

struct Step {
    name: &'static str,
    run: Box<dyn Fn() -> Outcome>,
}

pub(crate) fn run(args: &TestArgs) -> Outcome {
    let mut steps = vec![
        step("format", cargo(&["fmt", "--all", "--check"])),
        step("layers", layers::check),
        step("dependencies", deps::check),
        step("sizes", sizes::check),
        step("lints", cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])),
        step("build", cargo(&["build", "--workspace", "--bins", "--locked"])),
        step("tests", cargo(&["test", "--workspace", "--locked", "--no-fail-fast"])),
    ];
    steps.push(step("documentation", || docs::run(&docs::DocsArgs::default())));
    steps.push(step("edge functions", script("scripts/edge-tests.sh")));
    if !args.quick {
        steps.push(step("proofs", || prove::all(&built())));
        steps.push(step("browser", script("scripts/browser-tests.sh")));
    }
    let mut failed = Vec::new();
    let mut report = Vec::new();
    for step in &steps {
        eprintln!("\n==> {}", step.name);
        let started = Instant::now();
        let outcome = (step.run)();
        let took = Duration::from_secs(started.elapsed().as_secs());
        report.push(format!(
            "{:<14} {:<7} {took:?}",
            step.name,
            if outcome.is_ok() { "ok" } else { "FAILED" }
        ));
        if let Err(message) = outcome {
            eprintln!("{message}");
            failed.push(step.name);
        }
    }
    println!("\n{}", report.join("\n"));
    println!("{} passed, {} failed", steps.len() - failed.len(), failed.len());
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

fn step(name: &'static str, run: impl Fn() -> Outcome + 'static) -> Step {
    Step { name, run: Box::new(run) }
}

/// The binary that the tests have built.
fn built() -> std::path::PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), Into::into);
    target.join("debug/cutover")
}

fn cargo(arguments: &'static [&'static str]) -> impl Fn() -> Outcome {
    move || {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        status(Command::new(cargo).args(arguments), &format!("cargo {}", arguments.join(" ")))
    }
}

fn script(path: &'static str) -> impl Fn() -> Outcome {
    move || status(&mut Command::new(crate::root().join(path)), path)
}

fn status(command: &mut Command, shown: &str) -> Outcome {
    let status = command.current_dir(crate::root()).status().map_err(|e| format!("running {shown}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{shown}: {status}")) }
}
