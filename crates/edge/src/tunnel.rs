//! A WebSocket: bytes in both directions until one side has had enough.

use bytes::Bytes;
use tokio::{
    io::{AsyncWriteExt, copy_bidirectional},
    net::TcpStream,
};

use crate::{flight::Flight, legs::Wire};

/// An upstream's side of an open WebSocket, waiting for the visitor's.
pub(crate) struct Tunnel {
    pub(crate) io: TcpStream,
    /// What the upstream sent right behind its handshake.
    pub(crate) early: Bytes,
    /// Ends with the tunnel.
    pub(crate) flight: Box<Flight>,
}

impl Tunnel {
    /// Copies until both sides have ended, or the worker does. `early` is what the visitor sent right behind the handshake.
    pub(crate) async fn run(mut self, mut wire: Wire, early: Bytes) {
        keep_alive(wire.socket());
        keep_alive(&self.io);
        self.flight.bytes = self.early.len() as u64;
        let copied = async {
            wire.write_all(&self.early).await?;
            self.io.write_all(&early).await?;
            copy_bidirectional(&mut wire, &mut self.io).await
        };
        if let Ok((_, down)) = copied.await {
            self.flight.bytes += down;
        }
    }
}

/// A tunnel has no timeouts of its own, so a peer that is gone has to be found by the kernel.
fn keep_alive(socket: &TcpStream) {
    let every = std::time::Duration::from_secs(60);
    let probes = socket2::TcpKeepalive::new().with_time(every).with_interval(every / 4);
    if let Err(error) = socket2::SockRef::from(socket).set_tcp_keepalive(&probes) {
        tracing::debug!(%error, "setting keep-alive probes on a tunnel");
    }
}
