//! A range of a session's stored events, page by page, oldest first. What is live is the stream's.

use super::{Client, ClientError, EventQuery};
use crate::{
    domain::{Seq, SessionId},
    wire::api::{GapFrame, GapReason},
};
use serde_json::value::RawValue;

/// How many events to ask for at once; the server ends a page of large ones early.
const PAGE: u32 = 1000;

/// Reads the events after one seq up to and with another, or up to the head.
#[derive(Debug)]
pub struct History {
    client: Client,
    session: SessionId,
    cursor: Seq,
    upto: Option<Seq>,
    done: bool,
}

impl Client {
    /// The stored events with `after < seq <= upto`; without `upto`: up to the head at the time of the last page.
    pub fn history(&self, session: SessionId, after: Seq, upto: Option<Seq>) -> History {
        let done = upto.is_some_and(|upto| upto <= after);
        History { client: self.clone(), session, cursor: after, upto, done }
    }
}

impl GapFrame {
    /// The pages of what the stream left out, to be loaded when someone wants to see it. None: the log knows nothing
    /// of it, because it is another log than the one that was followed.
    pub fn pages(&self, client: &Client) -> Option<History> {
        let after = self.after.filter(|_| self.reason != GapReason::CursorAhead)?;
        Some(client.history(self.session_id, after, Some(self.resume_at)))
    }
}

impl History {
    /// The next page as the stored lines; None after the last.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Box<RawValue>>>, ClientError> {
        if self.done {
            return Ok(None);
        }
        let query =
            EventQuery { after: Some(self.cursor), limit: Some(PAGE), ..Default::default() };
        let page = self.client.events(self.session, &query).await?;
        let mut lines = Vec::with_capacity(page.events.len());
        for line in page.events {
            let seq = self.seq_of(&line)?;
            if self.upto.is_some_and(|upto| seq > upto) {
                self.done = true;
                break;
            }
            self.cursor = seq;
            lines.push(line);
        }
        // A page without events has nothing to go on from, whatever it says of more.
        self.done |= !page.has_more || lines.is_empty() || Some(self.cursor) == self.upto;
        Ok(Some(lines))
    }

    /// A line of a page that cannot be read as an event.
    pub(super) fn malformed(&self, error: &serde_json::Error) -> ClientError {
        self.client.malformed(format!("a page of history: {error}"))
    }

    /// The seq of the last event that was read.
    pub fn cursor(&self) -> Seq {
        self.cursor
    }

    fn seq_of(&self, line: &RawValue) -> Result<Seq, ClientError> {
        #[derive(serde::Deserialize)]
        struct Numbered {
            seq: Seq,
        }
        self.client.parse::<Numbered>(line.get().as_bytes()).map(|numbered| numbered.seq)
    }
}
