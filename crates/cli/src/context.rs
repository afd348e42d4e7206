//! What every verb needs to know of the command line and the terminal.

use std::{
    io::IsTerminal,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    args::{Global, Output},
    client::Client,
    failure::{Exit, Failure},
    places::Places,
    view::View,
};

/// The global options, resolved once.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) output: Output,
    pub(crate) quiet: bool,
    pub(crate) yes: bool,
    pub(crate) global: Global,
    /// Whether a result could not be written.
    mute: Arc<AtomicBool>,
}

impl Context {
    /// Resolves the global options; sets the colour choice for the whole process.
    pub(crate) fn new(global: &Global) -> Self {
        if global.no_color {
            anstream::ColorChoice::Never.write_global();
        }
        Self {
            output: global.output,
            quiet: global.quiet,
            yes: global.yes,
            global: global.clone(),
            mute: Arc::default(),
        }
    }

    /// Where the app and its state are.
    ///
    /// # Errors
    /// When neither options nor the current folder say.
    pub(crate) fn places(&self) -> Result<Places, Failure> {
        Places::find(self.global.config.as_deref(), self.global.state.as_deref())
    }

    /// A client of the running `cutover up`.
    ///
    /// # Errors
    /// When none runs on this state directory.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Ok(Client::connect(&self.places()?.state)?)
    }

    /// Writes a result to stdout. Where that fails it says so on stderr at once, and the command does not end well, see
    /// [`Context::exit`].
    pub(crate) fn show<V: View>(&self, view: &V) {
        if let Err(error) = crate::view::show(view, self.output) {
            self.mute.store(true, Ordering::Relaxed);
            let failure = Failure { exit: Exit::Failed, errors: vec![error] };
            crate::view::error::show(&failure, self.output);
        }
    }

    /// How the command ends that came to `exit`: without its result it has failed, whatever it did.
    pub(crate) fn exit(&self, exit: Exit) -> Exit {
        if exit == Exit::Done && self.mute.load(Ordering::Relaxed) { Exit::Failed } else { exit }
    }

    /// Says something to a person: not with `--quiet`, never on stdout.
    pub(crate) fn say(&self, line: impl std::fmt::Display) {
        if !self.quiet {
            crate::view::say(line);
        }
    }

    /// Whether a person reads the results: then advice may follow them.
    pub(crate) fn at_terminal(&self) -> bool {
        self.output == Output::Human && !self.quiet && std::io::stdout().is_terminal()
    }

    /// Whether progress may be drawn over itself.
    pub(crate) fn draws(&self) -> bool {
        self.output == Output::Human && !self.quiet && std::io::stderr().is_terminal()
    }

    /// Names the next useful command, for people only.
    pub(crate) fn advise(&self, label: &str, command: impl std::fmt::Display) {
        if self.at_terminal() {
            crate::view::say(format_args!(
                "{}",
                crate::view::page::paint(crate::view::page::DIM, format!("{label}: {command}"))
            ));
        }
    }
}
