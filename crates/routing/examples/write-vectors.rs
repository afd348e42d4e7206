//! Writes the generated part of `conformance/`: the precedence matrix, and the index of all files.
//!
//! `cargo run -p cutover-routing --example write-vectors`

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    dead_code,
    reason = "a tool of the tests: it writes files"
)]

#[path = "../tests/vectors/mod.rs"]
mod vectors;

use std::fs;

use vectors::{
    directory,
    form::{File, Index, Listed},
    matrix,
};

/// In the order in which a new implementation gets them right.
const ORDER: [&str; 8] = ["hash", "share", "pin", "token", "path", "pattern", "classify", "compact"];

fn main() {
    for policy in matrix::POLICIES {
        let (name, text) = matrix::file(policy);
        fs::write(directory().join(name), text).unwrap();
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(directory()).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if file.ends_with(".json") && file != "index.json" {
            let read: File =
                serde_json::from_str(&fs::read_to_string(directory().join(&file)).unwrap()).unwrap();
            files.push(Listed { file, kind: read.kind, cases: read.cases.len() });
        }
    }
    files.sort_by_key(|listed| {
        let rank = ORDER.iter().position(|kind| *kind == listed.kind).unwrap_or(ORDER.len());
        (rank, listed.file.clone())
    });
    let index = Index { version: 1, cases: files.iter().map(|listed| listed.cases).sum(), files };
    fs::write(directory().join("index.json"), serde_json::to_string_pretty(&index).unwrap() + "\n").unwrap();
}
