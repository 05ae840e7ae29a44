//! Lines from a pipe, in batches, in bounded memory whatever the other side writes. What a line means is for the
//! codecs; nothing here decodes text.

use crate::agent::RawLine;
use bytes::{Buf, Bytes};
use futures_util::FutureExt;
use std::{
    future::poll_fn,
    io::{self, BufRead},
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, ReadBuf};

/// Read at once; a pipe holds 64 KiB.
const CHUNK: usize = 16 * 1024;

/// How much one batch may hold.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    pub lines: usize,
    /// Once a batch has this many bytes no further line is added, so that it is at most one line longer.
    pub bytes: usize,
}

/// Lines that were ready together.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each line ends in `bytes`, and whether it was cut.
    ends: Vec<(usize, bool)>,
}

impl Batch {
    pub fn lines(&self) -> impl Iterator<Item = RawLine<'_>> {
        let mut start = 0;
        self.ends.iter().map(move |&(end, truncated)| {
            let bytes = &self.bytes[start..end];
            start = end;
            RawLine { bytes, truncated }
        })
    }

    /// The lines together, without their line ends.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn has_room(&self, limits: BatchLimits) -> bool {
        self.ends.len() < limits.lines && self.bytes.len() < limits.bytes
    }
}

/// Splits what it reads at `\n`. It holds at most one unfinished line of `max_line_bytes` and one chunk; while it waits
/// at the start of a line it holds nothing.
#[derive(Debug)]
pub struct LineReader<R> {
    source: R,
    max_line_bytes: usize,
    /// What was read and is not split yet.
    unread: Bytes,
    /// The line being read: at most one byte over the limit, so that a `\r` after a line of just that size is no excess.
    line: Vec<u8>,
    overlong: bool,
    ended: bool,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub fn new(source: R, max_line_bytes: usize) -> Self {
        Self {
            source,
            max_line_bytes,
            unread: Bytes::new(),
            line: Vec::new(),
            overlong: false,
            ended: false,
        }
    }

    /// Waits for a line, then takes all that are ready within `limits`. None at the end, to which a read error is equal:
    /// a pipe that cannot be read has nothing more to say. Nothing is lost when the future is dropped.
    pub async fn next_batch(&mut self, limits: BatchLimits) -> Option<Batch> {
        let mut batch = Batch::default();
        loop {
            self.split(&mut batch, limits);
            if !batch.has_room(limits) || self.ended {
                break;
            }
            // It waits only with an empty batch; that is what makes dropping safe.
            // Split to the end: nothing of the chunk is kept while it waits for the next one.
            self.unread = Bytes::new();
            let fill = poll_fn(|cx| self.poll_fill(cx));
            let filled = match batch.ends.is_empty() {
                true => Some(fill.await),
                false => fill.now_or_never(),
            };
            match filled {
                Some(Ok(())) if !self.unread.is_empty() => {}
                Some(_) => self.end(&mut batch),
                None => break,
            }
        }
        (!batch.ends.is_empty()).then_some(batch)
    }

    /// Reads through a buffer on the stack, so that thousands of readers that wait have none.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [MaybeUninit::uninit(); CHUNK];
        let mut read = ReadBuf::uninit(&mut chunk);
        ready!(Pin::new(&mut self.source).poll_read(cx, &mut read))?;
        self.unread = Bytes::copy_from_slice(read.filled());
        Poll::Ready(Ok(()))
    }

    /// The next line alone, as bytes; for protocols of which every line is an answer.
    pub async fn next_line(&mut self) -> Option<Vec<u8>> {
        let batch = self.next_batch(BatchLimits { lines: 1, bytes: usize::MAX }).await?;
        Some(batch.bytes)
    }

    pub fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    /// Ends the reading here; the line that was not finished, if there is one.
    pub fn close(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        self.end(&mut batch);
        (!batch.ends.is_empty()).then_some(batch)
    }

    fn split(&mut self, batch: &mut Batch, limits: BatchLimits) {
        while !self.unread.is_empty() && batch.has_room(limits) {
            let taken = up_to_newline(&self.unread);
            let piece = &self.unread[..taken];
            let (piece, is_whole) =
                piece.strip_suffix(b"\n").map_or((piece, false), |it| (it, true));
            let room = self.max_line_bytes.saturating_add(1) - self.line.len();
            self.overlong |= piece.len() > room;
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            self.unread.advance(taken);
            if is_whole {
                if !self.overlong && self.line.last() == Some(&b'\r') {
                    self.line.pop();
                }
                self.finish_line(batch);
            }
        }
    }

    fn finish_line(&mut self, batch: &mut Batch) {
        let truncated = self.overlong || self.line.len() > self.max_line_bytes;
        self.line.truncate(self.max_line_bytes);
        self.overlong = false;
        if batch.bytes.is_empty() {
            // The line may be a long one: it is moved, not copied.
            batch.bytes = std::mem::take(&mut self.line);
        } else {
            batch.bytes.append(&mut self.line);
        }
        batch.ends.push((batch.bytes.len(), truncated));
    }

    fn end(&mut self, batch: &mut Batch) {
        self.ended = true;
        if !self.line.is_empty() {
            self.finish_line(batch);
        }
    }
}

