//! The list on a stream: the newest sessions first, then each change, at most one a second a session and the newest
//! state only. It follows rows, never events.

use super::frames::Frames;
use crate::{
    domain::{SessionId, Timestamp},
    http::{App, auth::Credential, view},
    store::{Pending, SessionQuery, StoreError, Stored},
};
use actix_web::web;
use serde_json::json;
use std::{
    collections::{HashMap, HashSet},
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// How many sessions the first frame names.
const NEWEST: usize = 200;
/// The least time between two frames of one session.
const PACE: Duration = Duration::from_secs(1);

type Change = (Result<SessionId, RecvError>, Receiver<SessionId>);

pub(super) struct ListFeed {
    app: web::Data<App>,
    viewer: Credential,
    /// The next change, with the receiver that waits for it.
    change: Pin<Box<dyn Future<Output = Change>>>,
    /// The whole list is due: at the start, and after more changes than the channel holds.
    is_due: bool,
    changed: HashSet<SessionId>,
    told: HashMap<SessionId, Timestamp>,
    /// What a limited credential has seen: only of these it is told the removal.
    seen: HashSet<SessionId>,
    reading: Option<Reading>,
}

/// What is being read.
enum Reading {
    All(Pending<Vec<Stored>>),
    One(SessionId, Pending<Stored>),
}

impl ListFeed {
    pub(super) fn new(app: web::Data<App>, viewer: Credential) -> Self {
        let change = next(app.log.changes());
        Self {
            app,
            viewer,
            change,
            is_due: true,
            changed: HashSet::new(),
            told: HashMap::new(),
            seen: HashSet::new(),
            reading: None,
        }
    }

    /// When something is to be written that was noted already; None: not before the next change.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        // What is being read wakes by itself.
        let is_waiting = self.reading.is_none();
        self.changed.iter().filter(|_| is_waiting).map(|session| self.due(*session)).min()
    }

    fn due(&self, session: SessionId) -> Timestamp {
        self.told.get(&session).map_or(Timestamp::from_millis(0), |told| *told + PACE)
    }

    /// Notes what has changed.
    fn note(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready((change, changes)) = self.change.as_mut().poll(cx) {
            match change {
                Ok(session) => {
                    self.changed.insert(session);
                }
                Err(RecvError::Lagged(_)) => self.is_due = true,
                Err(RecvError::Closed) => {
                    self.change = Box::pin(std::future::pending());
                    return;
                }
            }
            self.change = next(changes);
        }
    }

    /// Writes what is due.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        now: Timestamp,
        frames: &mut Frames,
    ) -> Poll<Result<(), StoreError>> {
        self.note(cx);
        // Older than the pace says nothing any more.
        self.told.retain(|_, told| *told + PACE > now);
        loop {
            let reading = match self.reading.take() {
                Some(reading) => reading,
                None => match self.read(now) {
                    Some(reading) => reading,
                    None => return Poll::Ready(Ok(())),
                },
            };
            ready!(self.poll_read(reading, cx, now, frames))?;
        }
    }

    /// Begins to read what is due. What changes from now on is due again: it may be younger than what is read.
    fn read(&mut self, now: Timestamp) -> Option<Reading> {
        if std::mem::take(&mut self.is_due) {
            self.changed.clear();
            let agents = self.viewer.agents.as_ref().map(|agents| agents.to_vec());
            let query = SessionQuery { agents, limit: NEWEST, ..SessionQuery::default() };
            return Some(Reading::All(self.app.log.sessions(query)));
        }
        let session = *self.changed.iter().find(|session| self.due(**session) <= now)?;
        self.changed.remove(&session);
        Some(Reading::One(session, self.app.log.session(session)))
    }

    fn poll_read(
        &mut self,
        reading: Reading,
        cx: &mut Context<'_>,
        now: Timestamp,
        frames: &mut Frames,
    ) -> Poll<Result<(), StoreError>> {
        match reading {
            Reading::All(mut sessions) => {
                let Poll::Ready(sessions) = Pin::new(&mut sessions).poll(cx) else {
                    self.reading = Some(Reading::All(sessions));
                    return Poll::Pending;
                };
                self.is_due = sessions.is_err();
                self.tell_all(&sessions?, frames);
            }
            Reading::One(session, mut stored) => {
                let Poll::Ready(stored) = Pin::new(&mut stored).poll(cx) else {
                    self.reading = Some(Reading::One(session, stored));
                    return Poll::Pending;
                };
                if let Err(error) = self.tell(session, stored, frames) {
                    self.changed.insert(session);
                    return Poll::Ready(Err(error));
                }
                self.told.insert(session, now);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn tell_all(&mut self, sessions: &[Stored], frames: &mut Frames) {
        let held = self.app.log.held();
        let views: Vec<_> = sessions.iter().map(|stored| view(stored, &held)).collect();
        self.seen.extend(views.iter().map(|view| view.id));
        frames.named("sessions", None, &json!({ "sessions": views }));
    }

    fn tell(
        &mut self,
        session: SessionId,
        stored: Result<Stored, StoreError>,
        frames: &mut Frames,
    ) -> Result<(), StoreError> {
        match stored {
            Ok(stored) if self.viewer.sees(&stored.session.agent) => {
                self.seen.insert(session);
                frames.named("session", None, &view(&stored, &self.app.log.held()));
            }
            // A row that cannot be read is on no list.
            Ok(_) | Err(StoreError::Damaged(_)) => {}
            Err(StoreError::Unknown | StoreError::Deleted) => {
                if self.seen.remove(&session) || self.viewer.agents.is_none() {
                    let removal = json!({ "session_id": session, "deleted": true });
                    frames.named("session", None, &removal);
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn next(mut changes: Receiver<SessionId>) -> Pin<Box<dyn Future<Output = Change>>> {
    Box::pin(async move {
        let change = changes.recv().await;
        (change, changes)
    })
}
