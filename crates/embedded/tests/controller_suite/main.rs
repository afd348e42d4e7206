//! The controller with a real edge and real services. This program is its own harness because it is also the services'
//! program: as `shim` it is the shim, as `app` a small service.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests, and the harness that prints their results"
)]

mod app;
mod clearing;
mod crashing;
mod forewarned;
mod full_disk;
#[path = "../process_suite/harness.rs"]
mod harness;
mod judging;
mod leaving;
mod outages;
mod ports;
mod restoring;
mod rolling;
mod rolling_back;
mod staging;
mod support;
mod switching;
mod withdrawing;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((role, rest)) if role == "shim" => cutover_embedded::process::shim_main(rest.to_vec()),
        Some((role, _)) if role == "app" => app::main(),
        _ => harness::run(
            &args,
            &[
                staging::TESTS,
                switching::TESTS,
                withdrawing::TESTS,
                clearing::TESTS,
                restoring::TESTS,
                crashing::TESTS,
                outages::TESTS,
                full_disk::TESTS,
                rolling::TESTS,
                rolling_back::TESTS,
                judging::TESTS,
                ports::TESTS,
                leaving::TESTS,
                forewarned::TESTS,
            ]
            .concat(),
        ),
    }
}
