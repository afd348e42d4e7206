//! The shop's service: JSON over HTTP/1.1, one process per release, started by Cutover's supervisor.
//!
//! It stands for anybody's service and keeps to what Cutover asks of one: it listens on PORT, answers a health check,
//! keeps what releases share below CUTOVER_DATA, and on SIGTERM finishes what it has begun. Nothing a client sends
//! makes it panic; bodies, waits, sessions and logins are bounded.

use std::{io::Write, net::Ipv4Addr, path::Path, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware,
    routing::{get, post},
};
use tokio::sync::watch;

use super::{
    Variant,
    answers::{Problem, not_stored},
    catalogue::Catalogue,
    endpoints,
    faults::{Faults, disturb},
    login::{self, Logins},
    sessions::Sessions,
    sources,
    view::Shape,
};

/// The largest body read, in bytes.
const LARGEST_BODY: usize = 16 * 1024;

/// Why the service cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// PORT is missing or no port.
    #[error("PORT must be the port to listen on, a number from 0 to 65535; it is {0}")]
    Port(String),
    /// The products cannot be read.
    #[error("products.json is not a list of products: {0}")]
    Products(#[from] serde_json::Error),
    /// The system refuses.
    #[error("cannot {attempted}: {source}")]
    System { attempted: String, source: std::io::Error },
}

fn system(attempted: impl Into<String>) -> impl FnOnce(std::io::Error) -> ApiError {
    let attempted = attempted.into();
    |source| ApiError::System { attempted, source }
}

/// Serves until SIGTERM or SIGINT, then until the requests under way are answered.
pub(crate) fn run(variant: Variant) -> Result<(), ApiError> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "not set".to_owned());
    let port: u16 = port.parse().map_err(|_| ApiError::Port(port.clone()))?;
    let data = std::env::var_os("CUTOVER_DATA");
    let release = std::env::var("CUTOVER_RELEASE").unwrap_or_default();
    // The release's own copy lies in the directory it is started in.
    let products = std::fs::read_to_string("products.json").unwrap_or_else(|_| sources::PRODUCTS.to_owned());
    let (shop, end) = shop(variant, release, &products, data.as_deref().map(Path::new))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("start the service's runtime"))?;
    runtime.block_on(async {
        let asked_to_end = asked_to_end()?;
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(system(format!("listen on 127.0.0.1:{port}")))?;
        let address = listener.local_addr().map_err(system("read the address listened on"))?;
        // Where nobody reads the log any more, serving goes on.
        let _ = writeln!(std::io::stdout(), "shop api, variant {}, on http://{address}", variant.word());
        let ended = async move {
            asked_to_end.await;
            end.send_replace(true);
        };
        axum::serve(listener, router(shop)).with_graceful_shutdown(ended).await.map_err(system("serve"))
    })
}

/// Completes when the process is asked to end.
fn asked_to_end() -> Result<impl Future<Output = ()>, ApiError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(system("listen for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("listen for SIGINT"))?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// What the service consists of, shared by all its handlers.
pub(crate) type Shop = Arc<ShopState>;

#[derive(Debug)]
pub(crate) struct ShopState {
    pub(crate) variant: Variant,
    pub(crate) shape: Shape,
    /// The release's id, as Cutover told it.
    pub(crate) release: String,
    pub(crate) catalogue: Catalogue,
    pub(crate) sessions: Sessions,
    pub(crate) logins: Logins,
    /// Becomes true when the process is asked to end.
    pub(crate) ending: watch::Receiver<bool>,
}

/// The shop, and how to tell it that the end has come.
fn shop(
    variant: Variant,
    release: String,
    products: &str,
    data: Option<&Path>,
) -> Result<(Shop, watch::Sender<bool>), ApiError> {
    let sessions = match data {
        Some(dir) => {
            let dir = dir.join("sessions");
            Sessions::in_directory(&dir).map_err(system(format!("keep sessions in {}", dir.display())))?
        }
        None => Sessions::in_memory(),
    };
    let catalogue = Catalogue::parse(products)?;
    let (end, ending) = watch::channel(false);
    let (shape, logins) = (Shape::of(variant), Logins::default());
    Ok((Arc::new(ShopState { variant, shape, release, catalogue, sessions, logins, ending }), end))
}

fn router(shop: Shop) -> Router {
    let variant = shop.variant;
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/api/version", get(endpoints::version))
        .route("/api/products", get(endpoints::products))
        .route("/api/products/{id}", get(endpoints::product))
        .route("/api/cart", get(endpoints::cart).post(endpoints::set_line))
        .route("/api/orders", get(endpoints::orders).post(endpoints::order))
        .route("/api/me", get(endpoints::me))
        .route("/api/login", get(login::login))
        .route("/api/identity", get(login::identity))
        .route("/api/logout", post(endpoints::logout))
        .route("/callback", get(login::callback))
        .route("/api/slow", get(endpoints::slow))
        .route("/api/events", get(endpoints::events))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this address") })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(shop);
    let router = match variant {
        Variant::Bad => router.layer(middleware::from_fn_with_state(Arc::new(Faults::default()), disturb)),
        Variant::One | Variant::Two => router,
    };
    router.layer(middleware::map_response(not_stored))
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
