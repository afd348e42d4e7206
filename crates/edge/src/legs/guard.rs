//! Watches the raw bytes of an HTTP/1.1 connection for requests whose end is a matter of opinion.
//!
//! The parser behind this edge repairs some ambiguous requests before anyone can see them: of `Content-Length` with
//! `Transfer-Encoding` it drops the former, equal lengths it merges. Another parser up or down the line may choose the
//! other reading, and what is a body to one is a second request to the other (request smuggling, RFC 9112 section
//! 11.2). So the guard follows the framing on its own, strictly, and counts the requests it has found sound. A request
//! with a number above that count is refused and its connection closed. Where the two parsers disagree on anything,
//! the counts differ and the connection ends: safe in both directions.

use super::Ambiguity;

/// Follows one connection, byte for byte.
#[derive(Debug)]
pub(crate) struct Guard {
    at: At,
    /// A line that has not ended yet.
    line: Vec<u8>,
    limit: usize,
    /// Bytes of the head so far.
    head: usize,
    length: Option<u64>,
    chunked: bool,
    sound: u64,
    fault: Option<Ambiguity>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Between requests.
    Start,
    /// In the fields of a head.
    Fields,
    Body(u64),
    ChunkSize,
    /// This much of a chunk and its line end.
    Chunk(u64),
    ChunkEnd(u8),
    Trailers,
    /// Lost, or not HTTP/1.1 any more: looks no further.
    Off,
}

impl Guard {
    /// A guard that takes heads of up to `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            at: At::Start,
            line: Vec::new(),
            limit,
            head: 0,
            length: None,
            chunked: false,
            sound: 0,
            fault: None,
        }
    }

    /// How many heads have been found sound so far.
    pub(crate) fn sound(&self) -> u64 {
        self.sound
    }

    /// What was wrong with the first that was not.
    pub(crate) fn fault(&self) -> Option<Ambiguity> {
        self.fault
    }

    /// True where a head has begun and not ended.
    pub(crate) fn in_head(&self) -> bool {
        self.at == At::Fields || (self.at == At::Start && !self.line.is_empty())
    }

    /// True where a body has begun and not ended.
    pub(crate) fn in_body(&self) -> bool {
        matches!(self.at, At::Body(_) | At::ChunkSize | At::Chunk(_) | At::ChunkEnd(_) | At::Trailers)
    }

    /// Looks at what was read.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.at {
                At::Off => return,
                At::Body(left) => {
                    let taken = left.min(bytes.len() as u64);
                    self.at = At::Body(left - taken);
                    if taken == left {
                        self.restart();
                    }
                    &bytes[taken as usize..]
                }
                At::Chunk(left) => {
                    let taken = left.min(bytes.len() as u64);
                    self.at = if taken == left { At::ChunkEnd(b'\r') } else { At::Chunk(left - taken) };
                    &bytes[taken as usize..]
                }
                At::ChunkEnd(expected) => {
                    if bytes[0] != expected {
                        return self.give_up(Ambiguity::Chunks);
                    }
                    self.at = if expected == b'\r' { At::ChunkEnd(b'\n') } else { At::ChunkSize };
                    &bytes[1..]
                }
                At::Start | At::Fields | At::ChunkSize | At::Trailers => {
                    let Some(end) = memchr::memchr(b'\n', bytes) else {
                        if self.line.len() + bytes.len() > self.limit {
                            return self.give_up(Ambiguity::Head);
                        }
                        self.line.extend_from_slice(bytes);
                        return;
                    };
                    let (line, rest) = bytes.split_at(end + 1);
                    if self.line.is_empty() {
                        self.line(line);
                    } else {
                        let mut whole = std::mem::take(&mut self.line);
                        whole.extend_from_slice(line);
                        self.line(&whole);
                        whole.clear();
                        self.line = whole;
                    }
                    rest
                }
            }
        }
    }

    fn give_up(&mut self, fault: Ambiguity) {
        self.fault.get_or_insert(fault);
        self.line = Vec::new();
        self.at = At::Off;
    }

    /// Takes one line with its end.
    fn line(&mut self, line: &[u8]) {
        let Some(line) = line.strip_suffix(b"\r\n") else { return self.give_up(Ambiguity::LineEnd) };
        self.head += line.len() + 2;
        if self.head > self.limit {
            return self.give_up(Ambiguity::Head);
        }
        match self.at {
            // Empty lines before a request are ignored (RFC 9112 section 2.2).
            At::Start if line.is_empty() => {}
            At::Start => self.at = At::Fields,
            At::Fields if line.is_empty() => self.end_of_head(),
            At::Fields => self.field(line),
            At::ChunkSize => self.chunk(line),
            At::Trailers if line.is_empty() => self.restart(),
            _ => {}
        }
    }

    fn field(&mut self, line: &[u8]) {
        match line[0] {
            b' ' | b'\t' => self.give_up(Ambiguity::Folding),
            b'c' | b'C' => {
                if let Some(value) = value(line, b"content-length") {
                    match (self.length, decimal(value)) {
                        (None, Some(length)) => self.length = Some(length),
                        _ => self.give_up(Ambiguity::Length),
                    }
                }
            }
            b't' | b'T' => {
                if let Some(value) = value(line, b"transfer-encoding") {
                    if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                        return self.give_up(Ambiguity::Coding);
                    }
                    self.chunked = true;
                }
            }
            _ => {}
        }
    }

    fn end_of_head(&mut self) {
        if self.chunked && self.length.is_some() {
            return self.give_up(Ambiguity::LengthAndCoding);
        }
        self.sound += 1;
        self.head = 0;
        self.at = match (self.chunked, self.length) {
            (true, _) => At::ChunkSize,
            (false, Some(length)) if length > 0 => At::Body(length),
            _ => return self.restart(),
        };
    }

    fn restart(&mut self) {
        self.head = 0;
        self.length = None;
        self.chunked = false;
        self.at = At::Start;
    }

    fn chunk(&mut self, line: &[u8]) {
        self.head = 0;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size =
            std::str::from_utf8(&line[..digits]).ok().and_then(|hex| u64::from_str_radix(hex, 16).ok());
        match (size, line.get(digits)) {
            (Some(0), None | Some(b';')) => self.at = At::Trailers,
            (Some(size), None | Some(b';')) => self.at = At::Chunk(size),
            _ => self.give_up(Ambiguity::Chunks),
        }
    }
}

