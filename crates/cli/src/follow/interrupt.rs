//! Ctrl-C while something is waited for: whoever waits stops waiting and can say what goes on.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use crate::{failure::Exit, up::signals::Signals};

/// Listens to SIGINT and SIGTERM while the program runs. A second one ends the program at once.
#[derive(Debug)]
pub(crate) struct Interrupt {
    came: mpsc::Receiver<()>,
}

impl Interrupt {
    /// Begins to listen. Where that is impossible the signals keep what they do by default.
    pub(crate) fn listen() -> Self {
        let (tell, came) = mpsc::channel();
        let listening = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                let mut signals = Signals::listen();
                signals.end().await;
                let _ = tell.send(());
                signals.end().await;
                std::process::exit(Exit::Interrupted as i32);
            });
        });
        drop(listening);
        Self { came }
    }

    /// Waits so long, or until the signal comes; whether it came.
    pub(crate) fn comes_within(&self, pause: Duration) -> bool {
        match self.came.recv_timeout(pause) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(pause);
                false
            }
        }
    }
}
