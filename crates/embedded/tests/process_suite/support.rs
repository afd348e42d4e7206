//! A state directory of its own for every test, and ways to look at processes from outside.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use cutover_embedded::process::{Backoff, ServiceSpec, Supervisor, SupervisorOptions};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How long a condition may take to become true; generous, since only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A state directory, a directory for a service, and at the end the check that no process is left.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("service")).unwrap();
        Self { dir }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("service").join(name)
    }

    pub(crate) fn supervisor(&self) -> Supervisor {
        Supervisor::new(options(&self.state()))
    }

    pub(crate) fn spec(&self, run: &str) -> ServiceSpec {
        spec(self.dir.path(), run)
    }

    /// Every living process that belongs to this test: its environment names the state directory.
    pub(crate) fn processes(&self) -> Vec<i32> {
        carrying(self.state().to_str().unwrap())
    }

    pub(crate) fn wait_until_empty(&self) {
        eventually(|| match self.processes() {
            left if left.is_empty() => Ok(()),
            left => Err(format!("still alive: {left:?}")),
        });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let left = self.processes();
        for pid in &left {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        if !std::thread::panicking() {
            assert_eq!(left, [] as [i32; 0], "processes were left behind");
        }
    }
}

pub(crate) fn options(state: &Path) -> SupervisorOptions {
    let mut options = SupervisorOptions::new(state);
    options.backoff = Backoff {
        first: Duration::from_millis(20),
        cap: Duration::from_millis(200),
        forget_after: Duration::from_secs(60),
    };
    options
}

pub(crate) fn spec(dir: &Path, run: &str) -> ServiceSpec {
    let exe = std::env::current_exe().unwrap();
    ServiceSpec {
        release: "abcdefgh".parse().unwrap(),
        component: "api".into(),
        dir: dir.join("service"),
        run: run.replace("SERVE", &format!("'{}' serve", exe.display())),
        health: Some("/healthz".into()),
        env: BTreeMap::new(),
        start_timeout: Duration::from_secs(30),
        stop_timeout: Duration::from_secs(10),
    }
}

/// Processes whose environment contains this text.
pub(crate) fn carrying(text: &str) -> Vec<i32> {
    let text = text.as_bytes();
    let holds = |pid: &i32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text))
    };
    let pids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(holds).collect()
}

pub(crate) fn lives(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat[stat.rfind(')').unwrap_or(0)..].starts_with(") Z"))
}

/// Polls until `look` is content; its complaint is the panic's text when it never is.
pub(crate) fn eventually<T>(look: impl Fn() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(value) => return value,
            Err(complaint) => assert!(Instant::now() < deadline, "{complaint}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The number a command wrote into a file, e.g. by `echo $! > pid`.
pub(crate) fn number_in(path: &Path) -> i32 {
    eventually(|| {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        text.strip_suffix('\n')
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| format!("{}: {text:?}", path.display()))
    })
}

/// Body of a GET, or what went wrong.
pub(crate) fn try_get(addr: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(addr)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    text.split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .ok_or_else(|| std::io::Error::other("no answer"))
}

pub(crate) fn get(addr: SocketAddr, path: &str) -> String {
    try_get(addr, path).unwrap()
}

/// Starts this program as `up DIR RUN` and waits until its service is up.
pub(crate) fn spawn_up(world: &World, run: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["up", world.dir.path().to_str().unwrap(), run])
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    child
}

/// A supervisor with one service, for ever.
pub(crate) fn up(args: &[String]) -> ExitCode {
    let [dir, run] = args else { return ExitCode::FAILURE };
    let dir = Path::new(dir);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let supervisor = Supervisor::new(options(&dir.join("state")));
        supervisor.start(spec(dir, run)).await.unwrap();
        println!("up");
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}
