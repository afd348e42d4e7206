//! Runs the API on a listener until it is asked to stop.

use std::{future::Future, io, net::IpAddr, sync::Arc, time::Duration};

use axum::{Router, middleware, serve::Listener};
use cutover_engine::Control;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::watch,
};

use crate::{
    guard::{self, Guard},
    handlers::App,
    openapi::openapi,
    operations::Operations,
    routes,
};

/// How long open connections get to finish when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// How the API is served.
#[derive(Clone)]
pub struct ServerOptions {
    /// What clients must present. A token that is empty lets nobody in.
    pub token: String,
    /// Host names clients may use beside addresses of this machine and `localhost`.
    pub hosts: Vec<String>,
}

impl ServerOptions {
    /// Options with this token and no further host names.
    pub fn new(token: impl Into<String>) -> Self {
        Self { token: token.into(), hosts: Vec::new() }
    }
}

impl std::fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerOptions").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// The API cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve the control API: {0}")]
pub struct ServeError(#[from] io::Error);

/// Serves the API until `shutdown` completes, then lets open requests finish for up to 5 s; streams and polls end at
/// once. Operations that run go on in their own tasks.
///
/// # Errors
/// Where the listener has no address or fails for good.
pub async fn serve<C: Control>(
    listener: TcpListener,
    control: Arc<C>,
    options: ServerOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?.ip();
    run(listener, control, options, Some(address), shutdown).await
}

/// As [`serve`], on a Unix socket. Who may connect is up to the socket file's permissions; the token is asked for too.
///
/// # Errors
/// Where the listener fails for good.
pub async fn serve_unix<C: Control>(
    listener: UnixListener,
    control: Arc<C>,
    options: ServerOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    run(listener, control, options, None, shutdown).await
}

async fn run<C: Control, L: Listener>(
    listener: L,
    control: Arc<C>,
    options: ServerOptions,
    address: Option<IpAddr>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError>
where
    L::Addr: std::fmt::Debug,
{
    let (close, closing) = watch::channel(false);
    let mut stopped = closing.clone();
    let router = guarded(control, options, address, closing);
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        close.send_replace(true);
    });
    let late = async {
        // The sender lives until the server is gone, so that this is the signal and not its loss.
        let _ = stopped.wait_for(|stopped| *stopped).await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        outcome = serving.into_future() => Ok(outcome?),
        () = late => {
            tracing::warn!("the control API closed connections that were still open");
            Ok(())
        }
    }
}

fn guarded<C: Control>(
    control: Arc<C>,
    options: ServerOptions,
    address: Option<IpAddr>,
    closing: watch::Receiver<bool>,
) -> Router {
    let guard = Guard { token: options.token.into(), address, hosts: options.hosts.into() };
    let openapi = openapi::<C>().to_string().into();
    let app = App { control, operations: Operations::new(), openapi, closing };
    routes::router(app).layer(middleware::from_fn_with_state(guard, guard::check))
}
