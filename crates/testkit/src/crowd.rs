//! A crowd: visitors who keep coming, new ones and ones who were here before, each with a cookie jar, at a steady rate
//! whatever the answers are.
//!
//! A visit is a document and a few calls of its script. Visitors share kept connections from several addresses of the
//! machine, so that an edge tells thousands of them apart and a small machine bears them. Nothing is judged here:
//! every request is kept as a [`Sight`], and what it means is for whoever asked.

mod sight;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use cutover_routing::{Pin, ReleaseId};

use tokio::task::JoinSet;

use crate::{
    client::{Answer, Client, Protocol},
    rng::Rng,
    trace::{Line, Trace},
};

pub use sight::{Clocks, Sight};

/// Longest time a visitor waits for a whole answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Visits at the same time, at most: where answers stop coming, the crowd does not grow without end.
const AT_ONCE: usize = 3_000;
/// Pause between two looks at how many visitors are due.
const BEAT: Duration = Duration::from_millis(10);

/// How a crowd behaves.
#[derive(Debug, Clone)]
pub struct CrowdPlan {
    /// Where the edge is.
    pub to: SocketAddr,
    /// The host they ask for.
    pub host: String,
    /// Visits that begin in a second.
    pub arrivals: u32,
    /// Of a hundred visits, those by visitors who were here before.
    pub returning: u64,
    /// What the script of a page asks for, in this order.
    pub calls: Vec<&'static str>,
    /// Longest pause before a call, milliseconds.
    pub pause_ms: u64,
    /// Of a hundred returning visitors, those who lose their cookies on the way without anybody being told: the negative
    /// control of whatever watches that visitors stay.
    pub robbed: u64,
    /// Randomness.
    pub seed: u64,
}

/// A running crowd.
pub struct Crowd {
    shared: Arc<Shared>,
    arriving: tokio::task::JoinHandle<()>,
}

struct Shared {
    plan: CrowdPlan,
    trace: Trace,
    began: Instant,
    stop: AtomicBool,
    visits: AtomicU64,
    people: Mutex<People>,
    idle: Mutex<BTreeMap<IpAddr, Vec<Client>>>,
    sights: Mutex<Vec<Sight>>,
}

#[derive(Default)]
struct People {
    known: u32,
    /// Those who are not here at present.
    away: Vec<Person>,
}

struct Person {
    number: u32,
    address: IpAddr,
    pin: Option<Pin>,
}

impl Crowd {
    /// Lets them come, on the present runtime.
    pub fn start(plan: CrowdPlan, trace: &Trace) -> Self {
        let shared = Arc::new(Shared {
            plan,
            trace: trace.clone(),
            began: Instant::now(),
            stop: AtomicBool::new(false),
            visits: AtomicU64::new(0),
            people: Mutex::default(),
            idle: Mutex::default(),
            sights: Mutex::default(),
        });
        let arriving = tokio::spawn(arrive(Arc::clone(&shared)));
        Self { shared, arriving }
    }

    /// Everything seen so far that `of` wants.
    pub fn look<T>(&self, of: impl FnOnce(&[Sight]) -> T) -> T {
        of(&lock(&self.shared.sights))
    }

