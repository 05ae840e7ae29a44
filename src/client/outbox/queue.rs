//! The queue of an outbox: state and input in, what to do next out. Pure: time, randomness and answers are handed in,
//! and what it says to send is sent elsewhere.

use crate::{
    client::{
        ClientError,
        retry::{Pace, Verdict, verdict},
    },
    domain::{MessageId, Seq, Timestamp},
    wire::{api::SendMessage, problem::ErrorCode},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Messages that the server has not acknowledged, failed ones included. The next one is refused to its caller.
pub const OUTBOX_MAX: usize = 100;

/// Messages that the server had, kept to show what became of them. The log has them all.
const SETTLED_MAX: usize = 100;

/// One message and what is known of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub message: Arc<SendMessage>,
    #[serde(flatten)]
    pub state: EntryState,
    /// The server has it: it must never be posted under another id by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
    /// Of its `user.message`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum EntryState {
    /// On its way, or waiting for it.
    Pending,
    /// Acknowledged.
    Accepted,
    /// It will not run unless it is sent again. `reason`: a fixed word.
    Failed { reason: String, detail: String },
    /// The agent was lost while it had it.
    Uncertain,
}

impl Entry {
    pub fn id(&self) -> &MessageId {
        &self.message.message_id
    }

    /// A message that nobody has sent yet.
    pub fn pending(message: impl Into<Arc<SendMessage>>) -> Self {
        let message = message.into();
        Self { message, state: EntryState::Pending, kept: false, seq: None }
    }
}

impl PartialEq for Entry {
    /// A message is known by its id.
    fn eq(&self, other: &Self) -> bool {
        (self.id(), &self.state, self.kept, self.seq)
            == (other.id(), &other.state, other.kept, other.seq)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    #[error("{OUTBOX_MAX} messages wait for the server already; discard some, or wait")]
    Full,
    #[error("a message with this id is in the queue already")]
    Known,
    #[error("there is no such message in the queue")]
    Unknown,
    #[error("the message is on its way; wait for its answer")]
    InFlight,
    #[error("the message has not failed")]
    NotFailed,
    #[error("the server has the message; withdraw it there")]
    Kept,
}

/// What to do now.
#[derive(Clone, Debug)]
pub(super) enum Next {
    /// Post it, and hand the answer to [`Queue::answered`]. It is in flight from here on.
    Send(Arc<SendMessage>),
    /// One is in flight.
    Busy,
    Wait(Timestamp),
    SignedOut,
    Idle,
}

/// What a session's stream said of a message.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    Kept(MessageId, Option<Seq>),
    Failed { id: MessageId, reason: String, uncertain: bool },
}

#[derive(Clone, Debug)]
pub(super) struct Queue {
    entries: Vec<Entry>,
    in_flight: Option<MessageId>,
    signed_out: bool,
    pace: Pace,
    /// No try begins earlier than this,
    due: Timestamp,
    /// and none earlier than that, whatever happens: the server asked for it.
    asked: Timestamp,
}

impl Default for Queue {
    fn default() -> Self {
        let begin = Timestamp::from_millis(i64::MIN);
        Self {
            entries: Vec::new(),
            in_flight: None,
            signed_out: false,
            pace: Pace::default(),
            due: begin,
            asked: begin,
        }
    }
}

impl Queue {
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn in_flight(&self) -> Option<&MessageId> {
        self.in_flight.as_ref()
    }

    pub(super) fn is_signed_out(&self) -> bool {
        self.signed_out
    }

