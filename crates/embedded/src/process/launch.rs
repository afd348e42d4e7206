//! One start of one service: directories, port, environment, shim, and the wait until it is healthy.

use std::{
    ffi::OsString,
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use cutover_engine::{Error, ErrorKind};
use tokio::sync::watch;

use super::{
    command::{Ended, Order, Shim},
    keeper::told_to_stop,
    log,
    ports::{self, PortLease, Ports},
    procfs,
    readiness::{self, NotReady},
    spec::{Running, ServiceSpec, SupervisorOptions},
};

/// How often another port is tried before the one that is in the way is reported.
const PORT_ATTEMPTS: u32 = 3;
/// How many of a command's last lines an error quotes.
const QUOTED_LINES: usize = 20;
/// How long a command that never became healthy may take to end.
const FAILED_GRACE: Duration = Duration::from_secs(2);

/// Variables of Cutover's own environment that a service gets to see; everything else it needs is named in `env`, so
/// that a release behaves the same wherever and by whomever Cutover was started.
const INHERITED: [&str; 11] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Names and values; where a name comes twice, the last one counts.
type Environment = Vec<(OsString, OsString)>;

/// What one start came to.
pub(super) enum Launched {
    /// It is healthy.
    Up(Box<Up>),
    /// It is not and will not be; nothing of it is left.
    Failed(Box<Error>),
    /// It was told to stop before it was healthy; nothing of it is left.
    Stopped,
}

/// A healthy command.
pub(super) struct Up {
    pub(super) shim: Shim,
    pub(super) lease: PortLease,
    pub(super) running: Running,
    /// Size of the log when it was started.
    pub(super) log_from: u64,
}

/// One attempt that may be repeated with another port.
enum Attempt {
    Done(Launched),
    PortTaken(Box<Error>),
}

/// Starts services below one state directory.
pub(super) struct Launcher {
    pub(super) options: SupervisorOptions,
    pub(super) ports: Ports,
}

impl Launcher {
    /// Where a service's output goes.
    pub(super) fn log(&self, spec: &ServiceSpec) -> PathBuf {
        self.options
            .state_dir
            .join("logs")
            .join(spec.release.as_str())
            .join(format!("{}.log", spec.component))
    }

    /// Where the records of running commands are.
    pub(super) fn records(&self) -> PathBuf {
        self.options.state_dir.join("run")
    }

    /// Starts a service and waits until it is healthy. `wanted` is the port it had before.
    pub(super) async fn launch(
        &self,
        spec: &ServiceSpec,
        wanted: Option<u16>,
        stop: &mut watch::Receiver<bool>,
        started: impl Fn(u32),
    ) -> Launched {
        let mut wanted = wanted;
        let mut attempts = 1;
        loop {
            match self.attempt(spec, wanted.take(), stop, &started).await {
                Attempt::Done(launched) => return launched,
                Attempt::PortTaken(error) if attempts == PORT_ATTEMPTS => return Launched::Failed(error),
                Attempt::PortTaken(error) => {
                    tracing::info!(service = spec.component, %error, "trying another port");
                    attempts += 1;
                }
            }
        }
    }

    async fn attempt(
        &self,
        spec: &ServiceSpec,
        wanted: Option<u16>,
        stop: &mut watch::Receiver<bool>,
        started: &impl Fn(u32),
    ) -> Attempt {
        let log_file = self.log(spec);
        let prepared = self.prepare(spec, wanted).map_err(|error| {
            self.error(spec, "CUT0305", "cannot prepare").because(error).hint(format!(
                "the state directory {} must be writable and its disk must have room",
                self.options.state_dir.display()
            ))
        });
        let (lease, order, env) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return failed(error),
        };
        let log_from = log::size(&log_file);
        let mut shim = match Shim::start(&self.options.exe, &order, &env).await {
            Ok(shim) => shim,
            Err(problem) => {
                let error = self.error(spec, "CUT0301", "cannot start").because(problem);
                return failed(error.hint(format!("the command runs in {}", spec.dir.display())));
            }
        };
        started(shim.leader.unsigned_abs());
        let (port, root) = (lease.port(), shim.pid);
        tokio::select! {
            biased;
            () = told_to_stop(stop) => {
                shim.stop(spec.stop_timeout).await;
                Attempt::Done(Launched::Stopped)
            }
            ended = shim.ended() => {
                shim.leave().await;
                self.ended_early(spec, &ended, port, log_from)
            }
            ready = readiness::ready(port, root, spec.health.as_deref(), spec.start_timeout) => match ready {
                Ok(addr) => {
                    let running = Running { addr, pid: shim.leader.unsigned_abs(), log: log_file };
                    Attempt::Done(Launched::Up(Box::new(Up { shim, lease, running, log_from })))
                }
                Err(NotReady::Stranger(who)) => {
                    shim.stop(spec.stop_timeout.min(FAILED_GRACE)).await;
                    let error = self.error(spec, "CUT0304", "cannot start")
                        .because(format!("its port {port} is held by {who}"))
                        .hint("the socket on the port must belong to the command itself: a program that another one \
                               runs for it (a container, a system service) is an `upstream` instead of `run`");
                    Attempt::PortTaken(Box::new(error))
                }
                Err(NotReady::TooLate(seen)) => {
                    let error = self.too_late(spec, &seen, port, root, log_from);
                    shim.stop(spec.stop_timeout.min(FAILED_GRACE)).await;
                    failed(error)
                }
            }
        }
    }

    fn prepare(
        &self,
        spec: &ServiceSpec,
        wanted: Option<u16>,
    ) -> io::Result<(PortLease, Order, Environment)> {
        check_name(&spec.component)?;
        let state = std::path::absolute(&self.options.state_dir)?;
        let data = state.join("data").join(&spec.component);
        for dir in [&data, &self.records(), &state.join("logs").join(spec.release.as_str())] {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let lease = self.ports.lease(wanted)?;
        let label = format!("{}/{}", spec.release, spec.component);
        let env = environment(spec, lease.port(), &data);
        let order = Order {
            note: format!(", port {}", lease.port()),
            instance: procfs::instance_marker()?,
            dir: std::path::absolute(&spec.dir)?,
            run: spec.run.clone(),
            log: std::path::absolute(self.log(spec))?,
            log_limit: self.options.log_limit,
            stop_ms: u64::try_from(spec.stop_timeout.as_millis()).unwrap_or(u64::MAX),
            record: Some(state.join("run").join(format!("{}.{}.json", spec.release, spec.component))),
            label,
        };
        Ok((lease, order, env))
    }

    fn ended_early(&self, spec: &ServiceSpec, ended: &Ended, port: u16, log_from: u64) -> Attempt {
        let lines = log::last_lines(&self.log(spec), log_from, QUOTED_LINES);
        let taken = lines.iter().any(|line| {
            let line = line.to_ascii_lowercase();
            line.contains("eaddrinuse")
                || line.contains("address already in use")
                || line.contains("address in use")
        });
        let mut error = quote(
            self.error(spec, "CUT0302", "cannot start")
                .because(format!("its command {ended} before it was healthy")),
            &lines,
        );
        error = match ended {
            _ if taken => error.hint(format!(
                "the command must listen on the port that the environment variable PORT names ({port}), not on one of its own"
            )),
            Ended::Code(0) => error.hint("the command must stay in the foreground: its end is the service's end"),
            Ended::Code(126 | 127) => {
                error.hint("the shell did not find the command or may not run it: check `run` and PATH")
            }
            _ => error,
        };
        error = error.hint(self.where_log(spec));
        if taken { Attempt::PortTaken(Box::new(error)) } else { failed(error) }
    }

    fn too_late(&self, spec: &ServiceSpec, seen: &str, port: u16, root: i32, log_from: u64) -> Error {
        let lines = log::last_lines(&self.log(spec), log_from, QUOTED_LINES);
        let mut error = self
            .error(spec, "CUT0303", "cannot start")
            .because(format!("it was not healthy within {} s: {seen}", spec.start_timeout.as_secs_f64()));
        error = quote(error, &lines);
        let own = ports::listening(root);
        let listens = own.iter().any(|addr| addr.port() == port);
        let elsewhere: Vec<String> = own.iter().map(ToString::to_string).collect();
        if !listens && !elsewhere.is_empty() {
            error = error.hint(format!(
                "it listens on {}, but must listen on the port that the environment variable PORT names ({port})",
                elsewhere.join(", ")
            ));
        } else if !listens {
            error = error.hint(format!("it must listen on 127.0.0.1, on the port that PORT names ({port})"));
        } else if let Some(path) = &spec.health {
            error = error.hint(format!("`health` must name a path that answers 2xx; it is {path}"));
        }
        error.hint("a service that needs longer gets it by `start_timeout`").hint(self.where_log(spec))
    }

    fn where_log(&self, spec: &ServiceSpec) -> String {
        format!("its whole log is {}", self.log(spec).display())
    }

    fn error(&self, spec: &ServiceSpec, code: &str, what: &str) -> Error {
        let message = format!("{what} service `{}` of release {}", spec.component, spec.release);
        Error::new(ErrorKind::Failed, code, message)
    }
}

fn failed(error: Error) -> Attempt {
    Attempt::Done(Launched::Failed(Box::new(error)))
}

/// Adds the last lines of a log as one cause, each line set off.
pub(crate) fn quote(error: Error, lines: &[String]) -> Error {
    if lines.is_empty() { error.because("it wrote nothing to its log") } else { error.because(quoted(lines)) }
}

/// Lines of a log for a person.
pub(crate) fn quoted(lines: &[String]) -> String {
    let mut text = "its last log lines:".to_owned();
    for line in lines {
        text.push_str("\n  | ");
        text.push_str(line);
    }
    text
}

/// The name becomes part of paths.
fn check_name(name: &str) -> io::Result<()> {
    let fine = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
    if fine {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is not a name for a service")))
    }
}

fn environment(spec: &ServiceSpec, port: u16, data: &Path) -> Environment {
    let mut env: Environment = std::env::vars_os()
        .filter(|(name, _)| {
            name.to_str().is_some_and(|name| INHERITED.contains(&name) || name.starts_with("LC_"))
        })
        .collect();
    // Later entries win: the app's over what is inherited, Cutover's over the app's.
    env.extend(spec.env.iter().map(|(name, value)| (name.into(), value.into())));
    env.extend([
        ("PORT".into(), port.to_string().into()),
        ("CUTOVER_RELEASE".into(), spec.release.as_str().into()),
        ("CUTOVER_COMPONENT".into(), (&spec.component).into()),
        ("CUTOVER_DATA".into(), data.into()),
    ]);
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_leave_their_directory_are_refused() {
        for bad in ["", ".", "..", "../x", "a/b", ".hidden", "a\0b"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        assert!(check_name("api-2").is_ok());
    }

    #[test]
    fn log_lines_are_quoted_as_one_cause() {
        let error = quote(Error::new(ErrorKind::Failed, "CUT0302", "no"), &["a".into(), "b".into()]);
        assert_eq!(error.causes, ["its last log lines:\n  | a\n  | b"]);
        assert_eq!(quote(error, &[]).causes.len(), 2);
    }
}
