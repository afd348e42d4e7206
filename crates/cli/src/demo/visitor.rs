//! A visitor: loads pages over one connection as a browser does, and checks that everything a page gets comes from the
//! page's own release.
//!
//! A visit is one document: navigation, the files it names, the modules those import, calls to the API, and later, when
//! the visitor has looked around, chunks that are loaded lazily. Requests carry the cookies and the fetch metadata a
//! browser sends; documents are kept and asked for again with their validator; immutable files are kept for good.

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use cutover_routing::ReleaseId;

use super::{
    connection::{Answer, Connection},
    links,
    random::Random,
    tally::Tally,
};

/// What a current browser says it is.
pub(super) const BROWSER: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

/// Where visitors go.
#[derive(Debug, Clone)]
pub(super) struct Tour {
    /// The edge.
    pub(super) edge: SocketAddr,
    /// The host they ask for.
    pub(super) host: String,
    /// Pages they open.
    pub(super) pages: &'static [&'static str],
    /// What their pages ask the API.
    pub(super) api: &'static [&'static str],
}

/// One visitor.
pub(super) struct Visitor {
    number: usize,
    /// As whom they are counted: whoever forgets everything is somebody new.
    who: u32,
    tour: Arc<Tour>,
    tally: Arc<Tally>,
    connection: Connection,
    random: Random,
    cookies: BTreeMap<String, String>,
    documents: BTreeMap<String, Document>,
    kept: HashSet<String>,
}

/// A document in the browser's cache.
#[derive(Debug, Clone)]
struct Document {
    validator: Option<String>,
    body: String,
    release: ReleaseId,
}

/// The open page.
struct Page {
    path: String,
    release: ReleaseId,
    marked: bool,
    mixed: Option<String>,
    lazy: Vec<String>,
}

impl Visitor {
    /// A visitor who comes for the first time.
    pub(super) fn new(number: usize, tour: Arc<Tour>, tally: Arc<Tally>) -> Self {
        let connection = Connection::new(tour.edge, &tour.host);
        let who = tally.encounters().newcomer();
        Self {
            number,
            who,
            tour,
            tally,
            connection,
            random: Random::seeded(number as u64 + 1),
            cookies: BTreeMap::new(),
            documents: BTreeMap::new(),
            kept: HashSet::new(),
        }
    }

    /// Visits pages until the task is ended; now and then leaves for good and comes back as somebody new.
    pub(super) async fn stay(mut self) {
        self.pause(0, 400).await;
        loop {
            self.visit().await;
            self.pause(50, 250).await;
            if self.random.below(8) == 0 {
                self.cookies.clear();
                self.documents.clear();
                self.kept.clear();
                self.who = self.tally.encounters().newcomer();
            }
        }
    }

    /// One visit, from load to unload. Answers the release of its document.
    pub(super) async fn visit(&mut self) -> Option<ReleaseId> {
        let path = self.random.of(self.tour.pages).to_owned();
        let (mut page, html) = self.open(path).await?;
        self.tally.page(self.number, page.release);
        let first = links::of_document(&html, &page.path);
        self.load(&mut page, first.now).await;
        self.call(&mut page, 2).await;
        self.pause(50, 400).await;
        // Lazy chunks come late: by then the release may have been replaced.
        while !page.lazy.is_empty() {
            let chunk = page.lazy.swap_remove(self.random.below(page.lazy.len()));
            self.load(&mut page, vec![chunk]).await;
            self.call(&mut page, 1).await;
            self.pause(20, 200).await;
            if self.random.below(3) == 0 {
                break;
            }
        }
        self.tally.visit(page.release, page.mixed);
        Some(page.release)
    }

    /// Navigates: the answer is a new document, or says that the one kept is still right.
    async fn open(&mut self, path: String) -> Option<(Page, String)> {
        let kept = self.documents.get(&path).cloned();
        let mut headers = vec![
            ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-site", "none"),
            ("sec-fetch-user", "?1"),
            ("upgrade-insecure-requests", "1"),
        ];
        if let Some(validator) = kept.as_ref().and_then(|kept| kept.validator.as_deref()) {
            headers.push(("if-none-match", validator));
        }
        let (began, answer) = self.ask(&path, &headers).await;
        let release = answer.as_ref().ok().and_then(release_of);
        self.count(release, began, &path, &answer);
        if let Some(release) = release {
            self.tally.encounters().page(self.who, release, began);
        }
        let (answer, release) = (answer.ok()?, release?);
        let document = match kept {
            // The page shown is the kept one, whichever release says that it is unchanged.
            Some(kept) if answer.status == hyper::StatusCode::NOT_MODIFIED => kept,
            _ if answer.status.is_success() => Document {
                validator: answer.header("etag").map(str::to_owned),
                body: String::from_utf8_lossy(&answer.body).into_owned(),
                release,
            },
            _ => return None,
        };
        let marker = links::marker(&document.body).map(str::to_owned);
        let mut page = Page {
            release: document.release,
            marked: marker.is_some(),
            mixed: None,
            lazy: Vec::new(),
            path: path.clone(),
        };
        self.compare(&mut page, &path, &answer);
        if marker.is_some_and(|marker| marker != document.release.as_str()) {
            page.mixed.get_or_insert(format!("{path} holds a page of another release than its header says"));
        }
        let body = document.body.clone();
        self.documents.insert(path, document);
        Some((page, body))
    }

