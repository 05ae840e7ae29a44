//! One open stream: asks its tails what comes next, writes it, waits. It is polled by the connection alone, when the
//! socket has room: a reader that does not read costs its cursors and nothing more.

use super::{frames::Frames, list::ListFeed};
use crate::{
    domain::{
        Seq,
        cursor::{SessionKey, Token},
    },
    http::{Access, App, auth::Credential},
    metrics,
    registry::{
        connections::{Connection, Followed},
        replay::{Begin, Gap, Plan, plan},
    },
    session::tail::{Next, Paged, Tail},
    store::{PageFrom, PageQuery, StoreError, Watch},
    wire::api::{
        ByeFrame, ByeReason, GapReason, GoneFrame, GoneReason, PingFrame, ServerFrame, Welcome,
    },
};
use actix_web::web;
use bytes::Bytes;
use futures_util::{Stream, stream};
use std::{sync::Arc, time::Duration};

/// When a client whose stream we end should come back, in milliseconds.
const RETRY_MS: u64 = 1000;
/// The most bytes of one page read from the log.
const PAGE_BYTES: usize = 1 << 20;
/// How long a stream waits after the log could not be read.
const READ_RETRY: Duration = Duration::from_secs(1);

pub(super) struct Follower {
    app: web::Data<App>,
    viewer: Credential,
    /// Changes when other credentials are valid.
    access: tokio::sync::watch::Receiver<Arc<Access>>,
    /// As the welcome says; a reload does not break that word.
    heartbeat: Duration,
    connection: Arc<Connection>,
    places: Vec<Place>,
    /// The place whose batch comes next.
    turn: usize,
    gone: Vec<GoneFrame>,
    list: Option<ListFeed>,
    frames: Frames,
    /// Events so far.
    sent: u64,
    draining: tokio::sync::watch::Receiver<bool>,
    /// Another registry has to be told of this stream.
    registries:
        tokio::sync::watch::Receiver<Option<actix::Addr<crate::registry::actor::RegistryActor>>>,
    stage: Stage,
    /// Why the log could not be read when frames were last gathered.
    read_error: Option<StoreError>,
}

/// One session on the stream.
pub(super) struct Place {
    tail: Tail,
    key: SessionKey,
    /// Its first frames are still to come: the gap if there is one, what was missed, the snapshot.
    opening: Option<Option<Gap>>,
    is_gone: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Welcome,
    Following,
    Over,
}

impl Place {
    pub(super) fn new(watch: Watch, plan: Plan) -> Self {
        let key = SessionKey(watch.key());
        Self { tail: Tail::new(watch, plan.cursor), key, opening: Some(plan.gap), is_gone: false }
    }
}

impl Follower {
    pub(super) fn new(
        app: web::Data<App>,
        viewer: Credential,
        connection: Arc<Connection>,
        places: Vec<Place>,
        gone: Vec<GoneFrame>,
        list: Option<ListFeed>,
    ) -> Self {
        let mut frames = Frames::new(Token::new(app.log.store_id()));
        for place in &places {
            frames.place(place.key, place.tail.cursor());
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
            app,
            viewer,
            access,
            connection,
            places,
            turn: 0,
            gone,
            list,
            frames,
            sent: 0,
            stage: Stage::Welcome,
            read_error: None,
        }
    }

