//! The machine: what may happen next, decided in one place and written down before it is done.
//!
//! [`step`] takes the state, what happened and the time, and gives the records to append and the effects to perform, in
//! that order; if the append fails, nothing is performed. [`fold`] gives the state back from the records. Both go
//! through [`apply`], which alone says what may follow what. An effect's intent is recorded before it is performed and
//! its outcome afterwards; after a crash an intent without outcome is looked at in the world first ([`Effect::Observe`]).

mod apply;
mod drive;
mod effect;
mod event;
mod record;
mod refused;
mod state;
mod step;
mod undo;
mod watch;

pub use apply::{Illegal, apply, fold};
pub use effect::{Cursor, Effect, EffectId, Outcome, Seen};
pub use event::{Event, Facts, Health, Reading, Traffic};
pub use record::{Body, Cause, End, Fact, HeldFor, RECORD_VERSION, Record, Why};
pub use refused::Refused;
pub use state::{Held, Paused, Pending, Situation, State, Undo, Watch};
pub use step::{MAX_ATTEMPTS, Next, step};
