//! An HTTP/1.1 client that hides nothing.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// One answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn release(&self) -> &str {
        self.header("x-cutover-release")
    }

    pub fn reason(&self) -> &str {
        self.header("x-cutover-reason")
    }

    /// The value of a cookie this answer sets.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.all("set-cookie").find_map(|line| line.split(';').next()?.strip_prefix(name)?.strip_prefix('='))
    }
}

/// One connection, kept alive.
pub struct Client {
    pub stream: BufReader<TcpStream>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    pub fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str("host: shop.example\r\n");
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.write(&[head.as_bytes(), body].concat());
    }

    /// The head of the next answer; none where the connection has ended.
    pub fn head(&mut self) -> Option<Reply> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Some(Reply { status, headers, body: Vec::new() })
    }

    /// The next answer, whole; none where the connection ended before its end.
    pub fn receive(&mut self, method: &str) -> Option<Reply> {
        let mut reply = self.head()?;
        if method == "HEAD" || reply.status == 304 || reply.status == 204 || reply.status == 101 {
            return Some(reply);
        }
        if reply.header("transfer-encoding") == "chunked" {
            while let Some(chunk) = self.chunk()? {
                reply.body.extend_from_slice(&chunk);
            }
        } else if let Ok(length) = reply.header("content-length").parse::<usize>() {
            reply.body = vec![0; length];
            self.stream.read_exact(&mut reply.body).ok()?;
        } else {
            self.stream.read_to_end(&mut reply.body).ok()?;
        }
        Some(reply)
    }

    /// The next chunk of a chunked body: `Some(None)` at its end.
    pub fn chunk(&mut self) -> Option<Option<Vec<u8>>> {
        let mut size = String::new();
        self.stream.read_line(&mut size).ok().filter(|read| *read > 0)?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        self.stream.read_exact(&mut chunk).ok()?;
        chunk.truncate(size);
        Some((size > 0).then_some(chunk))
    }

    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Reply> {
        self.send(method, target, headers, body);
        self.receive(method)
    }

    pub fn get(&mut self, target: &str, headers: &[(&str, &str)]) -> Reply {
        self.request("GET", target, headers, b"").expect("an answer")
    }

    /// True once the other side has closed.
    pub fn closed(&mut self) -> bool {
        let mut rest = Vec::new();
        !matches!(self.stream.read_to_end(&mut rest), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// One request on a connection of its own.
pub fn get(address: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Reply {
    Client::connect(address).get(target, headers)
}

/// Any request on a connection of its own.
pub fn request(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    Client::connect(address).request(method, target, headers, body).expect("an answer")
}

/// Sends bytes and reads everything until the other side closes or says nothing more for a moment.
pub fn raw(address: SocketAddr, bytes: &[u8]) -> (Option<Reply>, bool) {
    let mut client = Client::connect(address);
    // The other side may close before it has read everything.
    let _ = client.stream.get_mut().write_all(bytes);
    let reply = client.receive("GET");
    client.stream.get_mut().set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let closed = client.closed();
    (reply, closed)
}
