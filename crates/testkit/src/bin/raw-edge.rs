//! The raw foundation for the bench: hyper with the least that answers, no routing, no log, no counters. What the edge costs
//! above this is what its duties cost.
//!
//! `raw-edge PORT UPSTREAM WORKERS`: `/static/1k` and `/static/16k` from memory, everything else from the upstream.
#![allow(clippy::print_stderr, reason = "a program for the bench")]

use std::{cell::RefCell, convert::Infallible, net::SocketAddr, rc::Rc};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use hyper::{body::Incoming, client::conn::http1::SendRequest, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

type Body = Either<Full<Bytes>, Incoming>;
type Pool = Rc<RefCell<Vec<SendRequest<Incoming>>>>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, upstream, workers] = arguments.as_slice() else {
        eprintln!("usage: raw-edge PORT UPSTREAM WORKERS");
        std::process::exit(2);
    };
    let listen = SocketAddr::from(([127, 0, 0, 1], port.parse()?));
    let upstream: SocketAddr = upstream.parse()?;
    let threads: Vec<_> = (0..workers.parse::<usize>()?)
        .map(|_| std::thread::spawn(move || worker(listen, upstream).map_err(|e| eprintln!("raw-edge: {e}"))))
        .collect();
    for thread in threads {
        let _ = thread.join();
    }
    Ok(())
}

fn worker(listen: SocketAddr, upstream: SocketAddr) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseport(true)?;
        socket.bind(listen)?;
        let listener: TcpListener = socket.listen(1024)?;
        let pool: Pool = Rc::default();
        let small = Bytes::from(vec![b'x'; 1024]);
        let large = Bytes::from(vec![b'x'; 16 * 1024]);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (pool, small, large) = (Rc::clone(&pool), small.clone(), large.clone());
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let (pool, small, large) = (Rc::clone(&pool), small.clone(), large.clone());
                    async move {
                        Ok::<_, Infallible>(match request.uri().path() {
                            "/static/1k" => Response::new(Either::Left(Full::new(small))),
                            "/static/16k" => Response::new(Either::Left(Full::new(large))),
                            _ => proxy(&pool, upstream, request).await.unwrap_or_else(|_| bad_gateway()),
                        })
                    }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
}

async fn proxy(
    pool: &Pool,
    upstream: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let kept = pool.borrow_mut().pop();
    let sender = match kept.filter(|s| !s.is_closed()) {
        Some(sender) => Some(sender),
        None => connect(upstream).await,
    };
    let Some(mut sender) = sender else { return Ok(bad_gateway()) };
    let Ok(response) = sender.send_request(request).await else { return Ok(bad_gateway()) };
    let (head, body) = response.into_parts();
    // The connection is free again when the body is read; small answers are, by then.
    let Ok(bytes) = body.collect().await else { return Ok(bad_gateway()) };
    pool.borrow_mut().push(sender);
    Ok(Response::from_parts(head, Either::Left(Full::new(bytes.to_bytes()))))
}

async fn connect(upstream: SocketAddr) -> Option<SendRequest<Incoming>> {
    let stream = TcpStream::connect(upstream).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::task::spawn_local(connection);
    Some(sender)
}

fn bad_gateway() -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}