    /// The response's body. A chunk is made when the connection asks for one.
    pub(super) fn into_stream(self) -> impl Stream<Item = Bytes> + 'static {
        stream::unfold(self, |mut follower| async move {
            let chunk = follower.next_chunk().await?;
            Some((chunk, follower))
        })
    }

    async fn next_chunk(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.frames.rest() {
            self.connection.progressed(self.app.clock.now(), piece.len());
            return Some(piece);
        }
        loop {
            match self.stage {
                Stage::Over => return None,
                Stage::Welcome => self.welcome(),
                Stage::Following => {}
            }
            if self.is_revoked() {
                self.connection.close(ByeReason::Revoked);
            }
            if self.connection.is_suspended() {
                // Silent until the grace ends or the client goes; it resumes by a new stream.
                self.wait_suspended().await;
                return None;
            }
            if let Some(reason) = self.connection.closing() {
                self.bye(reason);
            } else {
                self.gather().await;
            }
            if let Some(chunk) = self.frames.take() {
                self.connection.progressed(self.app.clock.now(), chunk.len());
                return Some(chunk);
            }
            self.wait().await;
        }
    }

    /// Looks only where other credentials have become valid since it last did.
    fn is_revoked(&mut self) -> bool {
        self.access.has_changed().unwrap_or(false)
            && !self.access.borrow_and_update().tokens.still_hold(&self.viewer)
    }

    fn welcome(&mut self) {
        let welcome = Welcome {
            protocol: crate::wire::api::PROTOCOL,
            connection_id: self.connection.id,
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

    /// Writes what there is. A log that cannot be read is logged once for a run of failures.
    async fn gather(&mut self) {
        crate::fault::point!("stream::gather");
        let failed_before = self.read_error.take().is_some();
        self.write_frames().await;
        if let Some(error) = &self.read_error
            && !failed_before
        {
            log::warn!(error:%, connection:% = self.connection.id; "the log cannot be read for a stream");
        }
    }

    /// Round by round over the sessions, until a chunk is full or nothing is left.
    async fn write_frames(&mut self) {
        for index in 0..self.places.len() {
            if self.places[index].tail.watch().is_deleted() {
                // There is nothing to open any more; below it is told.
                continue;
            }
            self.open_place(index).await;
            if self.places[index].opening.is_some() && self.is_full() {
                // The sessions keep their order: the next one begins when this one is through.
                return;
            }
        }
        while !self.is_full() && self.round().await {}
        if let Some(list) = &mut self.list
            && let Err(error) = list.write(&mut self.frames).await
        {
            self.read_error = Some(error);
        }
        self.drop_deleted();
    }

    /// A batch of each session, up to where the chunk is full: there the next one goes on, or the first sessions would
    /// always have the most of it. False where nothing came.
    async fn round(&mut self) -> bool {
        let config = self.app.config.now();
        let streams = &config.streams;
        let (sync_batch, queue_frames) = (streams.sync_batch, streams.queue_frames);
        let mut moved = false;
        for _ in 0..self.places.len() {
            let is_cut = self.frames.size().0 + sync_batch > queue_frames;
            let upto = self.places[self.turn].tail.watch().head();
            moved |= self.advance(self.turn, upto).await;
            let is_full = self.is_full();
            if !(is_full && is_cut) {
                self.turn = (self.turn + 1) % self.places.len();
            }
            if is_full {
                break;
            }
        }
        moved
    }

    fn is_full(&self) -> bool {
        let (frames, bytes) = self.frames.size();
        let config = self.app.config.now();
        let streams = &config.streams;
        frames >= streams.queue_frames || bytes >= streams.queue_bytes
    }

    /// The first frames of a session: gap, what was missed, snapshot. What does not fit comes with the next chunk.
    async fn open_place(&mut self, index: usize) {
        let place = &mut self.places[index];
        let Some(gap) = place.opening.take() else { return };
        if let Some(gap) = gap {
            let (watch, cursor) = (place.tail.watch(), place.tail.cursor());
            self.frames.gap(watch, gap, cursor, watch.head().max(cursor));
            self.count_gap(gap);
        }
        loop {
            if self.is_full() {
                self.places[index].opening = Some(None);
                return;
            }
            // What is committed while the missed events are written comes before the snapshot, which is true at its head.
            let snapshot = self.places[index].tail.watch().snapshot();
            if self.places[index].tail.cursor() >= snapshot.head {
                self.frames.snapshot(&snapshot);
                return;
            }
            let sent = self.sent;
            let moved = self.advance(index, snapshot.head).await;
            self.app.metrics.replayed_events.add(self.sent - sent);
            if !moved {
                self.places[index].opening = Some(None);
                return;
            }
        }
    }

    /// Writes one batch of a session's next events, up to `upto`. False where nothing came of it.
    async fn advance(&mut self, index: usize, upto: Seq) -> bool {
        if self.places[index].is_gone {
            return false;
        }
        if self.followed(index).take_jump() && self.is_behind(index) {
            self.jump(index);
            return true;
        }
        let config = self.app.config.now();
        let streams = &config.streams;
        let (frames, bytes) = self.frames.size();
        let room = streams.queue_bytes.saturating_sub(bytes);
        let batch = streams.queue_frames.saturating_sub(frames).clamp(1, streams.sync_batch);
        let lines = match self.places[index].tail.next(upto, batch, room) {
            Next::UpToDate => return false,
            Next::Lines(lines) => lines,
            Next::Read { after } => match self.read(index, after, upto).await {
                Some(lines) => lines,
                None => return true,
            },
        };
        let place = &mut self.places[index];
        for line in &lines {
            self.frames.event(place.key, line);
            place.tail.take(line);
        }
        self.sent += lines.len() as u64;
        self.app.metrics.sent_events.add(lines.len() as u64);
        self.followed(index).moved_to(self.places[index].tail.cursor());
        !lines.is_empty()
    }

    /// Reads a page of the log. None where a gap was written instead.
    async fn read(
        &mut self,
        index: usize,
        after: Seq,
        upto: Seq,
    ) -> Option<Vec<crate::store::Line>> {
        let query = PageQuery {
            session: self.places[index].tail.watch().session(),
            from: PageFrom::After(after),
            limit: self.app.config.now().streams.sync_batch,
            max_bytes: PAGE_BYTES,
            types: Vec::new(),
        };
        let page = match self.app.log.page(query).await {
            Ok(page) => page,
            // Its watch tells of it too, and the reader learns it from there.
            Err(StoreError::Unknown | StoreError::Deleted) => return Some(Vec::new()),
            Err(error) => {
                // The other sessions of the stream are served meanwhile.
                self.read_error = Some(error);
                return Some(Vec::new());
            }
        };
        match self.places[index].tail.page(page, upto) {
            Paged::Lines(lines) => Some(lines),
            Paged::Pruned { first } => {
                let head = self.places[index].tail.watch().head();
                let cap = self.app.config.now().streams.max_replay_gap;
                self.skip(index, plan(Begin::After(after), first, head, cap), head);
                None
            }
        }
    }

    /// Whether it still is further behind than the cap: since the order to jump it may have caught up.
    fn is_behind(&self, index: usize) -> bool {
        let tail = &self.places[index].tail;
        tail.watch().head().0.saturating_sub(tail.cursor().0)
            > self.app.config.now().streams.max_replay_gap
    }

    /// Moves a stream that fell too far behind to the head.
    fn jump(&mut self, index: usize) {
        let place = &self.places[index];
        let (after, head) = (place.tail.cursor(), place.tail.watch().head());
        let gap = Gap {
            after: Some(after),
            missed: Some(head.0.saturating_sub(after.0)),
            reason: GapReason::ReplayCap,
            history_after: after,
        };
        self.skip(index, Plan { cursor: head, gap: Some(gap) }, head);
    }

    fn skip(&mut self, index: usize, plan: Plan, head: Seq) {
        let place = &mut self.places[index];
        place.tail.jump(plan.cursor);
        if let Some(gap) = plan.gap {
            self.frames.gap(place.tail.watch(), gap, plan.cursor, head);
            self.count_gap(gap);
        }
        self.followed(index).moved_to(plan.cursor);
    }

    fn count_gap(&self, gap: Gap) {
        let reason = match gap.reason {
            GapReason::ReplayCap => metrics::Gap::ReplayCap,
            GapReason::Retention => metrics::Gap::Retention,
            GapReason::CursorAhead => metrics::Gap::CursorAhead,
            GapReason::UnknownCursor => metrics::Gap::UnknownCursor,
        };
        self.app.metrics.gaps.of(reason).add(1);
    }

    fn followed(&self, index: usize) -> &Followed {
        &self.connection.followed[index]
    }

    /// Takes deleted sessions off the stream; without any session left, and without the list, it ends.
    fn drop_deleted(&mut self) {
        for index in 0..self.places.len() {
            let place = &mut self.places[index];
            if place.is_gone || !place.tail.watch().is_deleted() {
                continue;
            }
            place.is_gone = true;
            self.frames.forget(place.key);
            let session_id = place.tail.watch().session().to_string();
            self.frames.named("gone", None, &GoneFrame { session_id, reason: GoneReason::Deleted });
            self.followed(index).set_gone();
        }
        if self.list.is_none() && self.places.iter().all(|place| place.is_gone) {
            self.bye(ByeReason::Deleted);
        }
    }

    /// Waits for anything to do. Silence for a whole heartbeat, counted from the last frame, is broken by a ping.
    async fn wait(&mut self) {
        let clock = &self.app.clock;
        let heartbeat = self.heartbeat;
        let to_ping = (self.connection.progressed_at() + heartbeat - clock.now()).min(heartbeat);
        let is_failing = self.read_error.is_some();
        let timeout = if is_failing { to_ping.min(READ_RETRY) } else { to_ping };
        let list = async {
            match &mut self.list {
                // What was to be read and could not be would be due at once, again and again.
                Some(list) if !is_failing => list.changed().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.connection.notify.notified() => {}
            Ok(()) = self.draining.changed() => {
                let draining = *self.draining.borrow_and_update();
                self.frames.named("server", None, &ServerFrame { draining });
            }
            Ok(()) = self.registries.changed() => {
                // A registry that was rebuilt knows no streams until they tell it; the frames go on meanwhile.
                if self.registries.borrow_and_update().is_some() {
                    let _ = self.app.registry.open(self.connection.clone()).await;
                }
            }
            // Whether that concerns this stream is looked at before the next frame.
            Ok(()) = self.access.changed() => self.access.mark_changed(),
            () = list => {}
            () = clock.sleep(timeout) => {
                if timeout == to_ping {
                    self.frames.named("ping", None, &PingFrame { ts: clock.now() });
                }
            }
        }
    }

    async fn wait_suspended(&mut self) {
        let revoked = async {
            while self.access.changed().await.is_ok() {
                if !self.access.borrow_and_update().tokens.still_hold(&self.viewer) {
                    return;
                }
            }
        };
        let grace = self.app.clock.sleep(self.app.config.now().sessions.suspend_grace);
        let closed = async {
            while self.connection.closing().is_none() {
                self.connection.notify.notified().await;
            }
        };
        tokio::select! {
            () = grace => {}
            () = closed => {}
            () = revoked => {}
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.app.registry.closed(self.connection.id);
    }
}

#[cfg(test)]
mod tests;