    /// Nobody comes any more; waits for those who are here. Answers everything that was seen, by the end of requests.
    pub async fn stop(self) -> Vec<Sight> {
        self.shared.stop.store(true, Relaxed);
        let _ = self.arriving.await;
        std::mem::take(&mut lock(&self.shared.sights))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn arrive(shared: Arc<Shared>) {
    let mut rng = Rng::seeded(shared.plan.seed);
    let mut here = JoinSet::new();
    let mut beat = tokio::time::interval(BEAT);
    let mut begun: u64 = 0;
    while !shared.stop.load(Relaxed) {
        beat.tick().await;
        while here.try_join_next().is_some() {}
        let due = shared.began.elapsed().as_micros() * u128::from(shared.plan.arrivals) / 1_000_000;
        while u128::from(begun) < due {
            begun += 1;
            if here.len() < AT_ONCE {
                let seed = rng.next_u64();
                here.spawn(visit(Arc::clone(&shared), seed));
            }
        }
    }
    while here.join_next().await.is_some() {}
}

async fn visit(shared: Arc<Shared>, seed: u64) {
    let mut rng = Rng::seeded(seed);
    let number = u32::try_from(shared.visits.fetch_add(1, Relaxed)).unwrap_or(u32::MAX);
    let mut person = shared.somebody(&mut rng);
    let mut client = shared.client(person.address);
    let robbed = person.pin.is_some() && rng.below(100) < shared.plan.robbed;
    let cookie = if robbed { None } else { person.pin.map(|pin| format!("cutover={pin}")) };
    let navigation = [
        ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "none"),
    ];
    let mut ask = Ask { shared: &shared, client: &mut client, visit: number, person: &mut person, cookie };
    let page = ask.send("/", &navigation, None).await;
    let document = page
        .as_ref()
        .filter(|page| page.status.is_success())
        .and_then(|page| parsed(page, "x-cutover-release"));
    if let (Some(document), Some(page)) = (document, page) {
        let hint = document.to_string();
        let marked = String::from_utf8_lossy(&page.body).contains("/.cutover/visit.js");
        let mut headers = vec![
            ("accept", "application/json"),
            ("sec-fetch-dest", "empty"),
            ("sec-fetch-site", "same-origin"),
        ];
        if marked {
            headers.push(("x-cutover-release", hint.as_str()));
        }
        for path in shared.plan.calls.iter().copied() {
            tokio::time::sleep(Duration::from_millis(rng.below(shared.plan.pause_ms + 1))).await;
            ask.send(path, &headers, Some(document)).await;
        }
    }
    let address = person.address;
    lock(&shared.idle).entry(address).or_default().push(client);
    lock(&shared.people).away.push(person);
}

impl Shared {
    /// Somebody who was here before, or somebody new.
    fn somebody(&self, rng: &mut Rng) -> Person {
        let mut people = lock(&self.people);
        if !people.away.is_empty() && rng.below(100) < self.plan.returning {
            let at = usize::try_from(rng.below(people.away.len() as u64)).unwrap_or(0);
            return people.away.swap_remove(at);
        }
        let number = people.known;
        people.known += 1;
        // The whole of 127.0.0.0/8 is this machine.
        let low = u8::try_from(number % 250).unwrap_or(0) + 1;
        Person { number, address: Ipv4Addr::new(127, 1, 0, low).into(), pin: None }
    }

    fn client(&self, address: IpAddr) -> Client {
        lock(&self.idle).get_mut(&address).and_then(Vec::pop).unwrap_or_else(|| {
            Client::new(self.plan.to, &self.plan.host, Protocol::Http1, PATIENCE).from(address).once()
        })
    }
}

/// What one visit sends with.
struct Ask<'a> {
    shared: &'a Shared,
    client: &'a mut Client,
    visit: u32,
    person: &'a mut Person,
    cookie: Option<String>,
}

