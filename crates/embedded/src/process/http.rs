//! One GET request, for health checks and gates: no pool, no redirects, bounded answers.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

/// What to ask whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Get<'a> {
    /// Where to connect.
    pub(crate) addr: SocketAddr,
    /// Speak TLS, with this configuration.
    pub(crate) tls: Option<&'a Arc<rustls::ClientConfig>>,
    /// Name for the `Host` header and for TLS.
    pub(crate) host: &'a str,
    /// Path and query.
    pub(crate) target: &'a str,
    /// Further headers; one given here replaces Cutover's own of that name.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// The longest the whole exchange may take.
    pub(crate) within: Duration,
    /// The most bytes of body that are kept; the rest is not read.
    pub(crate) limit: usize,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    /// Status.
    pub(crate) status: StatusCode,
    /// Headers.
    pub(crate) headers: HeaderMap,
    /// The beginning of the body.
    pub(crate) body: Bytes,
    /// There was more.
    pub(crate) cut: bool,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GetError {
    /// The request cannot be written down.
    #[error("the request is not valid: {0}")]
    Invalid(http::Error),
    /// No connection.
    #[error("cannot connect to {addr}: {error}")]
    Connect {
        /// Where to.
        addr: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// It took too long.
    #[error("no complete answer from {addr} within {} ms", within.as_millis())]
    Timeout {
        /// From whom.
        addr: SocketAddr,
        /// How long was waited.
        within: Duration,
    },
    /// The connection broke or what came back is not HTTP.
    #[error("no proper answer from {addr}: {error}")]
    Broken {
        /// From whom.
        addr: SocketAddr,
        /// What was wrong.
        error: hyper::Error,
    },
}

/// Asks once.
pub(crate) async fn get(get: Get<'_>) -> Result<Got, GetError> {
    let request = request(&get).map_err(GetError::Invalid)?;
    let addr = get.addr;
    let connect = |error| GetError::Connect { addr, error };
    let exchange = async {
        let tcp = TcpStream::connect(addr).await.map_err(connect)?;
        match get.tls {
            None => send(&get, tcp, request).await,
            Some(tls) => {
                let name = rustls::pki_types::ServerName::try_from(get.host.to_owned())
                    .map_err(|error| connect(std::io::Error::other(error)))?;
                let stream = tokio_rustls::TlsConnector::from(Arc::clone(tls))
                    .connect(name, tcp)
                    .await
                    .map_err(connect)?;
                send(&get, stream, request).await
            }
        }
    };
    timeout(get.within, exchange).await.unwrap_or(Err(GetError::Timeout { addr, within: get.within }))
}

fn request(get: &Get<'_>) -> Result<Request<Empty<Bytes>>, http::Error> {
    let mut request = Request::get(get.target).body(Empty::new())?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::try_from(get.host)?);
    headers.insert(header::USER_AGENT, HeaderValue::from_static("cutover"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in get.headers {
        headers.insert(HeaderName::try_from(*name)?, HeaderValue::try_from(*value)?);
    }
    Ok(request)
}

async fn send<S>(get: &Get<'_>, stream: S, request: Request<Empty<Bytes>>) -> Result<Got, GetError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let broken = |error| GetError::Broken { addr: get.addr, error };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let exchange = async {
        let (head, mut body) = sender.send_request(request).await?.into_parts();
        let (mut kept, mut cut) = (BytesMut::new(), false);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            let room = get.limit.saturating_sub(kept.len()).min(data.len());
            kept.extend_from_slice(&data[..room]);
            if room < data.len() {
                cut = true;
                break;
            }
        }
        Ok(Got { status: head.status, headers: head.headers, body: kept.freeze(), cut })
    };
    // The connection has to be driven beside the exchange; it ends first where the answer is already buffered.
    tokio::pin!(connection, exchange);
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            done = &mut exchange => return done.map_err(broken),
            _ = &mut connection, if open => open = false,
        }
    }
}