/// The value of a field with this name.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    head.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(bytes: &[u8], step: usize) -> (u64, Option<Ambiguity>) {
        let mut guard = Guard::new(1024);
        bytes.chunks(step).for_each(|part| guard.feed(part));
        (guard.sound(), guard.fault())
    }

    #[test]
    fn requests_are_followed_whatever_the_pieces() {
        let stream = b"\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n\
            POST / HTTP/1.1\r\nhost: a\r\nContent-Length:  5 \r\n\r\nhello\
            POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n5;x=y\r\nhel\r\n\r\n0\r\nt: 1\r\n\r\n\
            GET /last HTTP/1.1\r\n\r\n";
        for step in 1..stream.len() {
            assert_eq!(run(stream, step), (4, None), "in pieces of {step}");
        }
    }

    #[test]
    fn ambiguous_heads_stop_the_count() {
        for (fields, fault) in [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", Ambiguity::LengthAndCoding),
            ("Transfer-Encoding: chunked\r\ncontent-length: 5", Ambiguity::LengthAndCoding),
            ("Content-Length: 5\r\nContent-Length: 5", Ambiguity::Length),
            ("Content-Length: 5, 5", Ambiguity::Length),
            ("Content-Length: +5", Ambiguity::Length),
            ("Content-Length:", Ambiguity::Length),
            ("Content-Length: 99999999999999999999", Ambiguity::Length),
            ("Transfer-Encoding: xchunked", Ambiguity::Coding),
            ("Transfer-Encoding: gzip, chunked", Ambiguity::Coding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Ambiguity::Coding),
            ("a: b\r\n c", Ambiguity::Folding),
            ("a: b\nc: d", Ambiguity::LineEnd),
        ] {
            let head = format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n");
            for step in [1, 7, 4096] {
                assert_eq!(run(head.as_bytes(), step), (0, Some(fault)), "{fields:?} in pieces of {step}");
            }
        }
    }

    #[test]
    fn malformed_chunks_stop_the_count_after_their_request() {
        for body in ["0x5\r\nhello", "5\r\nhelloX\r\n", "\r\n", "5\nhello", "-1\r\n", "fffffffffffffffff\r\n"]
        {
            let stream = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}0\r\n\r\n");
            let (sound, fault) = run(stream.as_bytes(), 3);
            assert_eq!(sound, 1, "{body:?}");
            assert!(fault.is_some(), "{body:?}");
        }
    }

    #[test]
    fn heads_are_bounded() {
        assert_eq!(run(&[b'a'; 2000], 64), (0, Some(Ambiguity::Head)));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(300));
        assert_eq!(run(many.as_bytes(), 64), (0, Some(Ambiguity::Head)));
    }
}
