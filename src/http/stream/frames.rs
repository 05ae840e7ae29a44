//! Frames of a stream, written one after another into a buffer. The token of a frame names the stream's place in all
//! its sessions at that frame.

use crate::{
    domain::{
        Seq,
        cursor::{SessionKey, Token},
    },
    registry::replay::Gap,
    store::{Line, Snapshot, Watch},
    wire::{
        api::{GapFrame, SnapshotFrame},
        sse::Frame,
    },
};
use bytes::{Bytes, BytesMut};
use serde::Serialize;

/// The most bytes that are handed over at a time. A reader has made progress when the next ones are asked for, and by
/// that a slow one is told from one that has stopped: at 1 kB/s these take a fraction of the stall limit.
const PIECE: usize = 16 * 1024;

pub struct Frames {
    buffer: BytesMut,
    count: usize,
    /// What is being handed over.
    ready: Bytes,
    token: Token,
    /// The token as text; kept for its allocation.
    id: String,
}

impl Frames {
    pub fn new(token: Token) -> Self {
        Self { buffer: BytesMut::new(), count: 0, ready: Bytes::new(), token, id: String::new() }
    }

    /// How many frames and bytes wait to be handed over.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.count, self.buffer.len())
    }

    /// The next piece of what was written; None where nothing was.
    pub fn take(&mut self) -> Option<Bytes> {
        if self.ready.is_empty() && !self.buffer.is_empty() {
            self.count = 0;
            // An idle stream holds no buffer.
            self.ready = std::mem::take(&mut self.buffer).freeze();
        }
        self.rest()
    }

    /// The next piece of what is being handed over; until there is none, a frame may be there by half.
    pub(super) fn rest(&mut self) -> Option<Bytes> {
        let piece = self.ready.split_to(self.ready.len().min(PIECE));
        (!piece.is_empty()).then_some(piece)
    }

    /// Sets the stream's place in a session without a frame.
    pub fn place(&mut self, key: SessionKey, cursor: Seq) {
        self.token.set(key, cursor);
    }

    pub(super) fn forget(&mut self, key: SessionKey) {
        self.token.remove(key);
    }

    /// A named frame without an id.
    pub(super) fn named(&mut self, event: &str, retry: Option<u64>, data: &impl Serialize) {
        let data = json(data);
        self.write(Frame { event: Some(event), id: None, retry, data: &data });
    }

    /// A log event: its stored bytes, under the stream's own token.
    pub fn event(&mut self, key: SessionKey, line: &Line) {
        self.token.set(key, line.seq);
        self.write_with_id(None, &line.bytes);
    }

    pub(super) fn gap(&mut self, watch: &Watch, gap: Gap, cursor: Seq, head: Seq) {
        let session_id = watch.session();
        let frame = GapFrame {
            session_id,
            after: gap.after,
            resume_at: cursor,
            head_seq: head,
            missed: gap.missed,
            reason: gap.reason,
            history: format!("/v1/sessions/{session_id}/events?after={}", gap.history_after),
        };
        self.token.set(SessionKey(watch.key()), cursor);
        self.write_with_id(Some("gap"), &json(&frame));
    }

    pub(super) fn snapshot(&mut self, snapshot: &Snapshot) {
        let session = &snapshot.session;
        let frame = SnapshotFrame {
            session_id: session.id,
            state: session.state,
            client_state: session.client_state(),
            run: session.run,
            head_seq: snapshot.head,
            pending_permissions: session.permissions.clone(),
            pending_questions: session.questions.clone(),
            title: session.title.clone(),
            agent: session.agent.clone(),
        };
        self.write_with_id(Some("snapshot"), &json(&frame));
    }

    fn write_with_id(&mut self, event: Option<&str>, data: &[u8]) {
        self.id.clear();
        self.token.encode(&mut self.id);
        let id = std::mem::take(&mut self.id);
        self.write(Frame { event, id: Some(&id), retry: None, data });
        self.id = id;
    }

    fn write(&mut self, frame: Frame<'_>) {
        frame.encode(&mut self.buffer);
        self.count += 1;
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("frames have string keys only")
}
