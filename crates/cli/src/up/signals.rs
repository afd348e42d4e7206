//! The signals `up` listens to.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Completes with the next SIGINT or SIGTERM.
pub(crate) async fn asked_to_end() {
    let (interrupt, terminate) = (listen(SignalKind::interrupt()), listen(SignalKind::terminate()));
    tokio::select! {
        () = next(interrupt) => {}
        () = next(terminate) => {}
    }
}

/// Completes with the next SIGHUP.
pub(crate) async fn asked_to_reload(hangup: &mut Option<Signal>) {
    match hangup {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Begins to listen; a signal that cannot be listened to keeps what it does by default.
pub(crate) fn listen(kind: SignalKind) -> Option<Signal> {
    match signal(kind) {
        Ok(signal) => Some(signal),
        Err(error) => {
            tracing::warn!(%error, "cannot listen to a signal");
            None
        }
    }
}

async fn next(signal: Option<Signal>) {
    match signal {
        Some(mut signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
