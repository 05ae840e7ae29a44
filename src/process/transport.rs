//! The actor that owns one child: its guard, its stdio, its codec. It carries orders out and reports what happened; what
//! is to be done about it, the session decides.

mod ending;
mod reading;
mod running;
mod tail;
mod writing;

use super::{
    ChildSpec, GroupSignal, Happened, Order, Report,
    child::{GuardOrders, GuardProcess, Launcher},
    guard::protocol::{GuardOrder, GuardReport},
    line::BatchLimits,
};
use crate::{
    agent::{AgentEvent, Codec},
    clock::Clock,
    domain::event::{Exit, TransportFault},
    fault::{self, Fuse},
};
use actix::{
    Actor, ActorContext, ActorFuture, ActorFutureExt, AsyncContext, Context, Handler, Message,
    Recipient, Running, WrapFuture,
};
use reading::{Heard, LastCall};
use std::{pin::Pin, task::Poll, time::Duration};
use tail::Tail;
use writing::Stdin;

/// A guard that has not taken down a tree for so long is replaced: longer than it needs by its own account.
const GUARD_PATIENCE: Duration = Duration::from_secs(10);

/// What a transport is made of.
pub struct TransportStart {
    /// On every report, so that the session knows late ones.
    pub run: u32,
    pub spec: ChildSpec,
    /// Fresh, for this run alone.
    pub codec: Box<dyn Codec>,
    pub launcher: Launcher,
    pub report: Recipient<Report>,
    /// How long output is waited for after the child's exit.
    pub drain_grace: Duration,
    pub clock: Clock,
    pub limits: Limits,
}

/// How much a transport holds at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Writes that wait for the child to read; one more is a failure of the transport.
    pub stdin_writes: usize,
    /// Lines and bytes of output in one report.
    pub batch: BatchLimits,
    /// Reports of output that the session may have before it, for each of stdout and stderr.
    pub unacked: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { stdin_writes: 64, batch: BatchLimits { lines: 256, bytes: 64 * 1024 }, unacked: 2 }
    }
}

/// Where a run is; it only goes down this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Launching,
    Running,
    /// The child has exited; what it said is still coming.
    Draining,
    /// The guard takes down what is left.
    Finishing,
    /// The tree is gone; what is in the pipes is still coming.
    Flushing,
    Over,
}

/// One run of one child, from the spawn to the last report. Its end, by whatever cause, is the end of the child's tree:
/// the guard sees the socket close that is dropped with it. It ends too when its last address is dropped, so that no
/// child outlives the session that it belongs to.
pub struct Transport {
    run: u32,
    spec: ChildSpec,
    codec: Box<dyn Codec>,
    launcher: Launcher,
    report: Recipient<Report>,
    drain_grace: Duration,
    clock: Clock,
    limits: Limits,
    stage: Stage,
    guard: Option<GuardProcess>,
    orders: Option<GuardOrders>,
    /// Orders from before there was a child to obey them, each once.
    early: Vec<GuardOrder>,
    stdin: Option<Stdin>,
    stdin_closed: bool,
    open_outputs: usize,
    last_call: LastCall,
    pid: Option<u32>,
    /// The guard is no zombie any more.
    reaped: bool,
    exit: Exit,
    stderr_tail: Tail,
    _fuse: Fuse,
}

impl Transport {
    pub fn new(start: TransportStart) -> Self {
        let TransportStart { run, spec, codec, launcher, report, drain_grace, clock, limits } =
            start;
        Self {
            run,
            spec,
            codec,
            launcher,
            report,
            drain_grace,
            clock,
            limits,
            stage: Stage::Launching,
            guard: None,
            orders: None,
            early: Vec::new(),
            stdin: None,
            stdin_closed: false,
            open_outputs: 0,
            last_call: LastCall::default(),
            pid: None,
            reaped: false,
            exit: Exit::default(),
            stderr_tail: Tail::default(),
            _fuse: Fuse("transport::drop"),
        }
    }

    fn tell(&self, what: Happened) {
        self.report.do_send(Report { run: self.run, what });
    }

    fn tell_failed(&self, detail: String) {
        let failed = AgentEvent::Failed { code: TransportFault::Protocol, detail };
        self.tell(Happened::Said { events: vec![failed], ack: None });
    }

