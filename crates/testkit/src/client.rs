//! One keep-alive connection as a browser keeps it: HTTP/1.1 or HTTP/2 in clear, reopened when the server closed it idle.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header::HOST};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpSocket, TcpStream};

/// Which protocol to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 with keep-alive.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// A header's value, empty where it is missing or not text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("")
    }
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// The connection.
pub struct Client {
    to: SocketAddr,
    host: String,
    protocol: Protocol,
    limit: Duration,
    from: Option<IpAddr>,
    again: bool,
    sender: Option<Sender>,
    opened: u32,
}

impl Client {
    /// A client of one server; connects with the first request. `limit` is the time a whole answer may take.
    pub fn new(to: SocketAddr, host: &str, protocol: Protocol, limit: Duration) -> Self {
        Self { to, host: host.to_owned(), protocol, limit, from: None, again: true, sender: None, opened: 0 }
    }

    /// Connects from this address of the machine, as another visitor would.
    #[must_use]
    pub fn from(self, address: IpAddr) -> Self {
        Self { from: Some(address), ..self }
    }

    /// Never sends a request twice: where the server closes a connection with a request on it, that is a failure. Browsers
    /// hide such losses by trying again; what counts them must not.
    #[must_use]
    pub fn once(self) -> Self {
        Self { again: false, ..self }
    }

    /// How many connections it has opened; more than one means that the server closed one.
    pub fn opened(&self) -> u32 {
        self.opened
    }

    /// Sends a request and reads the whole answer. A kept connection that the server had closed meanwhile is opened again
    /// once, as browsers do.
    ///
    /// # Errors
    /// What went wrong, for a person.
    pub async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer, String> {
        match tokio::time::timeout(self.limit, self.get_unbounded(path, headers)).await {
            Ok(answer) => answer,
            Err(_) => {
                self.sender = None;
                Err(format!("GET {path}: no whole answer within {:?}", self.limit))
            }
        }
    }

    async fn get_unbounded(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer, String> {
        let kept = self.sender.is_some();
        match self.attempt(path, headers).await {
            Err(error) if kept && error.retry && self.again => {
                self.sender = None;
                self.attempt(path, headers).await.map_err(|e| e.message)
            }
            other => other.map_err(|e| e.message),
        }
    }

    async fn attempt(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer, Failure> {
        let kept = match self.sender.take() {
            // Closed in order while nothing was on it: not a loss.
            Some(sender) if sender.is_closed() => None,
            other => other,
        };
        let mut sender = match kept {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let response = match &mut sender {
            Sender::Http1(sender) => {
                let mut request = Request::get(path).header(HOST, &self.host);
                for (name, value) in headers {
                    request = request.header(*name, *value);
                }
                let request = request.body(Full::default()).map_err(|e| Failure::last(path, &e))?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                let uri: Uri =
                    format!("http://{}{path}", self.host).parse().map_err(|e| Failure::last(path, &e))?;
                let mut request = Request::get(uri);
                for (name, value) in headers {
                    request = request.header(*name, *value);
                }
                let request = request.body(Full::default()).map_err(|e| Failure::last(path, &e))?;
                sender.send_request(request).await
            }
        };
        // hyper says "canceled" or "closed" where the request never reached the other side.
        let response = response.map_err(|e| Failure {
            retry: e.is_canceled() || e.is_closed() || e.is_incomplete_message(),
            message: format!("GET {path}: {e}"),
        })?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|e| Failure::last(path, &e))?.to_bytes();
        let alive = match &mut sender {
            // hyper marks the connection ready a moment after the body's end; waiting keeps it.
            Sender::Http1(sender) => sender.ready().await.is_ok(),
            Sender::Http2(sender) => !sender.is_closed(),
        };
        self.sender = alive.then_some(sender);
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    async fn connect(&mut self) -> Result<Sender, Failure> {
        self.opened += 1;
        let stream = self
            .stream()
            .await
            .map_err(|e| Failure { retry: false, message: format!("connecting to {}: {e}", self.to) })?;
        let _ = stream.set_nodelay(true);
        let io = TokioIo::new(stream);
        let failed =
            |e: hyper::Error| Failure { retry: false, message: format!("opening a connection: {e}") };
        Ok(match self.protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await.map_err(failed)?;
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
            Protocol::Http2 => {
                let (sender, connection) =
                    http2::handshake(TokioExecutor::new(), io).await.map_err(failed)?;
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        })
    }

    async fn stream(&self) -> std::io::Result<TcpStream> {
        let Some(from) = self.from else { return TcpStream::connect(self.to).await };
        let socket = if from.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind(SocketAddr::new(from, 0))?;
        socket.connect(self.to).await
    }
}

impl Sender {
    fn is_closed(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_closed(),
            Self::Http2(sender) => sender.is_closed(),
        }
    }
}

struct Failure {
    retry: bool,
    message: String,
}

impl Failure {
    fn last(path: &str, error: &dyn std::fmt::Display) -> Self {
        Self { retry: false, message: format!("GET {path}: {error}") }
    }
}
