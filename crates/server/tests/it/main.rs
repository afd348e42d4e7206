//! The control API over real sockets, with a control that answers what a test tells it to.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod client;
mod events;
mod fake;
mod guard;
mod operations;
mod ready_made;
mod rollouts;
mod routes;
mod schema;
mod server;
