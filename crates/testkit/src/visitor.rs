//! A visitor: what a browser requests for a visit, with the headers it sends, and a judgement of what came back.
//!
//! A visit is one document from load to unload. It is mixed when any answer for it comes from another release than the
//! document did, unless that answer says that it is stale.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use crate::{
    client::{Answer, Client, Protocol},
    rng::Rng,
    trace::{Line, Trace},
};

/// Totals over all visitors of a run.
#[derive(Debug, Default)]
pub struct Totals {
    /// Requests sent.
    pub requests: AtomicU64,
    /// Requests without an answer, or answered 400 and above and not marked stale.
    pub failures: AtomicU64,
    /// Documents loaded.
    pub visits: AtomicU64,
    /// Visits with an answer of another release.
    pub mixed: AtomicU64,
    /// Answers marked stale.
    pub stale: AtomicU64,
    /// Answers of 400 and above that are marked stale: the page's release was closed under it, and the page is told.
    pub cut: AtomicU64,
    /// Navigations that moved a visitor to another release than the one before.
    pub moves: AtomicU64,
}

impl Totals {
    /// One line for a person.
    pub fn line(&self) -> String {
        format!(
            "{} requests, {} failures, {} visits, {} mixed, {} stale answers, {} of them cut pages of a closed release, {} moves",
            self.requests.load(Relaxed),
            self.failures.load(Relaxed),
            self.visits.load(Relaxed),
            self.mixed.load(Relaxed),
            self.stale.load(Relaxed),
            self.cut.load(Relaxed),
            self.moves.load(Relaxed)
        )
    }
}

/// How visitors behave.
#[derive(Debug, Clone)]
pub struct Habits {
    /// Where the edge is.
    pub to: SocketAddr,
    /// The host they ask for.
    pub host: String,
    /// Protocol.
    pub protocol: Protocol,
    /// API paths a page calls while it is open.
    pub api: Vec<String>,
    /// Longest pause between two requests of a visit, milliseconds.
    pub pause_ms: u64,
    /// Forget the pin after every answer: the negative control that must show mixed visits.
    pub forget_pin: bool,
}

/// One visitor with a cookie jar and a connection.
pub struct Visitor<'a> {
    number: u32,
    visits: u32,
    habits: &'a Habits,
    client: Client,
    rng: Rng,
    pin: Option<String>,
    last_release: Option<String>,
    totals: &'a Totals,
    trace: &'a Trace,
    begin: Instant,
    /// What went wrong first, for the report.
    pub first_failure: Option<String>,
    /// When the last document was asked for and when it was there.
    pub navigated: Option<(Instant, Instant)>,
}

impl<'a> Visitor<'a> {
    /// A visitor who was never here.
    pub fn new(
        number: u32,
        seed: u64,
        habits: &'a Habits,
        totals: &'a Totals,
        trace: &'a Trace,
        begin: Instant,
    ) -> Self {
        Self {
            number,
            visits: 0,
            habits,
            client: Client::new(habits.to, &habits.host, habits.protocol, Duration::from_secs(30)),
            rng: Rng::seeded(seed ^ (u64::from(number) << 32)),
            pin: None,
            last_release: None,
            totals,
            trace,
            begin,
            first_failure: None,
            navigated: None,
        }
    }

    /// The release of the last document.
    pub fn release(&self) -> Option<&str> {
        self.last_release.as_deref()
    }

    /// The pin as the jar holds it.
    pub fn pin(&self) -> Option<&str> {
        self.pin.as_deref()
    }

