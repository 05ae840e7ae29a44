//! Sessions get their actors: made, woken by an ask, resumed at start when there is a place.

use super::{
    Create, CreatedSession, Entry, NewSession, PendingAsk, RegistryActor, Stage, StartSession,
    WakeAll,
};
use crate::{
    domain::{SessionId, content::digest},
    session::{
        Refusal, Reply, actor::Beginning, launch, machine::first_events, surroundings::Surroundings,
    },
    store::{Accept, Create as StoreCreate, Created, Entry as LogEntry, StoreError, Stored, Watch},
    supervise::record::Record,
};
use actix::prelude::*;
use bytes::Bytes;
use std::sync::{Arc, atomic::AtomicU64};
use tokio::sync::Notify;

impl RegistryActor {
    /// Gives a session its actor; asks wait until it is up.
    pub(super) fn wake(
        &mut self,
        session: SessionId,
        ask: Option<PendingAsk>,
        ctx: &mut Context<Self>,
    ) {
        let policy = super::restart_policy(&self.around.config.now());
        let record = Record::new(policy, self.around.clock.now());
        let entry = Entry {
            actor: Stage::Waking(ask.into_iter().collect()),
            sent: Arc::new(AtomicU64::new(0)),
            is_live: false,
            ended_run: None,
            child: record.clone(),
            record,
        };
        self.sessions.insert(session, Box::new(entry));
        let around = self.around.clone();
        let read = async move { read(&around, session).await };
        let started = read.into_actor(self).then(move |found, registry, _| {
            let start = registry.start(session, found);
            start.into_actor(registry)
        });
        ctx.spawn(started.map(move |started, registry, ctx| match started {
            Ok(hosted) => registry.up(session, hosted, ctx),
            Err(error) => registry.not_up(session, &error, ctx),
        }));
    }

    /// Asks the supervisor for the actor of a session that was read.
    fn start(
        &mut self,
        session: SessionId,
        found: Result<Found, StoreError>,
    ) -> impl Future<Output = Result<super::Hosted, StoreError>> + use<> {
        let start = self.host.start.clone();
        let resume = self.resumes.remove(&session);
        let watchers = self.watching.get(&session).copied().unwrap_or_default();
        let sent = self.sessions.get(&session).map(|entry| entry.sent.clone());
        async move {
            let Found { stored, queued, watch } = found?;
            let sent = sent.unwrap_or_default();
            let beginning = Beginning { stored, queued, watch, watchers, resume, sent };
            start
                .send(StartSession(beginning))
                .await
                .map_err(|_| StoreError::Unavailable("the supervisor is gone".into()))
        }
    }

    fn up(&mut self, session: SessionId, hosted: super::Hosted, ctx: &mut Context<Self>) {
        crate::fault::point!("registry::future");
        let Some(entry) = self.sessions.get_mut(&session) else { return };
        let snapshot = hosted.watch.snapshot();
        let will_run = snapshot.session.state.is_live() || snapshot.queued > 0;
        if will_run && !entry.is_live {
            entry.is_live = true;
            self.live += 1;
        }
        entry.ended_run = super::ended_run(&snapshot);
        let super::Hosted { addr, watch, sent, generation } = hosted;
        // It may be an actor that an earlier registry has sent asks to.
        entry.sent = sent;
        let stage = Stage::Up { addr, watch, generation };
        if let Stage::Waking(asks) = std::mem::replace(&mut entry.actor, stage) {
            for ask in asks {
                self.route(session, ask, ctx);
            }
        }
        self.tell_watchers(session);
    }

    fn not_up(&mut self, session: SessionId, error: &StoreError, ctx: &mut Context<Self>) {
        let Some(entry) = self.remove(session, ctx) else { return };
        if let Stage::Waking(asks) = entry.actor {
            for ask in asks {
                // The asker may be gone.
                let _ = ask.answer.send(Err(refusal(error)));
            }
        }
        if !matches!(error, StoreError::Unknown | StoreError::Deleted) {
            log::error!(session:%, error:%; "a session cannot be taken up");
        }
    }

    /// A place under `max_live` has come free.
    pub(super) fn wake_waiting(&mut self, ctx: &mut Context<Self>) {
        while !self.waiting.is_empty() && !self.is_leaving && self.has_place() {
            let Some(session) = self.waiting.pop_front() else { return };
            if self.sessions.contains_key(&session) {
                continue;
            }
            self.resumes.insert(session);
            self.wake(session, None, ctx);
            if let Some(entry) = self.sessions.get_mut(&session) {
                entry.is_live = true;
                self.live += 1;
            }
        }
    }

    /// Why a new session is refused before anything is stored, if it is.
    fn refuse_new(&mut self) -> Option<Refusal> {
        let limit = self.around.config.now().sessions.max_live;
        if self.is_draining() {
            Some(Refusal::Draining)
        } else if self.has_place() {
            None
        } else {
            Some(Refusal::TooManySessions { limit })
        }
    }
}

