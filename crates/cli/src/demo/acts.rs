//! What happens in the play besides rollouts: the first release, visitors, a preview, one write forth and one back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cutover_engine::control::{
    DeployReport, PreviewReport, PreviewRequest, PromoteRequest, RollbackRequest, StageReport, SwitchReport,
};
use cutover_routing::ReleaseId;

use super::{
    connection::Connection,
    crowd,
    story::{API, End, FIRST, GRADUAL, PAGES, PATIENCE, Story},
    summary::Switch,
    trouble,
    visitor::{Tour, Visitor, release_of},
    watcher::Watcher,
};
use crate::{
    example::Variant,
    failure::Failure,
    view::page::{STRONG, paint},
};

impl Story<'_> {
    pub(super) fn first_release(&self) -> Result<ReleaseId, End> {
        let request = self.release(Variant::One, FIRST)?;
        let report: DeployReport = self.client.operation("/v1/deploy", &request, |_| {})?;
        let one = report.stage.release.id;
        self.board.introduce(one, "one");
        self.board
            .say(format_args!("release one ({one}) is live: open {}", paint(STRONG, self.instance.url())));
        Ok(one)
    }

    /// Lets the visitors in.
    pub(super) fn open_the_doors(&mut self, one: ReleaseId) -> Result<(), End> {
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
        let crowd = crowd::come(tour, self.tally.clone(), self.args.crowd);
        self.crowd = Some(self.visitors.spawn_on(crowd, self.instance.runtime()));
        self.board.say(format_args!(
            "{} visitors come in and stay, and {} a second for a short visit",
            self.args.visitors, self.args.crowd
        ));
        self.until_everybody_is_on(one)?;
        self.live()
    }

    /// Stages release two and shows it to one person, while everybody else sees release one.
    pub(super) fn green_beside_blue(&self, one: ReleaseId) -> Result<ReleaseId, End> {
        let request = self.release(Variant::Two, GRADUAL)?;
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
    pub(super) fn promote(&self, release: ReleaseId, name: &str) -> Result<Switch, End> {
        let request = PromoteRequest { release: Some(release.to_string()), reason: None };
        let (report, switch) = self.switch("/v1/promote", &request, release)?;
        let ms = switch.took_us as f64 / 1000.0;
        self.board.say(format_args!(
            "promoted {name} with one write, in {ms:.1} ms; a client saw it after {}",
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

    pub(super) fn until_everybody_is_on(&self, release: ReleaseId) -> Result<(), End> {
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

    /// Takes everybody back to a release.
    pub(super) fn go_back(&self, to: ReleaseId, name: &str) -> Result<Switch, End> {
        let request = RollbackRequest { now: false, reason: Some("to show how".to_owned()) };
        let (report, switch) = self.switch("/v1/rollback", &request, to)?;
        if !report.changed {
            return Err(trouble("rolling back", report.message).into());
        }
        self.board.say(format_args!(
            "rolled back to {name} in {:.1} ms; a client saw it after {}",
            switch.took_us as f64 / 1000.0,
            seen_after(&switch)
        ));
        self.until_everybody_is_on(to)?;
        self.live()?;
        Ok(switch)
    }
}

fn seen_after(switch: &Switch) -> String {
    switch.seen.first_new_us.map_or_else(|| "an unknown time".to_owned(), crate::view::text::micros)
}
