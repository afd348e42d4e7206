//! Visitors with pins on edges that lag behind: what `decide` makes of the tables of a log.

use std::{collections::BTreeMap, sync::Arc};

use cutover_routing::{Pin, ReleaseId, ReleaseState, Request, Settings, Table, decide};

use crate::{
    fake::log::{Entry, What},
    rng::Rng,
};

const HOST: &str = "shop.example";

struct Visitor {
    pin: Option<Pin>,
    on: Option<ReleaseId>,
}

/// Lets visitors navigate through the edges of a log; who is moved although no table since their pin says so, or whose
/// bucket changes. Also returns how many navigations there were.
pub fn bounced(log: &[Entry], visitors: usize, seed: u64) -> (u64, Option<String>) {
    let mut rng = Rng::seeded(seed);
    let mut edges: BTreeMap<usize, Arc<Table>> = BTreeMap::new();
    let mut written: BTreeMap<u64, Arc<Table>> = BTreeMap::new();
    let mut people: Vec<Visitor> = (0..visitors).map(|_| Visitor { pin: None, on: None }).collect();
    let (mut navigations, mut last) = (0, log.first().map_or(0, |entry| entry.at));
    for entry in log {
        // Somebody comes about every half second.
        while last + 500 < entry.at && !edges.is_empty() && !people.is_empty() {
            last += 500;
            let who = usize::try_from(rng.below(people.len() as u64)).unwrap_or(0);
            let edge = usize::try_from(rng.below(edges.len() as u64)).unwrap_or(0);
            let Some(table) = edges.get(&edge) else { continue };
            navigations += 1;
            let id = format!("request-{}", rng.next_u64());
            if let Some(why) = navigate(&mut people[who], table, &written, &id, last) {
                return (navigations, Some(format!("visitor {who} at edge {edge}, {last}: {why}")));
            }
        }
        match &entry.what {
            What::Landed { table, .. } => {
                written.insert(table.generation, Arc::clone(table));
            }
            What::Edge { edge, table } => {
                written.insert(table.generation, Arc::clone(table));
                edges.insert(*edge, Arc::clone(table));
            }
            _ => {}
        }
    }
    (navigations, None)
}

fn navigate(
    visitor: &mut Visitor,
    table: &Table,
    written: &BTreeMap<u64, Arc<Table>>,
    id: &str,
    now: u64,
) -> Option<String> {
    let cookie = visitor.pin.as_ref().map(|pin| format!("cutover={pin}"));
    let mut headers = vec![
        ("sec-fetch-dest", "document"),
        ("sec-fetch-mode", "navigate"),
        ("accept", "text/html"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ];
    headers.extend(cookie.as_deref().map(|cookie| ("cookie", cookie)));
    let request =
        Request { method: "GET", path: "/", query: "", headers: &headers[..], client: None, country: None };
    let mut settings = Settings::new(HOST);
    settings.secure = false;
    let decision = decide(&request, table, &settings, id, now / 1_000);
    let release = decision.action.release();
    let pin = visitor.pin;
    if let (Some(pin), Some(new)) = (&pin, &decision.set_pin)
        && pin.bucket != new.bucket
    {
        return Some(format!("bucket {} became {}", pin.bucket, new.bucket));
    }
    if let (Some(pin), Some(before), Some(after)) = (&pin, visitor.on, release)
        && before != after
    {
        // One write sends everybody back, without waiting for edges that still have blue closed.
        let closed = table.state(&before) == Some(ReleaseState::Closed);
        let mut since = written.range(pin.generation + 1..).map(|(_, table)| table);
        if !closed && !since.any(|table| table.target(pin.bucket) == Some(after)) {
            return Some(format!(
                "moved from {before} to {after}, which no table after generation {} says",
                pin.generation
            ));
        }
    }
    visitor.on = release;
    visitor.pin = decision.set_pin.or(pin);
    None
}
