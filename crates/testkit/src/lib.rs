//! The harness that proofs and benches share: a running Cutover as a user runs it, browsers' request patterns without a
//! browser, and load.
//!
//! Everything here looks at Cutover from outside, over sockets and the command line, so that what it counts is what a
//! visitor or an operator would see.

pub mod client;
pub mod contracts;
pub mod crowd;
pub mod fake;
pub mod load;
pub mod rng;
pub mod simulation;
pub mod trace;
pub mod visitor;
pub mod world;
