//! Cutover on one machine: what the engine's operations do with local files, processes and the edge.

pub mod gates;
pub mod journal;
pub mod process;
pub mod store;
