//! Which frames come next on a stream: round by round over its sessions, from memory or from the log, and what is said
//! instead of events that are not delivered. Who has to wait for the log comes back to where it was.

use super::{
    super::{
        chunk::Chunk,
        desk::{Batch, Desk},
    },
    Follower, Place, Reading,
};
use crate::{
    domain::Seq,
    metrics,
    registry::replay::{Begin, Gap, Plan, plan},
    session::tail::{Next, Paged},
    store::{Line, PageFrom, PageQuery, StoreError},
    wire::api::{ByeReason, GapReason, GoneFrame, GoneReason},
};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The most bytes of one page read from the log.
const PAGE_BYTES: usize = 1 << 20;

impl Follower {
    /// The frames that another stream of the thread was given, where this one needs the same: they are encoded once for
    /// all who keep up.
    pub(super) fn share(&mut self, desk: &Desk) -> Option<Chunk> {
        let batch = desk.batch.as_ref()?;
        let place = self.only_place()?;
        if batch.key != place.key || batch.from != place.tail.cursor() {
            return None;
        }
        let place = &mut self.places[0];
        place.tail.jump(batch.to);
        self.frames.place(place.key, batch.to);
        self.app.metrics.sent_events.add(batch.to.0 - batch.from.0);
        self.followed(0).moved_to(batch.to);
        Some(batch.chunk.clone())
    }

    /// What was written, also for other streams where it is what they need as well.
    pub(super) fn take(&mut self, from: Option<Seq>, desk: &mut Desk) -> Option<Chunk> {
        let events = self.frames.only_events();
        let chunk = self.frames.take()?;
        if let (Some(from), Some(place)) = (from, self.only_place()) {
            let to = place.tail.cursor();
            if events.is_some_and(|events| from.0 + events as u64 == to.0) {
                desk.batch = Some(Batch { key: place.key, from, to, chunk: chunk.clone() });
            }
        }
        Some(chunk)
    }

    /// The session of a stream that has nothing else, and nothing special to do now.
    pub(super) fn only_place(&self) -> Option<&Place> {
        let [place] = &self.places[..] else { return None };
        let is_plain = place.opening.is_none() && !place.is_gone && self.list.is_none();
        (is_plain && self.reading.is_none() && !place.tail.watch().is_deleted()).then_some(place)
    }

    /// Writes what there is. A log that cannot be read is logged once for a run of failures.
    pub(super) fn gather(&mut self, cx: &mut Context<'_>, desk: &mut Desk) {
        crate::fault::point!("stream::gather");
        let before = self.read_error.take();
        let is_through = self.poll_frames(cx, desk).is_ready();
        match &self.read_error {
            Some(error) if before.is_none() => {
                log::warn!(error:%, connection:% = self.connection().id; "the log cannot be read for a stream");
            }
            // Whether it can be read again is not known yet.
            None if !is_through => self.read_error = before,
            _ => {}
        }
    }

    /// Round by round over the sessions, until a chunk is full or nothing is left.
    fn poll_frames(&mut self, cx: &mut Context<'_>, desk: &mut Desk) -> Poll<()> {
        for index in 0..self.places.len() {
            if self.places[index].tail.watch().is_deleted() {
                // There is nothing to open any more; below it is told.
                continue;
            }
            ready!(self.poll_open(index, cx, desk));
            if self.places[index].opening.is_some() && self.is_full(desk) {
                // The sessions keep their order: the next one begins when this one is through.
                return Poll::Ready(());
            }
        }
        while !self.is_full(desk) && ready!(self.poll_round(cx, desk)) {}
        if let Some(list) = &mut self.list
            && let Err(error) = ready!(list.poll_write(cx, desk.now, &mut self.frames))
        {
            self.read_error = Some(error);
        }
        self.drop_deleted();
        Poll::Ready(())
    }

    /// A batch of each session, up to where the chunk is full: there the next one goes on, or the first sessions would
    /// always have the most of it. False where nothing came.
    fn poll_round(&mut self, cx: &mut Context<'_>, desk: &mut Desk) -> Poll<bool> {
        let mut moved = false;
        for _ in 0..self.places.len() {
            let is_cut = self.frames.size().0 + desk.limits.sync_batch > desk.limits.frames;
            let upto = self.places[self.turn].tail.watch().head();
            moved |= ready!(self.poll_advance(self.turn, upto, cx, desk));
            let is_full = self.is_full(desk);
            if !(is_full && is_cut) {
                self.turn = (self.turn + 1) % self.places.len();
            }
            if is_full {
                break;
            }
        }
        Poll::Ready(moved)
    }

    fn is_full(&self, desk: &Desk) -> bool {
        let (frames, bytes) = self.frames.size();
        frames >= desk.limits.frames || bytes >= desk.limits.bytes
    }

