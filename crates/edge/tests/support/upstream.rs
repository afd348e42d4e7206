//! A small service: answers what its path asks for, and tells what it was sent.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::{broadcast, oneshot},
};

pub struct Upstream {
    pub address: SocketAddr,
    pub state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

pub struct State {
    pub name: String,
    pub healthy: AtomicBool,
    pub requests: AtomicU64,
    pub connections: AtomicU64,
    pub events: broadcast::Sender<String>,
    /// Held requests wait until this many have been let go.
    pub gate: tokio::sync::Semaphore,
    pub waiting: AtomicU64,
    pub seen: Mutex<Vec<String>>,
}

/// Headers that speak to some caches alone.
pub const TARGETED: [&str; 6] = [
    "cdn-cache-control",
    "cutover-cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "surrogate-control",
    "edge-control",
    "x-accel-expires",
];

type Body = BoxBody<Bytes, Infallible>;

fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed()
}

impl Upstream {
    pub fn start(name: &str) -> Self {
        Self::on(name, "127.0.0.1:0".parse().unwrap())
    }

    pub fn on(name: &str, address: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            name: name.into(),
            healthy: AtomicBool::new(true),
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            events: broadcast::channel(16).0,
            gate: tokio::sync::Semaphore::new(0),
            waiting: AtomicU64::new(0),
            seen: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                let accept = async {
                    loop {
                        let (io, _) = listener.accept().await.unwrap();
                        let _ = io.set_nodelay(true);
                        served.connections.fetch_add(1, SeqCst);
                        let state = Arc::clone(&served);
                        tokio::spawn(async move {
                            let service = service_fn(move |request| answer(Arc::clone(&state), request));
                            let _ = hyper::server::conn::http1::Builder::new()
                                .serve_connection(TokioIo::new(io), service)
                                .with_upgrades()
                                .await;
                        });
                    }
                };
                tokio::select! { () = accept => {}, _ = stopped => {} }
            });
        });
        Self { address, state, stop: Some(stop), thread: Some(thread) }
    }

    pub fn at(&self) -> String {
        self.address.to_string()
    }

    /// Ends it: connections break, the port is free.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop();
    }
}

fn switching(response: http::response::Builder) -> Response<Body> {
    let response = response.status(101).header("upgrade", "websocket").header("connection", "upgrade");
    response.header("sec-websocket-accept", "x").body(full("")).unwrap()
}

