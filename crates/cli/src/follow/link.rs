//! A connection to the controller that outlives the controller: one that is away is waited for.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use cutover_engine::{Error, ErrorKind};
use serde::de::DeserializeOwned;

use crate::{client::Client, failure::Failure};

/// How long the controller may be away.
const AWAY: Duration = Duration::from_secs(60);

/// The connection.
pub(crate) struct Link {
    state: PathBuf,
    client: Client,
    /// Since when there was no answer.
    away: Option<Instant>,
}

impl Link {
    pub(crate) fn new(state: PathBuf, client: Client) -> Self {
        Self { state, client, away: None }
    }

    /// The controller has just been lost: it is looked for anew.
    pub(crate) fn is_lost(&mut self) {
        self.away = Some(Instant::now());
    }

    /// Asks for a document; none while the controller is away, of which `note` is told.
    ///
    /// # Errors
    /// What the controller answers, or that it stays away.
    pub(crate) fn ask<T: DeserializeOwned>(
        &mut self,
        path: &str,
        note: impl Fn(&str),
    ) -> Result<Option<T>, Failure> {
        let answer = match self.away {
            None => self.client.get(path),
            // It may have come back at another address, with another token.
            Some(_) => Client::connect(&self.state).and_then(|client| {
                self.client = client;
                self.client.get(path)
            }),
        };
        match answer {
            Ok(document) => {
                if self.away.take().is_some() {
                    note("the controller is back");
                }
                Ok(Some(document))
            }
            Err(error) if is_away(&error) => {
                let since = *self.away.get_or_insert_with(|| {
                    note(&format!("the controller does not answer, it is waited for: {}", error.message));
                    Instant::now()
                });
                if since.elapsed() > AWAY { Err(error.into()) } else { Ok(None) }
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether an error says that whoever ran an operation is there no longer, so that nobody knows how it ended: away, or
/// back without memory of it.
pub(crate) fn is_lost(error: &Error) -> bool {
    let unknown = ["CUT0655", "CUT0912"];
    is_away(error) || unknown.contains(&error.code.as_str())
}

/// Whether an error says that nobody is there, or only half of it.
fn is_away(error: &Error) -> bool {
    let gone = ["CUT0910", "CUT0913", "CUT0933"];
    error.kind == ErrorKind::Unavailable && gone.contains(&error.code.as_str())
}
