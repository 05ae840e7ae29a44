//! The list on a stream: the newest sessions first, then each change, at most one a second a session and the newest
//! state only. It follows rows, never events.

use super::frames::Frames;
use crate::{
    domain::{SessionId, Timestamp},
    http::{App, auth::Credential, view},
    store::{SessionQuery, StoreError},
};
use actix_web::web;
use serde_json::json;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// How many sessions the first frame names.
const NEWEST: usize = 200;
/// The least time between two frames of one session.
const PACE: Duration = Duration::from_secs(1);

pub(super) struct ListFeed {
    app: web::Data<App>,
    viewer: Credential,
    changes: Receiver<SessionId>,
    /// The whole list is due: at the start, and after more changes than the channel holds.
    is_due: bool,
    changed: HashSet<SessionId>,
    told: HashMap<SessionId, Timestamp>,
    /// What a limited credential has seen: only of these it is told the removal.
    seen: HashSet<SessionId>,
}

impl ListFeed {
    pub(super) fn new(app: web::Data<App>, viewer: Credential) -> Self {
        let changes = app.log.changes();
        Self {
            app,
            viewer,
            changes,
            is_due: true,
            changed: HashSet::new(),
            told: HashMap::new(),
            seen: HashSet::new(),
        }
    }

    /// Waits until something is to be written, and notes what.
    pub(super) async fn changed(&mut self) {
        loop {
            let wait = self.next_due().map(|due| due - self.app.clock.now());
            if self.is_due || wait.is_some_and(|wait| wait.is_zero()) {
                return;
            }
            let clock = &self.app.clock;
            let pace = async {
                match wait {
                    Some(wait) => clock.sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                change = self.changes.recv() => match change {
                    Ok(session) => {
                        self.changed.insert(session);
                    }
                    Err(RecvError::Lagged(_)) => self.is_due = true,
                    Err(RecvError::Closed) => std::future::pending().await,
                },
                () = pace => {}
            }
        }
    }

    /// When the next changed session may be told again.
    fn next_due(&self) -> Option<Timestamp> {
        self.changed.iter().map(|session| self.due(*session)).min()
    }

    fn due(&self, session: SessionId) -> Timestamp {
        self.told.get(&session).map_or(Timestamp::from_millis(0), |told| *told + PACE)
    }

    /// Writes what is due.
    pub(super) async fn write(&mut self, frames: &mut Frames) -> Result<(), StoreError> {
        let now = self.app.clock.now();
        if self.is_due {
            let agents = self.viewer.agents.as_ref().map(|agents| agents.to_vec());
            let query = SessionQuery { agents, limit: NEWEST, ..SessionQuery::default() };
            let sessions = self.app.log.sessions(query).await?;
            let held = self.app.log.held();
            let views: Vec<_> = sessions.iter().map(|stored| view(stored, &held)).collect();
            self.seen.extend(views.iter().map(|view| view.id));
            frames.named("sessions", None, &json!({ "sessions": views }));
            self.is_due = false;
            self.changed.clear();
        }
        let due: Vec<_> =
            self.changed.iter().copied().filter(|session| self.due(*session) <= now).collect();
        // Older than the pace says nothing any more.
        self.told.retain(|_, told| *told + PACE > now);
        for session in due {
            match self.app.log.session(session).await {
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
            self.changed.remove(&session);
            self.told.insert(session, now);
        }
        Ok(())
    }
}
