//! A reader that costs little and checks everything: the frames of one session are counted and their numbers compared,
//! without reading their JSON. It is no client to copy: it knows how this server writes.

use crate::domain::SessionId;
use anyhow::{Context, bail};
use std::{cell::RefCell, io};
use tokio::{io::AsyncWriteExt, net::TcpSocket, net::TcpStream};

/// What a reader has seen of its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) events: u64,
    /// The highest seq that came in order, or that a gap moved to.
    pub(super) cursor: u64,
    pub(super) duplicates: u64,
    /// Events that were skipped without a word.
    pub(super) holes: u64,
    pub(super) gaps: u64,
    pub(super) snapshots: u64,
}

/// Takes a stream's bytes in any pieces.
#[derive(Debug, Default)]
pub(super) struct Frames {
    pub(super) seen: Seen,
    /// An unfinished line; lines are looked at by their beginning, so only that is kept.
    line: Vec<u8>,
    event: Event,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Event {
    #[default]
    Message,
    Gap,
    Snapshot,
    Other,
}

/// So much of a line is enough to tell what it is, of a gap's `resume_at` too.
const LINE_KEPT: usize = 256;

impl Frames {
    pub(super) fn after(cursor: u64) -> Self {
        Self { seen: Seen { cursor, ..Seen::default() }, ..Self::default() }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            if self.line.is_empty() {
                self.take(piece);
            } else {
                self.keep(piece);
                let line = std::mem::take(&mut self.line);
                self.take(&line);
            }
        }
        self.keep(last);
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = LINE_KEPT.saturating_sub(self.line.len());
        self.line.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// Lines of the response's head are none of these, and pass.
    fn take(&mut self, line: &[u8]) {
        if let Some(name) = line.strip_prefix(b"event: ") {
            self.event = match name {
                b"gap" => Event::Gap,
                b"snapshot" => Event::Snapshot,
                _ => Event::Other,
            };
        } else if let Some(data) = line.strip_prefix(b"data: ") {
            match self.event {
                Event::Message => self.event(number(data, b"\"seq\":")),
                Event::Gap => {
                    self.seen.gaps += 1;
                    self.seen.cursor = number(data, b"\"resume_at\":");
                }
                Event::Snapshot => self.seen.snapshots += 1,
                Event::Other => {}
            }
            self.event = Event::Message;
        }
    }

    fn event(&mut self, seq: u64) {
        let seen = &mut self.seen;
        seen.events += 1;
        if seq <= seen.cursor {
            seen.duplicates += 1;
            return;
        }
        seen.holes += seq - seen.cursor - 1;
        seen.cursor = seq;
    }
}

/// The number that follows a name; 0 where there is none.
fn number(data: &[u8], name: &[u8]) -> u64 {
    let head = &data[..data.len().min(LINE_KEPT)];
    let place = head.windows(name.len()).position(|window| window == name);
    let digits = place.map_or(&[][..], |place| &head[place + name.len()..]);
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// Where a session is followed from `after`.
pub(super) fn path(session: SessionId, after: u64) -> String {
    format!("/v1/sessions/{session}/stream?after={session}:{after}")
}

/// One open stream.
pub(super) struct Reader {
    socket: TcpStream,
    frames: Frames,
}

impl Reader {
    /// Asks for `path`, in HTTP/1.0, which has no chunks whose sizes would stand between the frames. `receive_buffer`: the kernel's, for a reader that is to be slow.
    pub(super) async fn open(
        address: &str,
        token: &str,
        path: &str,
        cursor: u64,
        receive_buffer: Option<u32>,
    ) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        let mut socket = socket.connect(address.parse().context("an address")?).await?;
        let head = format!(
            "GET {path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await?;
        Ok(Self { socket, frames: Frames::after(cursor) })
    }

    /// Follows a session from `after`, up to its snapshot.
    pub(super) async fn follow(
        (address, token): (&str, &str),
        session: SessionId,
        after: u64,
        scratch: &RefCell<Vec<u8>>,
    ) -> anyhow::Result<Self> {
        let path = path(session, after);
        let mut reader = Self::open(address, token, &path, after, None).await?;
        reader.until(scratch, |seen| seen.snapshots > 0).await?;
        Ok(reader)
    }

    pub(super) fn seen(&self) -> Seen {
        self.frames.seen
    }

    /// Reads at most `scratch` until what was seen fits. The scratch is nobody's between two reads, so that thousands of
    /// readers need one.
    pub(super) async fn until(
        &mut self,
        scratch: &RefCell<Vec<u8>>,
        fits: impl Fn(&Seen) -> bool,
    ) -> anyhow::Result<()> {
        while !fits(&self.frames.seen) {
            self.socket.readable().await?;
            let mut scratch = scratch.borrow_mut();
            match self.socket.try_read(&mut scratch) {
                Ok(0) => bail!("the stream ended after {:?}", self.frames.seen),
                Ok(length) => self.frames.feed(&scratch[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nevent: welcome\nretry: 1\ndata: {\"seq\":99}\n\n\
        id: t\ndata: {\"session_id\":\"x\",\"seq\":6,\"run\":1}\n\nid: t\ndata: {\"session_id\":\"x\",\"seq\":6}\n\n\
        id: t\ndata: {\"session_id\":\"x\",\"seq\":9}\n\n\
        event: gap\nid: t\ndata: {\"session_id\":\"x\",\"after\":9,\"resume_at\":20}\n\n\
        event: snapshot\nid: t\ndata: {}\n\nid: t\ndata: {\"session_id\":\"x\",\"seq\":21}\n\n";

    #[test]
    fn what_came_is_counted_however_the_bytes_are_cut() {
        let expected =
            Seen { events: 4, cursor: 21, duplicates: 1, holes: 2, gaps: 1, snapshots: 1 };
        for size in [1, 2, 3, 7, 64, STREAM.len()] {
            let mut frames = Frames::after(5);
            STREAM.as_bytes().chunks(size).for_each(|piece| frames.feed(piece));
            assert_eq!(frames.seen, expected, "pieces of {size}");
        }
    }
}
