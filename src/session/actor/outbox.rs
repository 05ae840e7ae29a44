//! What a session has yet to store and to do, in order: an effect is done when its events and all before them are in
//! the log. While an append is under way the next steps gather into one append.

use super::Effect;
use crate::{
    domain::{Session, SessionId},
    store::{Append, Entry},
};
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::oneshot;

#[derive(Default)]
pub(super) struct Outbox {
    /// Their events are in the log.
    ready: VecDeque<Effect>,
    waiting: Batch,
    under_way: Option<Batch>,
    /// Appends that [`Effect::Accept`] and [`Effect::Delete`] have under way by themselves.
    held: usize,
    failing: bool,
}

/// Events that are appended together, and what follows from them.
#[derive(Default)]
pub(super) struct Batch {
    entries: Vec<Entry>,
    row: Option<Arc<Session>>,
    then: Vec<Effect>,
    /// Dropped when the batch is done: that is the answer.
    acks: Vec<oneshot::Sender<()>>,
}

pub(super) enum Work {
    Append(Batch),
    Effect(Effect),
}

impl Batch {
    pub(super) fn append(&self, session: SessionId) -> Append {
        Append { session, events: self.entries.clone(), row: self.row.clone(), accept: None }
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.then.is_empty() && self.acks.is_empty()
    }
}

impl Outbox {
    pub(super) fn push(
        &mut self,
        entries: Vec<Entry>,
        row: Option<Arc<Session>>,
        then: Vec<Effect>,
        ack: Option<oneshot::Sender<()>>,
    ) {
        let batch = &mut self.waiting;
        batch.entries.extend(entries);
        batch.row = row.or(batch.row.take());
        batch.then.extend(then);
        batch.acks.extend(ack);
    }

    /// The next thing that may be done now.
    pub(super) fn next(&mut self) -> Option<Work> {
        if self.under_way.is_some() {
            return None;
        }
        if let Some(effect) = self.ready.front() {
            // Sends go into the log side by side, so that they share a commit; all else waits for them.
            let may_go = self.held == 0 || matches!(effect, Effect::Accept { .. });
            return may_go.then(|| self.pop_ready().map(Work::Effect)).flatten();
        }
        let only_accepts =
            || self.waiting.then.iter().all(|effect| matches!(effect, Effect::Accept { .. }));
        if self.waiting.is_empty() || (self.held > 0 && !only_accepts()) {
            return None;
        }
        if self.waiting.entries.is_empty() {
            let batch = std::mem::take(&mut self.waiting);
            self.ready.extend(batch.then);
            return self.next();
        }
        (self.held == 0).then(|| Work::Append(std::mem::take(&mut self.waiting)))
    }

    fn pop_ready(&mut self) -> Option<Effect> {
        let effect = self.ready.pop_front();
        if self.ready.is_empty() {
            // Sessions at rest are many: none keeps room for what it did last.
            self.ready = VecDeque::new();
        }
        effect
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
            && self.waiting.is_empty()
            && self.under_way.is_none()
            && self.held == 0
    }

    /// `batch` was handed to the store.
    pub(super) fn begin(&mut self, batch: Batch) {
        self.under_way = Some(batch);
    }

    pub(super) fn commit(&mut self) {
        self.failing = false;
        if let Some(batch) = self.under_way.take() {
            self.ready.extend(batch.then);
        }
    }

    /// The store did not take what is under way; it stays so until [`Outbox::retry`]. True at the first failure.
    pub(super) fn fail(&mut self) -> bool {
        !std::mem::replace(&mut self.failing, true)
    }

    /// How many events wait for the store.
    pub(super) fn held(&self) -> usize {
        self.waiting.entries.len() + self.under_way.as_ref().map_or(0, |batch| batch.entries.len())
    }

    /// Takes out the sends that wait, in their order.
    pub(super) fn take_accepts(&mut self) -> Vec<Effect> {
        let is_accept = |effect: &mut Effect| matches!(effect, Effect::Accept { .. });
        let mut ready: Vec<_> = std::mem::take(&mut self.ready).into();
        let mut taken: Vec<_> = ready.extract_if(.., is_accept).collect();
        self.ready = ready.into();
        for batch in self.under_way.iter_mut().chain([&mut self.waiting]) {
            taken.extend(batch.then.extract_if(.., is_accept));
        }
        taken
    }

    /// Puts what is under way back to the front.
    pub(super) fn retry(&mut self) {
        let Some(mut batch) = self.under_way.take() else {
            return;
        };
        let later = std::mem::take(&mut self.waiting);
        batch.entries.extend(later.entries);
        batch.row = later.row.or(batch.row);
        batch.then.extend(later.then);
        batch.acks.extend(later.acks);
        self.waiting = batch;
    }

    pub(super) fn hold(&mut self) {
        self.held += 1;
    }

    pub(super) fn release(&mut self) {
        self.held -= 1;
    }
}

#[cfg(test)]
mod tests;
