//! One app being served: the edge, the controller and the control API in one process. `cutover up` runs it in the
//! foreground; `cutover demo` plays on it.

pub(crate) mod addresses;
mod announce;
pub(crate) mod config;
pub(crate) mod control_file;
mod edge;
pub(crate) mod logging;
mod relay;
mod reopen;
pub(crate) mod secret;
pub(crate) mod signals;
pub(crate) mod state;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use cutover_edge::Edge;
use cutover_engine::{Control, Error, ErrorKind, config::OutageConfig};
use cutover_server::ServerOptions;
use tokio::{
    net::TcpListener,
    runtime::{Handle, Runtime},
    sync::oneshot,
    task::JoinHandle,
};

use crate::{client::Client, failure::Failure};
use announce::Announcement;
use control_file::ControlFile;
use relay::Relay;
use reopen::{Opener, Seen};

/// How long requests under way may take to finish at the end.
const GRACE: Duration = Duration::from_secs(30);

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The app's description.
    pub(crate) config: PathBuf,
    /// The state directory; made if missing.
    pub(crate) state: PathBuf,
    /// Instead of the description's address for visitors.
    pub(crate) listen: Option<SocketAddr>,
    /// Instead of the description's address for commands.
    pub(crate) control: Option<SocketAddr>,
}

/// An app being served.
pub(crate) struct Instance {
    runtime: Runtime,
    edge: Edge,
    relay: Arc<Relay>,
    api: Api,
    /// What is tried again and again until it works.
    trying: Vec<JoinHandle<()>>,
    app: String,
    url: String,
    config: PathBuf,
    state: PathBuf,
    token: String,
    problem: Option<Error>,
}

/// The control API being served.
struct Api {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Instance {
    /// Starts to serve. What can be found wrong without changing anything is found first: the description, another `up`
    /// on the same state directory, addresses that are taken.
    ///
    /// # Errors
    /// What is wrong with the description, the state directory or the addresses.
    pub(crate) fn start(options: Options) -> Result<Self, Failure> {
        let mut config = config::load(&options.config)?;
        config.edge.listen = options.listen.unwrap_or(config.edge.listen);
        config.edge.control = options.control.unwrap_or(config.edge.control);
        let state = options.state;
        state::refuse_a_second(&state)?;
        let control = addresses::open_control(config.edge.control)?;
        addresses::check_listen(config.edge.listen)?;

        state::prepare(&state)?;
        // The controller takes it over: nobody else may have the directory while the edge starts, and verbs see that
        // somebody is coming.
        let held = state::hold(&state);
        let token = secret::token(&state)?;
        let edge = edge::start(&config, &state)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("control")
            .enable_all()
            .build()
            .map_err(|error| failed("starting the controller's threads", error))?;
        let app = config.app.clone();
        let mut trying = Vec::new();
        let before = Seen::of(&state);
        let opener = Opener { config, state: state.clone(), edge: edge.clone() };
        drop(held);
        let opened = runtime.block_on(opener.open());
        let problem = opened.as_ref().err().cloned();
        if let Some(why) = problem.clone().filter(|why| !opener.can_do_without(why)) {
            edge.shutdown(Duration::ZERO);
            return Err(why.into());
        }
        let relay = Relay::new(edge.clone(), opened);
        if let Some(why) = problem.clone() {
            reopen::report(&why);
            trying.push(runtime.spawn(opener.keep_trying(Arc::clone(&relay), why, before)));
        }
        let begun = runtime.block_on(async {
            let url = match relay.status().await {
                Ok(status) => status.url,
                Err(_) => own_url(&edge),
            };
            let api = serve(control, Arc::clone(&relay), &token.text)?;
            Ok::<_, Error>((url, api))
        });
        let (url, api) = begun.inspect_err(|_| edge.clone().shutdown(Duration::ZERO))?;
        let text = token.text.clone();
        let control = ControlFile { addr: api.addr.to_string(), pid: std::process::id() };
        let mut announcement = Announcement { state: state.clone(), token, control };
        if let Err(error) = announcement.write() {
            announce::report(&error);
            trying.push(runtime.spawn(announcement.keep_trying()));
        }
        let config = options.config;
        Ok(Self { runtime, edge, relay, api, trying, app, url, config, state, token: text, problem })
    }

