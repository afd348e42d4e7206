//! The play: release one is live, green is staged and previewed, visitors move to it in steps, all go back and forth with
//! one write each, then a bad release comes and is sent back.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use cutover_engine::control::StageRequest;
use tokio::task::{AbortHandle, JoinSet};

use super::{Args, Stop, board::Board, summary::Summary, tally::Tally, trouble};
use crate::{
    client::Client,
    context::Context,
    example::{BuildOptions, Steps, Variant, write_release},
    failure::{Exit, Failure},
    up::{Instance, addresses::reachable},
};

/// Nobody is there to be moved in steps to the first release.
pub(super) const FIRST: Steps = Steps { strategy: "instant", hold: "1s", bake: "1s" };
/// The good release: short holds, so that a person may watch.
pub(super) const GRADUAL: Steps = Steps { strategy: "10%, 50%, 100%", hold: "3s", bake: "3s" };
/// The bad one, as somebody who is careful would release it.
pub(super) const CAREFUL: Steps = Steps { strategy: "5%, 25%, 50%, 100%", hold: "20s", bake: "20s" };

/// Longest wait for visitors to do what they do all the time.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The pages visitors open, and what their scripts ask.
pub(super) const PAGES: &[&str] = &["/", "/", "/product/mug", "/cart"];
pub(super) const API: &[&str] = &["/api/products", "/api/products/mug", "/api/cart", "/api/version"];

/// Why the play ends early.
pub(super) enum End {
    Asked,
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Writes one release of the shop as its own build would leave it.
pub(super) fn write_app(
    folder: &Path,
    variant: Variant,
    listen: SocketAddr,
    steps: Steps,
) -> Result<PathBuf, Failure> {
    let command = std::env::current_exe().map_err(|error| trouble("finding this program", error))?;
    let options = BuildOptions {
        variant,
        worker: false,
        host: reachable(listen).ip().to_string(),
        listen,
        control: SocketAddr::from(([127, 0, 0, 1], 0)),
        command,
        steps: Some(steps),
    };
    write_release(&folder.join(variant.word()), &options)
        .map_err(|error| trouble("writing the example shop", error))
}

/// Tells the whole story; without `--once` it then goes on until it is asked to end.
pub(super) fn tell(
    context: &Context,
    args: &Args,
    instance: &Instance,
    folder: &Path,
    stop: &Stop,
) -> Result<Exit, Failure> {
    let tally = Arc::new(Tally::new(usize::from(args.visitors)));
    let mut story = Story {
        client: instance.client(),
        board: Board::new(context, tally.clone(), instance.client()),
        tally,
        visitors: JoinSet::new(),
        crowd: None,
        args,
        instance,
        folder,
        stop,
    };
    let result = story.play();
    // The table goes before the summary comes; visitors go while the edge still serves them.
    let Story { board, visitors, tally, .. } = story;
    let ended = match result {
        Ok(summary) if args.once => Ok(Some(summary)),
        Ok(summary) => {
            board.say("the story is over; the shop stays open for you until Ctrl-C");
            board.say(format_args!(
                "try: {} --state {} status",
                std::env::current_exe().unwrap_or_else(|_| "cutover".into()).display(),
                instance.state().display()
            ));
            while stop.pause(Duration::from_secs(1)) {}
            Ok(Some(summary.updated(&tally.picture())))
        }
        Err(End::Asked) => Ok(None),
        Err(End::Failed(failure)) => Err(failure),
    };
    drop(board);
    instance.runtime().block_on(async {
        let mut visitors = visitors;
        visitors.shutdown().await;
    });
    match ended? {
        None => Ok(Exit::Done),
        Some(summary) => {
            context.show(&summary);
            Ok(if summary.ok { Exit::Done } else { Exit::Failed })
        }
    }
}

pub(super) struct Story<'a> {
    pub(super) client: Client,
    pub(super) board: Board,
    pub(super) tally: Arc<Tally>,
    pub(super) visitors: JoinSet<()>,
    /// Those who come for a moment.
    pub(super) crowd: Option<AbortHandle>,
    pub(super) args: &'a Args,
    pub(super) instance: &'a Instance,
    folder: &'a Path,
    pub(super) stop: &'a Stop,
}

impl Story<'_> {
    fn play(&mut self) -> Result<Summary, End> {
        let one = self.first_release()?;
        self.open_the_doors(one)?;
        let mut summary = Summary::new(self.instance.url(), self.args.visitors);
        let mut good = one;
        if !self.args.bad {
            let two = self.green_beside_blue(one)?;
            summary.gradual = Some(self.gradual(two)?);
            summary.rollback = Some(self.go_back(one, "one")?);
            summary.switch = Some(self.promote(two, "two")?);
            good = two;
        }
        summary.bad_release = Some(self.bad_release(good)?);
        // Who stays is enough company for who looks at the shop now.
        if let Some(crowd) = self.crowd.take() {
            crowd.abort();
        }
        Ok(summary.updated(&self.tally.picture()))
    }

    /// Lets life go on for a while.
    pub(super) fn live(&self) -> Result<(), End> {
        let while_ms = if self.args.once { 1000 } else { 5000 };
        if self.stop.pause(Duration::from_millis(while_ms)) { Ok(()) } else { Err(End::Asked) }
    }

    pub(super) fn end(&self, attempted: &str, cause: impl std::fmt::Display) -> End {
        if self.stop.asked() { End::Asked } else { End::Failed(trouble(attempted, cause)) }
    }

    pub(super) fn release(&self, variant: Variant, steps: Steps) -> Result<StageRequest, Failure> {
        let config = write_app(self.folder, variant, self.instance.reachable_edge(), steps)?;
        Ok(StageRequest { config, name: Some(variant.word().to_owned()), ..StageRequest::default() })
    }
}
