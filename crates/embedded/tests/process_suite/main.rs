//! Services and gates with real processes. This program is its own harness because it is also the program under test:
//! as `shim` it is the shim, as `serve` a small HTTP server, as `up` a supervisor that can be killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests, and the harness that prints their results"
)]

mod ending;
mod gates;
mod harness;
mod leftovers;
mod reporting;
mod restarting;
mod serve;
mod starting;
mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((role, rest)) if role == "shim" => cutover_embedded::process::shim_main(rest.to_vec()),
        Some((role, rest)) if role == "serve" => serve::main(rest),
        Some((role, rest)) if role == "up" => support::up(rest),
        _ => harness::run(
            &args,
            &[
                starting::TESTS,
                ending::TESTS,
                restarting::TESTS,
                leftovers::TESTS,
                gates::TESTS,
                reporting::TESTS,
            ]
            .concat(),
        ),
    }
}
