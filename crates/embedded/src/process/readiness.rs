//! When a started command counts as healthy: its own socket listens on its port, and its health path answers 2xx.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};

use super::{
    http::{self, Get},
    ports::{self, Holder},
};

/// Checks follow each other quickly at first, so that a service that starts at once is up at once.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause between checks.
const LAST_PAUSE: Duration = Duration::from_millis(100);
/// The longest one health answer may take.
const PROBE: Duration = Duration::from_secs(5);

/// Why a service is not healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotReady {
    /// Somebody else listens on its port.
    Stranger(String),
    /// The time is over; this is what the last check saw.
    TooLate(String),
}

/// Waits until the process tree below `root` serves on `port`, and says under which address.
pub(super) async fn ready(
    port: u16,
    root: i32,
    health: Option<&str>,
    within: Duration,
) -> Result<SocketAddr, NotReady> {
    let deadline = Instant::now() + within;
    let mut pause = FIRST_PAUSE;
    let mut suspected = false;
    loop {
        let seen = match reachable(port).await {
            None => format!("nothing accepts connections on 127.0.0.1:{port}"),
            Some(addr) => match holder(port, root).await {
                Holder::Nobody => format!("nothing listens on port {port}"),
                // Processes are looked at one after the other while they change, so that one look may miss a process.
                Holder::Stranger(who) if suspected => return Err(NotReady::Stranger(who)),
                Holder::Stranger(who) => {
                    suspected = true;
                    format!("port {port} is held by {who}")
                }
                Holder::Own => match probe(addr, health, deadline).await {
                    Ok(()) => return Ok(addr),
                    Err(seen) => seen,
                },
            },
        };
        if Instant::now() + pause >= deadline {
            return Err(NotReady::TooLate(seen));
        }
        sleep(pause).await;
        pause = pause.mul_f64(1.5).min(LAST_PAUSE);
    }
}

/// The loopback address that accepts connections on this port; some programs take `localhost` to be IPv6.
async fn reachable(port: u16) -> Option<SocketAddr> {
    for addr in [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))]
    {
        if let Ok(Ok(_)) = timeout(PROBE, TcpStream::connect(addr)).await {
            return Some(addr);
        }
    }
    None
}

async fn holder(port: u16, root: i32) -> Holder {
    spawn_blocking(move || ports::holder(port, root)).await.unwrap_or(Holder::Nobody)
}

async fn probe(addr: SocketAddr, health: Option<&str>, deadline: Instant) -> Result<(), String> {
    let Some(path) = health else { return Ok(()) };
    let host = addr.to_string();
    let within = deadline.saturating_duration_since(Instant::now()).clamp(FIRST_PAUSE, PROBE);
    let get = Get { addr, tls: None, host: &host, target: path, headers: &[], within, limit: 0 };
    match http::get(get).await {
        Ok(got) if got.status.is_success() => Ok(()),
        Ok(got) => Err(format!("GET {path} answered {}", got.status)),
        Err(error) => Err(format!("GET {path}: {error}")),
    }
}
