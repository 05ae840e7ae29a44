//! Reading a stream at little cost, whatever its protocol: each published line has a mark with its number, and marks are
//! all that is looked for. Order, duplicates and holes are told from the numbers.

/// Begins a mark; stands nowhere else in what any server writes.
const MARK: u8 = b'~';
const DIGITS: usize = 10;
const GAP: &[u8] = b"event: gap";

/// A line of `length` bytes with its number, which begins at 1 in each topic.
pub(super) fn line(number: u64, length: usize) -> Vec<u8> {
    let mut line = format!("~{number:0DIGITS$} ").into_bytes();
    line.resize(length.max(line.len()), b'x');
    line
}

/// What one reader has seen, or several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) lines: u64,
    pub(super) duplicates: u64,
    /// Lines that came after a later one.
    pub(super) disordered: u64,
    /// Lines that never came, and nobody said so.
    pub(super) holes: u64,
    /// Times that it was said that lines were left out.
    pub(super) gaps: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.duplicates += other.duplicates;
        self.disordered += other.disordered;
        self.holes += other.holes;
        self.gaps += other.gaps;
    }
}

/// Takes a stream's bytes in any pieces.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    framing: Framing,
    /// Of a line of the head or of a chunk's size that is not whole yet.
    kept: Vec<u8>,
    /// Of a mark that is not whole yet.
    mark: Vec<u8>,
    /// What is left of a line behind its mark: nothing to look for.
    skip: usize,
    line_length: usize,
    said_gap: bool,
    /// What says that the stream is live.
    ready: Needle,
    /// How often it is still to come.
    pub(super) awaited: usize,
    pub(super) last: u64,
    pub(super) tally: Tally,
}

/// Where in a response the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Framing {
    #[default]
    Head,
    /// The line with a chunk's size, or the empty one before it.
    Size,
    Chunk(usize),
    /// Bytes to the end.
    Plain,
}

impl Scanner {
    /// The stream is live when `ready` has come so often.
    pub(super) fn new(
        http: bool,
        line_length: usize,
        (ready, awaited): (&'static [u8], usize),
    ) -> Self {
        let framing = if http { Framing::Head } else { Framing::Plain };
        Self { framing, line_length, ready: Needle::new(ready), awaited, ..Self::default() }
    }

    /// Calls `seen` with the number of each line that is the next one, or came after a hole.
    pub(super) fn feed(&mut self, mut bytes: &[u8], seen: &mut impl FnMut(u64)) {
        while !bytes.is_empty() {
            match self.framing {
                Framing::Plain => {
                    self.scan(bytes, seen);
                    return;
                }
                Framing::Chunk(left) => {
                    let (body, rest) = bytes.split_at(left.min(bytes.len()));
                    self.scan(body, seen);
                    bytes = rest;
                    let left = left - body.len();
                    self.framing = if left == 0 { Framing::Size } else { Framing::Chunk(left) };
                }
                Framing::Head | Framing::Size => bytes = self.line_of_framing(bytes),
            }
        }
    }

    /// Takes a line of the head or a chunk's size; what follows it.
    fn line_of_framing<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            self.kept.extend_from_slice(bytes);
            return &[];
        };
        self.kept.extend_from_slice(&bytes[..end]);
        if self.framing == Framing::Head {
            // Kept until the head's end: whether there are chunks stands in any of its lines.
            self.kept.push(b'\n');
            if self.kept.ends_with(b"\r\n\r\n") {
                let head = self.kept.to_ascii_lowercase();
                let chunked = contains(&head, b"transfer-encoding: chunked");
                self.framing = if chunked { Framing::Size } else { Framing::Plain };
                self.kept.clear();
            }
        } else {
            let text = String::from_utf8_lossy(&self.kept);
            let size = text.split(';').next().unwrap_or_default().trim();
            if let Ok(size) = usize::from_str_radix(size, 16) {
                self.framing = Framing::Chunk(size);
            }
            self.kept.clear();
        }
        &bytes[end + 1..]
    }

    fn scan(&mut self, mut bytes: &[u8], seen: &mut impl FnMut(u64)) {
        if !self.mark.is_empty() {
            let missing = (DIGITS + 1).saturating_sub(self.mark.len()).min(bytes.len());
            self.mark.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if self.mark.len() <= DIGITS {
                return;
            }
            let mark = std::mem::take(&mut self.mark);
            self.take(number(&mark[1..]), &[], seen);
        }
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let Some(place) = bytes.iter().position(|byte| *byte == MARK) else {
                self.said_gap |= contains(bytes, GAP);
                self.look_for_ready(bytes);
                return;
            };
            let (between, mark) = bytes.split_at(place);
            self.look_for_ready(between);
            if mark.len() <= DIGITS {
                self.said_gap |= contains(between, GAP);
                self.mark.extend_from_slice(mark);
                return;
            }
            self.take(number(&mark[1..=DIGITS]), between, seen);
            bytes = &mark[DIGITS + 1..];
        }
    }

    fn look_for_ready(&mut self, bytes: &[u8]) {
        if self.awaited > 0 {
            self.awaited = self.awaited.saturating_sub(self.ready.count(bytes));
        }
    }

    /// `between`: what stood before the mark and was not looked at. It is only where a line is missing.
    fn take(&mut self, number: u64, between: &[u8], seen: &mut impl FnMut(u64)) {
        self.skip = self.line_length.saturating_sub(DIGITS + 1);
        let tally = &mut self.tally;
        tally.lines += 1;
        if number <= self.last {
            // Only as many can come late as were missing.
            if number < self.last && tally.holes > 0 {
                tally.disordered += 1;
                tally.holes -= 1;
            } else {
                tally.duplicates += 1;
            }
            return;
        }
        let missing = number - self.last - 1;
        if missing > 0 && (self.said_gap || contains(between, GAP)) {
            tally.gaps += 1;
            self.said_gap = false;
        } else {
            tally.holes += missing;
        }
        self.last = number;
        seen(number);
    }
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit.wrapping_sub(b'0')))
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    find(bytes, needle).is_some()
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let place = from + bytes[from..].iter().position(|byte| *byte == first)?;
        if bytes[place..].starts_with(needle) {
            return Some(place);
        }
        from = place + 1;
    }
}

