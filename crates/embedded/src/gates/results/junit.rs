//! JUnit's XML, in the many dialects its writers speak.
//!
//! There is no standard. Common to all: `testsuite`, alone or nested in `testsuites` or in each other, holds `testcase`,
//! and a `failure`, `error` or `skipped` in a `testcase` says how it went. Some say it by an attribute `status` or
//! `result`. What a suite's own counts tell beyond the tests it lists counts as failed: a runner that could not even
//! load a file says so only there.

use std::io::Read;

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

use super::{Tally, Written};

/// The most bytes of one XML file.
pub(super) const LIMIT: u64 = 64 << 20;
/// The deepest nesting of elements.
const DEPTH: usize = 200;
/// How much of a failure's text is kept.
const TEXT: usize = 300;

/// The elements around the place that is read.
enum Around {
    Suite {
        name: String,
        declared: u64,
        marks: u64,
    },
    Case(Case),
    /// A failure or error, whose text is wanted where it has no message.
    Mark {
        text: String,
    },
    Other,
}

#[derive(Default)]
struct Case {
    name: String,
    skipped: bool,
    failed: bool,
    message: String,
}

pub(super) fn read(file: &Written, tally: &mut Tally) -> Result<(), String> {
    parse(&text(file)?, tally)
}

/// The whole of an XML file. Bytes that are not UTF-8 can only be in names, where a replacement does no harm.
pub(super) fn text(file: &Written) -> Result<String, String> {
    let mut bytes = Vec::new();
    let opened = file.open(LIMIT)?;
    opened.take(LIMIT).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("is UTF-16; it has to be written as UTF-8".to_owned());
    }
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn parse(text: &str, tally: &mut Tally) -> Result<(), String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let mut report = Report { tally, around: Vec::new(), marks: 0, rooted: false };
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|error| format!("is not XML: {error} (byte {at})"))?;
        match event {
            Event::Start(element) => report.open(&element)?,
            Event::Empty(element) => {
                report.open(&element)?;
                report.close();
            }
            Event::End(_) => report.close(),
            Event::Text(text) => report.text(&text.xml10_content())?,
            Event::CData(text) => report.text(&text.xml10_content())?,
            Event::GeneralRef(entity) => {
                // Never expanded: what a document defines itself is dropped, so that nothing can grow.
                let character = match entity.resolve_char_ref() {
                    Ok(Some(character)) => Some(character.to_string()),
                    _ => quick_xml::escape::resolve_predefined_entity(&entity).map(str::to_owned),
                };
                report.text(&character.unwrap_or_default())?;
            }
            Event::Eof => break,
            Event::Decl(_) | Event::DocType(_) | Event::Comment(_) | Event::PI(_) => {}
        }
    }
    if !report.rooted {
        return Err("is empty".to_owned());
    }
    if !report.around.is_empty() {
        return Err("ends in the middle: not all elements are closed".to_owned());
    }
    Ok(())
}

struct Report<'a> {
    tally: &'a mut Tally,
    around: Vec<Around>,
    /// Failures and errors seen.
    marks: u64,
    rooted: bool,
}

