//! What kind of request it is.
use crate::{Headers, Request};

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A document for a tab.
    Navigation,
    /// The load of a service worker's script; counts as a navigation.
    ServiceWorker,
    /// Prefetch or prerender.
    Speculative,
    /// WebSocket handshake.
    WebSocket,
    /// Everything else.
    Sub,
}

/// Classifies a request.
pub fn classify<H: Headers + ?Sized>(request: &Request<'_, H>) -> Kind {
    if request.headers.get("sec-fetch-dest") == Some("document") { Kind::Navigation } else { Kind::Sub }
}