/// A session as it stands in the log.
struct Found {
    stored: Stored,
    queued: Vec<crate::domain::session::Queued>,
    watch: Watch,
}

async fn read(around: &Surroundings, session: SessionId) -> Result<Found, StoreError> {
    let log = &around.log;
    // An actor that panicked may have left appends on their way; behind them, nobody else appends to a session without an
    // actor, so three reads see one state.
    log.settled().await?;
    let watch = log.watch(session, Arc::new(Notify::new())).await?;
    let stored = log.session(session).await?;
    let queued = log.queued(session).await?;
    Ok(Found { stored, queued, watch })
}

fn refusal(error: &StoreError) -> Refusal {
    match error {
        StoreError::Unknown | StoreError::Deleted => Refusal::Unknown,
        error => error.clone().into(),
    }
}

/// Stores a new session, or finds the one that was stored by the same call before.
async fn create(
    around: &Surroundings,
    new: NewSession,
    refusal: Option<Refusal>,
) -> Result<CreatedSession, Refusal> {
    let log = &around.log;
    // A repeated call is answered whatever the limits and the profiles say by now.
    match log.session(new.id).await {
        Ok(stored) => return repeated(around, stored, &new).await,
        Err(StoreError::Deleted) => return Err(Refusal::Deleted),
        Err(StoreError::Unknown) => {}
        Err(error) => return Err(error.into()),
    }
    let config = around.config.now();
    let agent =
        config.agents.get(&new.agent).ok_or_else(|| Refusal::UnknownAgent(new.agent.clone()))?;
    let cwd = launch::working_directory(agent, new.cwd.as_deref())?;
    launch::check_env(agent, &new.env)?;
    // What is wrong with the call is told before what it has to wait for.
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    let now = around.clock.now();
    let mut session = crate::domain::Session::new(new.id, new.agent.clone(), cwd, new.digest, now);
    session.title.clone_from(&new.title);
    session.env.clone_from(&new.env);
    let accept = new.message.as_ref().map(|(message_id, content)| Accept {
        message_id: message_id.clone(),
        digest: digest(content),
        interrupt: false,
        content: Bytes::from(
            serde_json::to_vec(content).expect("content blocks are plain strings and numbers"),
        ),
    });
    let first = new.message.clone().map(|(id, content)| (id, content, new.by.clone()));
    let drafts = first_events(&mut session, first);
    let limit = around.config.now().store.max_event_bytes;
    let events = drafts.iter().map(|draft| LogEntry::new(draft, limit)).collect();
    match log.create(StoreCreate { session, events, accept }).await? {
        Created::New { head } => {
            let stored = log.session(new.id).await?;
            let receipt =
                new.message.is_some().then_some(Reply::Receipt { seq: head, duplicate: false });
            Ok(CreatedSession { stored, is_new: true, receipt })
        }
        Created::Exists(stored) => repeated(around, *stored, &new).await,
        Created::Deleted => Err(Refusal::Deleted),
    }
}

/// The same call again gets the same session; another body is a conflict.
async fn repeated(
    around: &Surroundings,
    stored: Stored,
    new: &NewSession,
) -> Result<CreatedSession, Refusal> {
    if stored.session.create_digest != new.digest {
        return Err(Refusal::CreateConflict);
    }
    let receipt = match &new.message {
        None => None,
        Some((message_id, _)) => {
            let first = around.log.message(new.id, message_id.clone()).await?;
            first.map(|first| Reply::Receipt { seq: first.seq, duplicate: true })
        }
    };
    Ok(CreatedSession { stored, is_new: false, receipt })
}

impl Handler<Create> for RegistryActor {
    type Result = ();

    fn handle(&mut self, Create { new, answer }: Create, ctx: &mut Self::Context) {
        let refusal = self.refuse_new();
        // The place is taken before the store is asked, so that many creates at once stay within the limit.
        let reserved = refusal.is_none();
        self.live += usize::from(reserved);
        let around = self.around.clone();
        let (session, agent, by) = (new.id, new.agent.clone(), new.by.clone());
        let created = async move { create(&around, new, refusal).await };
        ctx.spawn(created.into_actor(self).map(move |created, registry, ctx| {
            registry.live -= usize::from(reserved);
            if created.as_ref().is_ok_and(|created| created.is_new) {
                log::info!(session:%, agent, by; "a session was created");
                if !registry.sessions.contains_key(&session) {
                    registry.wake(session, None, ctx);
                }
                if let Some(entry) = registry.sessions.get_mut(&session)
                    && !entry.is_live
                {
                    entry.is_live = true;
                    registry.live += 1;
                }
            } else if reserved {
                registry.wake_waiting(ctx);
            }
            let _ = answer.send(created);
        }));
    }
}

impl Handler<WakeAll> for RegistryActor {
    type Result = ();

    fn handle(&mut self, wake: WakeAll, ctx: &mut Self::Context) {
        self.waiting.extend(wake.sessions);
        self.wake_waiting(ctx);
    }
}
