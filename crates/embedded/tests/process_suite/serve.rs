//! A small HTTP server that behaves well or badly as its arguments say.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

/// `serve [--listen=ADDR:PORT] [--sick=N]`: listens on 127.0.0.1 and `PORT` unless told otherwise; the first N answers
/// of `/healthz` are 503.
pub(crate) fn main(args: &[String]) -> ExitCode {
    let value = |name: &str| args.iter().find_map(|arg| arg.strip_prefix(name)).map(str::to_owned);
    let port = std::env::var("PORT").unwrap_or_default();
    let listen = value("--listen=").unwrap_or_else(|| "127.0.0.1:PORT".to_owned()).replace("PORT", &port);
    let sick = value("--sick=").map_or(0, |number| number.parse().unwrap());
    let probes = Arc::new(AtomicU32::new(0));
    let listener =
        TcpListener::bind(&listen).unwrap_or_else(|error| panic!("cannot listen on {listen}: {error}"));
    println!("listening on {listen}");
    for stream in listener.incoming() {
        let (stream, probes) = (stream.unwrap(), Arc::clone(&probes));
        thread::spawn(move || answer(stream, &probes, sick));
    }
    ExitCode::SUCCESS
}

fn answer(stream: TcpStream, probes: &AtomicU32, sick: u32) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let first = lines.next()?.ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let headers: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let mut release = std::env::var("CUTOVER_RELEASE").unwrap_or_default();
    let (status, body) = match path.as_str() {
        "/healthz" if probes.fetch_add(1, Ordering::SeqCst) < sick => (503, "not yet".to_owned()),
        "/healthz" => (200, "fine".to_owned()),
        "/probes" => (200, probes.load(Ordering::SeqCst).to_string()),
        "/pid" => (200, std::process::id().to_string()),
        "/env" => (200, std::env::vars().map(|(name, value)| format!("{name}={value}\n")).collect()),
        "/headers" => (200, headers.join("\n")),
        "/slow" => {
            thread::sleep(Duration::from_millis(300));
            (200, "late".to_owned())
        }
        "/other" => {
            release = "zzzzzzzz".to_owned();
            (200, "fine".to_owned())
        }
        "/exit" => {
            println!("going down");
            std::process::exit(7)
        }
        _ => (404, "no such page".to_owned()),
    };
    let mut stream = stream;
    let head =
        format!("HTTP/1.1 {status} x\r\nx-cutover-release: {release}\r\ncontent-length: {}\r\n", body.len());
    stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).ok()
}
