//! Server-sent events, both ways: frames of a stream to bytes, bytes to events (WHATWG HTML, section 9.2).
//! It knows lines and fields, never what the events mean, and never reads from or writes to anything.

use bytes::{BufMut, Bytes};
use std::collections::VecDeque;

/// One frame as it is written. `data` is usually a line of JSON; line breaks in it become lines of their own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frame<'a> {
    /// None: an EventSource sees a `message`.
    pub event: Option<&'a str>,
    pub id: Option<&'a str>,
    /// Milliseconds after which the client should come back.
    pub retry: Option<u64>,
    pub data: &'a [u8],
}

impl Frame<'_> {
    /// Appends the frame with its closing blank line.
    pub fn encode(&self, out: &mut impl BufMut) {
        if let Some(event) = self.event {
            put_field(out, "event: ", single_line(event));
        }
        if let Some(retry) = self.retry {
            put_field(out, "retry: ", retry.to_string().as_bytes());
        }
        let mut rest = self.data;
        loop {
            let end = line_end(rest).unwrap_or(rest.len());
            put_field(out, "data: ", &rest[..end]);
            match &rest[end..] {
                [] => break,
                [b'\r', b'\n', tail @ ..] | [_, tail @ ..] => rest = tail,
            }
        }
        // Last: some clients take an id as soon as its line is there, and a cut behind it would cost them the event.
        if let Some(id) = self.id {
            put_field(out, "id: ", single_line(id));
        }
        out.put_u8(b'\n');
    }
}

fn put_field(out: &mut impl BufMut, name: &str, value: &[u8]) {
    out.put_slice(name.as_bytes());
    out.put_slice(value);
    out.put_u8(b'\n');
}

/// Names and ids are ours and have no line breaks; should one slip in, it must not become a field of its own.
fn single_line(text: &str) -> &[u8] {
    let bytes = text.as_bytes();
    debug_assert_eq!(line_end(bytes), None, "line break in {text:?}");
    &bytes[..line_end(bytes).unwrap_or(bytes.len())]
}

fn line_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr2(b'\n', b'\r', bytes)
}

/// One event as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerEvent {
    /// `message` where the frame had no name.
    pub event: String,
    /// The frame's data lines, joined by LF.
    pub data: Bytes,
    /// The last event id of the stream at this event: it stands until another one is sent. Empty: none.
    pub id: String,
    /// Milliseconds, where this frame named them.
    pub retry: Option<u64>,
}

/// A line or an event is longer than this reader takes. The rest of the stream cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an event of the stream is over {limit} bytes; fetch it as history, or raise the reader's limit"
)]
pub struct EventTooLong {
    pub limit: usize,
}

/// Bytes in, in any split; events out. Holds at most one line and one event of `limit` bytes each, and the events
/// that ended in the bytes fed last.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    line: Vec<u8>,
    /// The last byte was a CR: an LF that follows belongs to it.
    after_cr: bool,
    at_start: bool,
    failed: bool,
    pending: PendingEvent,
    last_event_id: String,
    ready: VecDeque<ServerEvent>,
}

/// The fields of the event that has not ended yet.
#[derive(Debug, Default)]
struct PendingEvent {
    event: String,
    /// None: no data line so far, which is not the same as an empty one.
    data: Option<Vec<u8>>,
    id: Option<String>,
    retry: Option<u64>,
}

impl Decoder {
    /// `limit`: the most bytes of a line, and of an event's data.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            after_cr: false,
            at_start: true,
            failed: false,
            pending: PendingEvent::default(),
            last_event_id: String::new(),
            ready: VecDeque::new(),
        }
    }

    /// Takes the next bytes of the stream. After an error the events before it can still be taken, and the decoder
    /// takes nothing more.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), EventTooLong> {
        if self.failed {
            return Err(EventTooLong { limit: self.limit });
        }
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = line_end(bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + part.len() > self.limit {
                return self.fail();
            }
            self.line.extend_from_slice(part);
            let Some(end) = end else { break };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            self.end_line()?;
        }
        Ok(())
    }

    /// The next whole event, if one has arrived.
    pub fn next_event(&mut self) -> Option<ServerEvent> {
        self.ready.pop_front()
    }

    /// The id to resume from: also frames without data move it, which are no events.
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    fn fail(&mut self) -> Result<(), EventTooLong> {
        self.failed = true;
        Err(EventTooLong { limit: self.limit })
    }

    fn end_line(&mut self) -> Result<(), EventTooLong> {
        let mut line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.at_start) && line.starts_with("\u{feff}".as_bytes()) {
            line.drain(.."\u{feff}".len());
        }
        let fits = if line.is_empty() {
            self.end_event();
            true
        } else {
            self.pending.field(&line, self.limit)
        };
        // The buffer is kept for the next line.
        line.clear();
        self.line = line;
        if fits { Ok(()) } else { self.fail() }
    }

    fn end_event(&mut self) {
        let PendingEvent { event, data, id, retry } = std::mem::take(&mut self.pending);
        if let Some(id) = id {
            self.last_event_id = id;
        }
        let Some(data) = data else { return };
        self.ready.push_back(ServerEvent {
            event: if event.is_empty() { "message".into() } else { event },
            data: data.into(),
            id: self.last_event_id.clone(),
            retry,
        });
    }
}

impl PendingEvent {
    /// Takes one line that is not empty. False: the event's data would go over `limit`.
    fn field(&mut self, line: &[u8], limit: usize) -> bool {
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => (&line[..at], line[at + 1..].strip_prefix(b" ").unwrap_or(&line[at + 1..])),
            None => (line, &[][..]),
        };
        match name {
            b"data" => match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            },
            b"event" => self.event = text(value),
            b"id" if !value.contains(&0) => self.id = Some(text(value)),
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                // Empty, or beyond 64 bits: no usable time either way.
                self.retry = text(value).parse().ok().or(self.retry);
            }
            // A comment has an empty name; what is unknown is ignored.
            _ => {}
        }
        self.data.as_ref().is_none_or(|data| data.len() <= limit)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
