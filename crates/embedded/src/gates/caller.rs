//! Many requests to one release through the edge, each caller over a connection of its own that stays open.
//!
//! Dropping a caller closes its connection.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

use super::{GateTarget, tls};
use crate::process::log::plain;

/// Who asks.
pub(super) struct Caller {
    route: Arc<Route>,
    agent: HeaderValue,
    open: Option<Connection>,
}

/// Where it asks; shared by all callers of a release.
pub(super) struct Route {
    target: GateTarget,
    tls: Option<Arc<rustls::ClientConfig>>,
    host: HeaderValue,
    cookie: HeaderValue,
}

struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A whole answer of the release.
    Answered { status: StatusCode, head: Duration },
    /// No whole answer, or a failure the edge answered in the release's place.
    Failed(String),
    /// The edge was not reached: nothing is learnt about the release.
    Unreachable(String),
    /// An answer of something else than the release: nothing is learnt either.
    Foreign(String),
}

impl Route {
    pub(super) fn new(target: &GateTarget) -> Result<Arc<Self>, String> {
        let tls = if target.tls {
            Some(tls::config().map_err(|error| format!("cannot set up TLS: {error}"))?)
        } else {
            None
        };
        let value = |text: &str| HeaderValue::try_from(text).map_err(|error| format!("{text:?}: {error}"));
        let (host, cookie) = (value(&target.host)?, value(&target.preview_cookie)?);
        Ok(Arc::new(Self { target: target.clone(), tls, host, cookie }))
    }
}

impl Caller {
    pub(super) fn new(route: &Arc<Route>, agent: &str) -> Self {
        let agent = HeaderValue::try_from(agent).unwrap_or_else(|_| HeaderValue::from_static("cutover"));
        Self { route: Arc::clone(route), agent, open: None }
    }

    /// GETs a path (and query) and reads the answer to its end.
    pub(super) async fn get(&mut self, path: &str, within: Duration) -> Outcome {
        match timeout(within, self.exchange(path)).await {
            Ok(outcome) => {
                if !matches!(outcome, Outcome::Answered { .. }) {
                    self.open = None;
                }
                outcome
            }
            Err(_) => {
                self.open = None;
                Outcome::Failed(format!("no whole answer within {} ms", within.as_millis()))
            }
        }
    }

    async fn exchange(&mut self, path: &str) -> Outcome {
        loop {
            let reused = self.open.is_some();
            let began = Instant::now();
            let connection = match self.open.take() {
                Some(open) => open,
                None => match self.connect().await {
                    Ok(connection) => connection,
                    Err(error) => {
                        return Outcome::Unreachable(format!(
                            "cannot connect to {}: {error}",
                            self.route.target.edge
                        ));
                    }
                },
            };
            let connection = self.open.insert(connection);
            // A server may close an idle connection at any moment (RFC 9112 section 9.3.1).
            if connection.sender.ready().await.is_err() && reused {
                self.open = None;
                continue;
            }
            let request = match request(&self.route, &self.agent, path) {
                Ok(request) => request,
                Err(error) => return Outcome::Unreachable(format!("GET {path} is not valid: {error}")),
            };
            let answer = match connection.sender.send_request(request).await {
                Ok(answer) => answer,
                Err(error)
                    if reused
                        && (error.is_canceled() || error.is_incomplete_message() || error.is_closed()) =>
                {
                    self.open = None;
                    continue;
                }
                Err(error) => return Outcome::Failed(format!("no proper answer: {error}")),
            };
            let head = began.elapsed();
            let status = answer.status();
            let release = answer.headers().get("x-cutover-release").and_then(|value| value.to_str().ok());
            let foreign = match release {
                Some(release) if release == self.route.target.release.as_str() => None,
                Some(release) => Some(format!("release {}", plain(release))),
                None => Some("no release".to_owned()),
            };
            if let Some(from) = foreign {
                let expected = self.route.target.release;
                return Outcome::Foreign(format!(
                    "GET {path}: {status} came from {from}, not from {expected}"
                ));
            }
            let mut body = answer.into_body();
            while let Some(frame) = body.frame().await {
                if let Err(error) = frame {
                    return Outcome::Failed(format!("the answer was cut short: {error}"));
                }
            }
            return Outcome::Answered { status, head };
        }
    }

    async fn connect(&self) -> std::io::Result<Connection> {
        let tcp = TcpStream::connect(self.route.target.edge).await?;
        tcp.set_nodelay(true)?;
        match &self.route.tls {
            None => shake(tcp).await,
            Some(tls) => {
                let name = rustls::pki_types::ServerName::try_from(self.route.target.host.clone())
                    .map_err(std::io::Error::other)?;
                shake(tokio_rustls::TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await?).await
            }
        }
    }
}

async fn shake<S>(stream: S) -> std::io::Result<Connection>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    let driver = tokio::spawn(async move {
        // What breaks it is told by the request that was under way.
        let _ = connection.await;
    });
    Ok(Connection { sender, driver })
}

fn request(route: &Route, agent: &HeaderValue, path: &str) -> Result<Request<Empty<Bytes>>, http::Error> {
    let mut request = Request::get(path).body(Empty::new())?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, route.host.clone());
    headers.insert(header::USER_AGENT, agent.clone());
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(header::COOKIE, route.cookie.clone());
    Ok(request)
}
