//! The data plane of Cutover: serves releases by the routing decision.
//!
//! An [`Edge`] listens, asks `cutover_routing::decide` which release a request gets, and answers from that release's
//! site or proxies to its services. It is told what to serve by [`Edge::publish`], refuses what it cannot serve, keeps
//! its last good state on disk, and goes on serving when nobody controls it. It knows the routing crate and nothing else
//! of Cutover.
//!
//! [`legs`] holds what speaks HTTP on the wire; [`site`] static files; everything between is independent of both.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, reason = "tests"))]

mod access_log;
mod body;
mod builtin;
mod conn;
mod cookies;
mod dress;
mod edge;
mod fields;
mod flight;
mod frames;
mod front;
mod health;
mod last_good;
mod latency;
mod legs;
mod listen;
mod live;
pub mod manifest;
mod metrics;
mod options;
mod origin;
mod pages;
mod proxy;
mod publish;
mod serve;
mod serving;
pub mod site;
mod stats;
mod streams;
mod timers;
mod tls;
mod tunnel;
mod upstream;
mod visitor;
mod visits;
mod worker;

pub use edge::{Edge, StartError};
pub use latency::LatencyTotals;
pub use manifest::{Blob, SiteFile, SiteManifest};
pub use options::{AccessLog, EdgeOptions, Limits, Outage, Timeouts, TlsFiles};
pub use publish::{Ack, Nack};
pub use serving::{Publication, ReleaseServing, ServiceServing, ServingSet};
pub use stats::Usage;
pub use tls::TlsError;
pub use upstream::ComponentHealth;
pub use visits::{Visit, VisitWindow, WatchOptions};
