//! One number from a Prometheus, or from what speaks its HTTP API.
//!
//! Promises: exactly one finite number of now, or [`Unknown`] and why. What is missing, ambiguous, throttled, partial or
//! old is never a number, so that nobody can take it for health. Nothing is asked twice; whoever watches asks again.
//!
//! The API: <https://prometheus.io/docs/prometheus/latest/querying/api/>, instant queries.

mod address;
mod answer;
mod query;

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::{net::lookup_host, task::spawn_blocking, time::Instant};

use self::address::Address;
pub use self::query::{Names, fill};
use crate::process::http::{self, Get, GetError};

/// How much of an answer is read.
const BODY: usize = 1 << 20;

/// What a query came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PromValue {
    /// A finite number.
    pub value: f64,
    /// When the server evaluated the query by its own clock, Unix milliseconds.
    pub at: u64,
}

/// Why there is no number. All of them mean: nothing is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// The address or the query cannot be used as it is written.
    #[error("the {what} cannot be used: {why}")]
    Unusable {
        /// `address` or `query`.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// No answer.
    #[error("no answer from {from}: {why}")]
    Unreachable {
        /// Host and port.
        from: String,
        /// Why not.
        why: String,
    },
    /// No answer in time.
    #[error("no whole answer from {from} within {} ms", within.as_millis())]
    TimedOut {
        /// Host and port.
        from: String,
        /// How long was waited.
        within: Duration,
    },
    /// It has no time for us now (429, 503).
    #[error("{from} is throttling: it answers {status}{}", after.as_ref().map_or_else(String::new, |after| format!(", and asks to wait for {after} s")))]
    Throttled {
        /// Host and port.
        from: String,
        /// The status.
        status: u16,
        /// Its `Retry-After`.
        after: Option<String>,
    },
    /// It refuses the query.
    #[error("{from} answers {status}: {why}")]
    Refused {
        /// Host and port.
        from: String,
        /// The status.
        status: u16,
        /// Its own words.
        why: String,
    },
    /// What it answers cannot be read.
    #[error("what {from} answers cannot be read: {why}")]
    Unreadable {
        /// Host and port.
        from: String,
        /// What is wrong with it.
        why: String,
    },
    /// It warns that the result may be wrong or not whole.
    #[error("{from} warns about the result: {why}")]
    Doubtful {
        /// Host and port.
        from: String,
        /// Its own words.
        why: String,
    },
    /// No series matches.
    #[error("the query matches no series, or none has a value now")]
    Empty,
    /// More than one series matches.
    #[error("the query matches {count} series, not one; aggregate them, e.g. with sum(...)")]
    Several {
        /// How many.
        count: usize,
    },
    /// The value is not finite.
    #[error(
        "the value is {value}, which says nothing; often it is a division by zero, where there is no traffic"
    )]
    NoNumber {
        /// As the server writes it.
        value: String,
    },
    /// Evaluated at another time than now.
    #[error("the value is of {seconds} s {}: a cache answers, or the clocks differ", if *future { "in the future" } else { "ago" })]
    Old {
        /// How far from now.
        seconds: u64,
        /// It lies in the future.
        future: bool,
    },
}

/// Asks for the value of a query now. `url` is the server's address, with the path it is served below, if any:
/// `http://prometheus:9090`, `https://user:password@metrics.example.com/prometheus`. `within` is the longest it may take
/// in all.
///
/// HTTPS trusts what the system trusts (and `SSL_CERT_FILE`, `SSL_CERT_DIR`).
///
/// # Errors
/// [`Unknown`]: there is no such number.
pub async fn instant(url: &str, query: &str, within: Duration) -> Result<PromValue, Unknown> {
    let address = Address::parse(url).map_err(|why| Unknown::Unusable { what: "address", why })?;
    let tls = if address.tls { Some(trusting_the_system().await?) } else { None };
    ask(&address, tls.as_ref(), query, within).await
}

async fn ask(
    address: &Address,
    tls: Option<&Arc<ClientConfig>>,
    query: &str,
    within: Duration,
) -> Result<PromValue, Unknown> {
    if query.trim().is_empty() {
        return Err(Unknown::Unusable { what: "query", why: "it is empty".to_owned() });
    }
    let from = &address.authority;
    let timed_out = || Unknown::TimedOut { from: from.clone(), within };
    let unreachable = |why: String| Unknown::Unreachable { from: from.clone(), why };
    let end = Instant::now() + within;
    let found = tokio::time::timeout_at(end, lookup_host((address.host.as_str(), address.port))).await;
    let found = found.map_err(|_| timed_out())?.map_err(|error| unreachable(error.to_string()))?;
    let target =
        format!("{}?query={}&timeout={}ms", address.path, address::encoded(query), within.as_millis().max(1));
    let mut headers = vec![("host", from.as_str()), ("accept", "application/json")];
    if let Some(authorization) = &address.authorization {
        headers.push(("authorization", authorization));
    }
    let mut why = "the name has no address".to_owned();
    for addr in found {
        let get = Get {
            addr,
            tls,
            host: &address.host,
            target: &target,
            headers: &headers,
            within: end.saturating_duration_since(Instant::now()),
            limit: BODY,
        };
        match http::get(get).await {
            Ok(got) => return answer::read(from, &got, now()),
            Err(GetError::Timeout { .. }) => return Err(timed_out()),
            // The next address of the name may do.
            Err(error @ GetError::Connect { .. }) => why = error.to_string(),
            Err(error) => return Err(unreachable(error.to_string())),
        }
    }
    Err(unreachable(why))
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

async fn trusting_the_system() -> Result<Arc<ClientConfig>, Unknown> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let load = || {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        if roots.add_parsable_certificates(found.certs).0 == 0 {
            let why = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
            return Err(format!("this system has no certificates of authorities to trust{why}"));
        }
        trusting(roots)
    };
    let config = spawn_blocking(load).await.unwrap_or_else(|error| Err(error.to_string()));
    let config = config.map_err(|why| Unknown::Unusable { what: "address", why })?;
    Ok(Arc::clone(CONFIG.get_or_init(|| config)))
}

fn trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests;
