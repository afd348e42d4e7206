//! The access log: one JSON object per line, written off the way of requests.
//!
//! A worker appends to a buffer of its own and hands it over when it is large or at the next tick. A thread writes.
//! Where the disk is slower than the traffic, whole buffers are dropped and counted: requests never wait for the log.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
};

use crate::{options::AccessLog, stats::Stats};

const BUFFER: usize = 32 * 1024;
const QUEUE: usize = 256;

/// The writing end that workers share.
#[derive(Debug, Clone)]
pub(crate) struct Sink(SyncSender<Vec<u8>>);

/// Starts the writer; none where the log is off. The thread ends when every sink is gone.
pub(crate) fn open(to: &AccessLog) -> io::Result<Option<(Sink, std::thread::JoinHandle<()>)>> {
    let out: Box<dyn Write + Send> = match to {
        AccessLog::Off => return Ok(None),
        AccessLog::Stdout => Box::new(io::stdout()),
        AccessLog::File(path) => {
            Box::new(OpenOptions::new().append(true).create(true).mode(0o640).open(path)?)
        }
    };
    let (sender, receiver) = sync_channel(QUEUE);
    let writer =
        std::thread::Builder::new().name("cutover-log".to_owned()).spawn(move || write(&receiver, out))?;
    Ok(Some((Sink(sender), writer)))
}

fn write(receiver: &Receiver<Vec<u8>>, mut out: Box<dyn Write + Send>) {
    let mut failing = false;
    while let Ok(buffer) = receiver.recv() {
        match out.write_all(&buffer).and_then(|()| out.flush()) {
            Ok(()) => failing = false,
            // Said once per run of failures: the log of a full disk would be the next to fail.
            Err(error) if !failing => {
                failing = true;
                tracing::error!(%error, "writing the access log; lines are lost");
            }
            Err(_) => {}
        }
    }
}

/// A worker's end.
pub(crate) struct Lines {
    sink: Option<Sink>,
    buffer: std::cell::RefCell<Vec<u8>>,
    stats: Arc<Stats>,
}

impl Lines {
    pub(crate) fn new(sink: Option<Sink>, stats: Arc<Stats>) -> Self {
        Self { sink, buffer: std::cell::RefCell::default(), stats }
    }

    /// True where lines go anywhere.
    pub(crate) fn on(&self) -> bool {
        self.sink.is_some()
    }

    /// Adds a line.
    pub(crate) fn push(&self, line: &Line<'_>) {
        let mut buffer = self.buffer.borrow_mut();
        line.write(&mut buffer);
        if buffer.len() >= BUFFER {
            drop(buffer);
            self.flush();
        }
    }

    /// Hands over what there is.
    pub(crate) fn flush(&self) {
        let Some(Sink(sink)) = &self.sink else { return };
        let mut buffer = self.buffer.borrow_mut();
        if buffer.is_empty() {
            return;
        }
        let full = std::mem::replace(&mut *buffer, Vec::with_capacity(BUFFER));
        if let Err(TrySendError::Full(lost) | TrySendError::Disconnected(lost)) = sink.try_send(full) {
            let lines = memchr::memchr_iter(b'\n', &lost).count();
            self.stats.log_dropped.fetch_add(u64::try_from(lines).unwrap_or(0), Relaxed);
        }
    }
}

/// What a line says. The query is left out: it may hold what is nobody else's business.
pub(crate) struct Line<'a> {
    pub(crate) unix_ms: u64,
    pub(crate) id: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) duration_us: u64,
    pub(crate) release: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) component: &'a str,
    pub(crate) client: std::net::IpAddr,
    /// The answer was cut short; only then the line says so.
    pub(crate) cut: bool,
}

impl Line<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        timestamp(self.unix_ms, out);
        out.extend_from_slice(b"\",\"id\":\"");
        out.extend_from_slice(self.id.as_bytes());
        out.extend_from_slice(b"\",\"method\":\"");
        escape(self.method, out);
        out.extend_from_slice(b"\",\"path\":\"");
        escape(self.path, out);
        out.extend_from_slice(b"\",\"status\":");
        number(u64::from(self.status), out);
        out.extend_from_slice(b",\"bytes\":");
        number(self.bytes, out);
        out.extend_from_slice(b",\"duration_us\":");
        number(self.duration_us, out);
        for (name, value) in
            [("release", self.release), ("reason", self.reason), ("component", self.component)]
        {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":\"");
            escape(value, out);
            out.push(b'"');
        }
        // Writing to a vector does not fail.
        let _ = write!(out, ",\"client\":\"{}\"", self.client);
        if self.cut {
            out.extend_from_slice(b",\"cut\":true");
        }
        out.extend_from_slice(b"}\n");
    }
}

fn number(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// RFC 8259 section 7.
fn escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 | 0x7f => {
                let _ = write!(out, "\\u{byte:04x}");
            }
            _ => out.push(byte),
        }
    }
}

/// RFC 3339 in UTC with milliseconds. Days to date after the civil calendar's 400-year cycle.
fn timestamp(unix_ms: u64, out: &mut Vec<u8>) {
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    // Counted from 0000-03-01, so that a leap day is the last of its year.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    let ms = ms % 1_000;
    let _ = write!(out, "{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(unix_ms: u64) -> String {
        let mut out = Vec::new();
        timestamp(unix_ms, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(time(1_735_689_599_999), "2024-12-31T23:59:59.999Z");
        assert_eq!(time(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn lines_are_json_whatever_the_path_holds() {
        let line = Line {
            unix_ms: 0,
            id: "1",
            method: "GET",
            path: "/\"\\\u{1}\u{7f}é",
            status: 200,
            bytes: 5,
            duration_us: 7,
            release: "blue0001",
            reason: "pin",
            component: "site",
            client: "::1".parse().unwrap(),
            cut: true,
        };
        let mut out = Vec::new();
        line.write(&mut out);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["path"], "/\"\\\u{1}\u{7f}é");
        assert_eq!(value["client"], "::1");
        assert_eq!(value["duration_us"], 7);
        assert_eq!(value["cut"], true);
    }
}