impl Ask<'_> {
    async fn send(
        &mut self,
        path: &'static str,
        headers: &[(&str, &str)],
        document: Option<ReleaseId>,
    ) -> Option<Answer> {
        let mut all = headers.to_vec();
        all.push(("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"));
        if let Some(cookie) = &self.cookie {
            all.push(("cookie", cookie));
        }
        let held = self.person.pin;
        let sent = Instant::now();
        let result = self.client.get(path, &all).await;
        let done = Instant::now();
        let answer = result.as_ref().ok();
        let got = answer.and_then(pin);
        if let Some(pin) = got {
            self.person.pin = Some(pin);
            self.cookie = Some(format!("cutover={pin}"));
        }
        let sight = Sight {
            visitor: self.person.number,
            visit: self.visit,
            path,
            sent,
            done,
            status: answer.map_or(0, |answer| answer.status.as_u16()),
            lost: result.as_ref().err().cloned(),
            release: answer.and_then(|answer| parsed(answer, "x-cutover-release")),
            said: answer.and_then(said),
            document,
            stale: answer.is_some_and(|answer| answer.header("x-cutover-stale") == "1"),
            reason: answer.map(|answer| answer.header("x-cutover-reason").to_owned()).unwrap_or_default(),
            held,
            got,
        };
        self.shared.trace.write(&Line {
            at_us: u64::try_from(done.saturating_duration_since(self.shared.began).as_micros())
                .unwrap_or(u64::MAX),
            visitor: sight.visitor,
            visit: sight.visit,
            method: "GET",
            path,
            status: sight.status,
            release: &sight.release.map(|release| release.to_string()).unwrap_or_default(),
            reason: &sight.reason,
            stale: sight.stale,
            document: &sight.owner().map(|release| release.to_string()).unwrap_or_default(),
        });
        lock(&self.shared.sights).push(sight);
        result.ok()
    }
}

fn parsed(answer: &Answer, header: &str) -> Option<ReleaseId> {
    answer.header(header).parse().ok()
}

/// The pin an answer sets.
fn pin(answer: &Answer) -> Option<Pin> {
    let cookies = answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    cookies
        .filter_map(|cookie| cookie.split(';').next()?.split_once('='))
        .find(|(name, _)| matches!(*name, "cutover" | "__Host-cutover"))
        .and_then(|(_, value)| Pin::parse(value))
}

/// The release that a document was marked with, or that a service says it is of.
fn said(answer: &Answer) -> Option<ReleaseId> {
    let (before, end) = match answer.header("content-type") {
        kind if kind.starts_with("text/html") => ("name=\"cutover-release\" content=\"", '"'),
        kind if kind.starts_with("application/json") => ("\"release\":\"", '"'),
        _ => return None,
    };
    let text = std::str::from_utf8(&answer.body).ok()?;
    let (_, rest) = text.split_once(before)?;
    rest.split(end).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;

    fn answer(kind: &'static str, body: &'static str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(kind));
        headers.append("set-cookie", HeaderValue::from_static("shop=1; Path=/"));
        headers.append("set-cookie", HeaderValue::from_static("cutover=1.aaaaaaaa.17.5; Path=/; HttpOnly"));
        Answer { status: StatusCode::OK, headers, body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn what_a_body_says_of_itself_is_read_and_so_is_the_pin_among_other_cookies() {
        let html = answer("text/html; charset=utf-8", r#"<meta name="cutover-release" content="bbbbbbbb">"#);
        assert_eq!(said(&html), "bbbbbbbb".parse().ok());
        assert_eq!(said(&answer("application/json", r#"{"release":"cccccccc"}"#)), "cccccccc".parse().ok());
        assert_eq!(said(&answer("text/plain", r#""release":"cccccccc""#)), None);
        assert_eq!(pin(&html).map(|pin| pin.bucket), Some(17));
    }

    #[tokio::test]
    async fn visitors_come_at_their_rate_though_nobody_answers_and_lose_nothing_of_what_they_saw() {
        let nobody = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let plan = CrowdPlan {
            to: nobody,
            host: "shop.example".into(),
            arrivals: 500,
            returning: 50,
            calls: vec!["/api"],
            pause_ms: 0,
            robbed: 0,
            seed: 1,
        };
        let crowd = Crowd::start(plan, &Trace::default());
        while crowd.look(<[Sight]>::len) < 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let sights = crowd.stop().await;
        assert!(sights.iter().all(|sight| sight.failed() && sight.is_navigation() && sight.lost.is_some()));
        assert!(sights.iter().any(|sight| sight.visitor != sights[0].visitor));
    }
}
