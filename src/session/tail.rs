//! One reader of one session: joins what is in memory and what is in the log, in order, each event once. It owns
//! correctness alone: wake-ups may come late, double or not at all, lines may come twice or with a hole.

use crate::{
    domain::Seq,
    store::{Line, Page, Watch},
};

/// The newest lines of a session, for as long as they are in memory.
pub trait Live {
    /// Lines after `cursor`; None where the next one is not in memory. A [`Tail`] believes nothing of it: these may be
    /// too few, the wrong ones, doubled or in another order.
    fn lines_after(&self, cursor: Seq, max_lines: usize, max_bytes: usize) -> Option<Vec<Line>>;
}

impl Live for Watch {
    fn lines_after(&self, cursor: Seq, max_lines: usize, max_bytes: usize) -> Option<Vec<Line>> {
        Watch::lines_after(self, cursor, max_lines, max_bytes)
    }
}

/// A cursor and the session's live end. The cursor is the highest contiguous seq that was taken.
#[derive(Debug)]
pub struct Tail<L = Watch> {
    watch: L,
    cursor: Seq,
}

/// What a reader does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing is missing up to the asked seq.
    UpToDate,
    /// These come next; hand them over and [`Tail::take`] them.
    Lines(Vec<Line>),
    /// What comes next is not in memory: read the log after this seq and give the page to [`Tail::page`].
    Read { after: Seq },
}

/// What a page of the log holds for the reader.
#[derive(Debug, PartialEq, Eq)]
pub enum Paged {
    Lines(Vec<Line>),
    /// The log does not reach back to the cursor any more: it begins at `first`.
    Pruned {
        first: Seq,
    },
}

impl<L: Live> Tail<L> {
    pub fn new(watch: L, cursor: Seq) -> Self {
        Self { watch, cursor }
    }

    pub fn watch(&self) -> &L {
        &self.watch
    }

    pub fn cursor(&self) -> Seq {
        self.cursor
    }

    /// Leaves everything up to `cursor` out; the caller tells the reader by a gap.
    pub fn jump(&mut self, cursor: Seq) {
        self.cursor = cursor;
    }

    /// What comes after the cursor, up to and including `upto`, which is committed.
    pub fn next(&self, upto: Seq, max_lines: usize, max_bytes: usize) -> Next {
        if self.cursor >= upto {
            return Next::UpToDate;
        }
        let lines = self.watch.lines_after(self.cursor, max_lines, max_bytes).unwrap_or_default();
        match self.contiguous(lines, upto) {
            lines if lines.is_empty() => Next::Read { after: self.cursor },
            lines => Next::Lines(lines),
        }
    }

    /// A page that was read after the cursor.
    pub fn page(&self, page: Page, upto: Seq) -> Paged {
        if page.first > self.cursor.next() {
            return Paged::Pruned { first: page.first };
        }
        Paged::Lines(self.contiguous(page.lines, upto))
    }

    /// A line was handed over: the cursor moves if it is the next one.
    pub fn take(&mut self, line: &Line) {
        if line.seq == self.cursor.next() {
            self.cursor = line.seq;
        }
    }

    /// Of `lines` those that come next, each once, and up to the first hole.
    fn contiguous(&self, lines: Vec<Line>, upto: Seq) -> Vec<Line> {
        let mut expected = self.cursor.next();
        let mut is_next = |line: &Line| {
            let is_next = line.seq == expected && line.seq <= upto;
            if is_next {
                expected = expected.next();
            }
            is_next
        };
        lines.into_iter().filter(|line| is_next(line)).collect()
    }
}

#[cfg(test)]
mod tests;
