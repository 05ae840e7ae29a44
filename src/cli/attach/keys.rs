//! Bytes of a terminal as keys. Pure: what a key does is not known here; sequences that mean nothing to us are dropped
//! whole.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    /// Text that was pasted, line ends and all.
    Paste(String),
    Enter,
    Backspace,
    Delete,
    Left,
    Right,
    WordLeft,
    WordRight,
    Up,
    Down,
    Home,
    End,
    KillToEnd,
    KillToStart,
    KillWord,
    Break,
    EndOfInput,
    Redraw,
}

/// A sequence that does not end by then is none.
const SEQUENCE_MAX: usize = 32;
/// A paste that is longer is cut: the server's default limit of a message.
const PASTE_MAX: usize = 16 * 1024 * 1024;

const PASTE_BEGINS: &str = "\x1b[?2004h";
const PASTE_ENDS: &str = "\x1b[?2004l";

/// What to write so that pastes are told apart from typing, and no more.
pub(super) const MARK_PASTES: &str = PASTE_BEGINS;
pub(super) const UNMARK_PASTES: &str = PASTE_ENDS;

/// Keys out of bytes, over as many reads as they take.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    rest: Vec<u8>,
    paste: Option<Vec<u8>>,
}

impl Decoder {
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.rest.extend_from_slice(bytes);
        let mut keys = Vec::new();
        loop {
            let (used, key) = match &mut self.paste {
                Some(_) => self.pasted(),
                None => self.one(),
            };
            if used == 0 {
                return keys;
            }
            self.rest.drain(..used);
            keys.extend(key);
        }
    }

    /// Takes what is pasted up to its end mark.
    fn pasted(&mut self) -> (usize, Option<Key>) {
        const END: &[u8] = b"\x1b[201~";
        let Some(paste) = &mut self.paste else { return (0, None) };
        let end = self.rest.windows(END.len()).position(|window| window == END);
        // The beginning of an end mark may be all that came of it.
        let taken = end.unwrap_or(self.rest.len().saturating_sub(END.len() - 1));
        let room = PASTE_MAX.saturating_sub(paste.len());
        paste.extend_from_slice(&self.rest[..taken.min(room)]);
        if end.is_none() {
            return (taken, None);
        }
        let text = String::from_utf8_lossy(paste).replace("\r\n", "\n").replace('\r', "\n");
        self.paste = None;
        (taken + END.len(), Some(Key::Paste(text)))
    }

    /// The first key of what is there, and how many bytes it is; none: more must come.
    fn one(&mut self) -> (usize, Option<Key>) {
        let Some(&first) = self.rest.first() else { return (0, None) };
        match first {
            0x1b => self.escape(),
            0x00..0x20 | 0x7f => (1, control(first)),
            _ => self.char(),
        }
    }

    fn char(&self) -> (usize, Option<Key>) {
        let chunk = &self.rest[..self.rest.len().min(4)];
        let valid = match std::str::from_utf8(chunk) {
            Ok(text) => text,
            Err(error) if error.valid_up_to() > 0 => {
                std::str::from_utf8(&chunk[..error.valid_up_to()]).unwrap_or_default()
            }
            Err(error) => match error.error_len() {
                Some(bad) => return (bad, None),
                None => return (0, None),
            },
        };
        match valid.chars().next() {
            Some(char) => (char.len_utf8(), Some(Key::Char(char))),
            None => (0, None),
        }
    }

    fn escape(&mut self) -> (usize, Option<Key>) {
        match self.rest.get(1) {
            None => (0, None),
            Some(b'[') => {
                let end = self.rest.iter().skip(2).position(|byte| (0x40..=0x7e).contains(byte));
                let Some(end) = end else {
                    let is_endless = self.rest.len() > SEQUENCE_MAX;
                    return (if is_endless { self.rest.len() } else { 0 }, None);
                };
                let (used, last) = (end + 3, self.rest[end + 2]);
                let parameters = &self.rest[2..end + 2];
                if (parameters, last) == (b"200", b'~') {
                    self.paste = Some(Vec::new());
                    return (used, None);
                }
                (used, sequence(parameters, last))
            }
            Some(b'O') => match self.rest.get(2) {
                None => (0, None),
                Some(last) => (3, sequence(b"", *last)),
            },
            Some(b'b') => (2, Some(Key::WordLeft)),
            Some(b'f') => (2, Some(Key::WordRight)),
            Some(0x7f) => (2, Some(Key::KillWord)),
            // A lone escape means nothing; what follows it may.
            Some(0x1b) => (1, None),
            Some(_) => (2, None),
        }
    }
}

fn control(byte: u8) -> Option<Key> {
    Some(match byte {
        b'\r' | b'\n' => Key::Enter,
        b'\t' => Key::Char('\t'),
        0x01 => Key::Home,
        0x02 => Key::Left,
        0x03 => Key::Break,
        0x04 => Key::EndOfInput,
        0x05 => Key::End,
        0x06 => Key::Right,
        0x08 | 0x7f => Key::Backspace,
        0x0b => Key::KillToEnd,
        0x0c => Key::Redraw,
        0x0e => Key::Down,
        0x10 => Key::Up,
        0x15 => Key::KillToStart,
        0x17 => Key::KillWord,
        _ => return None,
    })
}

fn sequence(parameters: &[u8], last: u8) -> Option<Key> {
    // `1;5C`: with Control; `1;3C`: with Alt.
    let is_word = parameters.ends_with(b";5") || parameters.ends_with(b";3");
    Some(match (last, parameters) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) if is_word => Key::WordRight,
        (b'D', _) if is_word => Key::WordLeft,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', b"1" | b"7") => Key::Home,
        (b'F', _) | (b'~', b"4" | b"8") => Key::End,
        (b'~', b"3") => Key::Delete,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &str, expected: &[Key]) {
        assert_eq!(Decoder::default().feed(bytes.as_bytes()), expected, "{bytes:?}");
        // The same, a byte at a time.
        let mut decoder = Decoder::default();
        let keys: Vec<_> = bytes.bytes().flat_map(|byte| decoder.feed(&[byte])).collect();
        assert_eq!(keys, expected, "{bytes:?} byte by byte");
    }

    #[test]
    fn text_and_controls_are_keys() {
        check("aä€\u{1f600}", &['a', 'ä', '€', '\u{1f600}'].map(Key::Char));
        check("\r\x03\x04\x7f", &[Key::Enter, Key::Break, Key::EndOfInput, Key::Backspace]);
    }

    #[test]
    fn sequences_of_all_terminals_are_keys_and_unknown_ones_are_dropped_whole() {
        check("\x1b[A\x1bOB\x1b[1;5D\x1bf", &[Key::Up, Key::Down, Key::WordLeft, Key::WordRight]);
        check("\x1b[3~\x1b[H\x1b[4~", &[Key::Delete, Key::Home, Key::End]);
        check("\x1b[?1;2cx\x1b[24~y", &['x', 'y'].map(Key::Char));
    }

    #[test]
    fn a_paste_is_one_piece_and_its_line_ends_send_nothing() {
        check(
            "a\x1b[200~one\r\ntwo\x1b[Arest\x1b[201~\r",
            &[Key::Char('a'), Key::Paste("one\ntwo\x1b[Arest".into()), Key::Enter],
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_dropped() {
        let keys = Decoder::default().feed(b"a\xff\xc3(b");
        assert_eq!(keys, ['a', '(', 'b'].map(Key::Char));
    }
}