    fn after(
        &self,
        ctx: &mut Context<Self>,
        time: Duration,
        then: fn(&mut Self, &mut Context<Self>),
    ) {
        let clock = self.clock.clone();
        let timer = async move { clock.sleep(time).await }.into_actor(self);
        ctx.spawn(timer.map(move |(), actor, ctx| then(actor, ctx)));
    }
}

impl Actor for Transport {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        fault::point!("transport::started");
        ctx.spawn(UntilAbandoned);
        let launched = self.launcher.launch(&self.spec);
        // Nothing else needs these, and every idle child would keep them.
        (self.spec.env, self.spec.args) = Default::default();
        match launched {
            Ok((guard, handover)) => {
                self.guard = Some(guard);
                let spawned = handover.complete().into_actor(self);
                ctx.spawn(spawned.map(|spawned, actor, ctx| actor.spawned(spawned, ctx)));
            }
            Err(error) => self.not_spawned(&error.to_string(), ctx),
        }
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> Running {
        fault::point!("transport::stopping");
        Running::Stop
    }
}

/// Ends when nobody has the actor's address any more, and the actor with it. A context of actix by itself lives on for
/// its futures' sake; but it polls them all when the last address is dropped.
struct UntilAbandoned;

impl ActorFuture<Transport> for UntilAbandoned {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        _: &mut Transport,
        ctx: &mut Context<Transport>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<()> {
        if ctx.connected() {
            return Poll::Pending;
        }
        ctx.stop();
        Poll::Ready(())
    }
}

impl Transport {
    /// An order that is not heard is no error: then the guard is gone, and its silence tells.
    fn order(&mut self, order: GuardOrder) {
        if let Some(orders) = &self.orders {
            orders.give(order);
        } else if self.stage == Stage::Launching && !self.early.contains(&order) {
            self.early.push(order);
        }
    }

    fn kill(&mut self, ctx: &mut Context<Self>) {
        self.order(GuardOrder::Kill);
        self.after(ctx, GUARD_PATIENCE, Self::guard_lost);
    }
}

#[derive(Debug, Message)]
#[rtype(result = "()")]
struct FromGuard(Option<GuardReport>);

impl Handler<FromGuard> for Transport {
    type Result = ();

    fn handle(&mut self, FromGuard(report): FromGuard, ctx: &mut Context<Self>) {
        fault::point!("transport::guard");
        match report {
            Some(GuardReport::Exited { exit_code, signal }) => self.exited(exit_code, signal, ctx),
            Some(GuardReport::Finished { killed }) => self.finished(killed, ctx),
            // A second word on the spawn is nonsense, and nonsense is as good as silence.
            Some(GuardReport::Spawned { .. } | GuardReport::Failed { .. }) | None => {
                self.guard_lost(ctx)
            }
        }
    }
}

impl Handler<Heard> for Transport {
    type Result = ();

    fn handle(&mut self, Heard { stream, lines }: Heard, ctx: &mut Context<Self>) {
        fault::point!("transport::heard");
        match lines {
            Some((batch, ack)) => self.heard(stream, &batch, ack, ctx),
            None => self.output_ended(ctx),
        }
    }
}

impl Handler<Order> for Transport {
    type Result = ();

    fn handle(&mut self, order: Order, ctx: &mut Context<Self>) {
        fault::point!("transport::order");
        let running = self.stage == Stage::Running;
        match order {
            Order::Prompt { message_id, content } if running => {
                let prompt = Some(message_id.clone());
                self.with_codec(prompt, ctx, |codec, out| codec.prompt(&message_id, &content, out));
            }
            Order::Cancel if running => self.with_codec(None, ctx, |codec, out| codec.cancel(out)),
            Order::Answer { request, outcome } if running => {
                self.with_codec(None, ctx, |codec, out| codec.answer(request, &outcome, out));
            }
            // To a child that is not there yet or any more there is nothing to say.
            Order::Prompt { .. } | Order::Cancel | Order::Answer { .. } => {}
            Order::CloseStdin => {
                self.stdin_closed = true;
                self.stdin = None;
            }
            Order::Signal(GroupSignal::Interrupt) => self.order(GuardOrder::Interrupt),
            Order::Signal(GroupSignal::Terminate) => self.order(GuardOrder::Terminate),
            Order::Kill => self.kill(ctx),
        }
    }
}