    /// What must outlive this process: all that the server does not have. What it has is in its log.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.kept)
    }

    pub(super) fn push(&mut self, message: Arc<SendMessage>) -> Result<(), QueueError> {
        if self.position(&message.message_id).is_some() {
            return Err(QueueError::Known);
        }
        self.room()?;
        self.entries.push(Entry::pending(message));
        Ok(())
    }

    /// Puts what an earlier process left before all that came since: all of it, or nothing.
    pub(super) fn restore(&mut self, entries: Vec<Entry>) -> Result<(), QueueError> {
        let waiting = |entries: &[Entry]| entries.iter().filter(|entry| !entry.kept).count();
        if waiting(&self.entries) + waiting(&entries) > OUTBOX_MAX {
            return Err(QueueError::Full);
        }
        let doubled = |(index, entry): (usize, &Entry)| {
            entries[..index].iter().any(|other| other.id() == entry.id())
                || self.position(entry.id()).is_some()
        };
        if entries.iter().enumerate().any(doubled) {
            return Err(QueueError::Known);
        }
        self.entries.splice(..0, entries);
        self.trim();
        Ok(())
    }

    pub(super) fn next(&mut self, now: Timestamp) -> Next {
        if self.in_flight.is_some() {
            return Next::Busy;
        }
        if self.signed_out {
            return Next::SignedOut;
        }
        let pending = |entry: &&Entry| entry.state == EntryState::Pending;
        match self.entries.iter().find(pending) {
            None => Next::Idle,
            Some(_) if self.due > now => Next::Wait(self.due),
            Some(entry) => {
                self.in_flight = Some(entry.id().clone());
                Next::Send(entry.message.clone())
            }
        }
    }

    /// What became of the post of this message. `jitter`: from 0 to 1.
    pub(super) fn answered(
        &mut self,
        now: Timestamp,
        id: &MessageId,
        answer: Result<Seq, &ClientError>,
        jitter: f64,
    ) {
        if self.in_flight.as_ref() != Some(id) {
            return;
        }
        self.in_flight = None;
        let Some(index) = self.position(id) else { return };
        let error = match answer {
            Ok(seq) => {
                self.pace.reset();
                return self.keep(index, Some(seq));
            }
            Err(error) => error,
        };
        match verdict(error) {
            Verdict::Again => {
                let (delay, asked) = self.pace.after(error, jitter);
                self.due = now + delay;
                self.asked = now + asked;
            }
            Verdict::SignedOut => self.signed_out = true,
            Verdict::Refused => {
                self.pace.reset();
                let reason = word(error.code());
                self.entries[index].state =
                    EntryState::Failed { reason, detail: error.to_string() };
            }
        }
    }

    pub(super) fn heard(&mut self, heard: &Heard) {
        match heard {
            Heard::Kept(id, seq) => {
                if let Some(index) = self.position(id) {
                    self.keep(index, *seq);
                }
            }
            Heard::Failed { id, reason, uncertain } => {
                let Some(index) = self.position(id) else { return };
                self.land(index);
                let entry = &mut self.entries[index];
                entry.kept = true;
                entry.state = match uncertain {
                    true => EntryState::Uncertain,
                    false => EntryState::Failed {
                        reason: reason.clone(),
                        detail: format!("the server reports: {}", reason.replace('_', " ")),
                    },
                };
                self.trim();
            }
        }
    }

    /// Another credential: what waits goes on.
    pub(super) fn signed_in(&mut self) {
        self.signed_out = false;
        self.reachable();
    }

    /// The server answers again: no reason to wait, but for its own wish.
    pub(super) fn reachable(&mut self) {
        self.pace.reset();
        self.due = self.due.min(self.asked);
    }

    /// The same message to the end of the queue, under `fresh` where its own id is used up.
    pub(super) fn retry(&mut self, id: &MessageId, fresh: MessageId) -> Result<(), QueueError> {
        let index = self.failed(id)?;
        let entry = &self.entries[index];
        let conflict = word(Some(ErrorCode::MessageConflict));
        let used_up = entry.kept
            || matches!(&entry.state, EntryState::Failed { reason, .. } if *reason == conflict);
        let message = match used_up {
            false => entry.message.clone(),
            true => Arc::new(SendMessage { message_id: fresh, ..(*entry.message).clone() }),
        };
        self.replace(id, message)
    }

    /// Another message to the end of the queue in the place of one that failed.
    pub(super) fn replace(
        &mut self,
        id: &MessageId,
        message: Arc<SendMessage>,
    ) -> Result<(), QueueError> {
        let index = self.failed(id)?;
        if message.message_id != *id && self.position(&message.message_id).is_some() {
            return Err(QueueError::Known);
        }
        // One that the server had takes no place yet; it needs one like every other.
        if self.entries[index].kept {
            self.room()?;
        }
        self.entries.remove(index);
        self.entries.push(Entry::pending(message));
        Ok(())
    }

    pub(super) fn discard(&mut self, id: &MessageId) -> Result<(), QueueError> {
        let index = self.position(id).ok_or(QueueError::Unknown)?;
        if self.in_flight.as_ref() == Some(id) {
            return Err(QueueError::InFlight);
        }
        if self.entries[index].state == EntryState::Accepted {
            return Err(QueueError::Kept);
        }
        self.entries.remove(index);
        Ok(())
    }

    fn position(&self, id: &MessageId) -> Option<usize> {
        self.entries.iter().position(|entry| entry.id() == id)
    }

    fn failed(&self, id: &MessageId) -> Result<usize, QueueError> {
        let index = self.position(id).ok_or(QueueError::Unknown)?;
        if self.in_flight.as_ref() == Some(id) {
            return Err(QueueError::InFlight);
        }
        match self.entries[index].state {
            EntryState::Failed { .. } | EntryState::Uncertain => Ok(index),
            EntryState::Pending | EntryState::Accepted => Err(QueueError::NotFailed),
        }
    }

    fn room(&self) -> Result<(), QueueError> {
        let waiting = self.entries.iter().filter(|entry| !entry.kept).count();
        if waiting < OUTBOX_MAX { Ok(()) } else { Err(QueueError::Full) }
    }

    /// The server has it. What it said of it later stands.
    fn keep(&mut self, index: usize, seq: Option<Seq>) {
        self.land(index);
        let entry = &mut self.entries[index];
        entry.seq = entry.seq.or(seq);
        if !std::mem::replace(&mut entry.kept, true) {
            entry.state = EntryState::Accepted;
            self.trim();
        }
    }

    /// What the server has need not be waited for: its answer may be lost on the way while a stream goes on.
    fn land(&mut self, index: usize) {
        if self.in_flight.as_ref() == Some(self.entries[index].id()) {
            self.in_flight = None;
        }
    }

    /// Of what the server had, the newest stay; accepted ones go first.
    fn trim(&mut self) {
        while self.entries.iter().filter(|entry| entry.kept).count() > SETTLED_MAX {
            let accepted = |entry: &Entry| entry.state == EntryState::Accepted;
            let oldest = self.entries.iter().position(accepted);
            match oldest.or_else(|| self.entries.iter().position(|entry| entry.kept)) {
                Some(index) => drop(self.entries.remove(index)),
                None => return,
            }
        }
    }
}

fn word(code: Option<ErrorCode>) -> String {
    let word = code.and_then(|code| serde_json::to_value(code).ok());
    word.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}
