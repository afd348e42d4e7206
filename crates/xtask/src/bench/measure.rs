//! One sample: load from wrk, CPU time from the scheduler's own account of the server's threads.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use super::{
    Workload,
    peers::{LOAD_CORE, Peer},
};

/// What one run of one peer gave.
pub(crate) struct Sample {
    /// CPU microseconds of the server's process tree per answer.
    pub(crate) cpu_us: f64,
    /// Answers per second.
    pub(crate) rate: f64,
    /// 99th percentile of latency, microseconds.
    pub(crate) p99_us: f64,
    /// Answers that were not 2xx or 3xx, and socket errors.
    pub(crate) failed: u64,
}

pub(crate) fn load(
    peer: &Peer,
    workload: &Workload,
    connections: u32,
    time: Duration,
) -> Result<Sample, String> {
    let url = format!("http://127.0.0.1:{}{}", peer.port, workload.path);
    let mut wrk = Command::new("taskset");
    wrk.args(["-c", LOAD_CORE, "wrk", "-t1", "--latency"])
        .arg(format!("-c{connections}"))
        .arg(format!("-d{}s", time.as_secs()));
    for (name, value) in headers(peer, workload) {
        wrk.arg("-H").arg(format!("{name}: {value}"));
    }
    let before = peer.cpu_ns();
    let output = wrk.arg(&url).output().map_err(|e| format!("running wrk: {e}"))?;
    let used = peer.cpu_ns().saturating_sub(before);
    let text = String::from_utf8_lossy(&output.stdout);
    let answers = number_before(&text, " requests in ").ok_or_else(|| format!("wrk said: {text}"))?;
    let line = |start: &str| text.lines().find_map(|l| l.trim().strip_prefix(start).map(str::trim));
    let bad = line("Non-2xx or 3xx responses:").and_then(|n| n.parse().ok()).unwrap_or(0);
    let sockets = line("Socket errors:")
        .map_or(0, |l| l.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u64>().ok()).sum());
    #[allow(clippy::cast_precision_loss, reason = "nanoseconds of a few seconds are far below 2^52")]
    let cpu_us = used as f64 / 1000.0 / answers;
    Ok(Sample {
        cpu_us,
        rate: answers / time.as_secs_f64(),
        p99_us: line("99%").map_or(f64::NAN, duration_us),
        failed: bad + sockets,
    })
}

/// The headers a browser would send, and the pin where the workload has one.
pub(crate) fn headers(peer: &Peer, workload: &Workload) -> Vec<(&'static str, String)> {
    let mut headers = vec![("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) bench".to_owned())];
    if workload.pinned {
        headers.push(("Cookie", format!("theme=dark; sid=0123456789abcdef; {}", peer.pin)));
    } else {
        headers.push(("Cookie", "theme=dark; sid=0123456789abcdef".to_owned()));
    }
    if workload.navigation {
        headers.push(("Accept", "text/html".to_owned()));
        headers.push(("Sec-Fetch-Dest", "document".to_owned()));
        headers.push(("Sec-Fetch-Mode", "navigate".to_owned()));
    } else {
        headers.push(("Accept", "*/*".to_owned()));
        headers.push(("Sec-Fetch-Dest", "empty".to_owned()));
    }
    headers
}

fn number_before(text: &str, mark: &str) -> Option<f64> {
    let head = text.split(mark).next()?;
    head.rsplit(char::is_whitespace).next()?.parse().ok()
}

fn duration_us(text: &str) -> f64 {
    let number: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let value: f64 = number.parse().unwrap_or(f64::NAN);
    match &text[number.len()..] {
        "us" => value,
        "ms" => value * 1e3,
        "s" => value * 1e6,
        _ => f64::NAN,
    }
}

/// Opens keep-alive connections one by one, each with one answered request, and keeps them.
pub(crate) fn idle_connections(peer: &Peer, count: usize) -> Result<Vec<TcpStream>, String> {
    let mut connections = Vec::with_capacity(count);
    let mut buffer = [0; 4096];
    for index in 0..count {
        let mut stream =
            TcpStream::connect(("127.0.0.1", peer.port)).map_err(|e| format!("connection {index}: {e}"))?;
        let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
        write!(
            stream,
            "GET /api/1k HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {}\r\nSec-Fetch-Dest: empty\r\n\r\n",
            peer.pin
        )
        .map_err(|e| format!("connection {index}: {e}"))?;
        let mut got = 0;
        while got < 1024 {
            let n =
                stream.read(&mut buffer).map_err(|e| format!("connection {index} of {}: {e}", peer.name))?;
            if n == 0 {
                return Err(format!("{} closed connection {index}", peer.name));
            }
            got += n;
        }
        connections.push(stream);
    }
    Ok(connections)
}

#[cfg(test)]
mod tests {
    #[test]
    fn wrk_durations_are_microseconds() {
        assert_eq!(super::duration_us("512.00us"), 512.0);
        assert_eq!(super::duration_us("1.50ms"), 1500.0);
        assert_eq!(super::duration_us("2.00s"), 2e6);
    }

    #[test]
    fn the_number_of_answers_is_found() {
        assert_eq!(
            super::number_before("  31337 requests in 4.00s, 1MB read", " requests in "),
            Some(31337.0)
        );
    }
}