    /// The first frames of a session: gap, what was missed, snapshot. What does not fit comes with the next chunk.
    fn poll_open(&mut self, index: usize, cx: &mut Context<'_>, desk: &mut Desk) -> Poll<()> {
        let place = &mut self.places[index];
        let Some(opening) = &mut place.opening else { return Poll::Ready(()) };
        if let Some(gap) = opening.take() {
            let (watch, cursor) = (place.tail.watch(), place.tail.cursor());
            self.frames.gap(watch, *gap, cursor, watch.head().max(cursor));
            self.count_gap(*gap);
        }
        loop {
            if self.is_full(desk) {
                return Poll::Ready(());
            }
            // What is committed while the missed events are written comes before the snapshot, which is true at its head.
            let snapshot = self.places[index].tail.watch().snapshot();
            if self.places[index].tail.cursor() >= snapshot.head {
                self.frames.snapshot(&snapshot);
                self.places[index].opening = None;
                return Poll::Ready(());
            }
            let events = self.frames.events();
            let moved = ready!(self.poll_advance(index, snapshot.head, cx, desk));
            self.app.metrics.replayed_events.add((self.frames.events() - events) as u64);
            if !moved {
                return Poll::Ready(());
            }
        }
    }

    /// Writes one batch of a session's next events, up to `upto`. False where nothing came of it. It reads the log for one
    /// session at a time, and is asked for that one again when it had to wait.
    fn poll_advance(
        &mut self,
        index: usize,
        upto: Seq,
        cx: &mut Context<'_>,
        desk: &mut Desk,
    ) -> Poll<bool> {
        if self.places[index].is_gone {
            return Poll::Ready(false);
        }
        if self.followed(index).take_jump() && self.is_behind(index, desk) {
            self.reading = None;
            self.jump(index);
            return Poll::Ready(true);
        }
        let lines = match self.reading.take_if(|reading| reading.place == index) {
            Some(reading) => ready!(self.poll_read(reading, upto, cx, desk)),
            None => {
                let (frames, bytes) = self.frames.size();
                let limits = &desk.limits;
                let room = limits.bytes.saturating_sub(bytes);
                let batch = limits.frames.saturating_sub(frames).clamp(1, limits.sync_batch);
                match self.places[index].tail.next(upto, batch, room) {
                    Next::UpToDate => return Poll::Ready(false),
                    Next::Lines(lines) => Some(lines),
                    Next::Read { after } => {
                        let reading = self.read(index, after, desk);
                        ready!(self.poll_read(reading, upto, cx, desk))
                    }
                }
            }
        };
        let Some(lines) = lines else { return Poll::Ready(true) };
        let place = &mut self.places[index];
        for line in &lines {
            self.frames.event(place.key, line);
            place.tail.take(line);
        }
        self.app.metrics.sent_events.add(lines.len() as u64);
        self.followed(index).moved_to(self.places[index].tail.cursor());
        Poll::Ready(!lines.is_empty())
    }

    fn read(&self, place: usize, after: Seq, desk: &Desk) -> Reading {
        let query = PageQuery {
            session: self.places[place].tail.watch().session(),
            from: PageFrom::After(after),
            limit: desk.limits.sync_batch,
            max_bytes: PAGE_BYTES,
            types: Vec::new(),
        };
        Reading { place, after, page: self.app.log.page(query) }
    }

    /// Waits for a page of the log. None where a gap was written instead.
    fn poll_read(
        &mut self,
        mut reading: Reading,
        upto: Seq,
        cx: &mut Context<'_>,
        desk: &Desk,
    ) -> Poll<Option<Vec<Line>>> {
        let Poll::Ready(page) = Pin::new(&mut reading.page).poll(cx) else {
            self.reading = Some(reading);
            return Poll::Pending;
        };
        let Reading { place: index, after, .. } = reading;
        let page = match page {
            Ok(page) => page,
            // Its watch tells of it too, and the reader learns it from there.
            Err(StoreError::Unknown | StoreError::Deleted) => return Poll::Ready(Some(Vec::new())),
            Err(error) => {
                // The other sessions of the stream are served meanwhile.
                self.read_error = Some(error);
                return Poll::Ready(Some(Vec::new()));
            }
        };
        Poll::Ready(match self.places[index].tail.page(page, upto) {
            Paged::Lines(lines) => Some(lines),
            Paged::Pruned { first } => {
                let head = self.places[index].tail.watch().head();
                let plan = plan(Begin::After(after), first, head, desk.limits.max_replay_gap);
                self.skip(index, plan, head);
                None
            }
        })
    }

    /// Whether it still is further behind than the cap: since the order to jump it may have caught up.
    fn is_behind(&self, index: usize, desk: &Desk) -> bool {
        let tail = &self.places[index].tail;
        tail.watch().head().0.saturating_sub(tail.cursor().0) > desk.limits.max_replay_gap
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
}
