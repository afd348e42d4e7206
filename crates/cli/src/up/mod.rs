//! One app being served: the edge, the controller and the control API in one process. `cutover up` runs it in the
//! foreground; `cutover demo` plays on it.

pub(crate) mod config;
pub(crate) mod control_file;
pub(crate) mod logging;
pub(crate) mod secret;
pub(crate) mod signals;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use cutover_engine::{Error, ErrorKind};

use crate::{client::Client, failure::Failure};

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
    runtime: tokio::runtime::Runtime,
    app: String,
    url: String,
    edge_addr: SocketAddr,
    control_addr: SocketAddr,
    state: PathBuf,
    token: String,
}

impl Instance {
    /// Starts to serve. Everything that can be found wrong is found before anything is changed.
    ///
    /// # Errors
    /// What is wrong with the description, the state directory or the addresses.
    pub(crate) fn start(options: Options) -> Result<Self, Failure> {
        let _ = config::load(&options.config)?;
        Err(Error::new(ErrorKind::Failed, "CUT0931", "not there yet").into())
    }

    pub(crate) fn runtime(&self) -> &tokio::runtime::Handle {
        self.runtime.handle()
    }
    pub(crate) fn app(&self) -> &str {
        &self.app
    }
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
    pub(crate) fn edge_addr(&self) -> SocketAddr {
        self.edge_addr
    }
    pub(crate) fn control_addr(&self) -> SocketAddr {
        self.control_addr
    }
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.control_addr.to_string(), &self.token, &self.state.display())
    }
    pub(crate) fn reload_tls(&self) {}
    pub(crate) fn stop(self) {}
}
