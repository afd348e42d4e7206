//! The servers under test, each tuned as its own documentation says and given the edge's duties.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use cutover_testkit::world::World;
use tempfile::TempDir;

use super::{Workload, measure};

/// Core the servers run on.
const SERVER_CORE: &str = "0";
/// Core of the load and of the upstream.
pub(crate) const LOAD_CORE: &str = "1";
const NEEDED: [(&str, &str); 4] =
    [("nginx", "nginx"), ("haproxy", "haproxy"), ("wrk", "wrk"), ("taskset", "util-linux")];

/// Installs what is missing where it can, and says what to install where it cannot.
pub(crate) fn require(install: bool) -> Result<(), String> {
    let missing = |&&(program, _): &&(&str, &str)| {
        !["/usr/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin"]
            .iter()
            .any(|d| Path::new(d).join(program).exists())
    };
    let packages: Vec<&str> = NEEDED.iter().filter(missing).map(|(_, package)| *package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    if install {
        eprintln!("installing {}", packages.join(", "));
        let _ = Command::new("apt-get").args(["update", "-qq"]).status();
        let _ = Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(&packages)
            .status();
    }
    let left: Vec<&str> = NEEDED.iter().filter(missing).map(|(_, package)| *package).collect();
    if left.is_empty() {
        return Ok(());
    }
    Err(format!("the bench needs {}; install with: apt-get install {}", left.join(", "), left.join(" ")))
}

/// A running server and everything that belongs to it.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// `name=value` of the pin cookie.
    pub(crate) pin: String,
    child: Option<Child>,
    world: Option<World>,
}

impl Peer {
    fn pid(&self) -> u32 {
        self.child.as_ref().map(Child::id).or_else(|| self.world.as_ref().and_then(World::pid)).unwrap_or(0)
    }

    fn tree(&self) -> Vec<u32> {
        let mut tree = vec![self.pid()];
        let mut at = 0;
        while let Some(pid) = tree.get(at).copied() {
            at += 1;
            let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
            for task in tasks.filter_map(Result::ok) {
                let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
                tree.extend(children.split_whitespace().filter_map(|p| p.parse::<u32>().ok()));
            }
        }
        tree
    }

    /// CPU time of all threads so far, nanoseconds.
    pub(crate) fn cpu_ns(&self) -> u64 {
        let mut total = 0;
        for pid in self.tree() {
            let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
            for task in tasks.filter_map(Result::ok) {
                let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
                total += text.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
            }
        }
        total
    }

    /// Proportional set size of the process tree, KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let pss = |pid: u32| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            let line = text.lines().find_map(|l| l.strip_prefix("Pss:").map(str::to_owned))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        self.tree().into_iter().filter_map(pss).sum()
    }

    /// Fails where the answer is not what the workload is about.
    pub(crate) fn check(&self, workload: &Workload) -> Result<(), String> {
        let mut curl = Command::new("curl");
        curl.args([
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code} %{size_download} %header{set-cookie}",
            "--max-time",
            "5",
        ]);
        for (name, value) in measure::headers(self, workload) {
            curl.arg("-H").arg(format!("{name}: {value}"));
        }
        let url = format!("http://127.0.0.1:{}{}", self.port, workload.path);
        let output = curl.arg(&url).output().map_err(|e| format!("running curl: {e}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut words = text.split(' ');
        let size = if workload.name.contains("16k") { "16384" } else { "1024" };
        if words.next() != Some("200") || words.next() != Some(size) {
            return Err(format!("{}: {} answers `{text}`, wanted 200 {size}", self.name, workload.path));
        }
        let sets = words.next().is_some_and(|cookie| cookie.contains("cutover="));
        if workload.navigation && self.name != "raw" && !sets {
            return Err(format!("{}: {} sets no pin", self.name, workload.path));
        }
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // nginx ends its workers on SIGTERM only.
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let deadline = Instant::now() + Duration::from_secs(3);
            while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(world) = self.world.take() {
            drop(world);
        }
    }
}

/// Binaries, configuration and the upstream.
pub(crate) struct Rig {
    dir: TempDir,
    cutover: PathBuf,
    raw: PathBuf,
    upstream: Peer,
}

