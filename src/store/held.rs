//! Which sessions have events that the store does not take now: told by those who hold the events, read by those who
//! show the session. The events themselves are never here.

use crate::domain::SessionId;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::broadcast;

#[derive(Debug)]
pub(super) struct Holds {
    sessions: Mutex<BTreeSet<SessionId>>,
    changes: broadcast::Sender<SessionId>,
}

/// A session's events wait for the store as long as this lives.
#[derive(Debug)]
pub struct Held {
    session: SessionId,
    holds: Arc<Holds>,
}

impl Holds {
    pub(super) fn new(changes: broadcast::Sender<SessionId>) -> Self {
        Self { sessions: Mutex::default(), changes }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<SessionId>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sessions(&self) -> BTreeSet<SessionId> {
        self.lock().clone()
    }

    pub(super) fn hold(self: &Arc<Self>, session: SessionId) -> Held {
        self.lock().insert(session);
        // Nobody may be listening.
        let _ = self.changes.send(session);
        Held { session, holds: Arc::clone(self) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.holds.lock().remove(&self.session);
        let _ = self.holds.changes.send(self.session);
    }
}
