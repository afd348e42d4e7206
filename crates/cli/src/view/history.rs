//! What happened.

use cutover_engine::control::HistoryEntry;
use serde::Serialize;

use super::{
    View,
    page::{DIM, Page, paint},
    text,
};

/// The entries of `cutover history`, newest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct History(pub(crate) Vec<HistoryEntry>);

impl View for History {
    fn human(&self, page: &mut Page) {
        if self.0.is_empty() {
            page.line("nothing has happened yet");
            return;
        }
        let rows: Vec<[String; 5]> = self.0.iter().map(row).collect();
        page.table(["#", "WHEN", "WHO", "VERB", "WHAT"], &rows);
    }
}

fn row(entry: &HistoryEntry) -> [String; 5] {
    let mut what = text::one_line(&entry.message);
    if let Some(reason) = &entry.reason {
        what.push_str(&paint(DIM, format!(" (reason: {})", text::one_line(reason))));
    }
    [entry.seq.to_string(), text::moment(entry.at), entry.who.clone(), entry.verb.clone(), what]
}
