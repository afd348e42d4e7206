//! The verbs' side of the control API: blocking calls to the `cutover up` that runs on a state directory.

use std::{
    fmt::Display,
    net::{SocketAddr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use cutover_engine::{Error, ErrorKind, control::Result};
use cutover_server::{Accepted, Operation, OperationState};
use serde::{Serialize, de::DeserializeOwned};

use crate::up::{control_file::ControlFile, state::in_use};

/// Longest pause between question and answer of a long-running operation before the question is put again.
const POLL_MS: u64 = 20_000;

/// How long an `up` that was started a moment ago may take to take its state directory, and to pass it on to its
/// controller.
const FORKED: Duration = Duration::from_millis(500);

/// How long an `up` that has its state directory may take to bring the active release up.
const STARTING: Duration = Duration::from_secs(60);

/// A connection to one controller.
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    token: String,
    state: String,
}

impl Client {
    /// Reads the address and the token that `up` left in the state directory. Nothing is sent yet. An `up` that is just
    /// starting is waited for, so that scripts can say `cutover up & cutover deploy`.
    ///
    /// # Errors
    /// When no `up` runs there, or its files cannot be read.
    pub(crate) fn connect(state: &Path) -> Result<Self> {
        let control = Self::find(state)?;
        let file = state.join("token");
        let token = std::fs::read_to_string(&file).map_err(|error| {
            Error::new(
                ErrorKind::Failed,
                "CUT0911",
                format!("cannot read the control token {}", file.display()),
            )
            .because(error)
            .hint("run this as the user that runs cutover up")
        })?;
        Ok(Self::new(&control.addr, token.trim(), &state.display()))
    }

    /// Where the controller is, once somebody listens there: what a killed `up` has left behind names an address where
    /// nobody does.
    fn find(state: &Path) -> Result<ControlFile> {
        let begun = Instant::now();
        let mut seen = begun;
        loop {
            if let Some(control) = ControlFile::read(state)?
                && !is_deaf(&control.addr)
            {
                return Ok(control);
            }
            if in_use(state) {
                seen = Instant::now();
            }
            if seen.elapsed() > FORKED {
                return Err(not_running(&state.display()));
            }
            if begun.elapsed() > STARTING {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "CUT0910",
                    format!("the cutover up on {} does not say where it takes commands", state.display()),
                )
                .because("it is still starting, or cannot write control.json")
                .hint("its log says what keeps it; a full disk is the usual reason"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A client of a known address.
    pub(crate) fn new(addr: &str, token: &str, state: &dyn Display) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(5)))
            .user_agent(concat!("cutover/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self { agent, base: format!("http://{addr}"), token: token.to_owned(), state: state.to_string() }
    }

    /// Asks for a document.
    ///
    /// # Errors
    /// What the controller answers, or that it cannot be reached.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = self
            .agent
            .get(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token))
            .call();
        self.read(path, answer)
    }

    /// Gives a command and waits for its result.
    ///
    /// # Errors
    /// What the controller answers, or that it cannot be reached.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        let answer = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token))
            .header("x-cutover-who", who())
            .send_json(body);
        self.read(path, answer)
    }

    /// Gives a command that takes long, hands on its progress line by line, and waits for its result. When this
    /// process ends the controller goes on.
    ///
    /// # Errors
    /// What the operation ends with, or that the controller cannot be reached.
    pub(crate) fn operation<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        progress: impl FnMut(&str),
    ) -> Result<T> {
        let result = self.operation_while(path, body, POLL_MS, progress, || true)?;
        result.ok_or_else(|| self.unreadable(path, "nothing"))
    }

    /// As [`Client::operation`]; asks at least every `poll_ms` whether to go on waiting. None: it was not waited for,
    /// and goes on in the controller.
    ///
    /// # Errors
    /// What the operation ends with, or that the controller cannot be reached.
    pub(crate) fn operation_while<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        poll_ms: u64,
        mut progress: impl FnMut(&str),
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Option<T>> {
        let accepted: Accepted = self.post(path, body)?;
        let mut after = 0;
        while go_on() {
            let address = format!("/v1/operations/{}?after={after}&wait_ms={poll_ms}", accepted.operation);
            let operation: Operation = self.get(&address)?;
            operation.progress.iter().for_each(|line| progress(line));
            after = operation.next;
            match (operation.state, operation.result, operation.error) {
                (OperationState::Running, ..) => {}
                (OperationState::Failed, _, Some(error)) => return Err(error),
                (OperationState::Done, Some(result), _) => {
                    return serde_json::from_value(result)
                        .map(Some)
                        .map_err(|error| self.unreadable(path, error));
                }
                (state, ..) => return Err(self.unreadable(path, format!("{state:?} without its outcome"))),
            }
        }
        Ok(None)
    }

    fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        answer: std::result::Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T> {
        let mut answer = answer.map_err(|error| self.unreachable(path, error))?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string().map_err(|error| self.unreachable(path, error))?;
        if status.is_success() {
            return serde_json::from_str(&text).map_err(|error| self.unreadable(path, error));
        }
        if status == ureq::http::StatusCode::UNAUTHORIZED {
            return Err(Error::new(
                ErrorKind::Refused,
                "CUT0912",
                format!("the controller at {} does not know the token in {}", self.base, self.state),
            )
            .hint("another process may have taken the address of an earlier cutover up: start it again"));
        }
        // Whatever else speaks at this address answers with something that is not one of our errors.
        Err(serde_json::from_str::<Error>(&text)
            .unwrap_or_else(|_| self.unreadable(path, format!("status {status}"))))
    }

    fn unreachable(&self, path: &str, error: ureq::Error) -> Error {
        match &error {
            ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => {
                not_running(&self.state)
            }
            _ => Error::new(
                ErrorKind::Unavailable,
                "CUT0913",
                format!("asking the controller at {} for {path}", self.base),
            )
            .because(error)
            .hint("cutover status shows whether the command was carried out"),
        }
    }

    fn unreadable(&self, path: &str, error: impl Display) -> Error {
        Error::new(
            ErrorKind::Failed,
            "CUT0914",
            format!("what the controller at {} answers to {path} cannot be understood", self.base),
        )
        .because(error)
        .hint("use the same version of cutover for up and for its commands")
    }
}

/// True where nobody listens at an address. All other trouble is left to the question that follows.
fn is_deaf(addr: &str) -> bool {
    let Ok(addr) = addr.parse::<SocketAddr>() else { return false };
    let refused = |error: std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    TcpStream::connect_timeout(&addr, Duration::from_secs(5)).is_err_and(refused)
}

fn not_running(state: &dyn Display) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "CUT0910",
        format!("no cutover up runs on the state directory {state}"),
    )
    .hint("cutover up starts it; it stays in the foreground, so use another terminal")
    .hint("--config FILE or --state DIR names another app")
}

/// The person or machine in whose name commands are given: the login name, else the user id.
pub(crate) fn who() -> String {
    let uid = nix::unistd::getuid();
    match nix::unistd::User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        _ => format!("uid {uid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_up_the_error_says_how_to_start_one() {
        let dir = tempfile::tempdir().unwrap();
        let error = Client::connect(dir.path()).err().unwrap();
        assert_eq!(error.code, "CUT0910");
        assert!(error.hints[0].starts_with("cutover up"), "{error:?}");
    }

    #[test]
    fn an_up_that_is_gone_is_told_from_other_trouble() {
        // A port that was just free: nobody listens there.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = Client::new(&port.to_string(), "t", &"state");
        let error = client.get::<serde_json::Value>("/v1/status").unwrap_err();
        assert_eq!(error.code, "CUT0910");
    }
}
