//! The line that is being typed: its text, the cursor in it and the lines before it. Pure: keys in, a line or a wish
//! out; how it looks is the screen's.

use super::keys::Key;
use unicode_width::UnicodeWidthChar;

/// Lines that arrow-up finds.
const LINES_MAX: usize = 500;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Line(String),
    Break,
    Leave,
    Redraw,
}

#[derive(Debug, Default)]
pub(super) struct Editor {
    text: String,
    /// A byte of `text`, always at a character's begin.
    cursor: usize,
    lines: Vec<String>,
    /// Which of `lines` is shown, and the text that it hides.
    recalled: Option<(usize, String)>,
}

impl Editor {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(super) fn press(&mut self, key: Key) -> Option<Wish> {
        match key {
            Key::Char(char) => self.insert(char.encode_utf8(&mut [0; 4])),
            Key::Paste(text) => self.insert(&text),
            Key::Enter => return Some(Wish::Line(self.take())),
            Key::Break => return Some(Wish::Break),
            Key::Redraw => return Some(Wish::Redraw),
            Key::EndOfInput if self.text.is_empty() => return Some(Wish::Leave),
            Key::EndOfInput | Key::Delete => self.remove(self.cursor, self.right_of(self.cursor)),
            Key::Backspace => self.remove(self.left_of(self.cursor), self.cursor),
            Key::Left => self.cursor = self.left_of(self.cursor),
            Key::Right => self.cursor = self.right_of(self.cursor),
            Key::WordLeft => self.cursor = self.word_left(),
            Key::WordRight => self.cursor = self.word_right(),
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = self.text.len(),
            Key::KillToEnd => self.remove(self.cursor, self.text.len()),
            Key::KillToStart => self.remove(0, self.cursor),
            Key::KillWord => self.remove(self.word_left(), self.cursor),
            Key::Up => self.recall(true),
            Key::Down => self.recall(false),
        }
        None
    }

    fn take(&mut self) -> String {
        let line = std::mem::take(&mut self.text);
        (self.cursor, self.recalled) = (0, None);
        if !line.trim().is_empty() && self.lines.last() != Some(&line) {
            self.lines.push(line.clone());
            if self.lines.len() > LINES_MAX {
                self.lines.remove(0);
            }
        }
        line
    }

    fn insert(&mut self, text: &str) {
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
    }

    fn remove(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.cursor = from;
    }

    /// Marks that have no width of their own belong to the character before them.
    fn right_of(&self, at: usize) -> usize {
        let mut chars = self.text[at..].char_indices().skip(1);
        let next = chars.find(|(_, char)| char.width() != Some(0));
        next.map_or(self.text.len(), |(offset, _)| at + offset)
    }

    fn left_of(&self, at: usize) -> usize {
        let mut chars = self.text[..at].char_indices().rev();
        chars.find(|(_, char)| char.width() != Some(0)).map_or(0, |(offset, _)| offset)
    }

    fn word_left(&self) -> usize {
        let before = self.text[..self.cursor].trim_end();
        before.rfind(char::is_whitespace).map_or(0, |at| self.right_of(at))
    }

    fn word_right(&self) -> usize {
        let after = &self.text[self.cursor..];
        let word = after.len() - after.trim_start().len();
        let end = after[word..].find(char::is_whitespace);
        end.map_or(self.text.len(), |end| self.cursor + word + end)
    }

    /// An older line, or a newer one; behind the newest stands what was being typed.
    fn recall(&mut self, older: bool) {
        let (at, draft) = match self.recalled.take() {
            Some(recalled) => recalled,
            None => (self.lines.len(), self.text.clone()),
        };
        let at = if older { at.saturating_sub(1) } else { (at + 1).min(self.lines.len()) };
        let line = self.lines.get(at);
        self.text = line.unwrap_or(&draft).clone();
        self.cursor = self.text.len();
        self.recalled = line.is_some().then_some((at, draft));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::attach::keys::Decoder;

    fn press(editor: &mut Editor, bytes: &str) -> Vec<Wish> {
        let keys = Decoder::default().feed(bytes.as_bytes());
        keys.into_iter().filter_map(|key| editor.press(key)).collect()
    }

    #[track_caller]
    fn check(bytes: &str, text: &str, cursor: usize) {
        let mut editor = Editor::default();
        press(&mut editor, bytes);
        assert_eq!((editor.text(), editor.cursor()), (text, cursor), "{bytes:?}");
    }

    #[test]
    fn text_is_changed_where_the_cursor_is() {
        check("ac\x1b[Db", "abc", 2);
        check("abc\x01\x1b[3~", "bc", 0);
        check("aäb\x1b[D\x7f", "ab", 1);
        check("one two  three\x17", "one two  ", 9);
        check("one two\x1b[1;5D\x0b", "one ", 4);
        check("one two\x01\x1bf\x15", " two", 0);
        check("abc\x01\x04", "bc", 0);
    }

    #[test]
    fn an_accent_is_removed_with_its_letter() {
        check("e\u{301}\x7f", "", 0);
        check("ae\u{301}\x1b[D", "ae\u{301}", 1);
    }

    #[test]
    fn enter_gives_the_line_and_arrow_up_finds_it_again() {
        let mut editor = Editor::default();
        let line = |text: &str| Wish::Line(text.into());
        assert_eq!(press(&mut editor, "one\rtwo\rtwo\r"), [line("one"), line("two"), line("two")]);
        press(&mut editor, "dra\x1b[A");
        assert_eq!(editor.text(), "two");
        press(&mut editor, "\x1b[A\x1b[A");
        assert_eq!(editor.text(), "one");
        press(&mut editor, "\x1b[B\x1b[B");
        assert_eq!(editor.text(), "dra", "what was being typed is not lost");
    }

    #[test]
    fn only_an_empty_line_is_left_by_ctrl_d() {
        let mut editor = Editor::default();
        assert_eq!(press(&mut editor, "a\x04"), []);
        assert_eq!(press(&mut editor, "\x7f\x04"), [Wish::Leave]);
        assert_eq!(press(&mut editor, "a\x03"), [Wish::Break]);
        assert_eq!(editor.text(), "a", "an interrupt keeps what is typed");
    }
}
