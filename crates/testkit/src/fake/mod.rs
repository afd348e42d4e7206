//! A world in memory for the shell of rollouts, with a time of its own and faults where they are asked for.
//!
//! Everything that is true of the outside lives in a [`World`]; a [`Controller`] is one run of the program in it, with an
//! implementation of each port. Controllers are killed and frozen, their calls land late or twice as late, edges lag, and
//! a log of all that happened is kept, on which [`check`] checks what must hold whatever goes wrong.

pub mod check;
mod controller;
pub mod fault;
mod keeping;
mod landing;
pub mod log;
pub mod points;
pub mod run;
mod sides;
pub mod simulate;
pub mod stories;
pub mod time;
mod world;

pub use controller::Controller;
pub use time::Stage;
pub use world::{Inner, Runs, Sabotage, Settings, World, blue, green, share, spare, third};
