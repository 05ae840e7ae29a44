//! All streams of one thread, served by one task: it is woken once for whatever happened to them, and has one timer for
//! them all. Those whose socket was taken from the HTTP library it drives itself; the others it wakes.

mod seats;

use super::{
    chunk::Chunk,
    desk::{Desk, Limits},
    follower::Follower,
    outlet::Outlet,
    poller::{Poller, Ready},
};
use crate::{
    domain::Timestamp,
    http::App,
    registry::connections::Connection,
    store::{
        Reader,
        doorbell::{Doorbell, Ring, Rung},
    },
};
use actix_web::{rt::net::TcpStream, web};
use futures_util::FutureExt;
use seats::{Place, Seats};
use std::{
    cell::RefCell,
    collections::VecDeque,
    future::{Future, poll_fn},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Streams that are served before others of the thread have their turn.
const TURN: usize = 128;
/// Chunks that one stream is given before the next one has its turn.
const CHUNKS: usize = 16;
/// Streams of one thread that are being opened at the same time: thousands that come back at once take their turns with those
/// that are open, whose news would wait for all of them.
const OPENING: usize = 8;
/// The least time between two looks at whose time has come: thousands of idle streams cost a few wake-ups a second.
const SWEEP: Duration = Duration::from_millis(250);

/// Cheap to clone; all clones are one. It belongs to its thread.
#[derive(Clone)]
pub(crate) struct Hub(Rc<Inner>);

struct Inner {
    doorbell: Arc<Doorbell>,
    opening: Semaphore,
    /// Never borrowed while anything runs that could come back here.
    state: RefCell<Option<State>>,
}

struct State {
    app: web::Data<App>,
    desk: Desk,
    seats: Seats<Kind>,
    /// Who is to be served, in this order.
    todo: VecDeque<u32>,
    rung: Rung,
    poller: Poller,
    ready: Vec<Ready>,
    timer: Timer,
}

/// Wakes the task when the time of a seat has come.
struct Timer {
    at: Timestamp,
    sleep: Pin<Box<dyn Future<Output = ()>>>,
    swept: Timestamp,
}

/// How the stream of a seat gets its bytes.
enum Kind {
    /// The HTTP library asks for them, and is woken.
    Body(Option<Waker>),
    Socket(Box<Driven>),
}

/// A stream with its socket.
struct Driven {
    follower: Follower,
    outlet: Outlet,
    is_over: bool,
    _permit: OwnedSemaphorePermit,
}

/// What came of serving a stream.
#[derive(PartialEq, Eq)]
enum Served {
    Waits,
    /// There is more to do for it.
    Goes,
    Ended,
}

impl Hub {
    pub(crate) fn new() -> Self {
        let opening = Semaphore::new(OPENING);
        Self(Rc::new(Inner { doorbell: Arc::default(), opening, state: RefCell::default() }))
    }

    /// Is told of the sessions that the streams of this thread follow.
    pub(super) fn reader(&self) -> Arc<dyn Reader> {
        self.0.doorbell.clone()
    }

    /// Waits for a turn to open a stream, which lasts until the permit is dropped.
    pub(super) async fn opening(&self) -> SemaphorePermit<'_> {
        self.0.opening.acquire().await.expect("it is never closed")
    }

    /// A place for one more stream.
    pub(super) fn seat(&self, app: &web::Data<App>) -> io::Result<Seat> {
        let mut state = self.0.state.borrow_mut();
        let state = match &mut *state {
            Some(state) => state,
            empty => {
                let state = empty.insert(State::new(app.clone())?);
                actix::spawn(self.clone().run());
                actix::spawn(hear(app.clone(), self.0.doorbell.clone()));
                state
            }
        };
        Ok(Seat { hub: self.clone(), index: state.seats.take(Kind::Body(None)), is_kept: false })
    }

    /// For as long as the thread runs. A defect in here costs the streams of this thread, which come back.
    async fn run(self) {
        loop {
            let turns = poll_fn(|cx| self.turn(cx));
            let ended = AssertUnwindSafe(turns).catch_unwind().await;
            if let Ok(Err(error)) = &ended {
                log::error!(error:%; "the streams of a thread cannot be served and are cut");
            }
            self.with(State::cut);
            // Whatever it was, others of the thread come first.
            tokio::task::yield_now().await;
        }
    }

    fn turn(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.with(|state| state.turn(&self.0.doorbell, cx)) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// The task looks at the clock by itself only for what it knew of at its last turn.
    fn remember(&self, state: &State) {
        let timer = &state.timer;
        let is_armed = timer.at > state.desk.now;
        if state.seats.first_due().is_some_and(|first| !is_armed || first < timer.at) {
            self.0.doorbell.ring(Seats::<Kind>::NOBODY);
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(self.0.state.borrow_mut().as_mut().expect("a hub that was given a seat has its state"))
    }
}

/// What changes for the whole server concerns every stream.
async fn hear(app: web::Data<App>, doorbell: Arc<Doorbell>) {
    let (mut draining, mut registries) = (app.registry.draining(), app.registry.generations());
    let mut access = app.access.subscribe();
    loop {
        let changed = tokio::select! {
            changed = draining.changed() => changed,
            changed = registries.changed() => changed,
            changed = access.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
        doorbell.ring_all();
    }
}

/// A stream's place in its thread, given up when it is dropped.
pub(super) struct Seat {
    hub: Hub,
    index: u32,
    /// The socket has it now.
    is_kept: bool,
}

impl Seat {
    /// Has the stream served, from whichever thread.
    pub(super) fn waker(&self) -> Waker {
        Arc::new(Ring { doorbell: self.hub.0.doorbell.clone(), reader: self.index }).into()
    }

    /// From here on it is served when its sessions have news.
    pub(super) fn follow(&self, connection: &Arc<Connection>) {
        self.hub.with(|state| state.seats.follow(self.index, connection.clone()));
    }

    pub(super) fn now(&self) -> Timestamp {
        self.hub.with(|state| state.app.clock.now())
    }

    /// The next bytes of a stream that is asked for them.
    pub(super) fn poll_chunk(
        &self,
        follower: &mut Follower,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Chunk>> {
        self.hub.with(|state| {
            state.prepare();
            let polled = follower.poll_chunk(cx, &mut state.desk);
            state.desk.batch = None;
            if polled.is_pending() {
                state.seats.set_due(self.index, follower.due());
                self.hub.remember(state);
            }
            if let Some(Kind::Body(waker)) = state.seats.kind(self.index)
                && !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()))
            {
                *waker = Some(cx.waker().clone());
            }
            polled
        })
    }

    /// Takes the stream over, with its socket.
    pub(super) fn drive(
        mut self,
        follower: Follower,
        socket: TcpStream,
        permit: OwnedSemaphorePermit,
    ) {
        let adopted = socket.into_std().and_then(|socket| {
            let driven =
                Driven { follower, outlet: Outlet::new(socket), is_over: false, _permit: permit };
            self.hub.with(|state| {
                state.adopt(self.index, driven)?;
                self.hub.remember(state);
                Ok(())
            })
        });
        match adopted {
            Ok(()) => self.is_kept = true,
            Err(error) => log::warn!(error:%; "a stream cannot be served and is cut"),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.is_kept {
            self.hub.with(|state| state.seats.leave(self.index));
        }
    }
}

impl State {
    fn new(app: web::Data<App>) -> io::Result<Self> {
        let now = app.clock.now();
        let timer = Timer { at: now, sleep: Box::pin(std::future::pending()), swept: now };
        Ok(Self {
            desk: Desk::new(now, &app.config.now()),
            app,
            seats: Seats::default(),
            todo: VecDeque::new(),
            rung: Rung::default(),
            poller: Poller::new()?,
            ready: Vec::new(),
            timer,
        })
    }

    fn prepare(&mut self) {
        self.desk.now = self.app.clock.now();
        self.desk.limits = Limits::of(&self.app.config.now());
    }

    fn adopt(&mut self, index: u32, driven: Driven) -> io::Result<()> {
        self.poller.add(&driven.outlet, self.seats.token(index))?;
        if let Some(kind) = self.seats.kind(index) {
            *kind = Kind::Socket(Box::new(driven));
        }
        self.prepare();
        self.serve(index);
        Ok(())
    }

    /// Serves who has something to do; then others of the thread have their turn.
    fn turn(&mut self, doorbell: &Doorbell, cx: &mut Context<'_>) -> io::Result<()> {
        doorbell.answer(cx, &mut self.rung);
        let (seats, todo) = (&mut self.seats, &mut self.todo);
        for session in self.rung.sessions.drain() {
            seats.queue_followers(session, todo);
        }
        for index in self.rung.readers.drain() {
            seats.queue(index, todo);
        }
        if std::mem::take(&mut self.rung.all) {
            seats.queue_all(todo);
        }
        self.poller.poll(cx, &mut self.ready)?;
        self.take_ready();
        self.prepare();
        self.poll_timer(cx);
        for _ in 0..TURN {
            let Some(index) = self.todo.pop_front() else { break };
            self.serve(index);
        }
        // What it holds is pinned in memory.
        self.desk.batch = None;
        self.poll_timer(cx);
        if !self.todo.is_empty() {
            // Behind the executor's own look at its sockets.
            let mut later = pin!(tokio::task::yield_now());
            let _ = later.as_mut().poll(cx);
        }
        Ok(())
    }

    fn take_ready(&mut self) {
        let mut ready = std::mem::take(&mut self.ready);
        for Ready { token, is_gone } in ready.drain(..) {
            let Some(index) = self.seats.index(token) else { continue };
            match is_gone {
                true => self.seats.leave(index),
                false => self.seats.queue(index, &mut self.todo),
            }
        }
        self.ready = ready;
    }

    /// Queues whose time has come, and sees to it that the next one is not forgotten.
    fn poll_timer(&mut self, cx: &mut Context<'_>) {
        loop {
            let Some(first) = self.seats.first_due() else { return };
            let at = first.max(self.timer.swept + SWEEP);
            if at <= self.desk.now {
                self.timer.swept = self.desk.now;
                self.seats.queue_due(self.desk.now, &mut self.todo);
                continue;
            }
            if self.timer.at != at {
                let clock = self.app.clock.clone();
                let sleep = Box::pin(async move { clock.sleep_until(at).await });
                self.timer = Timer { at, sleep, ..self.timer };
            }
            if self.timer.sleep.as_mut().poll(cx).is_pending() {
                return;
            }
            self.prepare();
            if self.desk.now < at {
                // The clock was set back; a finished sleep cannot be asked again.
                self.timer.at = self.desk.now;
            }
        }
    }

    fn serve(&mut self, index: u32) {
        let Some(Place { connection: Some(connection), kind, .. }) = self.seats.begin(index) else {
            return;
        };
        let driven = match kind {
            Kind::Body(waker) => {
                if let Some(waker) = waker {
                    waker.wake_by_ref();
                }
                return;
            }
            Kind::Socket(driven) => driven,
        };
        // Nothing of a stream is used again after a panic.
        let desk = &mut self.desk;
        let served = catch_unwind(AssertUnwindSafe(|| driven.serve(connection, desk)));
        match served {
            Ok(Ok(Served::Waits)) => {
                let due = driven.follower.due();
                self.seats.set_due(index, due);
            }
            Ok(Ok(Served::Goes)) => self.seats.queue(index, &mut self.todo),
            // A peer that went away is nothing to tell.
            Ok(Ok(Served::Ended) | Err(_)) => self.seats.leave(index),
            Err(_) => {
                log::error!(connection:% = connection.id; "a stream panicked and is cut");
                self.seats.leave(index);
            }
        }
    }

    /// Ends all that is driven here.
    fn cut(&mut self) {
        self.todo.clear();
        self.seats.keep(|kind| matches!(kind, Kind::Body(_)), &mut self.todo);
    }
}

impl Driven {
    fn serve(&mut self, connection: &Connection, desk: &mut Desk) -> io::Result<Served> {
        let mut cx = Context::from_waker(&connection.waker);
        for _ in 0..CHUNKS {
            if !self.outlet.is_clear() {
                let taken = self.outlet.resume()?;
                if taken > 0 {
                    connection.progressed(desk.now, taken);
                }
            }
            if !self.outlet.is_clear() {
                // A peer that takes nothing at all is cut by the kernel.
                return Ok(Served::Waits);
            }
            if self.is_over {
                self.outlet.close();
                return Ok(Served::Ended);
            }
            match self.follower.poll_chunk(&mut cx, desk) {
                Poll::Pending => return Ok(Served::Waits),
                Poll::Ready(Some(chunk)) => {
                    let taken = self.outlet.send(&chunk)?;
                    if taken > 0 {
                        connection.progressed(desk.now, taken);
                    }
                }
                Poll::Ready(None) => {
                    self.outlet.send_last();
                    self.is_over = true;
                }
            }
        }
        Ok(Served::Goes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::connections::Followed;

    #[test]
    fn streams_are_opened_a_few_at_a_time() {
        let hub = Hub::new();
        let mut turns: Vec<_> =
            (0..OPENING).map(|_| hub.opening().now_or_never().expect("a turn")).collect();
        assert!(hub.opening().now_or_never().is_none());
        turns.pop();
        assert!(hub.opening().now_or_never().is_some());
    }

    /// All that is kept for an idle stream of one session, but for the tables' spare room and the socket.
    #[test]
    fn an_idle_stream_takes_less_than_a_kilobyte() {
        let sizes = [
            size_of::<Option<Place<Kind>>>(),
            size_of::<Driven>(),
            size_of::<super::super::follower::Place>(),
            size_of::<Connection>(),
            size_of::<Followed>(),
            size_of::<Ring>(),
        ];
        assert!(sizes.iter().sum::<usize>() < 1024, "{sizes:?}");
    }
}
