//! One open stream: asks its tails what comes next, and writes it when its connection has room: a reader that does not
//! read costs its cursors and nothing more. Where the bytes go, and who wakes it, is not known here.

mod gather;

use super::{chunk::Chunk, desk::Desk, frames::Frames, list::ListFeed};
use crate::{
    domain::{
        Seq, Timestamp,
        cursor::{SessionKey, Token},
    },
    http::{Access, App, auth::Credential},
    registry::{
        Entered,
        actor::RegistryActor,
        connections::{Connection, Followed},
        replay::{Gap, Plan},
    },
    session::tail::Tail,
    store::{Page, Pending, StoreError, Watch},
    wire::api::{ByeFrame, ByeReason, GoneFrame, PingFrame, ServerFrame, Welcome},
};
use actix::Addr;
use actix_web::web;
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::watch;

/// When a client whose stream we end should come back, in milliseconds.
const RETRY_MS: u64 = 1000;
/// How long a stream waits after the log could not be read.
const READ_RETRY: Duration = Duration::from_secs(1);

pub(super) struct Follower {
    app: web::Data<App>,
    viewer: Credential,
    /// Changes when other credentials are valid.
    access: watch::Receiver<Arc<Access>>,
    /// As the welcome says; a reload does not break that word.
    heartbeat: Duration,
    entered: Entered,
    places: Vec<Place>,
    /// The place whose batch comes next.
    turn: usize,
    gone: Vec<GoneFrame>,
    list: Option<Box<ListFeed>>,
    frames: Frames,
    draining: watch::Receiver<bool>,
    /// Another registry has to be told of this stream.
    registries: watch::Receiver<Option<Addr<RegistryActor>>>,
    stage: Stage,
    /// A page of the log that is on its way.
    reading: Option<Reading>,
    /// Why the log cannot be read, since frames were last gathered without that.
    read_error: Option<StoreError>,
    /// When it has to be asked again, also if nobody wakes it.
    due: Timestamp,
}

/// A cursor that no log comes to, and that all clients can read.
const AHEAD: Seq = Seq((1 << 53) - 1);

/// One session on the stream.
pub(super) struct Place {
    tail: Tail,
    key: SessionKey,
    /// Its first frames are still to come: the gap if there is one, what was missed, the snapshot.
    opening: Option<Option<Box<Gap>>>,
    is_gone: bool,
}

struct Reading {
    /// Whose.
    place: usize,
    after: Seq,
    page: Pending<Page>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Welcome,
    Following,
    /// Silent until the grace ends or the client goes; it resumes by a new stream.
    Suspended {
        until: Timestamp,
    },
    Over,
}

impl Place {
    pub(super) fn new(watch: Watch, plan: Plan) -> Self {
        let key = SessionKey(watch.key());
        let opening = Some(plan.gap.map(Box::new));
        Self { tail: Tail::new(watch, plan.cursor), key, opening, is_gone: false }
    }

    /// Up to where the client was told of what there is. A gap counts when its frame is written: the token of a frame
    /// before, of another session, must not stand behind it, or who is cut off there would never hear of it.
    fn told_to(&self) -> Seq {
        match &self.opening {
            // Where it was is unknown: it hears again that it must not rely on what it has.
            Some(Some(gap)) => gap.after.unwrap_or(AHEAD),
            _ => self.tail.cursor(),
        }
    }
}

impl Follower {
    pub(super) fn new(
        app: web::Data<App>,
        viewer: Credential,
        entered: Entered,
        places: Vec<Place>,
        gone: Vec<GoneFrame>,
        list: Option<ListFeed>,
    ) -> Self {
        let mut frames = Frames::new(Token::new(app.log.store_id()));
        for place in &places {
            frames.place(place.key, place.told_to());
        }
        let mut registries = app.registry.generations();
        registries.mark_unchanged();
        let mut access = app.access.subscribe();
        // The credential was checked before: it may have become invalid since.
        access.mark_changed();
        Self {
            draining: app.registry.draining(),
            registries,
            heartbeat: app.config.now().streams.heartbeat,
            due: entered.connection().opened_at,
            app,
            viewer,
            access,
            entered,
            places,
            turn: 0,
            gone,
            list: list.map(Box::new),
            frames,
            stage: Stage::Welcome,
            reading: None,
            read_error: None,
        }
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        self.entered.connection()
    }

    /// When to ask again after a `Pending`, if the connection's waker is not woken before.
    pub(super) fn due(&self) -> Timestamp {
        self.due
    }

