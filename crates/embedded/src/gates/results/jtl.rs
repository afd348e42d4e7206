//! JMeter's result files (JTL): CSV with a header line, or XML.
//!
//! JMeter adds to a file that is there already, so samples are taken by their own time.

use std::{
    io::{BufRead, BufReader, Read},
    time::Duration,
};

use quick_xml::{Reader, events::Event};

use super::{
    Tally, Written,
    junit::{self, Attributes},
};

/// The most bytes of a CSV file, which is read in a stream.
const LIMIT: u64 = 8 << 30;
/// The most bytes of one line of CSV.
const LINE: usize = 1 << 20;
/// The most columns.
const COLUMNS: usize = 1000;

/// One sample.
struct Sample<'a> {
    /// Unix milliseconds.
    at: Option<u64>,
    elapsed: Option<u64>,
    success: bool,
    label: &'a str,
    code: &'a str,
    message: &'a str,
}

/// `since`: Unix milliseconds; older samples are of earlier runs.
pub(super) fn read(file: &Written, since: u64, tally: &mut Tally) -> Result<(), String> {
    let mut count = |sample: Sample<'_>| {
        match sample.at {
            Some(at) if at < since => {
                tally.stale += 1;
                return Ok(());
            }
            None if file.existed => {
                return Err("was there before, and its samples tell no time in milliseconds: which are new?"
                    .to_owned());
            }
            _ => {}
        }
        tally.tests += 1;
        if let Some(ms) = sample.elapsed {
            tally.times.add(Duration::from_millis(ms));
        }
        if !sample.success {
            tally.fail(|| {
                let why = [sample.code, sample.message].into_iter().filter(|text| !text.is_empty());
                let why: Vec<&str> = why.collect();
                if why.is_empty() {
                    sample.label.to_owned()
                } else {
                    format!("{} ({})", sample.label, why.join(" "))
                }
            });
        }
        Ok(())
    };
    let mut input = BufReader::with_capacity(1 << 16, file.open(LIMIT)?.take(LIMIT));
    let start = input.fill_buf().map_err(unreadable)?;
    match start.iter().find(|byte| !byte.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(byte)) {
        None => Err("is empty".to_owned()),
        Some(b'<') => xml(&junit::text(file)?, &mut count),
        Some(_) => csv(input, &mut count),
    }
}

fn unreadable(error: std::io::Error) -> String {
    format!("cannot be read: {error}")
}

type Count<'a> = dyn FnMut(Sample<'_>) -> Result<(), String> + 'a;

fn csv(mut input: impl BufRead, count: &mut Count<'_>) -> Result<(), String> {
    let start = input.fill_buf().map_err(unreadable)?;
    let header = start.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    let delimiter = [b',', b';', b'\t', b'|'].into_iter().max_by_key(|delimiter| {
        // The first of those that are found most often.
        (header.iter().filter(|byte| *byte == delimiter).count(), u8::from(*delimiter == b','))
    });
    let mut rows = Rows::new(input, delimiter.unwrap_or(b','));
    let columns: Vec<String> = match rows.next()? {
        true => (0..rows.fields()).map(|column| rows.field(column).trim().to_owned()).collect(),
        false => return Err("is empty".to_owned()),
    };
    let place = |name: &str| columns.iter().position(|column| column == name);
    let (Some(success), Some(elapsed)) = (place("success"), place("elapsed")) else {
        return Err("has no header line with `elapsed` and `success` (JMeter: jmeter.save.saveservice.print_field_names)"
            .to_owned());
    };
    let (at, label, code) = (place("timeStamp"), place("label"), place("responseCode"));
    let (failure, message) = (place("failureMessage"), place("responseMessage"));
    while rows.next()? {
        let row = rows.number;
        if rows.fields() != columns.len() {
            let found = rows.fields();
            return Err(format!(
                "is broken: record {row} has {found} columns and the header {}",
                columns.len()
            ));
        }
        let field = |column: Option<usize>| column.map(|column| rows.field(column)).unwrap_or_default();
        let (yes, ms) = (field(Some(success)), field(Some(elapsed)));
        // A second header: two runs were put into one file.
        if yes == "success" && ms == "elapsed" {
            continue;
        }
        let message = match field(failure) {
            text if text.trim().is_empty() => field(message),
            text => text,
        };
        count(Sample {
            at: field(at).trim().parse().ok(),
            elapsed: Some(
                ms.trim().parse().map_err(|_| format!("is broken: record {row} has elapsed {ms:?}"))?,
            ),
            success: truth(&yes).ok_or_else(|| format!("is broken: record {row} has success {yes:?}"))?,
            label: &field(label),
            code: &field(code),
            message: &message,
        })?;
    }
    if rows.quotes % 2 == 1 {
        return Err("is broken: a quoted text does not end".to_owned());
    }
    Ok(())
}

