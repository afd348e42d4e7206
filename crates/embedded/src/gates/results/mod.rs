//! What a command has left in files: test reports and samples, read as evidence beside its exit code.
//!
//! Promises: only what was written while the command ran counts; a file that is missing, not readable to its end or
//! without a single test is an error and never a pass; files may be large or hostile without harm (sizes, depths and
//! numbers are bounded, entities are not expanded).

mod files;
mod jtl;
mod junit;

use std::{fmt::Write, path::Path, time::SystemTime};

use cutover_engine::control::Verdict;

use self::files::{Named, Written};
use super::{Found, histogram::Histogram};
use crate::process::log::plain;

/// How many failing tests are remembered by name.
const REMEMBERED: usize = 50;
/// How many are shown.
const SHOWN: usize = 5;
/// Cutover's clock and that of a file system or a tool may differ by so much.
const CLOCKS_DIFFER: std::time::Duration = std::time::Duration::from_secs(2);

/// The form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// JUnit's XML.
    Junit,
    /// JMeter's samples, CSV or XML.
    Jtl,
}

impl Form {
    fn word(self) -> &'static str {
        match self {
            Self::Junit => "JUnit XML",
            Self::Jtl => "JTL",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Junit => "tests",
            Self::Jtl => "samples",
        }
    }
}

/// Results that a command is to write, looked for before it starts.
pub(super) struct Expected {
    form: Form,
    named: Named,
}

impl Expected {
    /// Remembers what is there already: whatever stays as it is, is of an earlier run. Reads the disk.
    pub(super) fn before(form: Form, pattern: &str, dir: &Path) -> Result<Self, String> {
        let named = Named::new(pattern, dir, SystemTime::now());
        Ok(Self { form, named: named.map_err(|why| format!("{} `{pattern}`: {why}", form.word()))? })
    }

    /// Reads what was written since, and judges it. Reads the disk.
    pub(super) fn judge(&self, max_failed: f64) -> Found {
        match self.read() {
            Ok(tally) => tally.judge(self.form, max_failed),
            Err(why) => {
                let what = format!("{} `{}`: {why}", self.form.word(), self.named.pattern);
                Found::new(Verdict::Error, what)
            }
        }
    }

    fn read(&self) -> Result<Tally, String> {
        let found = self.named.written()?;
        if found.files.is_empty() {
            return Err(match found.stale {
                0 => "the command has written no such file".to_owned(),
                1 => "the one file is older than this run of the command, which is no evidence".to_owned(),
                n => format!("all {n} files are older than this run of the command, which is no evidence"),
            });
        }
        let mut tally = Tally { stale_files: found.stale, ..Tally::default() };
        for file in &found.files {
            match self.form {
                Form::Junit => junit::read(file, &mut tally),
                Form::Jtl => jtl::read(file, self.named.since(), &mut tally),
            }
            .map_err(|why| format!("{} {why}", file.shown))?;
        }
        tally.files = found.files.len();
        Ok(tally)
    }
}

/// What all files together say.
#[derive(Default)]
struct Tally {
    files: usize,
    stale_files: usize,
    /// Tests, skipped ones among them, or samples.
    tests: u64,
    skipped: u64,
    failed: u64,
    /// Samples of earlier runs in a file that was written on.
    stale: u64,
    names: Vec<String>,
    times: Histogram,
}

impl Tally {
    fn fail(&mut self, name: impl FnOnce() -> String) {
        self.failed += 1;
        if self.names.len() < REMEMBERED {
            let name = plain(&name());
            if !self.names.contains(&name) {
                self.names.push(name);
            }
        }
    }

    fn judge(&self, form: Form, max_failed: f64) -> Found {
        let unit = form.unit();
        let ran = self.tests - self.skipped;
        let files = if self.files == 1 { "1 file".to_owned() } else { format!("{} files", self.files) };
        let older =
            if self.stale > 0 { format!(", besides {} of earlier runs", self.stale) } else { String::new() };
        if self.tests == 0 {
            return Found::new(
                Verdict::Error,
                format!("not one of the {unit} is in the {files} written{older}"),
            );
        }
        if ran == 0 {
            return Found::new(Verdict::Error, format!("all {} {unit} were skipped", self.tests));
        }
        let mut text = format!("{} of {ran} {unit} passed in {files}{older}", ran - self.failed);
        if self.skipped > 0 {
            let _ = write!(text, "; {} skipped", self.skipped);
        }
        if let Some(p95) = self.times.quantile(0.95) {
            let _ = write!(text, "; p95 {} ms", p95.as_millis());
        }
        if self.stale_files > 0 {
            let _ = write!(text, "; {} older files ignored", self.stale_files);
        }
        // Counts of samples are far below the 2^53 that a float holds.
        let too_many = self.failed as f64 > max_failed * ran as f64;
        if self.failed > 0 {
            let _ = write!(text, "; {} failed", self.failed);
            if max_failed > 0.0 {
                let _ = write!(text, " (up to {}% may)", max_failed * 100.0);
            }
            let _ = write!(text, ": {}", self.names[..self.names.len().min(SHOWN)].join(" | "));
            if self.names.len() > SHOWN {
                text.push_str(" | ...");
            }
        }
        Found::new(if too_many { Verdict::Fail } else { Verdict::Pass }, text)
    }
}

#[cfg(test)]
mod tests;
