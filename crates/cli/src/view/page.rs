//! The sheet human results are drawn on: lines, fields and aligned tables, with colour that never carries meaning
//! alone.

use std::fmt::{Display, Write};

use anstyle::{AnsiColor, Style};

/// Secondary matter.
pub(crate) const DIM: Style = Style::new().dimmed();
/// What the eye should find first.
pub(crate) const STRONG: Style = Style::new().bold();
/// The active release.
pub(crate) const BLUE: Style = AnsiColor::Blue.on_default().bold();
/// A release on its way, and whatever is well.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
/// Worth a look.
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
/// Wrong.
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();

/// Text in a style.
pub(crate) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A sheet being drawn.
#[derive(Debug)]
pub(crate) struct Page {
    text: String,
    now_ms: u64,
}

impl Page {
    /// An empty sheet, drawn at a given time (unix milliseconds), which is what "ago" counts from.
    pub(crate) fn at(now_ms: u64) -> Self {
        Self { text: String::new(), now_ms }
    }

    /// An empty sheet drawn now.
    pub(crate) fn now() -> Self {
        Self::at(super::text::now_ms())
    }

    /// How long ago a time (unix milliseconds) was.
    pub(crate) fn ago(&self, at_ms: u64) -> String {
        super::text::ago(self.now_ms, at_ms)
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, line: impl Display) {
        let _ = writeln!(self.text, "{line}");
    }

    /// Adds an empty line unless the sheet is empty.
    pub(crate) fn gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// Adds a named value; names are aligned to a dozen columns.
    pub(crate) fn field(&mut self, name: &str, value: impl Display) {
        let _ = writeln!(self.text, "{} {value}", paint(DIM, format!("{name:<11}")));
    }

    /// Adds rows with aligned columns under a dim heading; trailing blanks are cut.
    pub(crate) fn table<const N: usize>(&mut self, heads: [&str; N], rows: &[[String; N]]) {
        let mut widths = heads.map(width);
        for row in rows {
            for (width_so_far, cell) in widths.iter_mut().zip(row) {
                *width_so_far = (*width_so_far).max(width(cell));
            }
        }
        let draw = |cells: &[String; N]| {
            let mut line = String::new();
            for (cell, column) in cells.iter().zip(widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', column + 2 - width(cell)));
            }
            line.trim_end().to_owned()
        };
        let head = draw(&heads.map(str::to_owned));
        self.line(paint(DIM, head));
        for row in rows {
            let line = draw(row);
            self.line(line);
        }
    }

    /// The finished text.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// Columns a text takes on the terminal: its characters, escape sequences apart.
fn width(text: &str) -> usize {
    anstream::adapter::strip_str(text).to_string().chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_colours() {
        let mut page = Page::at(0);
        page.table(["a", "bb"], &[[paint(RED, "x"), "1".to_owned()], ["long".to_owned(), "2".to_owned()]]);
        let plain = anstream::adapter::strip_str(&page.into_text()).to_string();
        assert_eq!(plain, "a     bb\nx     1\nlong  2\n");
    }
}
