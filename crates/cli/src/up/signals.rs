//! The signals `up` and `demo` listen to.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// SIGINT or SIGTERM: end in order.
    End,
    /// SIGHUP: read the certificate files and the outage text again.
    Reload,
}

/// The signals, listened to from the moment this is made: none that comes later is lost.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
}

impl Signals {
    /// Begins to listen; must be called inside a runtime. A signal that cannot be listened to keeps what it does by
    /// default.
    pub(crate) fn listen() -> Self {
        Self {
            interrupt: listen(SignalKind::interrupt()),
            terminate: listen(SignalKind::terminate()),
            hangup: listen(SignalKind::hangup()),
        }
    }

    /// Completes with the next signal.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            () = next(&mut self.interrupt) => Asked::End,
            () = next(&mut self.terminate) => Asked::End,
            () = next(&mut self.hangup) => Asked::Reload,
        }
    }

    /// Completes when the end is asked for.
    pub(crate) async fn end(&mut self) {
        while self.next().await != Asked::End {}
    }
}

fn listen(kind: SignalKind) -> Option<Signal> {
    match signal(kind) {
        Ok(signal) => Some(signal),
        Err(error) => {
            tracing::warn!(%error, "cannot listen to a signal");
            None
        }
    }
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