/// How many bytes the line has that begins here, with its newline; all where there is none.
fn up_to_newline(mut bytes: &[u8]) -> usize {
    // The library's own search, which takes many bytes at a time.
    bytes.skip_until(b'\n').expect("a slice can be read")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const LIMITS: BatchLimits = BatchLimits { lines: 100, bytes: 1000 };

    /// All lines of `input`, read in pieces of `step` bytes, as text; a cut one ends in `…`.
    async fn lines(input: &[u8], step: usize, max: usize) -> Vec<String> {
        let (mut write, read) = tokio::io::duplex(step);
        let mut reader = LineReader::new(read, max);
        let feed = async move { write.write_all(input).await.unwrap() };
        let collect = async {
            let mut lines = Vec::new();
            while let Some(batch) = reader.next_batch(LIMITS).await {
                lines.extend(batch.lines().map(|line| {
                    let text = String::from_utf8_lossy(line.bytes).into_owned();
                    if line.truncated { text + "…" } else { text }
                }));
            }
            lines
        };
        tokio::join!(feed, collect).1
    }

    async fn check(input: &str, max: usize, expected: &[&str]) {
        for step in [1, 2, 3, 1000] {
            assert_eq!(lines(input.as_bytes(), step, max).await, expected, "{input:?} by {step}");
        }
    }

    #[tokio::test]
    async fn lines_end_with_a_newline_and_perhaps_a_carriage_return() {
        check("a\nb\r\n\n\r\nc\rd\n", 10, &["a", "b", "", "", "c\rd"]).await;
        check("", 10, &[]).await;
        check("\n", 10, &[""]).await;
    }

    #[tokio::test]
    async fn the_last_line_needs_no_newline() {
        check("a\nbc", 10, &["a", "bc"]).await;
    }

    #[tokio::test]
    async fn a_line_over_the_limit_becomes_one_truncated_line() {
        check("12345\n123456\n1234567890\n1\n", 5, &["12345", "12345…", "12345…", "1"]).await;
        check("12345\r\n123456\r\n", 5, &["12345", "12345…"]).await;
        check("1234567", 5, &["12345…"]).await;
    }

    #[tokio::test]
    async fn nul_and_invalid_utf_8_pass_as_they_are() {
        let mut reader = LineReader::new(&b"\0\xff\n\xc3\n"[..], 10);
        let batch = reader.next_batch(LIMITS).await.unwrap();
        let lines: Vec<_> = batch.lines().map(|line| line.bytes).collect();
        assert_eq!(lines, [&b"\0\xff"[..], b"\xc3"]);
    }

    #[tokio::test]
    async fn a_flood_of_tiny_lines_makes_few_batches_within_the_limits() {
        let input = b"0123456789\n".repeat(10_000);
        let mut reader = LineReader::new(&input[..], 100);
        let (mut batches, mut count) = (0, 0);
        while let Some(batch) = reader.next_batch(LIMITS).await {
            assert!(batch.lines().count() <= LIMITS.lines && batch.bytes() <= LIMITS.bytes + 10);
            batches += 1;
            count += batch.lines().count();
        }
        assert_eq!((batches, count), (100, 10_000));
    }

    #[tokio::test]
    async fn what_is_ready_is_not_held_back_for_more() {
        let (mut write, read) = tokio::io::duplex(100);
        let mut reader = LineReader::new(read, 10);
        write.write_all(b"a\nb\nunfinish").await.unwrap();
        assert_eq!(reader.next_batch(LIMITS).await.unwrap().lines().count(), 2);
        assert!(reader.next_batch(LIMITS).now_or_never().is_none());
        write.write_all(b"ed\n").await.unwrap();
        let batch = reader.next_batch(LIMITS).await.unwrap();
        assert_eq!(batch.lines().next().unwrap().bytes, b"unfinished");
    }

    #[tokio::test]
    async fn a_read_error_is_the_end_and_the_unfinished_line_is_delivered() {
        struct Failing(bool);
        impl AsyncRead for Failing {
            fn poll_read(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<std::io::Result<()>> {
                if std::mem::replace(&mut self.0, true) {
                    return Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()));
                }
                buffer.put_slice(b"half");
                Poll::Ready(Ok(()))
            }
        }
        let mut reader = LineReader::new(Failing(false), 10);
        assert_eq!(reader.next_line().await.as_deref(), Some(&b"half"[..]));
        assert_eq!(reader.next_line().await, None);
    }

    #[tokio::test]
    async fn a_line_of_100_mb_is_held_only_up_to_the_limit() {
        let endless = tokio::io::repeat(b'x').take(100 << 20).chain(&b"\nnext\n"[..]);
        let mut reader = LineReader::new(endless, 1 << 20);
        let mut batch = reader.next_batch(LIMITS).await.unwrap();
        assert!(batch.lines().next().unwrap().truncated);
        assert_eq!(batch.bytes(), 1 << 20);
        assert!(batch.bytes.capacity() <= 2 << 20, "{} bytes held", batch.bytes.capacity());
        assert!(reader.line.capacity() <= 1 << 20);
        batch = reader.next_batch(LIMITS).await.unwrap();
        assert_eq!(batch.lines().next().unwrap().bytes, b"next");
    }
}
