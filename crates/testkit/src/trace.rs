//! Every request of a proof as one JSON line, so that others can recount what the proof says.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    sync::{Arc, Mutex},
};

use serde::Serialize;

/// One request as its sender saw it.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    /// Microseconds since the proof began, when the answer was complete.
    pub at_us: u64,
    /// Who sent it.
    pub visitor: u32,
    /// Which load of a document it belongs to.
    pub visit: u32,
    /// Method.
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// Status; 0 where there was no answer.
    pub status: u16,
    /// `x-cutover-release`.
    pub release: &'a str,
    /// `x-cutover-reason`.
    pub reason: &'a str,
    /// `x-cutover-stale: 1` was there.
    pub stale: bool,
    /// The release of the visit's document.
    pub document: &'a str,
}

/// Where lines go; nowhere by default. Cloning shares the file.
#[derive(Debug, Clone, Default)]
pub struct Trace(Option<Arc<Mutex<BufWriter<File>>>>);

impl Trace {
    /// Writes to a file, or to nowhere.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn to(path: Option<&Path>) -> std::io::Result<Self> {
        let Some(path) = path else { return Ok(Self(None)) };
        Ok(Self(Some(Arc::new(Mutex::new(BufWriter::new(File::create(path)?))))))
    }

    /// Whether lines go anywhere.
    pub fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Writes one line. A full disk loses lines, not the run.
    pub fn write(&self, line: &impl Serialize) {
        let Some(file) = &self.0 else { return };
        if let (Ok(mut file), Ok(text)) = (file.lock(), serde_json::to_string(line)) {
            let _ = writeln!(file, "{text}");
        }
    }

    /// Empties the buffer.
    pub fn flush(&self) {
        if let Some(Ok(mut file)) = self.0.as_ref().map(|f| f.lock()) {
            let _ = file.flush();
        }
    }
}
