//! The control API: HTTP and JSON under `/v1`, events by SSE, metrics as Prometheus text.
//!
//! It carries the operations of [`cutover_engine::Control`] and adds nothing to them but who may ask and how long an
//! answer is waited for. Every error, those of HTTP itself included, is a [`cutover_engine::Error`] in JSON.
//!
//! A browser cannot be talked into using it: a bearer token is asked for always, the host must be this machine's own
//! address, and other origins are refused.

mod answer;
mod body;
mod events;
mod guard;
mod handlers;
mod openapi;
mod operations;
mod rollouts;
mod routes;
mod serve;
mod words;

pub use openapi::openapi;
pub use operations::{Accepted, Operation, OperationState};
pub use serve::{ServeError, ServerOptions, serve, serve_unix};