async fn answer(state: Arc<State>, mut request: Request<Incoming>) -> Result<Response<Body>, std::io::Error> {
    if request.uri().path() == "/healthz" {
        let status =
            if state.healthy.load(SeqCst) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        return Ok(Response::builder().status(status).body(full("")).unwrap());
    }
    state.requests.fetch_add(1, SeqCst);
    let response = Response::builder().header("x-upstream", &state.name);
    let html = |status: u16, page: &str| {
        Response::builder()
            .status(status)
            .header("content-type", "text/html; charset=utf-8")
            .header("cache-control", "public, max-age=600")
            .body(full(page.to_owned()))
            .unwrap()
    };
    if state.name == "pages" {
        return Ok(html(200, "<p>page</p>"));
    }
    let path = request.uri().path().to_owned();
    Ok(match path.rsplit('/').next().unwrap_or_default() {
        "echo" => {
            let mut lines = vec![format!("{} {}", request.method(), request.uri())];
            for (name, value) in request.headers() {
                lines.push(format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
            }
            let body = request.into_body().collect().await.unwrap().to_bytes();
            lines.push(format!("body={}", body.len()));
            state.seen.lock().unwrap().push(lines.join("\n"));
            response.header("content-type", "text/plain").body(full(lines.join("\n"))).unwrap()
        }
        "upload" => {
            let mut total = 0;
            let mut body = request.into_body();
            while let Some(frame) = body.frame().await {
                total += frame.map_err(std::io::Error::other)?.data_ref().map_or(0, Bytes::len);
            }
            response.body(full(total.to_string())).unwrap()
        }
        "held" => {
            state.waiting.fetch_add(1, SeqCst);
            state.gate.acquire().await.unwrap().forget();
            response.body(full(state.name.clone())).unwrap()
        }
        "page" => html(200, "<p>page</p>"),
        "error" => html(500, "<p>error</p>"),
        "missing" => html(404, "<p>missing</p>"),
        "attachment" => {
            let mut page = html(200, "<p>saved</p>");
            page.headers_mut().insert("content-disposition", "Attachment; filename=a.html".parse().unwrap());
            page
        }
        "redirect" => response
            .status(302)
            .header("location", "/api/page")
            .header("cache-control", "public, max-age=600")
            .header("surrogate-control", "max-age=600")
            .body(full(""))
            .unwrap(),
        "cdn-page" => {
            let mut page = html(200, &format!("<p>{}</p>", state.name));
            let headers = page.headers_mut();
            for name in TARGETED {
                headers.insert(name, "public, max-age=600".parse().unwrap());
            }
            headers.insert("expires", "Fri, 01 Jan 2100 00:00:00 GMT".parse().unwrap());
            page
        }
        "no-store-page" => {
            let mut page = html(200, &state.name);
            page.headers_mut().insert("cache-control", "no-store".parse().unwrap());
            page.headers_mut().insert("cdn-cache-control", "max-age=600".parse().unwrap());
            page
        }
        "untyped" => response
            .header("cache-control", "public, max-age=600")
            .header("cdn-cache-control", "max-age=600")
            .body(full(format!("<p>{}</p>", state.name)))
            .unwrap(),
        "revalidated" => {
            let known = request.headers().contains_key("if-none-match");
            let mut page = html(if known { 304 } else { 200 }, if known { "" } else { "<p>page</p>" });
            page.headers_mut().insert("etag", "\"1\"".parse().unwrap());
            if known {
                page.headers_mut().remove("content-type");
            }
            page
        }
        "data" => response
            .header("content-type", "application/json")
            .header("cache-control", "public, max-age=600")
            .header("cdn-cache-control", "max-age=600")
            .body(full(format!("\"{}\"", state.name)))
            .unwrap(),
        "hostile" => response
            .header("set-cookie", "sid=1; Path=/")
            .header("set-cookie", "cutover=1.green002.1.1; Path=/")
            .header("set-cookie", "__Host-cutover-preview=x; Path=/; Secure")
            .header("x-cutover-release", "evil0000")
            .header("x-cutover-stale", "1")
            .header("x-cutover-anything", "1")
            .header("connection", "x-hop")
            .header("x-hop", "1")
            .header("keep-alive", "timeout=5")
            .body(full(state.name.clone()))
            .unwrap(),
        "conditional" => {
            let known = request.headers().contains_key("if-none-match");
            response.status(if known { 304 } else { 200 }).header("etag", "\"1\"").body(full("")).unwrap()
        }
        "die" => return Err(std::io::Error::other("dies")),
        "stall" => {
            let frames = futures_util::stream::unfold(0, |at| async move {
                if at == 1 {
                    std::future::pending::<()>().await;
                }
                Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"first"))), at + 1))
            });
            response.body(BodyExt::boxed(StreamBody::new(frames))).unwrap()
        }
        "events" => {
            let receiver = state.events.subscribe();
            state.waiting.fetch_add(1, SeqCst);
            let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
                let event = receiver.recv().await.ok()?;
                Some((Ok::<_, Infallible>(Frame::data(Bytes::from(format!("data: {event}\n\n")))), receiver))
            });
            response
                .header("content-type", "text/event-stream")
                .body(BodyExt::boxed(StreamBody::new(frames)))
                .unwrap()
        }
        "big" => {
            let frames = futures_util::stream::iter(
                (0..256).map(|n| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![n as u8; 64 * 1024])))),
            );
            response.body(BodyExt::boxed(StreamBody::new(frames))).unwrap()
        }
        "ws" if request.headers().contains_key("upgrade") => {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let mut io = TokioIo::new(upgrade.await.unwrap());
                io.write_all(b"hello ").await.unwrap();
                let mut buffer = [0; 1024];
                while let Ok(read @ 1..) = io.read(&mut buffer).await {
                    if io.write_all(&buffer[..read]).await.is_err() {
                        return;
                    }
                }
            });
            response
                .status(101)
                .header("upgrade", "websocket")
                .header("connection", "upgrade")
                .header("sec-websocket-accept", "x")
                .body(full(""))
                .unwrap()
        }
        // Frames as they should be; notes all it is sent until the end.
        "frames" if request.headers().contains_key("upgrade") => {
            let upgrade = hyper::upgrade::on(&mut request);
            let (name, state) = (state.name.clone(), Arc::clone(&state));
            tokio::spawn(async move {
                let mut io = TokioIo::new(upgrade.await.unwrap());
                io.write_all(&[&[0x81, name.len() as u8], name.as_bytes()].concat()).await.unwrap();
                let mut sent = Vec::new();
                while let Ok(1..) = io.read_buf(&mut sent).await {
                    state.waiting.fetch_add(1, SeqCst);
                }
                state.seen.lock().unwrap().push(format!("{sent:02x?}"));
            });
            switching(response)
        }
        // Half a frame, and once it is let go the rest of it and two more.
        "halves" if request.headers().contains_key("upgrade") => {
            let upgrade = hyper::upgrade::on(&mut request);
            let state = Arc::clone(&state);
            tokio::spawn(async move {
                let mut io = TokioIo::new(upgrade.await.unwrap());
                io.write_all(b"\x82\x0afirst").await.unwrap();
                state.waiting.fetch_add(1, SeqCst);
                state.gate.acquire().await.unwrap().forget();
                let _ = io.write_all(b"later\x82\x01a\x82\x01b").await;
                let _ = io.read_to_end(&mut Vec::new()).await;
            });
            switching(response)
        }
        "sleep" => {
            tokio::time::sleep(Duration::from_millis(20)).await;
            response.body(full(state.name.clone())).unwrap()
        }
        _ if request.method() == Method::HEAD => {
            response.header("content-length", "123").body(full("")).unwrap()
        }
        _ => response.body(full(state.name.clone())).unwrap(),
    })
}
