//! What a person sees: everything that is written is played on a small terminal, and what stands there is compared.

use super::*;
use proptest::prelude::*;

/// A terminal that wraps at its last column, as they all do, and is as high as it takes.
struct Terminal {
    columns: usize,
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Terminal {
    fn new(columns: usize) -> Self {
        Self { columns, rows: vec![Vec::new()], row: 0, column: 0 }
    }

    fn play(&mut self, text: &str) {
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match char {
                '\r' => self.column = 0,
                '\n' => self.row += 1,
                '\x1b' => {
                    assert_eq!(chars.next(), Some('['));
                    let mut number = String::new();
                    let last = loop {
                        match chars.next().expect("an end") {
                            digit if digit.is_ascii_digit() => number.push(digit),
                            last => break last,
                        }
                    };
                    self.command(last, number.parse().unwrap_or(1));
                }
                char => self.put(char),
            }
            while self.rows.len() <= self.row {
                self.rows.push(Vec::new());
            }
        }
    }

    fn command(&mut self, last: char, number: usize) {
        match last {
            'A' => self.row = self.row.checked_sub(number).expect("above the screen"),
            'C' => self.column = (self.column + number).min(self.columns - 1),
            'J' => {
                self.rows.truncate(self.row + 1);
                self.rows[self.row].truncate(self.column);
            }
            'm' => {}
            other => panic!("no command {other}"),
        }
    }

    fn put(&mut self, char: char) {
        let width = char.width().unwrap();
        if width == 0 {
            return;
        }
        if self.column + width > self.columns {
            (self.row, self.column) = (self.row + 1, 0);
            self.rows.resize(self.rows.len().max(self.row + 1), Vec::new());
        }
        let row = &mut self.rows[self.row];
        row.resize(row.len().max(self.column + width), ' ');
        row[self.column] = char;
        self.column += width;
    }

    fn lines(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned()).collect()
    }
}

/// Text as rows of a terminal that nothing else is written to.
fn rows(text: &str, columns: usize) -> Vec<String> {
    let mut terminal = Terminal::new(columns);
    terminal.play(&text.replace('\n', "\r\n"));
    terminal.lines()
}

const LINE: Line<'_> = Line { prompt: "> ", text: "typed", cursor: 5 };

fn played(columns: usize, outputs: &[&str]) -> Vec<String> {
    let (mut screen, mut terminal) = (Screen::new(columns, 24), Terminal::new(columns));
    terminal.play(&screen.repaint(LINE));
    for text in outputs {
        terminal.play(&screen.print(text, LINE));
    }
    assert_eq!((terminal.row, terminal.column), (terminal.rows.len() - 1, 7), "{outputs:?}");
    terminal.lines()
}

#[test]
fn text_that_comes_in_pieces_goes_on_where_it_ended_and_the_typed_line_stays_below() {
    assert_eq!(played(20, &["hel"]), ["hel", "> typed"]);
    assert_eq!(played(20, &["hel", "lo"]), ["hello", "> typed"]);
    assert_eq!(played(20, &["hel", "lo\n", "x"]), ["hello", "x", "> typed"]);
}

#[test]
fn a_row_that_is_just_full_is_followed_by_no_empty_one() {
    assert_eq!(played(10, &["1234567890"]), ["1234567890", "> typed"]);
    assert_eq!(played(10, &["1234567890", "\n", "x"]), ["1234567890", "x", "> typed"]);
    assert_eq!(played(10, &["1234567890", "12"]), ["1234567890", "12", "> typed"]);
}

#[test]
fn colours_take_no_room() {
    assert_eq!(played(10, &["\x1b[31m12345678\x1b[0m", "90"]), ["1234567890", "> typed"]);
}

#[test]
fn the_cursor_stands_where_the_next_character_goes() {
    let (mut screen, mut terminal) = (Screen::new(10, 24), Terminal::new(10));
    for (text, cursor, row, column) in [
        ("", 0, 0, 2),
        ("1234567", 7, 0, 9),
        ("12345678", 8, 1, 0),
        ("12345678", 7, 0, 9),
        ("123456789012", 3, 0, 5),
        ("1234567\u{4e2d}", 7, 1, 0),
        ("a\nb", 3, 0, 5),
    ] {
        terminal.play(&screen.repaint(Line { prompt: "> ", text, cursor }));
        assert_eq!((terminal.row, terminal.column), (row, column), "{text} at {cursor}");
    }
    terminal.play(&screen.close());
    assert_eq!(terminal.lines(), [""]);
}

#[test]
fn a_line_that_is_longer_than_the_screen_is_shown_around_its_cursor() {
    let (mut screen, mut terminal) = (Screen::new(10, 3), Terminal::new(10));
    let text = "x".repeat(500) + "end";
    terminal.play(&screen.repaint(Line { prompt: "> ", text: &text, cursor: text.len() }));
    let lines = terminal.lines();
    assert!(lines.len() <= 3 && lines.concat().ends_with("end"), "{lines:?}");
}

proptest! {
    #[test]
    fn whatever_comes_and_is_typed_all_output_stands_there_once_and_the_line_below_it(
        columns in 8usize..20,
        steps in prop::collection::vec(("[a-c中\n]{0,30}", "[x-z字]{0,30}", 0usize..30), 1..30),
    ) {
        let (mut screen, mut terminal) = (Screen::new(columns, 1000), Terminal::new(columns));
        let mut all = String::new();
        for (output, text, cursor) in &steps {
            let cursor = text.char_indices().nth(*cursor).map_or(text.len(), |(at, _)| at);
            let line = Line { prompt: "> ", text, cursor };
            terminal.play(&screen.print(output, line));
            all.push_str(output);
            let mut expected = rows(&all, columns);
            if expected.last().is_some_and(String::is_empty) { expected.pop(); }
            let typed = rows(&format!("> {text}"), columns);
            let mut seen = terminal.lines();
            // A typed line that fills its row has its cursor in the next one.
            if seen.last().is_some_and(String::is_empty) { seen.pop(); }
            expected.extend(typed);
            prop_assert_eq!(seen, expected);
        }
    }
}
