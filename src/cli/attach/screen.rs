//! Output above, the line that is typed below: what to write to a terminal so that neither tears the other. Pure: it
//! knows where the cursor is because it put it there; nothing is written here.

use crate::cli::output::clean;
use unicode_width::UnicodeWidthChar;

/// The prompt and the line that is typed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) prompt: &'a str,
    pub(super) text: &'a str,
    /// A byte of `text`.
    pub(super) cursor: usize,
}

#[derive(Debug)]
pub(super) struct Screen {
    columns: usize,
    rows: usize,
    /// How far the last line of output reaches; the next output goes on there.
    column: usize,
    /// That line has filled its row: the terminal has moved on already.
    is_full: bool,
    /// The row of the cursor within the typed line, while that is shown.
    shown: Option<usize>,
}

/// A place on the screen, relative to where counting began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Spot {
    row: usize,
    column: usize,
}

impl Spot {
    fn pass(&mut self, char: char, columns: usize) {
        let width = match char {
            '\n' => return *self = Spot { row: self.row + 1, column: 0 },
            '\t' => (8 - self.column % 8).min(columns.saturating_sub(self.column)),
            char => char.width().unwrap_or(0),
        };
        if self.column + width > columns {
            *self = Spot { row: self.row + 1, column: 0 };
        }
        self.column += width;
    }
}

impl Screen {
    pub(super) fn new(columns: usize, rows: usize) -> Self {
        let mut screen = Self { columns: 0, rows: 0, column: 0, is_full: false, shown: None };
        screen.resize(columns, rows);
        screen
    }

    /// Terminals arrange long lines anew by themselves, each in its way; the next paint clears what it can reach.
    pub(super) fn resize(&mut self, columns: usize, rows: usize) {
        self.columns = columns.max(8);
        self.rows = rows.max(2);
    }

    /// Output, and the typed line below it.
    pub(super) fn print(&mut self, text: &str, line: Line<'_>) -> String {
        let mut out = self.erase();
        self.output(&mut out, text);
        self.paint(&mut out, line);
        out
    }

    /// The typed line, as it is now.
    pub(super) fn repaint(&mut self, line: Line<'_>) -> String {
        let mut out = self.erase();
        self.paint(&mut out, line);
        out
    }

    /// An empty screen with the typed line.
    pub(super) fn redraw(&mut self, line: Line<'_>) -> String {
        let mut out = "\x1b[2J\x1b[H".to_owned();
        (self.column, self.is_full, self.shown) = (0, false, None);
        self.paint(&mut out, line);
        out
    }

    /// Takes the typed line away, for good; the cursor stands on a row of its own.
    pub(super) fn close(&mut self) -> String {
        let mut out = self.erase();
        if std::mem::take(&mut self.column) > 0 {
            out.push_str("\r\n");
        }
        out
    }

    /// Takes the typed line away; the cursor stands where output ended.
    fn erase(&mut self) -> String {
        let mut out = String::new();
        if let Some(row) = self.shown.take() {
            out.push('\r');
            up(&mut out, row);
            out.push_str("\x1b[J");
            if self.column > 0 {
                up(&mut out, 1);
                right(&mut out, self.column);
            }
        }
        out
    }

    fn output(&mut self, out: &mut String, text: &str) {
        // A row that is full has ended by itself.
        let text = match text.strip_prefix('\n') {
            Some(rest) if std::mem::take(&mut self.is_full) => rest,
            _ => text,
        };
        if text.is_empty() {
            return;
        }
        let mut spot = Spot { row: 0, column: self.column };
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match char {
                '\n' => out.push_str("\r\n"),
                // Colours, which are ours, take no room and end with an m.
                '\x1b' => {
                    out.push(char);
                    out.extend(chars.by_ref().take_while(|char| *char != 'm'));
                    out.push('m');
                    continue;
                }
                char => out.push(char),
            }
            spot.pass(char, self.columns);
        }
        self.is_full = spot.column == self.columns;
        self.column = spot.column;
    }

    fn paint(&mut self, out: &mut String, line: Line<'_>) {
        if self.column > 0 {
            out.push_str("\r\n");
            // From the row's end the terminal goes to the next row's begin, and so will the next output.
            if self.is_full {
                self.column = 0;
            }
        }
        let (text, cursor) = self.window(line);
        let mut spot = Spot::default();
        let mut at = None;
        out.push_str(line.prompt);
        line.prompt.chars().for_each(|char| spot.pass(char, self.columns));
        for (index, char) in text.char_indices() {
            let char = shown(char);
            let mut next = spot;
            next.pass(char, self.columns);
            if index == cursor {
                // A wide character that does not fit stands in the next row, and so does the cursor.
                let row_begin = Spot { row: next.row, column: 0 };
                at = Some(if next.row > spot.row { row_begin } else { spot });
            }
            out.push(char);
            spot = next;
        }
        if spot.column == self.columns {
            out.push_str("\r\n");
            spot = Spot { row: spot.row + 1, column: 0 };
        }
        let at = at.unwrap_or(spot);
        out.push('\r');
        up(out, spot.row - at.row);
        right(out, at.column);
        self.shown = Some(at.row);
    }

    /// As much of the typed text around its cursor as the screen can show, and the cursor in that.
    fn window(&self, line: Line<'_>) -> (String, usize) {
        let text = clean(line.text);
        // What is cleaned keeps its characters one by one, but for line ends, and those are ours.
        let cursor = line.text[..line.cursor].chars().count();
        let chars: Vec<char> = text.chars().collect();
        let cells = self.columns * (self.rows - 1);
        // A wide character takes two cells.
        let room = cells.saturating_sub(line.prompt.chars().count() * 2).max(8) / 2;
        let (from, to) = if chars.len() <= room {
            (0, chars.len())
        } else {
            let from = cursor.saturating_sub(room * 3 / 4);
            (from, (from + room).min(chars.len()))
        };
        let before: String = chars[from..cursor.clamp(from, to)].iter().collect();
        let after: String = chars[cursor.clamp(from, to)..to].iter().collect();
        let cursor = before.len();
        (before + &after, cursor)
    }
}

/// A typed line is one line on the screen.
fn shown(char: char) -> char {
    match char {
        '\n' => '\u{23ce}',
        '\t' => ' ',
        char => char,
    }
}

fn up(out: &mut String, rows: usize) {
    if rows > 0 {
        out.push_str(&format!("\x1b[{rows}A"));
    }
}

fn right(out: &mut String, columns: usize) {
    if columns > 0 {
        out.push_str(&format!("\x1b[{columns}C"));
    }
}

#[cfg(test)]
mod tests;
