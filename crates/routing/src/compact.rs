//! The compact form of a table, for edges whose stores hold a kilobyte.
//!
//! JSON with one-letter keys in a fixed order, without blanks:
//!
//! ```json
//! {"v":1,"g":45,"d":"blue0001","s":[["green002",0,500]],"o":7311,"r":{"blue0001":"ab","green002":"cg"},"a":{"staff":"green002"}}
//! ```
//!
//! `v` version, `g` generation, `d` default, `s` shares, `o` offset, `r` release to the letters of its state and slot,
//! `a` audiences. `d`, `s`, `o` and `a` are left out when there is no default, no share, an offset of 0, no audience.
//! Releases and audiences are in the order of their bytes. A table has exactly one compact form, and only that is
//! read, so that equal tables have equal bytes and equal digests in every language.

use std::{collections::BTreeMap, fmt::Write};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{Entry, ReleaseId, ReleaseState, Share, Slot, Table, TableError, validate::MAX_COMPACT};

/// Version of the compact form.
const VERSION: u8 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u8,
    g: u64,
    #[serde(default)]
    d: Option<ReleaseId>,
    #[serde(default)]
    s: Vec<(ReleaseId, u16, u16)>,
    #[serde(default)]
    o: u16,
    r: BTreeMap<ReleaseId, String>,
    #[serde(default)]
    a: BTreeMap<String, ReleaseId>,
}

/// The version alone, so that an unknown version is named whatever else it brings.
#[derive(Deserialize)]
struct Version {
    v: u64,
}

impl Table {
    /// The compact form. Of a valid table it has at most [`MAX_COMPACT`] bytes.
    pub fn to_compact(&self) -> String {
        let mut text = String::with_capacity(96 + 26 * self.releases.len());
        // Writing to a string cannot fail; no part needs escaping in a valid table.
        let _ = self.write_compact(&mut text);
        text
    }

    fn write_compact(&self, out: &mut String) -> std::fmt::Result {
        write!(out, "{{\"v\":{VERSION},\"g\":{}", self.generation)?;
        if let Some(default) = self.default {
            write!(out, ",\"d\":\"{default}\"")?;
        }
        if !self.shares.is_empty() {
            out.push_str(",\"s\":[");
            for (index, Share { release, first, width }) in self.shares.iter().enumerate() {
                write!(out, "{}[\"{release}\",{first},{width}]", comma(index))?;
            }
            out.push(']');
        }
        if self.offset != 0 {
            write!(out, ",\"o\":{}", self.offset)?;
        }
        out.push_str(",\"r\":{");
        for (index, (release, entry)) in self.releases.iter().enumerate() {
            write!(out, "{}\"{release}\":\"{}", comma(index), entry.state.letter())?;
            out.extend(entry.slot.map(Slot::letter));
            out.push('"');
        }
        out.push('}');
        if !self.audiences.is_empty() {
            out.push_str(",\"a\":{");
            for (index, (name, release)) in self.audiences.iter().enumerate() {
                let name = serde_json::to_string(name).unwrap_or_default();
                write!(out, "{}{name}:\"{release}\"", comma(index))?;
            }
            out.push('}');
        }
        out.push('}');
        Ok(())
    }

    /// Reads the compact form and validates the table.
    ///
    /// # Errors
    /// Longer than [`MAX_COMPACT`], another version, malformed, not the one compact form of its table, or invalid.
    pub fn from_compact(text: &str) -> Result<Self, TableError> {
        if text.len() > MAX_COMPACT {
            return refuse(format!("{} bytes, the most is {MAX_COMPACT}", text.len()));
        }
        let malformed = |error: serde_json::Error| TableError::Compact(error.to_string());
        let Version { v } = serde_json::from_str(text).map_err(malformed)?;
        if v != u64::from(VERSION) {
            return refuse(format!("version {v}, only {VERSION} is known"));
        }
        let wire: Wire = serde_json::from_str(text).map_err(malformed)?;
        debug_assert_eq!(wire.v, VERSION);
        let mut table = Self {
            generation: wire.g,
            default: wire.d,
            shares: wire
                .s
                .into_iter()
                .map(|(release, first, width)| Share { release, first, width })
                .collect(),
            offset: wire.o,
            releases: BTreeMap::new(),
            audiences: wire.a,
        };
        for (release, letters) in wire.r {
            let Some(entry) = entry(&letters) else {
                return refuse(format!("release {release} has the letters {letters:?}"));
            };
            table.releases.insert(release, entry);
        }
        table.validate()?;
        if table.to_compact() != text {
            return refuse(
                "not in the one compact form of its table (order, blanks or doubled keys)".to_owned(),
            );
        }
        Ok(table)
    }

    /// SHA-256 of the compact form in lower-case hex: equal exactly for equal tables.
    pub fn digest(&self) -> String {
        Sha256::digest(self.to_compact().as_bytes()).iter().fold(
            String::with_capacity(64),
            |mut hex, byte| {
                // Writing to a string cannot fail.
                let _ = write!(hex, "{byte:02x}");
                hex
            },
        )
    }
}

fn entry(letters: &str) -> Option<Entry> {
    let mut letters = letters.chars();
    let state = ReleaseState::from_letter(letters.next()?)?;
    let slot = match letters.next() {
        Some(letter) => Some(Slot::from_letter(letter)?),
        None => None,
    };
    letters.next().is_none().then_some(Entry { state, slot })
}

fn comma(index: usize) -> &'static str {
    if index == 0 { "" } else { "," }
}

fn refuse<T>(what: String) -> Result<T, TableError> {
    Err(TableError::Compact(what))
}