/// Counts how often some bytes stand in a stream, whatever its pieces.
#[derive(Debug, Default)]
pub(super) struct Needle {
    needle: &'static [u8],
    tail: Vec<u8>,
}

impl Needle {
    pub(super) fn new(needle: &'static [u8]) -> Self {
        Self { needle, tail: Vec::new() }
    }

    pub(super) fn count(&mut self, bytes: &[u8]) -> usize {
        self.tail.extend_from_slice(bytes);
        let (mut count, mut from) = (0, 0);
        while let Some(place) = find(&self.tail[from..], self.needle) {
            count += 1;
            from += place + self.needle.len();
        }
        let keep = (self.tail.len() - from).min(self.needle.len().saturating_sub(1));
        self.tail.drain(..self.tail.len() - keep);
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(numbers: &[u64]) -> Vec<u8> {
        let mut stream = Vec::new();
        for number in numbers {
            stream.extend_from_slice(b"id: t\ndata: {\"text\":\"");
            stream.extend_from_slice(&line(*number, 40));
            stream.extend_from_slice(b"\"}\n\n");
        }
        stream
    }

    fn scanned(http: bool, bytes: &[u8], size: usize) -> (Vec<u64>, Tally) {
        let mut scanner = Scanner::new(http, 40, (b"data", 2));
        let mut seen = Vec::new();
        bytes.chunks(size).for_each(|piece| scanner.feed(piece, &mut |number| seen.push(number)));
        (seen, scanner.tally)
    }

    #[test]
    fn lines_are_counted_however_the_bytes_are_cut() {
        let bytes = stream(&[1, 2, 2, 5, 4, 6]);
        let expected =
            Tally { lines: 6, duplicates: 1, disordered: 1, holes: 1, ..Tally::default() };
        for size in [1, 2, 3, 7, 64, bytes.len()] {
            assert_eq!(scanned(false, &bytes, size), (vec![1, 2, 5, 6], expected), "{size}");
        }
    }

    #[test]
    fn a_line_may_be_cut_by_a_chunk_of_the_response() {
        let body = stream(&[1, 2, 3]);
        for cut in 1..body.len() {
            let mut bytes =
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: ~1\r\n\r\n".to_vec();
            for piece in [&body[..cut], &body[cut..]] {
                bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                bytes.extend_from_slice(piece);
                bytes.extend_from_slice(b"\r\n");
            }
            for size in [1, 5, bytes.len()] {
                assert_eq!(scanned(true, &bytes, size).0, [1, 2, 3], "{cut} {size}");
            }
        }
        let plain = [b"HTTP/1.0 200 OK\r\na: b\r\n\r\n".to_vec(), body].concat();
        assert_eq!(scanned(true, &plain, 3).0, [1, 2, 3]);
    }

    #[test]
    fn what_was_left_out_with_a_word_is_no_hole() {
        let mut bytes = stream(&[1]);
        bytes.extend_from_slice(b"event: gap\ndata: {}\n\n");
        bytes.extend_from_slice(&stream(&[8, 10]));
        let (_, tally) = scanned(false, &bytes, bytes.len());
        assert_eq!((tally.gaps, tally.holes), (1, 1));
    }

    #[test]
    fn a_stream_is_live_when_it_says_so_as_often_as_it_must() {
        let bytes = stream(&[1, 2, 3]);
        let end = bytes.len() / 3 + 10;
        for size in [1, 7, bytes.len()] {
            let mut scanner = Scanner::new(false, 40, (b"data", 2));
            bytes[..8].chunks(size).for_each(|piece| scanner.feed(piece, &mut |_| {}));
            assert_eq!(scanner.awaited, 2);
            bytes[8..end].chunks(size).for_each(|piece| scanner.feed(piece, &mut |_| {}));
            assert_eq!(scanner.awaited, 0, "{size}");
        }
    }

    #[test]
    fn acknowledgements_are_counted_however_they_are_cut() {
        let bytes = b"HTTP/1.1 204 X\r\n\r\nHTTP/1.1 200 X\r\n\r\nHTTP/1.1 503 X\r\n";
        for size in [1, 4, 11, bytes.len()] {
            let mut needle = Needle::new(b"HTTP/1.1 2");
            assert_eq!(bytes.chunks(size).map(|piece| needle.count(piece)).sum::<usize>(), 2);
        }
    }
}