impl Report<'_> {
    fn open(&mut self, element: &BytesStart<'_>) -> Result<(), String> {
        if self.around.len() >= DEPTH {
            return Err(format!("nests elements deeper than {DEPTH}"));
        }
        let name = element.local_name();
        let name = name.as_ref();
        let attributes = Attributes::of(element)?;
        let next = match (name, self.around.last()) {
            (_, None) if self.rooted => return Err("is not XML: it has a second root element".to_owned()),
            ("testsuites" | "testsuite", None | Some(Around::Suite { .. })) => self.suite(&attributes)?,
            (_, None) => {
                return Err(format!(
                    "is no JUnit XML: its root is <{name}>, not <testsuites> or <testsuite>"
                ));
            }
            ("testcase", Some(Around::Suite { .. })) => Around::Case(case(&attributes)),
            ("failure" | "error", Some(Around::Suite { .. } | Around::Case(_))) => {
                self.marks += 1;
                Around::Mark {
                    text: attributes.get("message").or(attributes.get("type")).unwrap_or_default(),
                }
            }
            ("skipped", Some(Around::Case(_))) => {
                if let Some(Around::Case(case)) = self.around.last_mut() {
                    case.skipped = true;
                }
                Around::Other
            }
            _ => Around::Other,
        };
        self.rooted = true;
        self.around.push(next);
        Ok(())
    }

    fn suite(&self, attributes: &Attributes) -> Result<Around, String> {
        let declared = attributes.count("failures")?.saturating_add(attributes.count("errors")?);
        let name = attributes.get("name").unwrap_or_default();
        Ok(Around::Suite { name, declared, marks: self.marks })
    }

    fn close(&mut self) {
        match self.around.pop() {
            Some(Around::Mark { text }) => {
                let text =
                    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned();
                match self.around.last_mut() {
                    Some(Around::Case(case)) => {
                        case.failed = true;
                        if case.message.is_empty() {
                            case.message = text;
                        }
                    }
                    // A suite that could not be set up or torn down.
                    Some(Around::Suite { name, .. }) => {
                        let name = named(name, &text);
                        self.tally.tests += 1;
                        self.tally.fail(|| name);
                    }
                    _ => {}
                }
            }
            Some(Around::Case(case)) => {
                self.tally.tests += 1;
                if case.failed {
                    self.tally.fail(|| named(&case.name, &case.message));
                } else if case.skipped {
                    self.tally.skipped += 1;
                }
            }
            Some(Around::Suite { name, declared, marks }) => {
                let more = declared.saturating_sub(self.marks - marks);
                if more > 0 {
                    self.tally.tests = self.tally.tests.saturating_add(more);
                    self.tally.fail(|| named(&name, &format!("{more} more failed than are listed")));
                    self.tally.failed = self.tally.failed.saturating_add(more - 1);
                    self.marks = self.marks.saturating_add(more);
                }
            }
            Some(Around::Other) | None => {}
        }
    }

    fn text(&mut self, more: &str) -> Result<(), String> {
        match self.around.last_mut() {
            None if !more.trim().is_empty() => {
                Err("is not XML: there is text outside of the root element".to_owned())
            }
            Some(Around::Mark { text }) if text.len() < TEXT => {
                text.extend(more.chars().take(TEXT));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn case(attributes: &Attributes) -> Case {
    let name = attributes.get("name").unwrap_or_default();
    let class = attributes.get("classname").or(attributes.get("class")).unwrap_or_default();
    let name = if class.is_empty() || name.starts_with(&class) { name } else { format!("{class}: {name}") };
    let says = |words: &[&str]| {
        ["status", "result"].iter().filter_map(|key| attributes.get(key)).any(|value| {
            let value = value.trim().to_ascii_lowercase();
            words.contains(&value.as_str())
        })
    };
    Case {
        name,
        skipped: says(&["skipped", "disabled", "notrun", "ignored", "pending", "suppressed"]),
        failed: says(&["failed", "failure", "fail", "error", "errored", "broken", "timedout"]),
        message: String::new(),
    }
}

fn named(name: &str, message: &str) -> String {
    let name = if name.is_empty() { "(without a name)" } else { name };
    if message.is_empty() { name.to_owned() } else { format!("{name} ({message})") }
}

/// The attributes of an element that are read.
pub(super) struct Attributes(Vec<(String, String)>);

impl Attributes {
    pub(super) fn of(element: &BytesStart<'_>) -> Result<Self, String> {
        let mut all = Vec::new();
        for attribute in element.attributes() {
            let attribute = attribute.map_err(|error| format!("is not XML: {error}"))?;
            // An entity that the document defines itself stays as it is written.
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .unwrap_or_else(|_| attribute.value.clone());
            all.push((attribute.key.local_name().as_ref().to_owned(), value.into_owned()));
        }
        Ok(Self(all))
    }

    pub(super) fn get(&self, key: &str) -> Option<String> {
        let found = self.0.iter().find(|(name, _)| name == key)?;
        Some(found.1.chars().take(TEXT).collect())
    }

    fn count(&self, key: &str) -> Result<u64, String> {
        match self.get(key).as_deref().map(str::trim) {
            None | Some("") => Ok(0),
            Some(text) => text.parse().map_err(|_| format!("says {key}=\"{text}\", which is no number")),
        }
    }
}

#[cfg(test)]
mod tests;
