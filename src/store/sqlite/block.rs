//! Events as the tables hold them: a run of one session's lines, with a line end between each two. A line is one JSON
//! text and has no line end in it, so that a run needs no index, and a page of history is a copy of a part of it.

use super::super::Line;
use crate::domain::Seq;
use bytes::Bytes;
use std::ops::Range;

const END: u8 = b'\n';

/// Where a run stands in its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: Seq,
    pub(super) count: u32,
}

impl Span {
    pub(super) fn last(self) -> Seq {
        Seq((self.first.0 + u64::from(self.count)).saturating_sub(1))
    }
}

/// Puts lines behind each other.
#[derive(Debug, Default)]
pub(super) struct Builder {
    bytes: Vec<u8>,
    count: u32,
}

impl Builder {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), count: 0 }
    }

    /// Adds a line that `write` appends to what it is given; where it stands.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        if self.count > 0 {
            self.bytes.push(END);
        }
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.count += 1;
        start..self.bytes.len()
    }

    /// Adds all lines of another run, which follow those that are there.
    pub(super) fn extend(&mut self, lines: &[u8], count: u32) {
        if self.count > 0 {
            self.bytes.push(END);
        }
        self.bytes.extend_from_slice(lines);
        self.count += count;
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The lines `wanted` of the run at `span`, copied once and shared; None where the run does not hold what its span says.
pub(super) fn lines(bytes: &[u8], span: Span, wanted: Range<Seq>) -> Option<Vec<Line>> {
    let first = span.first.max(wanted.start);
    let end = span.last().next().min(wanted.end);
    if first >= end {
        return Some(Vec::new());
    }
    let skipped = first.0 - span.first.0;
    let start = after(bytes, skipped)?;
    let count = end.0 - first.0;
    let rest = &bytes[start..];
    let part = match end == span.last().next() {
        true => rest,
        false => &rest[..after(rest, count)? - 1],
    };
    let part = Bytes::copy_from_slice(part);
    let mut found = Vec::with_capacity(usize::try_from(count).ok()?);
    let mut from = 0;
    for (upto, seq) in ends(&part).zip(first.0..) {
        found.push(Line { seq: Seq(seq), bytes: part.slice(from..upto) });
        from = upto + 1;
    }
    (found.len() as u64 == count).then_some(found)
}

/// Where the line after `count` lines begins; None where there is none.
fn after(bytes: &[u8], count: u64) -> Option<usize> {
    match count.checked_sub(1) {
        None => Some(0),
        Some(before) => {
            Some(memchr::memchr_iter(END, bytes).nth(usize::try_from(before).ok()?)? + 1)
        }
    }
}

/// Where each line ends.
fn ends(bytes: &[u8]) -> impl Iterator<Item = usize> {
    memchr::memchr_iter(END, bytes).chain(std::iter::once(bytes.len()))
}

/// The run from `from` on, as bytes of the same run; None as with [`lines`].
pub(super) fn rest(bytes: &[u8], span: Span, from: Seq) -> Option<&[u8]> {
    after(bytes, from.0 - span.first.0).map(|start| &bytes[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(lines: &[&str]) -> Vec<u8> {
        let mut builder = Builder::default();
        for line in lines {
            builder.push(|bytes| bytes.extend_from_slice(line.as_bytes()));
        }
        assert_eq!(builder.count(), lines.len() as u32);
        builder.bytes()
    }

    fn check(wanted: Range<u64>, expected: &[(u64, &str)]) {
        let bytes = run(&["{\"a\":1}", "{}", "{\"b\":2}"]);
        let span = Span { first: Seq(5), count: 3 };
        let found = lines(&bytes, span, Seq(wanted.start)..Seq(wanted.end)).unwrap();
        let found: Vec<_> =
            found.iter().map(|line| (line.seq.0, str::from_utf8(&line.bytes).unwrap())).collect();
        assert_eq!(found, expected, "{wanted:?}");
    }

    #[test]
    fn a_part_of_a_run_is_read_by_its_numbers() {
        let all = [(5, "{\"a\":1}"), (6, "{}"), (7, "{\"b\":2}")];
        check(0..100, &all);
        check(5..8, &all);
        check(6..8, &all[1..]);
        check(5..7, &all[..2]);
        check(6..7, &all[1..2]);
        check(0..5, &[]);
        check(8..9, &[]);
        check(7..7, &[]);
    }

    #[test]
    fn a_run_that_does_not_hold_what_is_said_of_it_is_found_out() {
        let bytes = run(&["a", "b"]);
        let all = Seq(1)..Seq(9);
        assert_eq!(lines(&bytes, Span { first: Seq(1), count: 3 }, all.clone()), None);
        assert_eq!(lines(&bytes, Span { first: Seq(1), count: 1 }, all), None);
        assert_eq!(lines(&bytes, Span { first: Seq(1), count: 9 }, Seq(5)..Seq(6)), None);
    }

    #[test]
    fn runs_are_joined_and_cut() {
        let mut builder = Builder::default();
        builder.extend(&run(&["a", "b"]), 2);
        builder.extend(&run(&["c"]), 1);
        assert_eq!((builder.count(), builder.len()), (3, 5));
        let joined = builder.bytes();
        assert_eq!(joined, b"a\nb\nc");
        let span = Span { first: Seq(1), count: 3 };
        assert_eq!(rest(&joined, span, Seq(1)), Some(&b"a\nb\nc"[..]));
        assert_eq!(rest(&joined, span, Seq(3)), Some(&b"c"[..]));
        assert_eq!(rest(&joined, span, Seq(4)), None);
    }
}