fn truth(text: &str) -> Option<bool> {
    match text.trim() {
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Records of a CSV file (RFC 4180), one at a time.
struct Rows<R> {
    input: R,
    parser: csv_core::Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    filled: usize,
    number: u64,
    quotes: u64,
}

impl<R: BufRead> Rows<R> {
    fn new(input: R, delimiter: u8) -> Self {
        let parser = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        Self { input, parser, text: vec![0; 4096], ends: vec![0; COLUMNS], filled: 0, number: 0, quotes: 0 }
    }

    /// Goes to the next record; false when there is none.
    fn next(&mut self) -> Result<bool, String> {
        use csv_core::ReadRecordResult::{End, InputEmpty, OutputEndsFull, OutputFull, Record};
        let mut written = 0;
        self.filled = 0;
        self.number += 1;
        loop {
            let bytes = self.input.fill_buf().map_err(unreadable)?;
            let (result, read, wrote, ended) =
                self.parser.read_record(bytes, &mut self.text[written..], &mut self.ends[self.filled..]);
            self.quotes += bytes[..read].iter().filter(|byte| **byte == b'"').count() as u64;
            self.input.consume(read);
            written += wrote;
            self.filled += ended;
            match result {
                InputEmpty => {}
                OutputFull if self.text.len() < LINE => self.text.resize(self.text.len() * 2, 0),
                OutputFull => return Err(format!("is broken: record {} is longer than 1 MiB", self.number)),
                OutputEndsFull => {
                    return Err(format!("is broken: record {} has too many columns", self.number));
                }
                Record => return Ok(true),
                End => return Ok(false),
            }
        }
    }

    fn fields(&self) -> usize {
        self.filled
    }

    fn field(&self, column: usize) -> String {
        let from = column.checked_sub(1).map_or(0, |before| self.ends[before]);
        String::from_utf8_lossy(&self.text[from..self.ends[column]]).into_owned()
    }
}

/// `<testResults>` with `<sample>` and `<httpSample>`; samples in samples are parts of them and not counted again.
fn xml(text: &str, count: &mut Count<'_>) -> Result<(), String> {
    let mut reader = Reader::from_str(text);
    let (mut depth, mut rooted) = (0_usize, false);
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|error| format!("is not XML: {error} (byte {at})"))?;
        match &event {
            Event::Start(element) | Event::Empty(element) => {
                let name = element.local_name();
                match depth {
                    0 if rooted => return Err("is not XML: it has a second root element".to_owned()),
                    0 if name.as_ref() != "testResults" => {
                        return Err(format!("is no JTL: its root is <{}>, not <testResults>", name.as_ref()));
                    }
                    1 if ["sample", "httpSample"].contains(&name.as_ref()) => {
                        sample(&Attributes::of(element)?, count)?;
                    }
                    _ => {}
                }
                rooted = true;
                depth += usize::from(matches!(event, Event::Start(_)));
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Eof if !rooted => return Err("is empty".to_owned()),
            Event::Eof if depth > 0 => {
                return Err("ends in the middle: not all elements are closed".to_owned());
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

fn sample(attributes: &Attributes, count: &mut Count<'_>) -> Result<(), String> {
    let text = |key| attributes.get(key).unwrap_or_default();
    let success =
        truth(&text("s")).ok_or("is broken: a sample does not say whether it succeeded (attribute `s`)")?;
    let elapsed = match attributes.get("t") {
        Some(t) => Some(t.trim().parse().map_err(|_| format!("is broken: a sample has elapsed {t:?}"))?),
        None => None,
    };
    let at = text("ts").trim().parse().ok();
    let (label, code, message) = (text("lb"), text("rc"), text("rm"));
    count(Sample { at, elapsed, success, label: &label, code: &code, message: &message })
}
