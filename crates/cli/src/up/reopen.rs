//! Opens the controller, and tries again while it cannot be opened: visitors are served meanwhile.
//!
//! A full disk passes, so that time alone is a reason to try again. A damaged journal does not: it is opened again when
//! another file has come to lie in its place, and never made anew behind the back of somebody who is repairing it.

use std::{
    fs::File,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use cutover_edge::Edge;
use cutover_embedded::{Embedded, EmbeddedOptions};
use cutover_engine::{Error, ErrorKind, config::AppConfig};

use super::{relay::Relay, state};

/// Pause between two looks.
const LOOK: Duration = Duration::from_secs(2);
/// Longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(15);
/// Pause between two repetitions of the trouble in the log where nothing is attempted.
const REPEAT: Duration = Duration::from_secs(60);

/// What the controller is opened with.
pub(super) struct Opener {
    pub(super) config: AppConfig,
    pub(super) state: PathBuf,
    pub(super) edge: Edge,
}

impl Opener {
    /// Tries once.
    ///
    /// # Errors
    /// Why the controller cannot be opened.
    pub(super) async fn open(&self) -> Result<Arc<Embedded>, Error> {
        Embedded::open(EmbeddedOptions::new(&self.state, self.config.clone()), self.edge.clone()).await
    }

    /// True where visitors can be served although the controller could not be opened for this reason.
    pub(super) fn can_do_without(&self, why: &Error) -> bool {
        // Whoever has the directory serves its visitors already, and what is wrong with a command stays wrong.
        self.edge.publication().is_some() && why.code != "CUT0600" && why.kind != ErrorKind::Invalid
    }

    /// Tries until the controller is open, and hands it to the relay. `why` it could not be opened, and the journal
    /// as it was `then`.
    pub(super) async fn keep_trying(self, relay: Arc<Relay>, mut why: Error, mut then: Option<Seen>) {
        // A second `up` is refused meanwhile, as it is beside a controller.
        let mut held = state::hold(&self.state);
        let mut pause = LOOK;
        let mut next_attempt = Instant::now() + pause;
        let mut next_word = Instant::now() + REPEAT;
        let mut last = then.clone();
        loop {
            tokio::time::sleep(LOOK).await;
            let now = Seen::of(&self.state);
            let due = if is_in_the_journal(&why) {
                // A copy that is still being written would look damaged too.
                now.is_some() && now != then && now == last
            } else {
                Instant::now() >= next_attempt
            };
            last.clone_from(&now);
            if due {
                then = now;
                drop(held.take());
                match self.open().await {
                    Ok(controller) => {
                        relay.found(controller);
                        tracing::info!("the controller is open: commands are taken, services run");
                        return;
                    }
                    Err(error) => why = error,
                }
                held = state::hold(&self.state);
                relay.still_absent(&why);
                pause = (pause * 2).min(LONGEST);
                next_attempt = Instant::now() + pause;
            }
            if due || Instant::now() >= next_word {
                report(&why);
                next_word = Instant::now() + REPEAT;
            }
        }
    }
}

/// Says in the log that there is no controller.
pub(super) fn report(why: &Error) {
    tracing::error!(code = why.code, %why, "the controller cannot be opened; visitors get the sites served last, services do not run");
}

/// True for what only another journal file mends.
fn is_in_the_journal(why: &Error) -> bool {
    matches!(why.code.as_str(), "CUT0602" | "CUT0603")
}

/// What tells one journal file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    inode: u64,
    len: u64,
    changed: (i64, i64),
}

impl Seen {
    /// The journal as it is now; none where there is none.
    pub(super) fn of(state: &Path) -> Option<Self> {
        let found = File::open(state.join("journal.db")).and_then(|file| file.metadata()).ok()?;
        Some(Self { inode: found.ino(), len: found.len(), changed: (found.mtime(), found.mtime_nsec()) })
    }
}
