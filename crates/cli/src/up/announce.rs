//! Tells the other verbs where commands go: the token and `control.json` in the state directory.
//!
//! Serving does not hang on it. A file that cannot be written, because the disk is full or something lies in its place,
//! is tried again until it can.

use std::{path::PathBuf, time::Duration};

use cutover_engine::Error;

use super::{
    control_file::ControlFile,
    secret::{self, Token},
};

/// First and longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// What is to be written where.
pub(super) struct Announcement {
    pub(super) state: PathBuf,
    pub(super) token: Token,
    pub(super) control: ControlFile,
}

impl Announcement {
    /// Tries once.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn write(&mut self) -> Result<(), Error> {
        secret::save(&self.state, &mut self.token)?;
        self.control.write(&self.state)
    }

    /// Tries until both files are written.
    pub(super) async fn keep_trying(mut self) {
        let (mut pause, longest) = PAUSES;
        loop {
            tokio::time::sleep(pause).await;
            match self.write() {
                Ok(()) => {
                    tracing::info!("commands find this cutover up again");
                    return;
                }
                Err(error) => report(&error),
            }
            pause = (pause * 2).min(longest);
        }
    }
}

/// Says in the log that commands do not find this process.
pub(super) fn report(error: &Error) {
    tracing::error!(code = error.code, %error, "commands such as cutover status do not find this cutover up; it serves on and tries again");
}