    /// Why there was no controller at the start; visitors are served without it, and it is tried for.
    pub(crate) fn problem(&self) -> Option<&Error> {
        self.problem.as_ref()
    }

    /// The runtime of the controller.
    pub(crate) fn runtime(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Name of the app.
    pub(crate) fn app(&self) -> &str {
        &self.app
    }

    /// Where visitors go.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The address the edge listens on.
    pub(crate) fn edge_addr(&self) -> SocketAddr {
        self.edge.local_addr()
    }

    /// The address by which visitors on this machine reach it.
    pub(crate) fn reachable_edge(&self) -> SocketAddr {
        addresses::reachable(self.edge.local_addr())
    }

    /// The address commands reach.
    pub(crate) fn control_addr(&self) -> SocketAddr {
        self.api.addr
    }

    /// The state directory.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// A client of it, as the other verbs use.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.api.addr.to_string(), &self.token, &self.state.display())
    }

    /// Reads again what may change while it runs: the certificate files and the text of the outage page. What cannot be
    /// used stays as it was.
    pub(crate) async fn reload(&self) {
        match self.edge.reload_tls() {
            Ok(()) => tracing::info!("the TLS certificate files were read again"),
            Err(error) => {
                tracing::error!(%error, "the TLS certificate files cannot be used; the old ones stay")
            }
        }
        match config::load(&self.config) {
            Ok(config) => self.say_during_outages(config.outage).await,
            Err(failure) => {
                for error in failure.errors {
                    tracing::error!(%error, "the description cannot be used; the outage page stays");
                }
            }
        }
    }

    async fn say_during_outages(&self, outage: OutageConfig) {
        let Ok(controller) = self.relay.controller() else {
            self.edge.set_outage(edge::outage(&outage));
            tracing::info!(message = outage.message, "the outage page has its text from the description now");
            return;
        };
        let message = outage.message.clone();
        match controller.override_outage(outage).await {
            Ok(true) => {
                tracing::info!(message, "the outage page has its text from the description now");
            }
            Ok(false) => tracing::info!("the outage page says what the description says already"),
            Err(error) => {
                tracing::error!(%error, "the outage page changed, but that is lost at the next start")
            }
        }
    }

    /// Ends: no new commands, visitors' requests finish, then the services end.
    pub(crate) fn stop(self) {
        for task in self.trying {
            task.abort();
            // Ended or cut: it must not write any more.
            let _ = self.runtime.block_on(task);
        }
        ControlFile::remove(&self.state);
        // Where the receiver is gone the API has ended already.
        let _ = self.api.stop.send(());
        self.edge.shutdown(GRACE);
        self.runtime.block_on(async {
            let _ = self.api.task.await;
            if let Ok(controller) = self.relay.controller() {
                controller.shutdown().await;
            }
        });
        drop(self.relay);
        self.runtime.shutdown_timeout(Duration::from_secs(1));
    }
}

/// Serves the control API on an address that is open already.
fn serve(control: std::net::TcpListener, relay: Arc<Relay>, token: &str) -> Result<Api, Error> {
    let trouble = |error: std::io::Error| failed("serving the control API", error);
    let listener = TcpListener::from_std(control).map_err(trouble)?;
    let addr = addresses::reachable(listener.local_addr().map_err(trouble)?);
    let (stop, stopped) = oneshot::channel();
    let options = ServerOptions::new(token);
    let task = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        if let Err(error) = cutover_server::serve(listener, relay, options, stopped).await {
            tracing::error!(%error, "the control API ended; visitors are served on");
        }
    });
    Ok(Api { addr, stop, task })
}

/// The edge's own address, for want of somebody who knows what stands before it.
fn own_url(edge: &Edge) -> String {
    let publication = edge.publication();
    let secure = publication.is_some_and(|publication| publication.settings.secure);
    format!("{}://{}/", if secure { "https" } else { "http" }, addresses::reachable(edge.local_addr()))
}

fn failed(attempted: &str, cause: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Failed, "CUT0932", attempted).because(cause)
}
