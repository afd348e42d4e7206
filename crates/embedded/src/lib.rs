//! Cutover on one machine: what the engine's operations do with local files, processes and the edge.
//!
//! [`Embedded`] implements [`cutover_engine::Control`] with a release [`store`], supervised [`process`]es, [`gates`] and
//! a [`journal`] in one state directory, and drives one edge. It prints nothing, reads no environment, and opens no
//! listening socket of its own: that is the program's part.

pub mod controller;
pub mod gates;
pub mod journal;
pub mod process;
pub mod rollouts;
pub mod store;

pub use controller::{Embedded, EmbeddedOptions};