    /// The next frames; to be asked for where the connection has room. None: the stream is over.
    pub(super) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        desk: &mut Desk,
    ) -> Poll<Option<Chunk>> {
        self.frames.swap_buffer(&mut desk.buffer);
        let polled = self.poll(cx, desk);
        self.frames.swap_buffer(&mut desk.buffer);
        polled
    }

    fn poll(&mut self, cx: &mut Context<'_>, desk: &mut Desk) -> Poll<Option<Chunk>> {
        match self.stage {
            Stage::Over => return Poll::Ready(None),
            Stage::Suspended { until } => return self.poll_suspended(desk.now, until),
            Stage::Welcome => self.welcome(),
            Stage::Following => {}
        }
        if self.is_revoked() {
            self.connection().close(ByeReason::Revoked);
        }
        if self.connection().is_suspended() {
            let until = desk.now + desk.limits.suspend_grace;
            self.stage = Stage::Suspended { until };
            return self.poll_suspended(desk.now, until);
        }
        let from = self.only_place().map(|place| place.tail.cursor());
        if let Some(reason) = self.connection().closing() {
            self.bye(reason);
        } else {
            if let Some(chunk) = self.share(desk) {
                return Poll::Ready(Some(chunk));
            }
            self.hear();
            self.gather(cx, desk);
        }
        // Silence for a whole heartbeat, counted from the last frame, is broken by a ping.
        let ping_at = self.connection().progressed_at() + self.heartbeat;
        if self.frames.size().0 == 0 && ping_at <= desk.now {
            self.frames.named("ping", None, &PingFrame { ts: desk.now });
        }
        if let Some(chunk) = self.take(from, desk) {
            return Poll::Ready(Some(chunk));
        }
        self.due = match &self.list {
            // What was to be read and could not be would be due at once, again and again.
            _ if self.read_error.is_some() => ping_at.min(desk.now + READ_RETRY),
            Some(list) => list.next_due().map_or(ping_at, |due| due.min(ping_at)),
            None => ping_at,
        };
        Poll::Pending
    }

    fn poll_suspended(&mut self, now: Timestamp, until: Timestamp) -> Poll<Option<Chunk>> {
        let is_over = until <= now || self.connection().closing().is_some() || self.is_revoked();
        if is_over {
            self.stage = Stage::Over;
            return Poll::Ready(None);
        }
        self.due = until;
        Poll::Pending
    }

    /// Looks only where other credentials have become valid since it last did.
    fn is_revoked(&mut self) -> bool {
        self.access.has_changed().unwrap_or(false)
            && !self.access.borrow_and_update().tokens.still_hold(&self.viewer)
    }

    fn welcome(&mut self) {
        let welcome = Welcome {
            protocol: crate::wire::api::PROTOCOL,
            connection_id: self.connection().id,
            heartbeat_ms: u64::try_from(self.heartbeat.as_millis()).unwrap_or(u64::MAX),
            server: concat!("seawall/", env!("CARGO_PKG_VERSION")).into(),
            draining: *self.draining.borrow_and_update(),
        };
        self.frames.named("welcome", Some(RETRY_MS), &welcome);
        for gone in std::mem::take(&mut self.gone) {
            self.frames.named("gone", None, &gone);
        }
        self.stage = Stage::Following;
    }

    fn bye(&mut self, reason: ByeReason) {
        let retry_ms = match reason {
            ByeReason::Shutdown | ByeReason::Slow => Some(RETRY_MS),
            ByeReason::Deleted | ByeReason::Revoked => None,
        };
        self.frames.named("bye", None, &ByeFrame { reason, retry_ms });
        self.stage = Stage::Over;
    }

    /// What changed for the whole server.
    fn hear(&mut self) {
        if self.draining.has_changed().unwrap_or(false) {
            let draining = *self.draining.borrow_and_update();
            self.frames.named("server", None, &ServerFrame { draining });
        }
        if self.registries.has_changed().unwrap_or(false)
            && self.registries.borrow_and_update().is_some()
        {
            // A registry that was rebuilt knows no streams until they tell it; the frames go on meanwhile.
            let (app, connection) = (self.app.clone(), self.connection().clone());
            actix::spawn(async move {
                let _ = app.registry.enter(connection).await;
            });
        }
    }

    fn followed(&self, index: usize) -> &Followed {
        &self.connection().followed[index]
    }
}

#[cfg(test)]
mod tests;
