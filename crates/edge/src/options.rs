//! What an edge is started with.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;

/// Everything [`crate::Edge::start`] takes. Complete in itself: the edge reads no environment and no other file.
#[derive(Debug, Clone)]
pub struct EdgeOptions {
    /// Address to listen on; port 0 takes a free one, see [`crate::Edge::local_addr`].
    pub listen: SocketAddr,
    /// Worker threads, at least one. Each has its own runtime, listening socket and upstream connections.
    pub workers: usize,
    /// Certificate and key where TLS ends here; none: clear text.
    pub tls: Option<TlsFiles>,
    /// Peers whose `X-Forwarded-For`, `X-Forwarded-Proto`, `Forwarded` and `X-Client-Country` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What visitors read when no release can serve.
    pub outage: Outage,
    /// Where the access log goes.
    pub access_log: AccessLog,
    /// The file of the last good publication: read at start, replaced atomically with mode 0600 before every swap.
    pub last_good: Option<PathBuf>,
    /// Bounds on what one client may ask for.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: Timeouts,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            tls: None,
            trusted_proxies: Vec::new(),
            outage: Outage::default(),
            access_log: AccessLog::Off,
            last_good: None,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

/// Certificate files, PEM. Watched for changes, so a renewal needs no restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by its chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What visitors read when no release can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// One or two sentences.
    pub message: String,
    /// Where to ask: addresses, telephone numbers, pages. `http(s)://` and `mailto:` become links.
    pub contacts: Vec<String>,
    /// `Retry-After`, in seconds.
    pub retry_after: u32,
}

impl Default for Outage {
    fn default() -> Self {
        Self { message: "We are back soon.".to_owned(), contacts: Vec::new(), retry_after: 30 }
    }
}

/// Where the access log goes, one JSON object per line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    #[default]
    Off,
    /// To standard output.
    Stdout,
    /// Appended to a file, created with mode 0640.
    File(PathBuf),
}

/// Bounds on what one client may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's head; more is answered with 431.
    pub header_bytes: usize,
    /// Header fields of a request over HTTP/1.1; more is answered with 431.
    pub header_count: usize,
    /// Concurrent streams of one HTTP/2 connection.
    pub h2_streams: u32,
    /// Idle connections each worker keeps to each upstream.
    pub upstream_idle: usize,
    /// Bytes of site files each release may hold in memory; larger files are read from disk.
    pub site_memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 32 * 1024,
            header_count: 100,
            h2_streams: 128,
            upstream_idle: 256,
            site_memory: 64 * 1024 * 1024,
        }
    }
}

/// How long things may take. Kept by one coarse clock per worker, so a limit may be exceeded by up to 200 ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first byte of a request's head to its last; also the TLS handshake.
    pub header_read: Duration,
    /// How long a connection without a request is kept.
    pub idle: Duration,
    /// How long a client may send nothing in the middle of a body, and take nothing of an answer.
    pub body: Duration,
    /// To connect to an upstream.
    pub connect: Duration,
    /// From the last byte of a request sent to an upstream to the head of its answer.
    pub response: Duration,
    /// Between two pieces of an upstream's answer. Event streams and WebSockets are exempt.
    pub upstream_idle: Duration,
    /// How long an idle upstream connection is kept.
    pub upstream_keep: Duration,
    /// Between two rounds of health checks.
    pub health_interval: Duration,
    /// For one health check.
    pub health_timeout: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header_read: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body: Duration::from_secs(30),
            connect: Duration::from_secs(2),
            response: Duration::from_secs(60),
            upstream_idle: Duration::from_secs(60),
            upstream_keep: Duration::from_secs(60),
            health_interval: Duration::from_secs(1),
            health_timeout: Duration::from_secs(2),
        }
    }
}
