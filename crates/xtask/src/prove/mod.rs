//! Claims, each shown by one experiment that anybody can repeat: `cargo xtask prove --list`.
//!
//! An experiment prints its facts and last one line, `prove NAME: ok (...)` or `prove NAME: FAILED (...)`. With
//! `--sabotage` it breaks on purpose what it watches, and must then say FAILED: that shows that it can.

mod bad_release;
mod crash_points;
mod judge;
mod kill9;
mod model;
mod population;
mod restart;
mod rollouts;
mod switches;
mod vectors;
mod visits;

use std::{path::PathBuf, process::Command};

use clap::Args;
use cutover_testkit::{rng::Rng, trace::Trace};

use crate::Outcome;

#[derive(Args, Clone)]
pub(crate) struct ProveArgs {
    /// Which claim; see --list
    name: Option<String>,
    /// Say what each proof shows and how long it takes
    #[arg(long)]
    list: bool,
    /// Break what is watched: the proof must fail
    #[arg(long)]
    sabotage: bool,
    /// Write every request or event as JSON lines
    #[arg(long)]
    trace: Option<PathBuf>,
    /// A shorter run, as CI does
    #[arg(long)]
    quick: bool,
    /// Repeat a run
    #[arg(long)]
    seed: Option<u64>,
    /// How many rounds or repetitions, instead of what the proof does
    #[arg(long)]
    rounds: Option<u32>,
    /// Visits per second, where visitors come at a rate
    #[arg(long)]
    arrivals: Option<u32>,
    /// The cutover binary to run; default: build it in release and take that
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// What an experiment needs to know.
pub(crate) struct Setup {
    pub(crate) binary: PathBuf,
    pub(crate) sabotage: bool,
    pub(crate) quick: bool,
    pub(crate) seed: u64,
    pub(crate) rounds: Option<u32>,
    pub(crate) arrivals: Option<u32>,
    pub(crate) trace: Trace,
}

/// What an experiment found: facts for one line, and what is wrong.
pub(crate) struct Found {
    pub(crate) facts: String,
    pub(crate) wrong: Vec<String>,
}

struct Proof {
    name: &'static str,
    shows: &'static str,
    takes: &'static str,
    run: fn(&Setup) -> Result<Found, String>,
}

const PROOFS: &[Proof] = &[
    Proof {
        name: "switches",
        shows: "switching back and forth under HTTP/1.1 and HTTP/2 load loses no request; a long request ends where it began",
        takes: "about 40 s",
        run: switches::run,
    },
    Proof {
        name: "visits",
        shows: "visitors are split exactly, never bounce and never see two releases in one visit, through switches, rollbacks, withdrawals and restarts",
        takes: "about 60 s",
        run: visits::run,
    },
    Proof {
        name: "restart",
        shows: "killing the controller at any moment leaves a release that serves, pins that hold, and no orphan process",
        takes: "about 60 s",
        run: restart::run,
    },
    Proof {
        name: "bad-release",
        shows: "a release that fails visitors is found at its first step and sent back by nobody's command; a good one is let through",
        takes: "about 11 min",
        run: bad_release::run,
    },
    Proof {
        name: "kill9",
        shows: "killing the controller at any moment of a rollout under visitors: it ends right by itself, nobody is lost but by the kill, pins hold, nothing is left behind",
        takes: "about 8 min",
        run: kill9::run,
    },
    Proof {
        name: "model",
        shows: "two controllers whose calls land at any time, after any crash, never harm visitors: every reachable state is checked",
        takes: "about 45 s, quick 5 s",
        run: model::run,
    },
    Proof {
        name: "vectors",
        shows: "Rust, the decision core in JavaScript, CloudFront Functions and Lambda@Edge decide alike: every vector and random cases, in every runtime",
        takes: "about 5 min, quick 20 s",
        run: vectors::run,
    },
    Proof {
        name: "crash-points",
        shows: "a rollout survives a crash at any point of any effect, whatever becomes of the call, and long days on which everything goes wrong",
        takes: "about 3 min, quick 15 s",
        run: crash_points::run,
    },
    Proof {
        name: "judge",
        shows: "the judge is wrong no more often than it promises, however often one looks, and finds what is worse about when it was forecast",
        takes: "about 40 s, quick 5 s",
        run: judge::run,
    },
];

/// Proofs that run no `cutover`, so that none is built for them.
const WITHOUT_BINARY: &[&str] = &["model", "crash-points", "judge", "vectors"];

pub(crate) fn run(args: &ProveArgs) -> Outcome {
    if args.list {
        for proof in PROOFS {
            println!("{:<12} {} ({})", proof.name, proof.shows, proof.takes);
        }
        return Ok(());
    }
    let name = args.name.as_deref().ok_or("which proof? see `cargo xtask prove --list`")?;
    let names: Vec<&str> = PROOFS.iter().map(|p| p.name).collect();
    let proof = PROOFS
        .iter()
        .find(|p| p.name == name)
        .ok_or_else(|| format!("there is no proof `{name}`; there are {}", names.join(", ")))?;
    let binary = match &args.binary {
        Some(binary) => binary.clone(),
        None if WITHOUT_BINARY.contains(&name) => PathBuf::new(),
        None => build_release()?,
    };
    let setup = Setup {
        binary,
        sabotage: args.sabotage,
        quick: args.quick,
        seed: args.seed.unwrap_or_else(Rng::fresh_seed),
        rounds: args.rounds,
        arrivals: args.arrivals,
        trace: Trace::to(args.trace.as_deref()).map_err(|e| format!("creating the trace: {e}"))?,
    };
    println!("seed {}", setup.seed);
    let found = (proof.run)(&setup);
    setup.trace.flush();
    match judge(name, &found) {
        Judged::Holds => Ok(()),
        Judged::Broken | Judged::NotRun => Err(format!("again with --seed {}", setup.seed)),
    }
}

/// How an experiment ended.
#[derive(Debug, PartialEq, Eq)]
enum Judged {
    /// What it claims was seen to hold.
    Holds,
    /// It ran, and what it claims was seen not to hold.
    Broken,
    /// It did not run to its end, which shows nothing.
    NotRun,
}

/// Prints the last line.
fn judge(name: &str, found: &Result<Found, String>) -> Judged {
    match found {
        Ok(found) if found.wrong.is_empty() => {
            println!("prove {name}: ok ({})", found.facts);
            Judged::Holds
        }
        Ok(found) => {
            for wrong in &found.wrong {
                println!("wrong: {wrong}");
            }
            println!("prove {name}: FAILED ({}; {})", found.wrong.len(), found.facts);
            Judged::Broken
        }
        Err(message) => {
            println!("prove {name}: FAILED (it did not run to its end: {message})");
            Judged::NotRun
        }
    }
}

/// Every proof in its short form, and every negative control, which must fail.
pub(crate) fn all(binary: &std::path::Path) -> Outcome {
    let mut wrong = Vec::new();
    for proof in PROOFS {
        for sabotage in [false, true] {
            let setup = Setup {
                binary: binary.to_owned(),
                sabotage,
                quick: true,
                seed: Rng::fresh_seed(),
                rounds: None,
                arrivals: None,
                trace: Trace::default(),
            };
            println!(
                "prove {}{}, seed {}",
                proof.name,
                if sabotage { " --sabotage" } else { "" },
                setup.seed
            );
            let judged = judge(proof.name, &(proof.run)(&setup));
            match (sabotage, judged) {
                (false, Judged::Holds) | (true, Judged::Broken) => {}
                (false, _) => wrong.push(format!("{} fails with --seed {}", proof.name, setup.seed)),
                (true, Judged::Holds) => {
                    wrong.push(format!("{} passes its own sabotage: it proves nothing", proof.name))
                }
                (true, Judged::NotRun) => {
                    wrong.push(format!("{} --sabotage did not run to its end: it shows nothing", proof.name));
                }
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn build_release() -> Result<PathBuf, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let status = Command::new(cargo)
        .args(["build", "--release", "--locked", "--package", "cutover-cli"])
        .current_dir(crate::root())
        .status()
        .map_err(|e| format!("building cutover: {e}"))?;
    if !status.success() {
        return Err("cutover does not build".to_owned());
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from);
    Ok(target.join("release/cutover"))
}

/// A runtime for an experiment's clients.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| format!("starting a runtime: {e}"))
}
