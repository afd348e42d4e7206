//! One app being served: the edge, the controller and the control API in one process. `cutover up` runs it in the
//! foreground; `cutover demo` plays on it.

pub(crate) mod addresses;
pub(crate) mod config;
pub(crate) mod control_file;
mod edge;
pub(crate) mod logging;
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
use cutover_embedded::{Embedded, EmbeddedOptions};
use cutover_engine::{Control, Error, ErrorKind};
use cutover_server::ServerOptions;
use tokio::{
    net::TcpListener,
    runtime::{Handle, Runtime},
    sync::oneshot,
    task::JoinHandle,
};

use crate::{client::Client, failure::Failure};
use control_file::ControlFile;

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
    controller: Arc<Embedded>,
    api: Api,
    app: String,
    url: String,
    state: PathBuf,
    token: String,
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
        let token = secret::token(&state)?;
        let app = config.app.clone();
        let edge = edge::start(&config, &state)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("control")
            .enable_all()
            .build()
            .map_err(|error| failed("starting the controller's threads", error))?;
        let opened = runtime.block_on(async {
            let controller = Embedded::open(EmbeddedOptions::new(&state, config), edge.clone()).await?;
            let url = controller.status().await?.url;
            let api = serve(control, controller.clone(), &token)?;
            ControlFile { addr: api.addr.to_string(), pid: std::process::id() }.write(&state)?;
            Ok::<_, Error>((controller, url, api))
        });
        match opened {
            Ok((controller, url, api)) => Ok(Self { runtime, edge, controller, api, app, url, state, token }),
            Err(error) => {
                edge.shutdown(Duration::ZERO);
                Err(error.into())
            }
        }
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

    /// Reads the certificate files again; with bad ones the old certificate stays.
    pub(crate) fn reload_tls(&self) {
        match self.edge.reload_tls() {
            Ok(()) => tracing::info!("the TLS certificate files were read again"),
            Err(error) => {
                tracing::error!(%error, "the TLS certificate files cannot be used; the old ones stay")
            }
        }
    }

    /// Ends: no new commands, visitors' requests finish, then the services end.
    pub(crate) fn stop(self) {
        ControlFile::remove(&self.state);
        // Where the receiver is gone the API has ended already.
        let _ = self.api.stop.send(());
        self.edge.shutdown(GRACE);
        self.runtime.block_on(async {
            let _ = self.api.task.await;
            self.controller.shutdown().await;
        });
        drop(self.controller);
        self.runtime.shutdown_timeout(Duration::from_secs(1));
    }
}

/// Serves the control API on an address that is open already.
fn serve(control: std::net::TcpListener, controller: Arc<Embedded>, token: &str) -> Result<Api, Error> {
    let trouble = |error: std::io::Error| failed("serving the control API", error);
    let listener = TcpListener::from_std(control).map_err(trouble)?;
    let addr = addresses::reachable(listener.local_addr().map_err(trouble)?);
    let (stop, stopped) = oneshot::channel();
    let options = ServerOptions::new(token);
    let task = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        if let Err(error) = cutover_server::serve(listener, controller, options, stopped).await {
            tracing::error!(%error, "the control API ended; visitors are served on");
        }
    });
    Ok(Api { addr, stop, task })
}

fn failed(attempted: &str, cause: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Failed, "CUT0932", attempted).because(cause)
}
