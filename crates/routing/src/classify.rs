//! What kind of request it is: whether a tab wants a document, or a document wants something.

use crate::{Headers, Request};

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A document for a tab.
    Navigation,
    /// The load of a service worker's script; counts as a navigation.
    ServiceWorker,
    /// Prefetch, prerender or preview: nobody has gone there yet.
    Speculative,
    /// WebSocket handshake.
    WebSocket,
    /// Everything else: sub-resources, API, frames, HEAD, POST.
    Sub,
}

impl Kind {
    /// A stable word for logs and conformance vectors.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Navigation => "navigation",
            Self::ServiceWorker => "service-worker",
            Self::Speculative => "speculative",
            Self::WebSocket => "websocket",
            Self::Sub => "sub",
        }
    }

    /// True where the visitor may move and get a pin.
    pub fn moves(self) -> bool {
        matches!(self, Self::Navigation | Self::ServiceWorker)
    }
}

/// Classifies a request by its method, path and headers, in the order of the code.
pub fn classify<H: Headers + ?Sized>(request: &Request<'_, H>) -> Kind {
    let headers = request.headers;
    let mode = headers.get("sec-fetch-mode");
    if mode == Some("websocket") || headers.get("sec-websocket-key").is_some() {
        return Kind::WebSocket;
    }
    if ["sec-purpose", "purpose", "x-purpose", "x-moz"].into_iter().any(|name| {
        headers.get(name).is_some_and(|value| {
            ["prefetch", "prerender", "preview"].into_iter().any(|word| contains_ignore_case(value, word))
        })
    }) {
        return Kind::Speculative;
    }
    let get = request.method == "GET";
    if get && headers.get("service-worker") == Some("script") {
        return Kind::ServiceWorker;
    }
    let navigation = match headers.get("sec-fetch-dest") {
        Some(dest) => get && dest == "document" && mode == Some("navigate"),
        None => {
            get && headers.get("accept").is_some_and(|accept| contains_ignore_case(accept, "text/html"))
                && headers.get("x-requested-with").is_none()
                && !has_asset_extension(request.path)
        }
    };
    if navigation { Kind::Navigation } else { Kind::Sub }
}

/// True where the last segment ends in a dot and one to eight letters or digits, other than `.html` and `.htm`.
fn has_asset_extension(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or(path);
    last.rsplit_once('.').is_some_and(|(_, extension)| {
        (1..=8).contains(&extension.len())
            && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && !extension.eq_ignore_ascii_case("html")
            && !extension.eq_ignore_ascii_case("htm")
    })
}

/// True where `text` has `word`, which is given in lower case, whatever the case of ASCII letters.
fn contains_ignore_case(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}
