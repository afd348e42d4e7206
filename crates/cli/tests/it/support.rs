//! A folder with an app in it, the binary, and what is needed to compare what it writes.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// Longest wait for anything. Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of its own for one test.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Sandbox {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::Builder::new().prefix("cutover-test-").tempdir().unwrap() }
    }

    /// A folder with an app that has a site only.
    pub(crate) fn with_site() -> Self {
        let sandbox = Self::new();
        sandbox.write("cutover.toml", SITE_ONLY);
        sandbox.site("one");
        sandbox
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap()
    }

    /// Writes a build of the site that says who it is.
    pub(crate) fn site(&self, who: &str) {
        self.write(
            "dist/index.html",
            &format!("<!doctype html><html><head><title>{who}</title></head><body>{who}</body></html>"),
        );
        self.write("dist/robots.txt", &format!("# {who}\n"));
    }

    /// The command, not yet run. It sees none of the tester's environment but what programs need to start.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command
            .args(words)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Done {
        let output = self.command(words).output().unwrap();
        Done {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command that must succeed, and reads its JSON.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        self.json_of(words, 0)
    }

    /// Runs a command that must exit with a code, and reads its JSON.
    pub(crate) fn json_of(&self, words: &[&str], code: i32) -> Value {
        let mut words = words.to_vec();
        words.extend(["--output", "json"]);
        let done = self.run(&words);
        assert_eq!(done.code, code, "{words:?}: {done:?}");
        serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{words:?}: {error}: {}", done.out))
    }

    /// Runs a command as text for a snapshot: exit code, stdout, stderr, with what differs from run to run replaced.
    pub(crate) fn shown(&self, words: &[&str]) -> String {
        let done = self.run(words);
        let mut text = format!("exit {}\n", done.code);
        for (name, stream) in [("out", &done.out), ("err", &done.err)] {
            for line in stream.lines() {
                text.push_str(format!("{name}: {line}").trim_end());
                text.push('\n');
            }
        }
        self.redact(&text)
    }

    /// Replaces what differs from run to run: the folder, addresses, times, release ids, generations.
    pub(crate) fn redact(&self, text: &str) -> String {
        redact(&text.replace(self.path().to_str().unwrap(), "[DIR]"))
    }

    /// Starts `up` on free ports and waits until it has said where it is.
    pub(crate) fn up(&self) -> Up {
        self.up_with(&[])
    }

    pub(crate) fn up_with(&self, more: &[&str]) -> Up {
        let mut words = vec!["up", "--output", "json", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"];
        words.extend(more);
        let log = self.path().join("up.log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let mut child = self.command(&words).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        // One pretty JSON document; what may follow on stdout is the access log.
        let mut text = String::new();
        while !text.ends_with("\n}\n") {
            let read = out.read_line(&mut text).unwrap();
            assert!(read > 0, "up ended: {}", self.read("up.log"));
        }
        let said: Value = serde_json::from_str(&text).unwrap();
        let addr = |name: &str| said[name].as_str().unwrap().parse().unwrap();
        Up { child, listen: addr("listen"), said: said.clone() }
    }
}

/// An app with nothing but files.
pub(crate) const SITE_ONLY: &str =
    "app = \"shop\"\nhost = \"127.0.0.1\"\n\n[site]\ndir = \"dist\"\nfallback = \"index.html\"\n";

/// A running `up`; killed when the test ends early.
pub(crate) struct Up {
    pub(crate) child: Child,
    pub(crate) listen: SocketAddr,
    pub(crate) said: Value,
}

impl Up {
    /// Sends a signal.
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Ends it in order and answers its exit code.
    pub(crate) fn end(mut self) -> i32 {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        self.wait()
    }

    /// Kills it as the kernel would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn wait(&mut self) -> i32 {
        let mut code = None;
        eventually("up to end", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        code.unwrap().code().unwrap_or(-1)
    }

    /// Opens a page as a browser does.
    pub(crate) fn open(&self, path: &str, cookie: Option<&str>) -> Answer {
        let mut headers =
            vec![("accept", "text/html"), ("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate")];
        headers.extend(cookie.map(|cookie| ("cookie", cookie)));
        get(self.listen, path, &headers)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn release(&self) -> &str {
        self.header("x-cutover-release").unwrap_or("none")
    }

    /// The first cookie it sets, as a browser sends it back.
    pub(crate) fn cookie(&self) -> Option<String> {
        self.header("set-cookie")?.split(';').next().map(str::to_owned)
    }
}

/// One request on a connection of its own.
pub(crate) fn get(to: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {path}: {text}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Answer { status, headers, body: body.to_owned() }
}

/// Starts a command and waits for the first line it says on stderr that has these words.
pub(crate) fn until_it_says(
    sandbox: &Sandbox,
    words: &[&str],
    said: &str,
) -> (Child, BufReader<ChildStderr>) {
    let mut child = sandbox.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut all = String::new();
    while !all.contains(said) {
        assert!(err.read_line(&mut all).unwrap() > 0, "{words:?} ended: {all}");
    }
    (child, err)
}

/// The exit code and what stdout and the rest of stderr had.
pub(crate) fn end(mut child: Child, mut err: impl Read) -> (Option<i32>, String, String) {
    let (mut out, mut said) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    err.read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), out, said)
}

/// Waits for something that must come.
pub(crate) fn eventually(what: &str, mut there: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !there() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The path of `program` with the variant of the example shop written beside it.
pub(crate) fn shop(sandbox: &Sandbox, variant: &str) -> PathBuf {
    let out = sandbox.path().join(variant);
    let done = sandbox.run(&["example", "build", "--variant", variant, "--out", out.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{done:?}");
    out.join("cutover.toml")
}

/// Replaces words that differ from run to run by placeholders, word by word; everything between words stays.
fn redact(text: &str) -> String {
    let mut redacted = String::new();
    let mut word = String::new();
    for letter in text.chars().chain(['\n']) {
        if letter.is_ascii_alphanumeric() || "-:.µ".contains(letter) {
            word.push(letter);
        } else {
            redacted.push_str(&placeholder(&word));
            redacted.push(letter);
            word.clear();
        }
    }
    redacted.pop();
    spans(&redacted)
}

/// Replaces spans of time, each a number and its unit.
fn spans(text: &str) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let mut at = 0;
    while at + 1 < words.len() {
        let number = words[at] == "[NUMBER]" || words[at].parse::<u64>().is_ok();
        let next = words[at + 1].clone();
        let unit = ["µs", "ms", "s"].into_iter().find(|unit| {
            next.strip_prefix(unit).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
        });
        if let (true, Some(unit)) = (number, unit) {
            words[at] = format!("[TIME]{}", &next[unit.len()..]);
            words.remove(at + 1);
        }
        at += 1;
    }
    words.join(" ")
}

fn placeholder(word: &str) -> String {
    let end = word.trim_end_matches([':', '.', '-']);
    let rest = &word[end.len()..];
    let digits = end.bytes().all(|byte| byte.is_ascii_digit());
    let decimal = end
        .split_once('.')
        .is_some_and(|(a, b)| !b.is_empty() && (a.to_owned() + b).bytes().all(|byte| byte.is_ascii_digit()));
    let plain = end.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let rollout = end.strip_prefix("ro-").is_some_and(|id| id.len() == 8);
    let replaced = if end.starts_with("127.0.0.1:") {
        "[ADDRESS]"
    } else if rollout {
        "[ROLLOUT]"
    } else if plain && end.len() >= 8 && end.bytes().any(|byte| byte.is_ascii_digit()) && !digits {
        "[RELEASE]"
    } else if digits && end.len() >= 7 {
        "[GENERATION]"
    } else if decimal {
        "[NUMBER]"
    } else {
        end
    };
    format!("{replaced}{rest}")
}
