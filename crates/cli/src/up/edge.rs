//! What the edge is started with, from the app's description.

use std::path::Path;

use cutover_edge::{AccessLog, Edge, EdgeOptions, Outage, TlsFiles};
use cutover_engine::{
    Error, ErrorKind,
    config::{self, AppConfig, OutageConfig},
};

/// Starts the edge. It serves what it served last until the controller says more.
///
/// # Errors
/// When the address or the certificate files cannot be used.
pub(super) fn start(config: &AppConfig, state: &Path) -> Result<Edge, Error> {
    Edge::start(options(config, state)).map_err(|error| {
        let mut told = Error::new(ErrorKind::Failed, "CUT0931", "starting the edge").because(&error);
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            told = told.because(cause);
            source = cause.source();
        }
        told
    })
}

fn options(config: &AppConfig, state: &Path) -> EdgeOptions {
    let defaults = EdgeOptions::default();
    EdgeOptions {
        listen: config.edge.listen,
        workers: config.edge.workers.unwrap_or(defaults.workers),
        tls: config.edge.tls.as_ref().map(|tls| TlsFiles { cert: tls.cert.clone(), key: tls.key.clone() }),
        trusted_proxies: config.edge.trusted_proxies.clone(),
        outage: outage(&config.outage),
        access_log: match &config.edge.access_log {
            config::AccessLog::Off => AccessLog::Off,
            config::AccessLog::Stdout => AccessLog::Stdout,
            config::AccessLog::File(path) => AccessLog::File(path.clone()),
        },
        last_good: Some(state.join("edge.json")),
        ..defaults
    }
}

/// The outage page's text as the edge takes it.
pub(super) fn outage(config: &OutageConfig) -> Outage {
    Outage { message: config.message.clone(), contacts: config.contacts.clone(), ..Outage::default() }
}
