//! A client that sends exactly what it is told, well-formed or not.

use std::net::SocketAddr;

use cutover_engine::Error;
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// The token every test server asks for.
pub(crate) const TOKEN: &str = "a-token-of-the-test";

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.body).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }

    /// The error, after checking that it is one.
    pub(crate) fn error(&self) -> Error {
        assert!(self.status >= 400, "{self:?}");
        assert!(self.head.contains("content-type: application/json"), "{self:?}");
        self.json()
    }
}

/// A request with the usual headers, ready to be changed.
#[derive(Clone)]
pub(crate) struct Ask {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Ask {
    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: &str, body: &str) -> Self {
        let mut ask = Self::new("POST", path).with("content-type", "application/json");
        ask.body = body.to_owned();
        ask
    }

    pub(crate) fn new(method: &str, path: &str) -> Self {
        let ask =
            Self { line: format!("{method} {path} HTTP/1.1"), headers: Vec::new(), body: String::new() };
        ask.with("host", "127.0.0.1:9400").with("authorization", &format!("Bearer {TOKEN}"))
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes a header away.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            text.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        format!("{text}connection: close\r\n\r\n{}", self.body).into_bytes()
    }

    /// Sends it and reads the answer to the end.
    pub(crate) async fn send(&self, to: SocketAddr) -> Answer {
        self.send_over(TcpStream::connect(to).await.unwrap()).await
    }

    /// Sends it over a connection.
    pub(crate) async fn send_over(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Answer {
        // A server that refuses early may not read all of it.
        let _ = stream.write_all(&self.bytes()).await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// Sends it and gives the connection for a body that never ends.
    pub(crate) async fn open(&self, to: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(&self.bytes()).await.unwrap();
        stream
    }
}
