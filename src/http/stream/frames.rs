//! Frames of a stream, written one after another into a buffer that is lent to it. The token of a frame names the stream's place in all
//! its sessions at that frame.

use super::chunk::Chunk;
use crate::{
    domain::{
        Seq,
        cursor::{SessionKey, TOKEN_MAX, Token},
    },
    registry::replay::Gap,
    store::{Line, Snapshot, Watch},
    wire::{
        api::{GapFrame, SnapshotFrame},
        sse::Frame,
    },
};
use bytes::BytesMut;
use serde::Serialize;
use std::mem;

pub struct Frames {
    /// Lent by the thread while the stream is served: an idle stream holds none.
    buffer: BytesMut,
    count: usize,
    /// How many of them are events of the log.
    events: usize,
    token: Token,
}

impl Frames {
    pub fn new(token: Token) -> Self {
        Self { buffer: BytesMut::new(), count: 0, events: 0, token }
    }

    /// Gives the buffer, or takes it back.
    pub(super) fn swap_buffer(&mut self, buffer: &mut BytesMut) {
        mem::swap(&mut self.buffer, buffer);
    }

    /// How many frames and bytes wait to be handed over.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.count, Chunk::content_len(&self.buffer))
    }

    pub(super) fn events(&self) -> usize {
        self.events
    }

    /// How many events wait, where nothing else does.
    pub(super) fn only_events(&self) -> Option<usize> {
        (self.events == self.count).then_some(self.events)
    }

    /// What was written; None where nothing was.
    pub fn take(&mut self) -> Option<Chunk> {
        (self.count, self.events) = (0, 0);
        Chunk::end(&mut self.buffer)
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
        self.events += 1;
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
        let mut id = String::with_capacity(TOKEN_MAX);
        self.token.encode(&mut id);
        self.write(Frame { event, id: Some(&id), retry: None, data });
    }

    fn write(&mut self, frame: Frame<'_>) {
        if self.count == 0 {
            Chunk::begin(&mut self.buffer);
        }
        frame.encode(&mut self.buffer);
        self.count += 1;
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("frames have string keys only")
}
