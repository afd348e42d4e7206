//! Places in the text of an app description, and the list of what is wrong there.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::ConfigError;

/// A value and the bytes of the text it was read from.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct At<T>(toml::Spanned<T>);

impl<T> At<T> {
    /// The value.
    pub(super) fn get(&self) -> &T {
        self.0.get_ref()
    }

    /// Where it stands.
    pub(super) fn span(&self) -> Range<usize> {
        self.0.span()
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Collects what is wrong, so that a person sees all of it at once.
pub(super) struct Trouble<'a> {
    text: &'a str,
    file: PathBuf,
    found: Vec<(usize, ConfigError)>,
    cut: Vec<usize>,
}

impl<'a> Trouble<'a> {
    pub(super) fn new(text: &'a str, file: &Path) -> Self {
        Self { text, file: file.to_owned(), found: Vec::new(), cut: Vec::new() }
    }

    /// Notes an error at a place.
    pub(super) fn add(&mut self, code: &'static str, span: Range<usize>, message: impl Into<String>) {
        self.note(code, span, message.into(), None);
    }

    /// Notes an error at a place and its remedy.
    pub(super) fn add_hint(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.note(code, span, message.into(), Some(hint.into()));
    }

    fn note(&mut self, code: &'static str, span: Range<usize>, message: String, hint: Option<String>) {
        let (line, column) = self.line_column(span.start);
        let message = printable(&message);
        let error = ConfigError { code, file: self.file.clone(), line, column, message, hint };
        self.found.push((span.start, error));
    }

    /// Where a part of a written string stands in the file. With escapes in the string there is no telling, and the
    /// place is the whole.
    pub(super) fn part(&self, written: &At<String>, part: Range<usize>) -> Range<usize> {
        let span = written.span();
        let raw = self.text.get(span.clone()).unwrap_or_default();
        let begin = raw.find(written.get().as_str()).filter(|begin| *begin <= 5);
        match begin {
            Some(begin) => span.start + begin + part.start..span.start + begin + part.end,
            None => span,
        }
    }

    /// Notes that something was cut out of the table that starts here, with its own error.
    pub(super) fn note_cut(&mut self, table: &Range<usize>) {
        self.cut.push(table.start);
    }

    /// Whether something was cut out of a table, so that "nothing is there" would be a second error about one slip.
    pub(super) fn was_cut(&self, table: &Range<usize>) -> bool {
        self.cut.contains(&table.start)
    }

    /// The line of a place, from 1: for messages that point to a second place.
    pub(super) fn line(&self, span: &Range<usize>) -> u32 {
        self.line_column(span.start).0
    }

    /// Everything found, in the order of the file; nothing where all is well.
    pub(super) fn into_errors(mut self) -> Vec<ConfigError> {
        self.found.sort_by_key(|(at, _)| *at);
        let mut errors: Vec<_> = self.found.into_iter().map(|(_, error)| error).collect();
        errors.dedup();
        errors
    }

    fn line_column(&self, offset: usize) -> (u32, u32) {
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = self.text.get(..end).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }
}

/// What a file says must not reach a terminal as control sequences.
fn printable(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for c in message.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}