    /// Loads a document and everything a browser would load for it, calls the API while reading, loads lazy chunks late.
    /// Answers whether all went well.
    pub async fn visit(&mut self, path: &str) -> bool {
        self.visits += 1;
        self.totals.visits.fetch_add(1, Relaxed);
        let navigation = [
            ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-site", "none"),
            ("upgrade-insecure-requests", "1"),
        ];
        let asked = Instant::now();
        let document = self.request(path, &navigation, None).await;
        self.navigated = Some((asked, Instant::now()));
        let Some(document) = document else { return false };
        let release = document.header("x-cutover-release").to_owned();
        if self.last_release.as_ref().is_some_and(|last| *last != release) {
            self.totals.moves.fetch_add(1, Relaxed);
        }
        self.last_release = Some(release.clone());
        let html = String::from_utf8_lossy(&document.body).into_owned();
        let hint = html.contains("/.cutover/visit.js");
        let mut mixed = false;
        let mut fine = true;

        let mut loaded = BTreeSet::new();
        let mut wanted: Vec<String> = references(&html, "/");
        let mut api = self.habits.api.clone();
        while let Some(next) = wanted.pop().or_else(|| api.pop()) {
            if !loaded.insert(next.clone()) {
                continue;
            }
            let pause = self.rng.below(self.habits.pause_ms + 1);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let script = next.rsplit('.').next().is_some_and(|e| matches!(e, "js" | "mjs"));
            let dest = if self.habits.api.contains(&next) {
                "empty"
            } else if script {
                "script"
            } else {
                "style"
            };
            let mut headers = vec![
                ("accept", "*/*"),
                ("sec-fetch-dest", dest),
                ("sec-fetch-mode", "cors"),
                ("sec-fetch-site", "same-origin"),
            ];
            if hint && dest == "empty" {
                headers.push(("x-cutover-release", release.as_str()));
            }
            match self.request(&next, &headers, Some(&release)).await {
                None => fine = false,
                Some(answer) => {
                    if answer.header("x-cutover-stale") == "1" {
                        self.totals.stale.fetch_add(1, Relaxed);
                    } else if answer.header("x-cutover-release") != release {
                        mixed = true;
                    }
                    if script {
                        let folder = next.rsplit_once('/').map_or("/", |(folder, _)| folder);
                        wanted.extend(references(&String::from_utf8_lossy(&answer.body), folder));
                    }
                }
            }
        }
        if mixed {
            self.totals.mixed.fetch_add(1, Relaxed);
        }
        fine && !mixed
    }

    async fn request(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        document: Option<&str>,
    ) -> Option<Answer> {
        let pin = self.pin.clone();
        let mut all = headers.to_vec();
        if let Some(pin) = &pin {
            all.push(("cookie", pin));
        }
        self.totals.requests.fetch_add(1, Relaxed);
        let result = self.client.get(path, &all).await;
        let (status, release, reason, stale) = match &result {
            Ok(a) => (
                a.status.as_u16(),
                a.header("x-cutover-release"),
                a.header("x-cutover-reason"),
                a.header("x-cutover-stale") == "1",
            ),
            Err(_) => (0, "", "", false),
        };
        self.trace.write(&Line {
            at_us: u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX),
            visitor: self.number,
            visit: self.visits,
            method: "GET",
            path,
            status,
            release,
            reason,
            stale,
            document: document.unwrap_or(release),
        });
        let problem = match &result {
            Err(error) => Some(error.clone()),
            Ok(answer) if answer.status.as_u16() >= 400 => Some(format!("GET {path}: {}", answer.status)),
            Ok(_) => None,
        };
        if let Some(problem) = problem {
            if stale {
                self.totals.stale.fetch_add(1, Relaxed);
                self.totals.cut.fetch_add(1, Relaxed);
                return None;
            }
            self.totals.failures.fetch_add(1, Relaxed);
            self.first_failure.get_or_insert(problem);
            return None;
        }
        let answer = result.ok()?;
        for cookie in answer.headers.get_all("set-cookie").iter().filter_map(|v| v.to_str().ok()) {
            let pair = cookie.split(';').next().unwrap_or("");
            if pair.starts_with("cutover=") || pair.starts_with("__Host-cutover=") {
                self.pin = (!self.habits.forget_pin).then(|| pair.to_owned());
            }
        }
        Some(answer)
    }
}

/// Finds the paths of scripts and styles in HTML or JavaScript: every quoted word that ends like one.
pub fn references(text: &str, folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for word in text.split(['"', '\'', '`']) {
        let looks = [".js", ".mjs", ".css"].iter().any(|end| word.ends_with(end));
        if !looks || word.len() > 200 || word.contains(|c: char| c.is_whitespace() || "<>{}()$".contains(c)) {
            continue;
        }
        let path = if let Some(rest) = word.strip_prefix("./") {
            format!("{}/{rest}", folder.trim_end_matches('/'))
        } else if word.starts_with('/') && !word.starts_with("//") {
            word.to_owned()
        } else {
            continue;
        };
        if !path.starts_with("/.cutover/") && !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::references;

    #[test]
    fn references_of_a_page_and_of_a_module_are_found() {
        let html = r#"<script src="/.cutover/visit.js"></script><script type="module" src="/assets/a-1.js"></script>
            <link rel="stylesheet" href="./b.css"><a href="https://other.example/x.js">x</a>"#;
        assert_eq!(references(html, "/"), ["/assets/a-1.js", "/b.css"]);
        assert_eq!(
            references("import('./lazy-2.js'); import x from \"./x.js\"", "/assets"),
            ["/assets/lazy-2.js", "/assets/x.js"]
        );
    }
}