    /// Loads files and, for modules, what they import at once.
    async fn load(&mut self, page: &mut Page, files: Vec<String>) {
        let mut open = files;
        let mut seen: HashSet<String> = open.iter().cloned().collect();
        while let Some(path) = open.pop() {
            if self.kept.contains(&path) {
                continue;
            }
            let dest = match path.rsplit_once('.') {
                Some((_, "js" | "mjs")) => "script",
                Some((_, "css")) => "style",
                _ => "image",
            };
            let mode = if dest == "script" { "cors" } else { "no-cors" };
            let referer = format!("http://{}{}", self.tour.host, page.path);
            let headers = [
                ("accept", "*/*"),
                ("referer", referer.as_str()),
                ("sec-fetch-dest", dest),
                ("sec-fetch-mode", mode),
                ("sec-fetch-site", "same-origin"),
            ];
            let (began, answer) = self.ask(&path, &headers).await;
            self.count(Some(page.release), began, &path, &answer);
            let Ok(answer) = answer else { continue };
            self.compare(page, &path, &answer);
            if dest == "script" && answer.status.is_success() {
                let found = links::of_module(&String::from_utf8_lossy(&answer.body), &path);
                open.extend(found.now.into_iter().filter(|path| seen.insert(path.clone())));
                page.lazy.extend(found.later.into_iter().filter(|path| seen.insert(path.clone())));
            }
            // Modules are read again for each page, since what they import belongs to the page.
            let immutable = answer.header("cache-control").is_some_and(|value| value.contains("immutable"));
            if immutable && dest != "script" {
                self.kept.insert(path);
            }
        }
    }

    /// Calls the API so many times, as the page's script does.
    async fn call(&mut self, page: &mut Page, times: usize) {
        for _ in 0..times {
            let path = self.random.of(self.tour.api);
            let referer = format!("http://{}{}", self.tour.host, page.path);
            let release = page.release;
            let mut headers = vec![
                ("accept", "application/json"),
                ("referer", referer.as_str()),
                ("sec-fetch-dest", "empty"),
                ("sec-fetch-mode", "cors"),
                ("sec-fetch-site", "same-origin"),
            ];
            // What the script that staging adds to pages does.
            if page.marked {
                headers.push(("x-cutover-release", release.as_str()));
            }
            let (began, answer) = self.ask(path, &headers).await;
            let failed = !answer.as_ref().is_ok_and(|answer| answer.status.as_u16() < 400);
            self.tally.encounters().call(self.who, page.release, began, failed);
            self.count(Some(page.release), began, path, &answer);
            if let Ok(answer) = answer {
                self.compare(page, path, &answer);
            }
        }
    }

    /// Sends a request with the visitor's cookies and takes those of the answer.
    async fn ask(&mut self, path: &str, headers: &[(&str, &str)]) -> (Instant, Result<Answer, String>) {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut all = vec![("user-agent", BROWSER), ("accept-language", "en")];
        all.extend_from_slice(headers);
        if !cookies.is_empty() {
            all.push(("cookie", &cookies));
        }
        let began = Instant::now();
        let answer = self.connection.get(path, &all).await;
        if let Ok(answer) = &answer {
            for cookie in answer.headers.get_all("set-cookie") {
                let first = cookie.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
                if let Some((name, value)) = first.split_once('=') {
                    self.cookies.insert(name.to_owned(), value.to_owned());
                }
            }
        }
        (began, answer)
    }

    fn count(&self, release: Option<ReleaseId>, began: Instant, path: &str, answer: &Result<Answer, String>) {
        let failure = match answer {
            Err(error) => Some(format!("{path}: {error}")),
            Ok(answer) if answer.status.as_u16() >= 400 => Some(format!("{path}: status {}", answer.status)),
            Ok(_) => None,
        };
        self.tally.request(release, began.elapsed(), failure);
    }

    /// An answer of another release makes the visit mixed, unless it says that it is stale. What a service says of itself
    /// counts as much as what the edge says in the header.
    fn compare(&self, page: &mut Page, path: &str, answer: &Answer) {
        // What the edge itself answers, such as the tabs script, belongs to no release.
        if answer.header("x-cutover-stale") == Some("1") || path.starts_with("/.cutover/") {
            return;
        }
        let in_header = answer.header("x-cutover-release").unwrap_or("no release");
        let in_body = own_word(answer);
        for other in [Some(in_header), in_body.as_deref()].into_iter().flatten() {
            if other != page.release.as_str() {
                page.mixed
                    .get_or_insert_with(|| format!("{path} came from {other} on a page of {}", page.release));
            }
        }
    }

    async fn pause(&mut self, least_ms: u64, most_ms: u64) {
        let more = self.random.below((most_ms - least_ms) as usize) as u64;
        tokio::time::sleep(Duration::from_millis(least_ms + more)).await;
    }
}

/// The release that answered.
pub(super) fn release_of(answer: &Answer) -> Option<ReleaseId> {
    answer.header("x-cutover-release")?.parse().ok()
}

/// The release a service names in the body of its answer, where it does.
pub(super) fn own_word(answer: &Answer) -> Option<String> {
    if !answer.header("content-type")?.starts_with("application/json") {
        return None;
    }
    let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    body.get("release")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests;
