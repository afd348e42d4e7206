//! `kill -9` of `up`: what was served is served again, pins hold, nothing is left running.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use nix::{sys::signal::kill, unistd::Pid};

use crate::support::{SITE_ONLY, Sandbox, eventually, get, shop};

/// The process ids of all services that run.
fn services(sandbox: &Sandbox, state: &str) -> Vec<i32> {
    let status = sandbox.json(&["status", "--state", state]);
    status["releases"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|release| release["components"].as_array().unwrap())
        .filter_map(|component| i32::try_from(component["pid"].as_i64()?).ok())
        .collect()
}

#[test]
fn after_a_kill_blue_serves_pins_hold_and_no_service_is_left() {
    let sandbox = Sandbox::new();
    let one = shop(&sandbox, "one");
    let two = shop(&sandbox, "two");
    let state = sandbox.path().join("state");
    let state = state.to_str().unwrap();
    let config = one.to_str().unwrap();
    let up = sandbox.up_with(&["--config", config, "--state", state]);
    let deploy = |config: &str| sandbox.json(&["deploy", "--config", config, "--state", state]);
    let first = deploy(config)["stage"]["release"]["id"].as_str().unwrap().to_owned();
    let pin = up.open("/", None).cookie().unwrap();
    let second = deploy(two.to_str().unwrap())["stage"]["release"]["id"].as_str().unwrap().to_owned();
    let running = services(&sandbox, state);
    assert_eq!(running.len(), 2, "one service a release");
    up.kill();
    eventually("the services to end with their up", || {
        running.iter().all(|pid| kill(Pid::from_raw(*pid), None).is_err())
    });

    let up = sandbox.up_with(&["--config", config, "--state", state]);
    assert_eq!(up.open("/", None).release(), second);
    // The page of release one that is still open somewhere goes on with its own release's service.
    let call = [("cookie", pin.as_str()), ("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors")];
    eventually("the service of the first release to be back", || {
        get(up.listen, "/api/version", &call).status == 200
    });
    let answer = get(up.listen, "/api/version", &call);
    assert_eq!(answer.release(), first);
    assert!(answer.body.contains(&first), "{}", answer.body);
    // And it can still be rolled back to.
    let report = sandbox.json(&["rollback", "--state", state]);
    assert_eq!(report["to"].as_str(), Some(first.as_str()));
    let running = services(&sandbox, state);
    assert_eq!(up.end(), 0);
    assert!(running.iter().all(|pid| kill(Pid::from_raw(*pid), None).is_err()), "left running: {running:?}");
}

#[test]
fn an_orderly_end_leaves_no_sign_of_a_running_up() {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    assert!(sandbox.path().join(".cutover/control.json").exists());
    assert_eq!(up.said["pid"].as_u64(), Some(up.child.id().into()));
    assert_eq!(up.end(), 0);
    assert!(!sandbox.path().join(".cutover/control.json").exists());
    assert_eq!(sandbox.run(&["status"]).code, 1);
}

#[test]
fn a_hangup_reloads_and_does_not_end() {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    up.signal(nix::sys::signal::Signal::SIGHUP);
    assert_eq!(sandbox.run(&["status"]).code, 0);
    assert_eq!(up.open("/", None).status, 503);
    assert_eq!(up.end(), 0);
}

#[test]
fn a_corrupt_table_file_is_reported_and_the_journal_restores_what_was_served() {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    let release = sandbox.json(&["deploy"])["stage"]["release"]["id"].as_str().unwrap().to_owned();
    assert_eq!(up.end(), 0);
    for garbage in ["", "{\"table\":", "\u{0}\u{0}\u{0}"] {
        sandbox.write(".cutover/edge.json", garbage);
        let up = sandbox.up();
        assert_eq!(up.open("/", None).release(), release, "after {garbage:?}");
        assert_eq!(up.end(), 0);
    }
    assert!(sandbox.read("up.log").contains("edge.json"), "{}", sandbox.read("up.log"));
}

#[test]
fn a_hangup_puts_the_outage_text_of_the_description_in_force() {
    let sandbox = Sandbox::with_site();
    let with = |rest: &str| sandbox.write("cutover.toml", &format!("{SITE_ONLY}\n{rest}"));
    // A service run by somebody else, who ends it: its pages are the outage page then.
    let (blue, green) = (Elsewhere::run(), Elsewhere::run());
    let down = format!(
        "[[service]]\nname = \"api\"\nroutes = [\"/api/*\"]\nhealth = \"/healthz\"\n\
         upstream = {{ blue = \"http://{}\", green = \"http://{}\" }}\n\n",
        blue.addr, green.addr
    );
    with(&format!("{down}[outage]\nmessage = \"Back at noon.\"\n"));
    let up = sandbox.up();
    sandbox.json(&["deploy"]);
    blue.end();
    green.end();
    let says = |text: &str| up.open("/api/", None).body.contains(text);
    eventually("the outage page", || says("Back at noon."));

    with(&format!("{down}[outage]\nmessage = \"Back at six.\"\n"));
    up.signal(nix::sys::signal::Signal::SIGHUP);
    eventually("the new text", || says("Back at six."));

    // A broken description is reported and changes nothing.
    with("[outage]\nmessage = \"Never.\n");
    up.signal(nix::sys::signal::Signal::SIGHUP);
    eventually("the report", || sandbox.read("up.log").contains("the outage page stays"));
    assert!(
        says("Back at six.") && sandbox.read("up.log").contains("cutover.toml:9:"),
        "{}",
        sandbox.read("up.log")
    );
    assert_eq!(up.end(), 0);
}

#[test]
fn a_verb_given_while_up_starts_anew_after_a_kill_waits_for_it() {
    let sandbox = Sandbox::with_site();
    let up = sandbox.up();
    let release = sandbox.json(&["deploy"])["stage"]["release"]["id"].as_str().unwrap().to_owned();
    up.kill();
    assert!(sandbox.path().join(".cutover/control.json").exists(), "what a kill leaves");
    // Started as a script does it, with nothing known of how far it is.
    let words = ["up", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"];
    let log = std::fs::File::create(sandbox.path().join("up.log")).unwrap();
    let mut up = sandbox.command(&words).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let status = sandbox.run(&["status", "--output", "json"]);
    nix::sys::signal::kill(Pid::from_raw(i32::try_from(up.id()).unwrap()), nix::sys::signal::SIGTERM)
        .unwrap();
    up.wait().unwrap();
    assert_eq!(status.code, 0, "{status:?} {}", sandbox.read("up.log"));
    assert!(status.out.contains(&release), "{status:?}");
}

/// A service that answers everything with 200 until it is ended.
struct Elsewhere {
    addr: SocketAddr,
    ending: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Elsewhere {
    fn run() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let ending = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&ending);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if asked.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.unwrap();
                // One request, small enough for one read; whoever hangs up first has what it wanted.
                let _ = stream.read(&mut [0; 4096]);
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        Self { addr, ending, thread }
    }

    fn end(self) {
        self.ending.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr);
        self.thread.join().unwrap();
    }
}
