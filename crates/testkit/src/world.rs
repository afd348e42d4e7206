//! A Cutover as a user runs it: the binary, a state directory, `up` in the foreground of nobody, verbs from outside.

use std::{
    fs::File,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// What a verb answered.
#[derive(Debug)]
pub struct Said {
    /// Exit code; -1 where a signal ended it.
    pub code: i32,
    /// The JSON on stdout; null where there was none.
    pub json: Value,
    /// What it said on stderr.
    pub stderr: String,
    /// From starting the command to its end.
    pub took: Duration,
}

/// The world: everything below one temporary directory.
pub struct World {
    binary: PathBuf,
    dir: TempDir,
    config: PathBuf,
    listen: Option<SocketAddr>,
    up: Option<Child>,
}

impl World {
    /// A world without an app. `binary` is the `cutover` to run.
    ///
    /// # Errors
    /// When there is no temporary directory or no binary.
    pub fn new(binary: &Path) -> Result<Self, String> {
        if !binary.is_file() {
            return Err(format!("{} is not there; build it first", binary.display()));
        }
        let dir = TempDir::with_prefix("cutover-world-")
            .map_err(|e| format!("making a temporary directory: {e}"))?;
        let config = dir.path().join("app/cutover.toml");
        Ok(Self { binary: binary.to_owned(), dir, config, listen: None, up: None })
    }

    /// The directory of everything.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Writes one variant of the example shop where the app description is; the next `stage` or `deploy` takes it.
    ///
    /// # Errors
    /// What the command said.
    pub fn write_shop(&self, variant: &str) -> Result<(), String> {
        let folder = self.config.parent().unwrap_or(self.dir.path());
        let output = Command::new(&self.binary)
            .args(["example", "build", "--variant", variant, "--out"])
            .arg(folder)
            .output()
            .map_err(|e| format!("running example build: {e}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("example build: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// The same with more at the end of its description, e.g. `[rollout]`.
    ///
    /// # Errors
    /// What went wrong.
    pub fn write_shop_with(&self, variant: &str, more: &str) -> Result<(), String> {
        self.write_shop(variant)?;
        let written = File::options().append(true).open(&self.config).and_then(|mut file| {
            file.write_all(b"\n")?;
            file.write_all(more.as_bytes())
        });
        written.map_err(|e| format!("writing {}: {e}", self.config.display()))
    }

    /// Starts `up` and waits until its control API answers. The second start listens where the first did.
    ///
    /// # Errors
    /// With the last lines of its log, when it does not come up within a minute.
    pub fn up(&mut self) -> Result<(), String> {
        let log = self.dir.path().join("up.log");
        let open = || {
            File::options()
                .create(true)
                .append(true)
                .open(&log)
                .map_err(|e| format!("opening {}: {e}", log.display()))
        };
        let listen = self.listen.map_or_else(|| "127.0.0.1:0".to_owned(), |a| a.to_string());
        let child = Command::new(&self.binary)
            .arg("up")
            .arg("--config")
            .arg(&self.config)
            .arg("--state")
            .arg(self.state())
            .args(["--listen", &listen, "--control", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(open()?)
            .stderr(open()?)
            .spawn()
            .map_err(|e| format!("starting up: {e}"))?;
        let pid = child.id();
        self.up = Some(child);
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if let Some(Ok(Some(status))) = self.up.as_mut().map(Child::try_wait) {
                return Err(format!("up ended with {status}:\n{}", tail(&log)));
            }
            let ready = std::fs::read(self.state().join("control.json"))
                .ok()
                .and_then(|text| serde_json::from_slice::<Value>(&text).ok())
                .is_some_and(|v| v["pid"].as_u64() == Some(u64::from(pid)));
            if ready {
                let status = self.verb(&["status"]);
                if let Some(address) = status.json["url"].as_str().and_then(address_of) {
                    self.listen = Some(address);
                    return Ok(());
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("up is not ready after a minute:\n{}", tail(&log)))
    }

    /// Where visitors go.
    pub fn address(&self) -> SocketAddr {
        self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Process id of `up`.
    pub fn pid(&self) -> Option<u32> {
        self.up.as_ref().map(Child::id)
    }

    /// Ends `up` as a power cut would: no signal handler runs.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.up.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks `up` to end in order and waits for it.
    ///
    /// # Errors
    /// Where it does not end within a minute, or ends otherwise.
    pub fn stop(&mut self) -> Result<(), String> {
        let Some(mut child) = self.up.take() else { return Ok(()) };
        let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        if let Err(error) = asked {
            return Err(format!("asking up to end: {error}"));
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("up, asked to end, ended with {status}")),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        Err("up did not end within a minute of being asked to".to_owned())
    }

    /// Reads from the control API without a command in between, for what is asked often.
    ///
    /// # Errors
    /// What went wrong, or what the API answered where that is not 200.
    pub fn api(&self, path: &str) -> Result<Value, String> {
        let failed = |e: &dyn std::fmt::Display| format!("GET {path} of the control API: {e}");
        let read = |file: &str| std::fs::read_to_string(self.state().join(file)).map_err(|e| failed(&e));
        let control: Value = serde_json::from_str(&read("control.json")?).map_err(|e| failed(&e))?;
        let address = control["addr"].as_str().ok_or_else(|| failed(&"control.json names no addr"))?;
        let token = read("token")?;
        let mut stream = TcpStream::connect(address).map_err(|e| failed(&e))?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(|e| failed(&e))?;
        let token = token.trim();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).map_err(|e| failed(&e))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|e| failed(&e))?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| failed(&"no whole answer"))?;
        if !head.starts_with("HTTP/1.1 200") {
            return Err(failed(&format!("{} {body}", head.lines().next().unwrap_or(""))));
        }
        serde_json::from_str(body).map_err(|e| failed(&e))
    }

    /// A command that talks to this world; not started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .args(["--output", "json", "--yes"])
            .arg("--config")
            .arg(&self.config)
            .arg("--state")
            .arg(self.state())
            .stdin(Stdio::null());
        command
    }

    /// Runs a verb with `--output json`.
    pub fn verb(&self, arguments: &[&str]) -> Said {
        let begun = Instant::now();
        match self.command(arguments).output() {
            Ok(output) => Said {
                code: output.status.code().unwrap_or(-1),
                json: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
                took: begun.elapsed(),
            },
            Err(error) => {
                Said { code: -1, json: Value::Null, stderr: error.to_string(), took: begun.elapsed() }
            }
        }
    }

    /// Runs a verb that must succeed.
    ///
    /// # Errors
    /// With what it said, when it does not.
    pub fn must(&self, arguments: &[&str]) -> Result<Said, String> {
        let said = self.verb(arguments);
        if said.code == 0 {
            return Ok(said);
        }
        Err(format!("cutover {}: exit {}: {} {}", arguments.join(" "), said.code, said.stderr, said.json))
    }

    /// Writes a variant of the shop and stages it; its id.
    ///
    /// # Errors
    /// What went wrong.
    pub fn stage_shop(&self, variant: &str) -> Result<String, String> {
        self.write_shop(variant)?;
        let said = self.must(&["stage", "--name", variant])?;
        said.json["release"]["id"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("stage said {}", said.json))
    }

    /// Writes a variant of the shop and deploys it; its id.
    ///
    /// # Errors
    /// What went wrong.
    pub fn deploy_shop(&self, variant: &str) -> Result<String, String> {
        self.deploy_shop_as(variant, "")
    }

    /// The same with more in its description. Answers when the rollout first rests.
    ///
    /// # Errors
    /// What went wrong.
    pub fn deploy_shop_as(&self, variant: &str, more: &str) -> Result<String, String> {
        self.write_shop_with(variant, more)?;
        let said = self.must(&["deploy", "--name", variant])?;
        said.json["stage"]["release"]["id"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("deploy said {}", said.json))
    }

    /// Waits until every component of every servable release is healthy, as `status` says.
    ///
    /// # Errors
    /// With what is not, after half a minute.
    pub fn settled(&self) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let status = self.must(&["status"])?.json;
            let open: Vec<String> = status["releases"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|release| {
                    matches!(release["state"].as_str(), Some("active" | "candidate" | "draining"))
                })
                .flat_map(|release| release["components"].as_array().into_iter().flatten())
                .filter(|component| component["health"] != "healthy")
                .map(Value::to_string)
                .collect();
            if open.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("not healthy half a minute after the start: {}", open.join(", ")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Every process that belongs to this world: its environment or its command line names the directory.
    pub fn processes(&self) -> Vec<u32> {
        let needle = self.dir.path().to_string_lossy().into_owned();
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| {
                let named = |file: &str| {
                    std::fs::read(format!("/proc/{pid}/{file}"))
                        .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(&needle))
                };
                let zombie = std::fs::read_to_string(format!("/proc/{pid}/stat"))
                    .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')));
                !zombie && *pid != std::process::id() && (named("cmdline") || named("environ"))
            })
            .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill();
    }
}

fn address_of(url: &str) -> Option<SocketAddr> {
    let rest = url.split("://").nth(1)?.split('/').next()?;
    rest.to_socket_addrs().ok()?.next()
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
