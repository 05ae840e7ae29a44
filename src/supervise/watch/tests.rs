//! Every way in which an actor can end, panics in every place included, and that its watcher hears of each once.

use super::*;
use actix::{AsyncContext, Handler, MailboxError, Message, Running, StreamHandler, WrapFuture};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::mpsc;

/// Where a [`Brittle`] actor panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Making,
    Started,
    Handler,
    Future,
    Stream,
    Stopping,
    Stopped,
    FieldDrop,
}

/// An actor that panics wherever it is told to, and counts what is called on it.
struct Brittle {
    faults: Vec<At>,
    /// It has panicked.
    broken: bool,
    handled: Arc<AtomicUsize>,
    _field: Field,
}

struct Field(bool);

impl Drop for Field {
    fn drop(&mut self) {
        assert!(!self.0, "FieldDrop");
    }
}

impl Brittle {
    fn fail(&mut self, at: At) {
        if self.faults.contains(&at) {
            self.broken = true;
            panic!("{at:?}");
        }
    }
}

impl Actor for Brittle {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        self.fail(At::Started);
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> Running {
        self.fail(At::Stopping);
        // After a panic nobody may ask; whoever does lets queued messages through to a broken actor.
        if self.broken { Running::Continue } else { Running::Stop }
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        self.fail(At::Stopped);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
enum Go {
    Handle,
    Future,
    Stream,
    Stop,
}

impl Handler<Go> for Brittle {
    type Result = ();

    fn handle(&mut self, go: Go, ctx: &mut Context<Self>) {
        self.handled.fetch_add(1, Ordering::SeqCst);
        match go {
            Go::Handle => self.fail(At::Handler),
            Go::Future => {
                use actix::ActorFutureExt;
                let future = async {}.into_actor(self);
                ctx.spawn(future.map(|(), actor, _| actor.fail(At::Future)));
            }
            Go::Stream => {
                ctx.add_stream(futures_util::stream::iter([()]));
            }
            Go::Stop => ctx.stop(),
        }
    }
}

impl StreamHandler<()> for Brittle {
    fn handle(&mut self, (): (), _: &mut Context<Self>) {
        self.fail(At::Stream);
    }
}

struct Started {
    addr: Addr<Brittle>,
    ends: mpsc::UnboundedReceiver<End>,
    handled: Arc<AtomicUsize>,
}

impl Started {
    /// The end; and none comes after it.
    async fn end(&mut self) -> End {
        let end = self.ends.recv().await.expect("an end is reported");
        assert_eq!(self.ends.recv().await, None, "an end was reported twice");
        end
    }
}

fn brittle(arbiter: &ArbiterHandle, faults: &[At]) -> Started {
    let (report, ends) = mpsc::unbounded_channel();
    let handled = Arc::new(AtomicUsize::new(0));
    let (faults, counter) = (faults.to_vec(), handled.clone());
    let make = move |_: &mut Context<Brittle>| {
        assert!(!faults.contains(&At::Making), "Making");
        let _field = Field(faults.contains(&At::FieldDrop));
        Brittle { faults, broken: false, handled: counter, _field }
    };
    let addr = start(arbiter, 16, make, move |end| report.send(end).unwrap());
    Started { addr, ends, handled }
}

fn here() -> ArbiterHandle {
    actix::Arbiter::current()
}

fn panicked(at: At) -> End {
    End::Panicked(format!("{at:?}"))
}

#[actix::test]
async fn an_actor_that_stops_is_reported_as_stopped() {
    let mut started = brittle(&here(), &[]);
    started.addr.do_send(Go::Stop);
    assert_eq!(started.end().await, End::Stopped);
    assert_eq!(started.addr.send(Go::Handle).await, Err(MailboxError::Closed));
}

#[actix::test]
async fn an_actor_without_addresses_is_reported_as_stopped() {
    let mut started = brittle(&here(), &[]);
    let addr = std::mem::replace(&mut started.addr, brittle(&here(), &[]).addr);
    drop(addr);
    assert_eq!(started.end().await, End::Stopped);
}

#[actix::test]
async fn a_panic_anywhere_is_reported_with_its_text() {
    for (fault, go) in [
        (At::Making, Go::Handle),
        (At::Started, Go::Handle),
        (At::Handler, Go::Handle),
        (At::Future, Go::Future),
        (At::Stream, Go::Stream),
        (At::FieldDrop, Go::Stop),
    ] {
        let mut started = brittle(&here(), &[fault]);
        started.addr.do_send(go);
        assert_eq!(started.end().await, panicked(fault));
    }
}

#[actix::test]
async fn a_panic_while_stopping_is_reported() {
    for fault in [At::Stopping, At::Stopped] {
        let mut started = brittle(&here(), &[fault]);
        started.addr.do_send(Go::Stop);
        assert_eq!(started.end().await, panicked(fault));
    }
}

#[actix::test]
async fn a_panicked_actor_is_not_asked_to_stop_and_handles_nothing_more() {
    let mut started = brittle(&here(), &[At::Handler, At::Stopping, At::Stopped]);
    for _ in 0..3 {
        started.addr.do_send(Go::Handle);
    }
    assert_eq!(started.end().await, panicked(At::Handler));
    assert_eq!(started.handled.load(Ordering::SeqCst), 1);
}

#[actix::test]
async fn a_second_panic_in_the_drop_of_a_panicked_actor_does_not_end_the_process() {
    let mut started = brittle(&here(), &[At::Handler, At::Stopping, At::FieldDrop]);
    started.addr.do_send(Go::Handle);
    assert_eq!(started.end().await, panicked(At::FieldDrop));
}

#[actix::test]
async fn an_arbiter_that_ends_takes_its_actors_along_and_that_is_reported() {
    let arbiter = actix::Arbiter::new();
    let mut healthy = brittle(&arbiter.handle(), &[]);
    let mut broken = brittle(&arbiter.handle(), &[At::Stopping, At::FieldDrop]);
    healthy.addr.send(Go::Handle).await.unwrap();
    broken.addr.send(Go::Handle).await.unwrap();
    arbiter.stop();
    assert_eq!(healthy.end().await, End::ArbiterGone);
    assert_eq!(broken.end().await, panicked(At::Stopping));
    arbiter.join().unwrap();
}

#[actix::test]
async fn an_actor_for_an_arbiter_that_has_ended_is_reported_at_once() {
    let arbiter = actix::Arbiter::new();
    let handle = arbiter.handle();
    arbiter.stop();
    arbiter.join().unwrap();
    let mut started = brittle(&handle, &[]);
    assert_eq!(started.end().await, End::ArbiterGone);
    assert_eq!(started.addr.send(Go::Handle).await, Err(MailboxError::Closed));
}

#[actix::test]
async fn a_panic_in_the_report_of_an_end_harms_nobody() {
    let make = |_: &mut Context<Brittle>| Brittle {
        faults: vec![At::Started],
        broken: false,
        handled: Arc::default(),
        _field: Field(false),
    };
    let (done, reported) = tokio::sync::oneshot::channel::<()>();
    start(&here(), 1, make, move |_| {
        let _done = done;
        panic!("in the report");
    });
    // The sender is dropped by the unwinding, and the arbiter goes on.
    assert!(reported.await.is_err());
    let mut next = brittle(&here(), &[]);
    next.addr.do_send(Go::Stop);
    assert_eq!(next.end().await, End::Stopped);
}

#[actix::test]
async fn a_storm_of_panics_leaves_the_arbiters_serving() {
    use At::{FieldDrop, Future, Handler, Making, Started, Stopped, Stopping, Stream};
    let arbiter = actix::Arbiter::new();
    let faults = [Making, Started, Handler, Future, Stream, Stopping, Stopped, FieldDrop];
    let mut storm = Vec::new();
    for round in 0..400_usize {
        let first = faults[round % faults.len()];
        let second = faults[(round / faults.len()) % faults.len()];
        let arbiter = if round.is_multiple_of(2) { arbiter.handle() } else { here() };
        let started = brittle(&arbiter, &[first, second]);
        for go in [Go::Future, Go::Handle, Go::Stream, Go::Stop] {
            // It may be dead already.
            let _ = started.addr.try_send(go);
        }
        storm.push((started, [first, second]));
    }
    let mut stopped = 0;
    for (mut started, faults) in storm {
        match started.end().await {
            // Its stop came before what would have panicked.
            End::Stopped => stopped += 1,
            end => assert!(faults.iter().any(|at| end == panicked(*at)), "{faults:?}: {end:?}"),
        }
    }
    assert!(stopped < 50, "{stopped} of 400 did not panic");
    let calm = brittle(&arbiter.handle(), &[]);
    calm.addr.send(Go::Handle).await.unwrap();
    arbiter.stop();
    arbiter.join().unwrap();
}
