//! Many light visitors: a page, a few calls of its script, and away; new ones and ones who come back. They come at a
//! steady rate whatever they are answered, as the public does, and are what a gradual rollout is judged by.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use cutover_routing::ReleaseId;
use tokio::task::JoinSet;

use super::{
    connection::{Answer, Connection},
    links,
    random::Random,
    tally::Tally,
    visitor::{BROWSER, Tour, own_word, release_of},
};

/// Of a hundred visits, those by visitors who were here before.
const RETURNING: usize = 50;
/// Calls of a page's script.
const CALLS: usize = 3;
/// Visitors who are remembered while they are away.
const KNOWN: usize = 5_000;
/// Visits at the same time, at most.
const AT_ONCE: usize = 2_000;
/// Pause between two looks at how many visitors are due.
const BEAT: Duration = Duration::from_millis(10);

/// Everybody who was ever here.
struct Crowd {
    tour: Arc<Tour>,
    tally: Arc<Tally>,
    away: Mutex<Vec<Person>>,
}

/// Somebody with their cookie.
struct Person {
    who: u32,
    address: IpAddr,
    pin: Option<String>,
    random: Random,
}

/// Somebody who is here, with their browser's connection.
struct Guest {
    person: Person,
    connection: Connection,
}

/// Lets so many visits begin each second until the task is ended.
pub(super) async fn come(tour: Arc<Tour>, tally: Arc<Tally>, a_second: u16) {
    let crowd = Arc::new(Crowd { tour, tally, away: Mutex::default() });
    let mut random = Random::seeded(1);
    let mut here = JoinSet::new();
    let mut beat = tokio::time::interval(BEAT);
    let (began, mut come) = (Instant::now(), 0_u128);
    loop {
        beat.tick().await;
        while here.try_join_next().is_some() {}
        let due = began.elapsed().as_micros() * u128::from(a_second) / 1_000_000;
        while come < due {
            come += 1;
            if here.len() < AT_ONCE {
                here.spawn(crowd.clone().visit(random.below(usize::MAX)));
            }
        }
    }
}

impl Crowd {
    async fn visit(self: Arc<Self>, seed: usize) {
        let person = self.somebody(seed);
        let connection = Connection::new(self.tour.edge, &self.tour.host).from(person.address);
        let mut guest = Guest { person, connection };
        if let Some((release, marked)) = self.open(&mut guest).await {
            self.tally.enter(release);
            let mut mixed = None;
            for _ in 0..CALLS {
                let pause = guest.person.random.below(200) as u64;
                tokio::time::sleep(Duration::from_millis(pause)).await;
                let problem = self.call(&mut guest, release, marked).await;
                mixed = mixed.or(problem);
            }
            self.tally.leave(release);
            self.tally.visit(release, mixed);
        }
        let mut away = self.away();
        if away.len() < KNOWN {
            away.push(guest.person);
        }
    }

    /// Somebody who was here before, or somebody new.
    fn somebody(&self, seed: usize) -> Person {
        let mut random = Random::seeded(seed as u64);
        let mut away = self.away();
        if !away.is_empty() && random.below(100) < RETURNING {
            let at = random.below(away.len());
            return away.swap_remove(at);
        }
        drop(away);
        let who = self.tally.encounters().newcomer();
        // The whole of 127.0.0.0/8 is this machine: an edge tells visitors apart by their address too.
        let [.., high, low] = who.to_be_bytes();
        let address = IpAddr::from(Ipv4Addr::new(127, 1, high, low));
        Person { who, address, pin: None, random }
    }

    /// Opens a page: its release, and whether its script names it in calls.
    async fn open(&self, guest: &mut Guest) -> Option<(ReleaseId, bool)> {
        let path = guest.person.random.of(self.tour.pages);
        let headers = [
            ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-site", "none"),
        ];
        let asked = Instant::now();
        let answer = guest.ask(path, &headers).await;
        let release = answer.as_ref().ok().and_then(release_of);
        self.count(release, asked, path, &answer);
        let (release, answer) = (release?, answer.ok()?);
        if !answer.status.is_success() {
            return None;
        }
        self.tally.encounters().page(guest.person.who, release, asked);
        let html = String::from_utf8_lossy(&answer.body);
        Some((release, links::marker(&html).is_some()))
    }

    /// One call of the page's script; answers what was mixed into the visit by it.
    async fn call(&self, guest: &mut Guest, page: ReleaseId, marked: bool) -> Option<String> {
        let path = guest.person.random.of(self.tour.api);
        let release = page.to_string();
        let mut headers = vec![
            ("accept", "application/json"),
            ("sec-fetch-dest", "empty"),
            ("sec-fetch-site", "same-origin"),
        ];
        if marked {
            headers.push(("x-cutover-release", release.as_str()));
        }
        let asked = Instant::now();
        let answer = guest.ask(path, &headers).await;
        let failed = self.count(Some(page), asked, path, &answer);
        self.tally.encounters().call(guest.person.who, page, asked, failed);
        let answer = answer.ok().filter(|answer| answer.header("x-cutover-stale") != Some("1"))?;
        let in_body = own_word(&answer);
        [Some(answer.header("x-cutover-release").unwrap_or("no release")), in_body.as_deref()]
            .into_iter()
            .flatten()
            .find(|other| *other != release)
            .map(|other| format!("{path} came from {other} on a page of {release}"))
    }

    /// Counts a request; whether it failed.
    fn count(
        &self,
        release: Option<ReleaseId>,
        asked: Instant,
        path: &str,
        answer: &Result<Answer, String>,
    ) -> bool {
        let failure = match answer {
            Err(error) => Some(format!("{path}: {error}")),
            Ok(answer) if answer.status.as_u16() >= 400 => Some(format!("{path}: status {}", answer.status)),
            Ok(_) => None,
        };
        let failed = failure.is_some();
        self.tally.request(release, asked.elapsed(), failure);
        failed
    }

    fn away(&self) -> MutexGuard<'_, Vec<Person>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// Sends a request with the pin, and takes the one that comes back.
    async fn ask(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer, String> {
        let mut all = vec![("user-agent", BROWSER)];
        all.extend_from_slice(headers);
        if let Some(pin) = &self.person.pin {
            all.push(("cookie", pin));
        }
        let answer = self.connection.get(path, &all).await?;
        let cookies = answer.headers.get_all("set-cookie").iter();
        let pin = cookies
            .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
            .find(|cookie| cookie.starts_with("cutover="));
        if let Some(pin) = pin {
            self.person.pin = Some(pin.to_owned());
        }
        Ok(answer)
    }
}
