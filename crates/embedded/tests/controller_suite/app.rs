//! The service of the test app: says which version it is, and behaves as files in its directory say.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::ExitCode,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
    time::Duration,
};

/// Listens on `PORT`. `/api/exit` ends it; `/api/fail` answers 500; `/api/stream` is an event stream without an end; `/api/hold` answers once the file that
/// `CUTOVER_DATA/hold` stands for is gone; the health check
/// fails while the release's own directory holds a file `sick`, or while `CUTOVER_DATA/<version>.sick` is there.
pub(crate) fn main() -> ExitCode {
    let port = std::env::var("PORT").unwrap_or_default();
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    println!("version {} listens on {port}", version());
    for stream in listener.incoming() {
        let stream = stream.unwrap();
        thread::spawn(move || answer(stream));
    }
    ExitCode::SUCCESS
}

/// Requests for what fails now and then.
static ASKED: AtomicU32 = AtomicU32::new(0);

fn version() -> String {
    std::fs::read_to_string("version").unwrap_or_default().trim().to_owned()
}

fn answer(mut stream: TcpStream) -> Option<()> {
    loop {
        let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
        let first = lines.next()?.ok()?;
        let path = first.split(' ').nth(1)?.to_owned();
        lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
        let data = std::env::var("CUTOVER_DATA").unwrap_or_default();
        let data = Path::new(&data);
        if path == "/api/stream" {
            let head =
                "HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).ok()?;
            loop {
                stream.write_all(b"9\r\ndata: x\n\n\r\n").ok()?;
                thread::sleep(Duration::from_millis(50));
            }
        }
        let (status, body) = match path.as_str() {
            "/healthz" if Path::new("sick").exists() => (503, "sick".to_owned()),
            "/healthz" if data.join(format!("{}.sick", version())).exists() => {
                (503, "sick for now".to_owned())
            }
            "/healthz" => (200, "fine".to_owned()),
            "/api/exit" => std::process::exit(3),
            "/api/flaky" if version().starts_with("bad") && ASKED.fetch_add(1, Relaxed).is_multiple_of(4) => {
                (500, "a mistake".to_owned())
            }
            "/api/flaky" => (200, version()),
            "/api/fail" => (500, "a mistake".to_owned()),
            "/api/version" => (200, version()),
            "/api/pid" => (200, std::process::id().to_string()),
            "/api/data" => (200, data.display().to_string()),
            "/api/hold" => {
                while data.join("hold").exists() {
                    thread::sleep(Duration::from_millis(5));
                }
                (200, version())
            }
            _ => (404, "no such page".to_owned()),
        };
        let head =
            format!("HTTP/1.1 {status} x\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n", body.len());
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).ok()?;
    }
}
