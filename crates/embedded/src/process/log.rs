//! Log files of commands: bounded on disk, and quoted in errors without harm to a terminal.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// How much of a log's end is looked at for its last lines.
const TAIL_BYTES: u64 = 64 << 10;

/// An append-only file that is renamed to `<file>.1` when it is full.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    limit: u64,
}

impl LogFile {
    /// Opens or makes it, readable by its owner only: commands print secrets.
    pub(crate) fn open(path: &Path, limit: u64) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let file = append(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, size, limit })
    }

    /// Appends; where this would make the file larger than the limit, a fresh one is begun first.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.size > 0 && self.size.saturating_add(more) > self.limit {
            fs::rename(&self.path, rotated(&self.path))?;
            self.file = append(&self.path)?;
            self.size = 0;
        }
        self.file.write_all(bytes)?;
        self.size += more;
        Ok(())
    }

    /// A line of Cutover's own, told apart from the command's by its beginning.
    pub(crate) fn note(&mut self, what: &str) {
        let now = httpdate::fmt_http_date(std::time::SystemTime::now());
        // A full disk must not keep the command from running.
        let _ = self.write(format!("{NOTE}{now}: {what}\n").as_bytes());
    }
}

const NOTE: &str = "[cutover] ";

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Where the older half of a log goes.
fn rotated(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// The file's size now, to quote only what comes later.
pub(crate) fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

/// At most `count` last lines a command wrote after byte `from`, control sequences and Cutover's own notes removed.
pub(crate) fn last_lines(path: &Path, from: u64, count: usize) -> Vec<String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len();
        // A file shorter than `from` was begun afresh: all of it is newer.
        let from = if len < from { 0 } else { from };
        file.seek(SeekFrom::Start(from.max(len.saturating_sub(TAIL_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text
        .lines()
        .filter(|line| !line.starts_with(NOTE))
        .map(plain)
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(count)..].to_vec()
}

/// A line without escape sequences and other control characters, cut at 400 characters.
pub(crate) fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // ECMA-48: CSI sequences end with a byte from @ to ~; OSC ones with BEL or ESC \.
            '\u{1b}' => match chars.next() {
                Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                Some(']') => while chars.next().is_some_and(|c| c != '\u{7}' && c != '\u{1b}') {},
                _ => {}
            },
            '\t' => out.push_str("    "),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    if out.chars().count() > 400 { out.chars().take(400).chain(['…']).collect() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_is_renamed_once_and_the_newest_lines_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/api.log");
        let mut log = LogFile::open(&path, 100).unwrap();
        for number in 0..50 {
            log.write(format!("line {number:03}\n").as_bytes()).unwrap();
        }
        assert!(size(&path) <= 100 && size(&rotated(&path)) <= 100);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 2);
        assert_eq!(last_lines(&path, 0, 2), ["line 048", "line 049"]);
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(log);
        LogFile::open(&path, 100).unwrap().write(b"again\n").unwrap();
        assert_eq!(last_lines(&path, 0, 1), ["again"]);
    }

    #[test]
    fn only_what_was_written_since_is_quoted_and_notes_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.log");
        let mut log = LogFile::open(&path, 1 << 20).unwrap();
        log.write(b"old\n").unwrap();
        let from = size(&path);
        log.note("started");
        log.write(b"new\n\n  \nnewer").unwrap();
        assert_eq!(last_lines(&path, from, 20), ["new", "newer"]);
        assert_eq!(last_lines(&path, 1 << 40, 20), ["old", "new", "newer"]);
        assert_eq!(last_lines(&dir.path().join("missing"), 0, 20), [] as [String; 0]);
    }

    #[test]
    fn quoted_lines_cannot_steer_a_terminal() {
        assert_eq!(plain("\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7}text\u{8}\r\ttab"), "red text    tab");
        assert_eq!(plain("\u{1b}"), "");
        assert_eq!(plain(&"x".repeat(500)).chars().count(), 401);
    }
}
