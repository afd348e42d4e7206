//! Rollouts of Cutover: what is going to happen ([`Plan`]), whether the evidence allows it ([`judge`]), and what happens
//! next ([`step`]).
//!
//! Everything here is a function of its arguments: no IO, no clock, no randomness, no async. A rollout is its records:
//! [`fold`] gives its state, [`step`] gives the next records and the effects that a shell performs, in that order:
//! append the records, then act. [`apply`] is the one function that says which record may follow which state, for what
//! is being written as for what is read back after a crash.

pub mod judge;
mod machine;
mod millis;
mod plan;
mod strategy;

pub use machine::{
    Body, Cause, Cursor, Effect, EffectId, End, Event, Fact, Facts, Health, Held, HeldFor, Illegal,
    MAX_ATTEMPTS, Next, Outcome, Paused, Pending, RECORD_VERSION, Reading, Record, Refused, Seen, Situation,
    State, Traffic, Undo, Watch, Why, apply, fold, step,
};
pub use millis::{LONGEST, Millis, NotMillis};
pub use plan::{
    Act, After, At, Change, Does, Gate, Insufficient, Plan, PlanError, PlanInput, RolloutId, RolloutIdError,
    Stage, Step, Watched,
};
pub use strategy::{MAX_STEPS, Move, Preset, Problem, Strategy, StrategyError, To, presets};
