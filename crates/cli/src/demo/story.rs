//! The play: release one is live, green is staged and previewed, promoted, then a bad release comes and goes.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use cutover_engine::control::{
    DeployReport, PreviewReport, PreviewRequest, PromoteRequest, RollbackRequest, StageReport, StageRequest,
    SwitchReport,
};
use cutover_routing::ReleaseId;
use tokio::task::JoinSet;

use super::{
    Args, Stop,
    board::Board,
    connection::Connection,
    summary::{Summary, Switch},
    tally::Tally,
    trouble,
    visitor::{Tour, Visitor, release_of},
    watcher::Watcher,
};
use crate::{
    client::Client,
    context::Context,
    example::{BuildOptions, Variant, write_release},
    failure::{Exit, Failure},
    up::{Instance, addresses::reachable},
    view::page::{RED, STRONG, paint},
};

/// Longest wait for visitors to do what they do all the time.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pages visitors open, and what their scripts ask.
const PAGES: &[&str] = &["/", "/", "/product/mug", "/cart"];
const API: &[&str] = &["/api/products", "/api/products/mug", "/api/cart", "/api/version"];

/// Why the play ends early.
enum End {
    Asked,
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Writes one release of the shop as its own build would leave it.
pub(super) fn write_app(folder: &Path, variant: Variant, listen: SocketAddr) -> Result<PathBuf, Failure> {
    let command = std::env::current_exe().map_err(|error| trouble("finding this program", error))?;
    let options = BuildOptions {
        variant,
        worker: false,
        host: reachable(listen).ip().to_string(),
        listen,
        control: SocketAddr::from(([127, 0, 0, 1], 0)),
        command,
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

struct Story<'a> {
    client: Client,
    board: Board,
    tally: Arc<Tally>,
    visitors: JoinSet<()>,
    args: &'a Args,
    instance: &'a Instance,
    folder: &'a Path,
    stop: &'a Stop,
}

impl Story<'_> {
    fn play(&mut self) -> Result<Summary, End> {
        let one = self.first_release()?;
        self.open_the_doors(one)?;
        let two = self.green_beside_blue(one)?;
        let switch = self.promote(two, "two")?;
        let (bad, rollback) = self.bad_release(two)?;
        let url = self.instance.url();
        Ok(Summary::of(&self.tally.picture(), bad, url, self.args.visitors, switch, rollback))
    }

    fn first_release(&self) -> Result<ReleaseId, End> {
        let request = self.release(Variant::One)?;
        let report: DeployReport = self.client.operation("/v1/deploy", &request, |_| {})?;
        let one = report.stage.release.id;
        self.board.introduce(one, "one");
        self.board
            .say(format_args!("release one ({one}) is live: open {}", paint(STRONG, self.instance.url())));
        Ok(one)
    }

    /// Lets the visitors in.
    fn open_the_doors(&mut self, one: ReleaseId) -> Result<(), End> {
        let tour = Arc::new(Tour {
            edge: self.instance.reachable_edge(),
            host: self.instance.reachable_edge().to_string(),
            pages: PAGES,
            api: API,
        });
        for number in 0..usize::from(self.args.visitors) {
            let visitor = Visitor::new(number, tour.clone(), self.tally.clone());
            self.visitors.spawn_on(visitor.stay(), self.instance.runtime());
        }
        self.board.say(format_args!("{} visitors come in", self.args.visitors));
        self.until_everybody_is_on(one)?;
        self.live()
    }

    /// Stages release two and shows it to one person, while everybody else sees release one.
    fn green_beside_blue(&self, one: ReleaseId) -> Result<ReleaseId, End> {
        let request = self.release(Variant::Two)?;
        let report: StageReport = self.client.operation("/v1/stage", &request, |_| {})?;
        let two = report.release.id;
        self.board.introduce(two, "two");
        self.board.say(format_args!(
            "release two ({two}) is staged beside it in {} ms; no visitor sees it",
            report.took_ms
        ));
        let preview: PreviewReport =
            self.client.post(&format!("/v1/releases/{two}/preview"), &PreviewRequest::default())?;
        let seen = self.instance.runtime().block_on(self.look(&preview))?;
        if seen != two {
            return Err(trouble("previewing release two", format!("{seen} was shown")).into());
        }
        self.board
            .say(format_args!("its preview link shows it on the real host: {}", paint(STRONG, &preview.url)));
        self.live()?;
        let picture = self.tally.picture();
        if picture.of(two).requests > 0 || picture.visitors.keys().any(|release| *release != one) {
            return Err(trouble("staging release two", "a visitor saw it before it was promoted").into());
        }
        self.board.stand();
        Ok(two)
    }

    /// Follows a preview link as a browser does, and says which release is shown.
    async fn look(&self, preview: &PreviewReport) -> Result<ReleaseId, Failure> {
        let mut browser =
            Connection::new(self.instance.reachable_edge(), &self.instance.reachable_edge().to_string());
        let navigation =
            [("accept", "text/html"), ("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate")];
        let failed = |why: String| trouble("following the preview link", why);
        let link =
            preview.url.splitn(4, '/').nth(3).map_or_else(|| "/".to_owned(), |rest| format!("/{rest}"));
        let entered = browser.get(&link, &navigation).await.map_err(failed)?;
        let cookie = entered.header("set-cookie").and_then(|cookie| cookie.split(';').next());
        let (Some(cookie), Some(to)) = (cookie, entered.header("location")) else {
            return Err(failed(format!("status {} without a cookie", entered.status)));
        };
        let mut headers = navigation.to_vec();
        headers.push(("cookie", cookie));
        let page = browser.get(to, &headers).await.map_err(failed)?;
        release_of(&page).ok_or_else(|| failed(format!("status {}", page.status)))
    }

    /// Promotes a release and waits until every visitor has it.
    fn promote(&self, release: ReleaseId, name: &str) -> Result<Switch, End> {
        let request = PromoteRequest { release: Some(release.to_string()), reason: None };
        let (report, switch) = self.switch("/v1/promote", &request, release)?;
        let ms = switch.took_us as f64 / 1000.0;
        self.board.say(format_args!(
            "promoted {name} in {ms:.1} ms; a client saw it after {}",
            seen_after(&switch)
        ));
        if !report.changed {
            return Err(trouble("promoting release two", report.message).into());
        }
        self.until_everybody_is_on(release)?;
        self.board.say(format_args!("every visitor has moved to {name}, each with their next page"));
        self.live()?;
        self.board.stand();
        Ok(switch)
    }

    /// A release that passes its health check and its gate and fails its visitors.
    fn bad_release(&self, good: ReleaseId) -> Result<(ReleaseId, Switch), End> {
        let request = self.release(Variant::Bad)?;
        let report: DeployReport = self.client.operation("/v1/deploy", &request, |_| {})?;
        let bad = report.stage.release.id;
        self.board.introduce(bad, "bad");
        self.board.say(format_args!("a bad release ({bad}) passes its checks and is promoted"));
        let hurt = || self.tally.picture().of(bad).failures >= 3;
        if !self.stop.wait_for(PATIENCE, hurt) {
            return Err(self.end("waiting for the bad release to fail visitors", "it did not"));
        }
        self.live()?;
        self.board.say(paint(RED, "it fails visitors with errors and slow answers: rolling back"));
        let request = RollbackRequest { now: true, reason: Some("errors and slow answers".to_owned()) };
        let (_, switch) = self.switch("/v1/rollback", &request, good)?;
        self.board.say(format_args!(
            "rolled back in {:.1} ms; a client saw release two after {}",
            switch.took_us as f64 / 1000.0,
            seen_after(&switch)
        ));
        self.until_everybody_is_on(good)?;
        self.board.say("every visitor is back on two");
        self.live()?;
        self.board.stand();
        Ok((bad, switch))
    }

    /// Gives a switching command while somebody watches from outside.
    fn switch(
        &self,
        path: &str,
        request: &impl serde::Serialize,
        to: ReleaseId,
    ) -> Result<(SwitchReport, Switch), End> {
        let edge = self.instance.reachable_edge();
        let watcher = Watcher::begin(self.instance.runtime(), edge, &edge.to_string(), self.tally.clone());
        self.stop.pause(Duration::from_millis(200));
        let command = Instant::now();
        let report: Result<SwitchReport, _> = self.client.post(path, request);
        self.stop.pause(Duration::from_millis(200));
        let seen = self.instance.runtime().block_on(watcher.end(command, to));
        let report = report?;
        let switch = Switch { took_us: report.took_us, seen };
        Ok((report, switch))
    }

    fn until_everybody_is_on(&self, release: ReleaseId) -> Result<(), End> {
        let all = u64::from(self.args.visitors);
        let there = || self.tally.picture().visitors.get(&release) == Some(&all);
        if self.stop.wait_for(PATIENCE, there) {
            return Ok(());
        }
        let picture = self.tally.picture();
        let words: Vec<String> = picture.problems.into_iter().map(|(_, words)| words).collect();
        Err(self.end(
            "waiting for every visitor to move",
            format!(
                "after {} s they are at {:?}; {}",
                PATIENCE.as_secs(),
                picture.visitors,
                words.join("; ")
            ),
        ))
    }

    /// Lets life go on for a while.
    fn live(&self) -> Result<(), End> {
        let while_ms = if self.args.once { 1000 } else { 5000 };
        if self.stop.pause(Duration::from_millis(while_ms)) { Ok(()) } else { Err(End::Asked) }
    }

    fn end(&self, attempted: &str, cause: impl std::fmt::Display) -> End {
        if self.stop.asked() { End::Asked } else { End::Failed(trouble(attempted, cause)) }
    }

    fn release(&self, variant: Variant) -> Result<StageRequest, Failure> {
        let config = write_app(self.folder, variant, self.instance.reachable_edge())?;
        Ok(StageRequest { config, name: Some(variant.word().to_owned()), ..StageRequest::default() })
    }
}

fn seen_after(switch: &Switch) -> String {
    switch.seen.first_new_us.map_or_else(|| "an unknown time".to_owned(), crate::view::text::micros)
}
