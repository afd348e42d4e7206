//! One keep-alive HTTP/1.1 connection, as a browser holds it: opened when needed, used again and again.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// Longest time a visitor waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to the edge.
pub(super) struct Connection {
    to: SocketAddr,
    from: Option<IpAddr>,
    host: String,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// A header's value, where it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Connection {
    /// A connection that is opened with the first request.
    pub(super) fn new(to: SocketAddr, host: &str) -> Self {
        Self { to, from: None, host: host.to_owned(), sender: None }
    }

    /// The same from another address of this machine.
    pub(super) fn from(self, address: IpAddr) -> Self {
        Self { from: Some(address), ..self }
    }

    /// Asks for a path. A request that was sent and not answered is an error, never sent again: a browser may hide
    /// such losses by trying once more, a measurement must not.
    ///
    /// # Errors
    /// What went wrong, in a few words.
    pub(super) async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer, String> {
        let mut request = Request::builder().method(Method::GET).uri(path).header("host", &self.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::default()).map_err(|error| error.to_string())?;
        match timeout(PATIENCE, self.send(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                self.sender = None;
                Err(error)
            }
            Err(_) => {
                self.sender = None;
                Err(format!("no answer in {} s", PATIENCE.as_secs()))
            }
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let sender = self.sender().await?;
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| format!("the answer broke off: {error}"))?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// The open connection, or a new one where the other side has closed it in order.
    async fn sender(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, String> {
        let usable = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.sender = None;
        }
        match &mut self.sender {
            Some(sender) => Ok(sender),
            none => {
                let stream = stream(self.from, self.to).await.map_err(|error| error.to_string())?;
                let _ = stream.set_nodelay(true);
                let (sender, connection) =
                    handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
                // Errors of the connection reach the request that meets them.
                tokio::spawn(connection);
                Ok(none.insert(sender))
            }
        }
    }
}

async fn stream(from: Option<IpAddr>, to: SocketAddr) -> std::io::Result<TcpStream> {
    // Where the shop is not on the loopback, its visitors come from wherever the system says.
    let Some(from) = from.filter(|from| to.ip().is_loopback() && from.is_ipv4() == to.is_ipv4()) else {
        return TcpStream::connect(to).await;
    };
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(to).await
}