impl Rig {
    pub(crate) fn build() -> Result<Self, String> {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let status = Command::new(cargo)
            .args([
                "build",
                "--profile",
                "dist",
                "--locked",
                "-p",
                "cutover-cli",
                "-p",
                "cutover-testkit",
                "--bins",
            ])
            .current_dir(crate::root())
            .status()
            .map_err(|e| format!("building: {e}"))?;
        if !status.success() {
            return Err("cutover does not build".to_owned());
        }
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from);
        let dir = tempfile::Builder::new()
            .prefix("cutover-bench-")
            .tempdir()
            .map_err(|e| format!("making a directory: {e}"))?;
        write_files(dir.path())?;
        let upstream = start_upstream(dir.path())?;
        Ok(Self { dir, cutover: target.join("dist/cutover"), raw: target.join("dist/raw-edge"), upstream })
    }

    pub(crate) fn versions(&self) -> Vec<String> {
        let first_line = |program: &str, flag: &str| {
            let output = Command::new(program).arg(flag).output().ok()?;
            let text = [output.stdout, output.stderr].concat();
            Some(String::from_utf8_lossy(&text).lines().next()?.to_owned())
        };
        let cutover = self.cutover.to_string_lossy();
        let lines =
            [first_line("nginx", "-v"), first_line("haproxy", "-v"), first_line(&cutover, "--version")];
        lines.into_iter().flatten().collect()
    }

    /// Starts every server, each on a port of its own.
    pub(crate) fn start_all(&self) -> Result<Vec<Peer>, String> {
        Ok(vec![self.nginx()?, self.haproxy()?, self.raw()?, self.cutover()?])
    }

    fn nginx(&self) -> Result<Peer, String> {
        let port = free_port()?;
        let dir = self.dir.path();
        let config = format!(
            "daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx-error.log; worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
  access_log {dir}/nginx.log combined buffer=64k flush=1s;
  keepalive_requests 1000000000; sendfile on; tcp_nodelay on; tcp_nopush on;
  open_file_cache max=1000; open_file_cache_valid 60s; default_type text/plain;
  client_body_temp_path {dir}/nb; proxy_temp_path {dir}/np; fastcgi_temp_path {dir}/nf; uwsgi_temp_path {dir}/nu; scgi_temp_path {dir}/ns;
  map $cookie_cutover $release {{ \"~^1\\.(?<r>[a-z0-9]+)\\.\" $r; default blue0001; }}
  map $cookie_cutover $set {{ \"~^1\\.\" \"\"; default \"cutover=1.blue0001.1234.1; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000\"; }}
  map $http_sec_fetch_dest $pin {{ document $set; default \"\"; }}
  upstream blue0001 {{ server 127.0.0.1:{up}; keepalive 256; keepalive_requests 1000000000; }}
  upstream green002 {{ server 127.0.0.1:{up}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} reuseport;
    location /stub_status {{ stub_status; }}
    location /api/ {{
      proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_pass http://$release; add_header Set-Cookie $pin; add_header X-Cutover-Release $release;
    }}
    location / {{ root {dir}/www/$release; add_header X-Cutover-Release $release; add_header Cache-Control \"private, no-cache\"; }}
  }}
}}",
            dir = dir.display(),
            up = self.upstream.port,
        );
        let file = dir.join("nginx.conf");
        fs::write(&file, config).map_err(|e| format!("writing nginx.conf: {e}"))?;
        let mut command = on_server_core("nginx");
        command.arg("-e").arg(dir.join("nginx-error.log")).arg("-c").arg(&file);
        start("nginx", port, "cutover=1.blue0001.1234.1".to_owned(), command, dir)
    }

    fn haproxy(&self) -> Result<Peer, String> {
        let port = free_port()?;
        let dir = self.dir.path();
        let config = format!(
            "global
  nbthread 1
  maxconn 8192
  tune.bufsize 32768
  log stdout format raw local0 info
defaults
  mode http
  option httplog
  log global
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend f
  bind 127.0.0.1:{port}
  http-request set-var(txn.release) req.cook(cutover),field(2,.)
  http-request set-var(txn.release) str(blue0001) unless {{ var(txn.release) -m found }}
  http-request set-var(txn.dest) req.hdr(sec-fetch-dest)
  http-request set-var(txn.pinned) req.cook(cutover)
  http-request return status 200 content-type text/plain file {dir}/www/blue0001/static/1k hdr x-cutover-release %[var(txn.release)] hdr cache-control \"private, no-cache\" if {{ path /static/1k }} {{ var(txn.release) -m str blue0001 }}
  http-request return status 200 content-type text/plain file {dir}/www/blue0001/static/16k hdr x-cutover-release %[var(txn.release)] hdr cache-control \"private, no-cache\" if {{ path /static/16k }} {{ var(txn.release) -m str blue0001 }}
  http-response set-header x-cutover-release %[var(txn.release)]
  http-response add-header Set-Cookie \"cutover=1.blue0001.1234.1; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000\" if {{ var(txn.dest) -m str document }} !{{ var(txn.pinned) -m found }}
  option forwardfor
  use_backend green002 if {{ var(txn.release) -m str green002 }}
  default_backend blue0001
backend blue0001
  server s 127.0.0.1:{up}
backend green002
  server s 127.0.0.1:{up}
",
            dir = dir.display(),
            up = self.upstream.port,
        );
        let file = dir.join("haproxy.cfg");
        fs::write(&file, config).map_err(|e| format!("writing haproxy.cfg: {e}"))?;
        let mut command = on_server_core("haproxy");
        command.arg("-db").arg("-f").arg(&file);
        start("haproxy", port, "cutover=1.blue0001.1234.1".to_owned(), command, dir)
    }

    fn raw(&self) -> Result<Peer, String> {
        let port = free_port()?;
        let mut command = on_server_core(&self.raw.to_string_lossy());
        command.arg(port.to_string()).arg(format!("127.0.0.1:{}", self.upstream.port)).arg("1");
        start("raw", port, "cutover=1.blue0001.1234.1".to_owned(), command, self.dir.path())
    }

    /// The whole product: `up` with one release of a site and a fixed upstream.
    fn cutover(&self) -> Result<Peer, String> {
        let mut world = World::new(&self.cutover)?;
        let app = world.dir().join("app");
        let up = format!("http://127.0.0.1:{}", self.upstream.port);
        // One release is deployed, and it is blue.
        let unused = format!("http://127.0.0.2:{}", self.upstream.port);
        let config = format!(
            "app = \"bench\"\nhost = \"127.0.0.1\"\n[site]\ndir = \"www\"\n[[service]]\nname = \"api\"\nroutes = [\"/api/*\"]\n\
             upstream = {{ blue = \"{up}\", green = \"{unused}\" }}\n[edge]\nworkers = 1\naccess_log = \"{}/access.log\"\n",
            world.dir().display()
        );
        let made = fs::create_dir_all(app.join("www/static"))
            .and_then(|()| fs::write(app.join("cutover.toml"), config))
            .and_then(|()| fs::write(app.join("www/static/1k"), body(1024)))
            .and_then(|()| fs::write(app.join("www/static/16k"), body(16 * 1024)));
        made.map_err(|e| format!("writing the app: {e}"))?;
        world.up()?;
        let said = world.must(&["deploy"])?;
        let release = said.json["switch"]["to"].as_str().ok_or("deploy named no release")?.to_owned();
        let generation = said.json["switch"]["generation"].as_u64().unwrap_or(1);
        let pid = world.pid().unwrap_or(0);
        let _ = Command::new("taskset").args(["-a", "-p", "-c", SERVER_CORE, &pid.to_string()]).output();
        let port = world.address().port();
        Ok(Peer {
            name: "cutover",
            port,
            pin: format!("cutover=1.{release}.1234.{generation}"),
            child: None,
            world: Some(world),
        })
    }
}

fn start_upstream(dir: &Path) -> Result<Peer, String> {
    let port = free_port()?;
    let config = format!(
        "daemon off; worker_processes 1; pid {dir}/up.pid; error_log {dir}/up-error.log; worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; default_type text/plain;
  client_body_temp_path {dir}/ub; proxy_temp_path {dir}/upp; fastcgi_temp_path {dir}/uf; uwsgi_temp_path {dir}/uu; scgi_temp_path {dir}/us;
  server {{
    listen 127.0.0.1:{port};
    location /api/1k.html {{ default_type text/html; return 200 \"{body}\"; }}
    location / {{ return 200 \"{body}\"; }}
  }}
}}",
        dir = dir.display(),
        body = body(1024),
    );
    let file = dir.join("upstream.conf");
    fs::write(&file, config).map_err(|e| format!("writing upstream.conf: {e}"))?;
    let mut command = Command::new("taskset");
    command.args(["-c", LOAD_CORE, "nginx", "-e"]).arg(dir.join("up-error.log")).arg("-c").arg(&file);
    start("upstream", port, String::new(), command, dir)
}

fn write_files(dir: &Path) -> Result<(), String> {
    for release in ["blue0001", "green002"] {
        let folder = dir.join("www").join(release).join("static");
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("1k"), body(1024)))
            .and_then(|()| fs::write(folder.join("16k"), body(16 * 1024)))
            .map_err(|e| format!("writing {}: {e}", folder.display()))?;
    }
    // The workers of peers started by root run as another user.
    let _ = Command::new("chmod").args(["-R", "a+rX"]).arg(dir).status();
    Ok(())
}

/// Bytes that do not compress to nothing, so that nobody has an encoding to choose.
fn body(length: usize) -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(alphabet[(state % 64) as usize])
        })
        .collect()
}

fn on_server_core(program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CORE, program]);
    command
}

fn start(
    name: &'static str,
    port: u16,
    pin: String,
    mut command: Command,
    dir: &Path,
) -> Result<Peer, String> {
    let log =
        fs::File::create(dir.join(format!("{name}.out"))).map_err(|e| format!("creating a log: {e}"))?;
    let errors = log.try_clone().map_err(|e| format!("creating a log: {e}"))?;
    let child = command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(|e| format!("starting {name}: {e}"))?;
    let mut peer = Peer { name, port, pin, child: Some(child), world: None };
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(peer);
        }
        if let Some(Ok(Some(status))) = peer.child.as_mut().map(Child::try_wait) {
            let said = fs::read_to_string(dir.join(format!("{name}.out"))).unwrap_or_default();
            return Err(format!("{name} ended with {status}: {said}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(format!("{name} does not listen on {port}"))
}

fn free_port() -> Result<u16, String> {
    let listener =
        std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(|e| format!("finding a port: {e}"))?;
    listener.local_addr().map(|a| a.port()).map_err(|e| format!("finding a port: {e}"))
}
