//! The data plane of Cutover: serves releases by the routing decision.

pub mod manifest;
pub mod site;
