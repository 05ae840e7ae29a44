//! The session's actor: carries out what the machine decides, in the order in which the log commits it. It has no
//! rule of its own.

mod held;
mod messages;
mod outbox;

pub(crate) use messages::{Ask, Leave, News, Retire, SessionNews, Watchers};

use super::{
    Refusal, Reply, Request, launch,
    machine::{AcceptTicket, Effect, Input, Machine, Step, Ticket},
    news,
    surroundings::Surroundings,
    tally::Tally,
};
use crate::{
    config::Config,
    domain::{ContentBlock, MessageId, SessionId, Timestamp, content::encode},
    fault::{self, Fuse},
    metrics::Restart,
    process::{
        Happened, Order, Report,
        sweep::sweep_session,
        transport::{Limits, Transport, TransportStart},
    },
    store::{Accept, Append, Appended, Entry, MessageStatus, StoreError, Stored, Watch},
    supervise::watch::{self, End},
};
use actix::prelude::*;
use bytes::Bytes;
use held::Hold;
use outbox::{Outbox, Work};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// A session's mailbox; what comes in is bounded before it, by the registry's permits and the transport's acks.
pub(crate) const MAILBOX: usize = 64;

/// How long output is waited for after a child's exit: a grandchild may hold the pipe for ever.
pub(crate) const DRAIN_GRACE: Duration = Duration::from_millis(250);

pub(crate) struct SessionActor {
    id: SessionId,
    generation: u64,
    around: Arc<Surroundings>,
    registry: Recipient<SessionNews>,
    machine: Machine,
    tally: Tally,
    resume: bool,
    outbox: Outbox,
    /// The store does not take what is in the outbox.
    held: Option<Hold>,
    transport: Option<(u32, Addr<Transport>)>,
    /// A child of an earlier run may still be there: the transport or this actor before us ended by a panic.
    has_orphans: bool,
    answers: HashMap<Ticket, oneshot::Sender<Result<Reply, Refusal>>>,
    is_deleted: bool,
    /// Asks taken.
    taken: u64,
    /// Dropped with the actor: the server waits for that to shut down.
    leaving: Option<mpsc::Sender<()>>,
    /// Contents of messages that were dispatched in the log and are on their way to the child.
    taken_out: Vec<(MessageId, Bytes)>,
    timer: Option<(Timestamp, SpawnHandle)>,
    _fuse: Fuse,
    /// Keeps the session's newest lines in memory while it is live.
    watch: Watch,
}

/// What a session's actor begins with.
pub(crate) struct Beginning {
    pub(crate) stored: Stored,
    pub(crate) queued: Vec<crate::domain::session::Queued>,
    pub(crate) watch: Watch,
    pub(crate) watchers: Watchers,
    pub(crate) resume: bool,
    /// Asks that were sent to the actor so far.
    pub(crate) sent: Arc<AtomicU64>,
}

impl SessionActor {
    pub(crate) fn new(
        around: Arc<Surroundings>,
        registry: Recipient<SessionNews>,
        generation: u64,
        beginning: Beginning,
    ) -> Self {
        let session = (*beginning.stored.session).clone();
        let config = around.config.now();
        let policy = launch::policy(&config, config.agents.get(&session.agent));
        let id = session.id;
        let has_orphans = session.run > 0 && session.state.is_live();
        let mut machine = Machine::new(session, beginning.queued, policy);
        machine.set_watchers(beginning.watchers.active, beginning.watchers.suspended);
        Self {
            id,
            generation,
            tally: Tally::new(around.metrics.clone()),
            around,
            registry,
            machine,
            resume: beginning.resume,
            outbox: Outbox::default(),
            held: None,
            transport: None,
            has_orphans,
            answers: HashMap::new(),
            is_deleted: false,
            taken: 0,
            leaving: None,
            taken_out: Vec::new(),
            timer: None,
            _fuse: Fuse("session::drop"),
            watch: beginning.watch,
        }
    }

    fn input(&mut self, input: Input, ctx: &mut Context<Self>) {
        self.input_with_ack(input, None, ctx);
    }

    fn input_with_ack(
        &mut self,
        input: Input,
        ack: Option<oneshot::Sender<()>>,
        ctx: &mut Context<Self>,
    ) {
        if self.is_deleted {
            return;
        }
        let Step { drafts, changed, now, then } = self.machine.step(self.around.clock.now(), input);
        for effect in now {
            self.carry_out(effect, ctx);
        }
        self.tally.count(&drafts, self.machine.stats());
        news::log(self.id, &drafts);
        if let Some(news) = news::of(&drafts) {
            self.tell(News::Child(news));
        }
        let limit = self.around.config.value(|config| config.store.max_event_bytes);
        let entries = drafts.iter().map(|draft| Entry::new(draft, limit)).collect();
        let row = changed.then(|| Arc::new(self.machine.session().clone()));
        self.outbox.push(entries, row, then, ack);
        self.count_held();
        self.pump(ctx);
        self.arm_timer(ctx);
    }

    /// Hands the next work to the store. One append is under way at a time: what comes meanwhile is the next one,
    /// so that a failed append can be tried again without anything having overtaken it.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        while let Some(work) = self.outbox.next() {
            match work {
                Work::Append(batch) => {
                    let pending = self.around.log.append(batch.append(self.id));
                    self.outbox.begin(batch);
                    let committed = pending.into_actor(self);
                    ctx.spawn(committed.map(|result, actor, ctx| actor.committed(result, ctx)));
                }
                Work::Effect(effect) => self.carry_out(effect, ctx),
            }
        }
        if !self.outbox.is_empty() {
            return;
        }
        if self.leaving.is_some() && !self.machine.session().state.is_live() {
            ctx.stop();
        } else if self.machine.is_at_rest() && self.answers.is_empty() {
            self.rest();
        }
    }

    fn rest(&self) {
        self.tell(News::Resting { taken: self.taken });
    }

    fn tell(&self, what: News) {
        let Self { id: session, generation, .. } = *self;
        self.registry.do_send(SessionNews { session, generation, what });
    }

    /// The session is deleted: whoever still asks is told so, until the registry lets this actor go.
    fn gone(&mut self) {
        self.is_deleted = true;
        self.held = None;
        for (_, answer) in std::mem::take(&mut self.answers) {
            // Whoever asked may have gone.
            let _ = answer.send(Err(Refusal::Unknown));
        }
        self.rest();
    }

    fn committed(&mut self, result: Result<Appended, StoreError>, ctx: &mut Context<Self>) {
        fault::point!("session::future");
        match result {
            Ok(appended) => {
                if let Appended::Stored { taken, .. } = appended {
                    self.taken_out.extend(taken);
                }
                self.outbox.commit();
                self.heal(ctx);
            }
            Err(StoreError::Unknown | StoreError::Deleted) => {
                return self.gone();
            }
            Err(error) => return self.hold(error, ctx),
        }
        self.pump(ctx);
    }

    fn carry_out(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::Spawn { run } => self.spawn_child(run, ctx),
            Effect::Order(action) => self.order(action.into()),
            Effect::Dispatch { run, message_id } => self.dispatch(run, message_id),
            Effect::Reply { ticket, result } => self.reply(ticket, result),
            Effect::Accept { ticket, message_id, content, interrupt, by } => {
                let (json, digest) = encode(&content);
                let accept = AcceptTicket { ticket, message_id, digest, interrupt, by };
                self.accept(accept, content, json, ctx);
            }
            Effect::ReplyKnown { ticket, message_id, digest, otherwise } => {
                let known = self.around.log.message(self.id, message_id);
                self.reply_later(ticket, ctx, async move {
                    match known.await? {
                        Some(first) if first.digest == digest => {
                            Ok(Reply::Receipt { seq: first.seq, duplicate: true })
                        }
                        Some(_) => Err(Refusal::MessageConflict),
                        None => Err(otherwise),
                    }
                });
            }
            Effect::ReplyWithdrawn { ticket, message_id } => {
                let known = self.around.log.message(self.id, message_id);
                self.reply_later(ticket, ctx, async move {
                    match known.await?.map(|receipt| receipt.status) {
                        None => Err(Refusal::UnknownMessage),
                        Some(MessageStatus::Failed) => Ok(Reply::Done),
                        Some(_) => Err(Refusal::AlreadyDispatched),
                    }
                });
            }
            Effect::ReplySettled { ticket, request_id, is_permission } => {
                let log = self.around.log.clone();
                let session = self.id;
                self.reply_later(ticket, ctx, async move {
                    Err(super::settled::find(&*log, session, &request_id, is_permission).await)
                });
            }
            Effect::Delete { ticket } => self.delete(ticket, ctx),
        }
    }

    fn reply(&mut self, ticket: Ticket, result: Result<Reply, Refusal>) {
        if result == Ok(Reply::Kill { requested: true }) {
            self.tally.expect(Restart::Killed);
        }
        if let Some(answer) = self.answers.remove(&ticket) {
            // The asker may have gone; what it asked for is done all the same.
            let _ = answer.send(result);
        }
    }

    fn reply_later(
        &mut self,
        ticket: Ticket,
        ctx: &mut Context<Self>,
        answer: impl Future<Output = Result<Reply, Refusal>> + 'static,
    ) {
        let answer = answer.into_actor(self).map(move |result, actor, ctx| {
            actor.reply(ticket, result);
            actor.pump(ctx);
        });
        ctx.spawn(answer);
    }

    fn accept(
        &mut self,
        ticket: AcceptTicket,
        content: Vec<ContentBlock>,
        json: Vec<u8>,
        ctx: &mut Context<Self>,
    ) {
        let draft = crate::domain::Draft {
            run: self.machine.session().run,
            ts: self.around.clock.now(),
            body: crate::domain::Body::UserMessage {
                message_id: ticket.message_id.clone(),
                content,
                by: ticket.by.clone(),
            },
        };
        let append = Append {
            session: self.id,
            events: vec![Entry::new(&draft, self.around.config.now().store.max_event_bytes)],
            row: None,
            accept: Some(Accept {
                message_id: ticket.message_id.clone(),
                digest: ticket.digest,
                interrupt: ticket.interrupt,
                content: Bytes::from(json),
            }),
        };
        self.outbox.hold();
        let pending = self.around.log.append(append);
        ctx.spawn(pending.into_actor(self).map(|outcome, actor, ctx| {
            actor.outbox.release();
            actor.input(Input::Accepted { accept: ticket, outcome }, ctx);
        }));
    }

    fn delete(&mut self, ticket: Ticket, ctx: &mut Context<Self>) {
        self.outbox.hold();
        let pending = self.around.log.delete(self.id);
        ctx.spawn(pending.into_actor(self).map(move |result, actor, ctx| {
            actor.outbox.release();
            match result {
                Ok(_) => {
                    actor.reply(ticket, Ok(Reply::Done));
                    // The transport takes its tree down and ends by itself, whether anyone listens or not.
                    actor.order(Order::Kill);
                    actor.gone();
                }
                Err(error) => {
                    actor.reply(ticket, Err(error.into()));
                    actor.pump(ctx);
                }
            }
        }));
    }

    // The child

    /// One live child per session, ever: what an earlier run may have left is taken down first.
    fn spawn_child(&mut self, run: u32, ctx: &mut Context<Self>) {
        if !std::mem::take(&mut self.has_orphans) {
            return self.start_child(run, ctx);
        }
        let (store, session) = (self.around.log.store_id(), self.id);
        let swept = tokio::task::spawn_blocking(move || sweep_session(store, session));
        ctx.spawn(swept.into_actor(self).map(move |_, actor, ctx| actor.start_child(run, ctx)));
    }

    fn start_child(&mut self, run: u32, ctx: &mut Context<Self>) {
        let session = self.machine.session();
        if !self.machine.wants_child(run) {
            let detail = "the run was called off before its child was started".into();
            return self.input(Input::TransportLost { run, detail }, ctx);
        }
        let config = self.around.config.now();
        let agent = config.agents.get(&session.agent);
        let agent = agent.ok_or_else(|| Refusal::UnknownAgent(session.agent.clone()).to_string());
        let store = self.around.log.store_id();
        let spec = agent.and_then(|agent| Ok((agent, launch::child_spec(agent, session, store)?)));
        let (agent, spec) = match spec {
            Ok(spec) => spec,
            Err(detail) => {
                let code = crate::domain::event::TransportFault::Spawn;
                let what = Happened::SpawnFailed { code, detail };
                return self.input(Input::Transport { run, what }, ctx);
            }
        };
        let start = TransportStart {
            run,
            spec,
            codec: agent.protocol.codec(launch::codec_options(agent, session)),
            launcher: self.around.launcher.clone(),
            report: ctx.address().recipient(),
            drain_grace: DRAIN_GRACE,
            clock: self.around.clock.clone(),
            limits: Limits::default(),
        };
        self.machine.set_has_turns(agent.protocol.has_turns());
        let session = ctx.address();
        let addr = watch::start(
            &Arbiter::current(),
            MAILBOX,
            move |_| Transport::new(start),
            move |end| session.do_send(TransportEnded { run, end }),
        );
        self.transport = Some((run, addr));
    }

    fn order(&mut self, order: Order) {
        if let Some((_, transport)) = &self.transport {
            // A transport that is gone reports its end by itself.
            transport.do_send(order);
        }
    }

    fn dispatch(&mut self, run: u32, message_id: MessageId) {
        let place = self.taken_out.iter().position(|(taken, _)| *taken == message_id);
        let json = place.map(|place| self.taken_out.swap_remove(place).1);
        if run != self.machine.session().run {
            // Its run is over; the message was told as uncertain with it.
            return;
        }
        match json.map(|json| serde_json::from_slice(&json)) {
            Some(Ok(content)) => self.order(Order::Prompt { message_id, content }),
            _ => {
                // It is dispatched in the log, so the run that has it must end for its fate to be told.
                log::error!(session:% = self.id, message:% = message_id; "a message's content is gone or damaged");
                self.order(Order::Kill);
            }
        }
    }

    /// A reload acts on what is live too: on what begins now, and on times that nothing else will begin again.
    fn keep_to_configuration(
        &self,
        mut changes: tokio::sync::watch::Receiver<Arc<Config>>,
        ctx: &mut Context<Self>,
    ) {
        let changed = async move { changes.changed().await.is_ok().then_some(changes) };
        ctx.spawn(changed.into_actor(self).map(|changes, actor, ctx| {
            let Some(mut changes) = changes else { return };
            let config = changes.borrow_and_update().clone();
            let agent = config.agents.get(&actor.machine.session().agent);
            actor.machine.set_policy(launch::policy(&config, agent));
            actor.arm_timer(ctx);
            actor.keep_to_configuration(changes, ctx);
        }));
    }

    fn arm_timer(&mut self, ctx: &mut Context<Self>) {
        let due = self.machine.next_deadline();
        if self.timer.as_ref().map(|(at, _)| *at) == due {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let Some(due) = due else { return };
        let clock = self.around.clock.clone();
        let wait = async move { clock.sleep_until(due).await };
        let timer = ctx.spawn(wait.into_actor(self).map(|(), actor, ctx| {
            fault::point!("session::tick");
            actor.timer = None;
            if actor.held.is_some() {
                // The transport waits with reading until the store takes what was read.
                actor.machine.excuse_silence(actor.around.clock.now());
            }
            actor.input(Input::Tick, ctx);
        }));
        self.timer = Some((due, timer));
    }
}

/// The end of a transport's actor, whichever way it ended.
#[derive(Message)]
#[rtype(result = "()")]
struct TransportEnded {
    run: u32,
    end: End,
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        fault::point!("session::started");
        self.keep_to_configuration(self.around.config.changes(), ctx);
        let resume = self.resume;
        self.input(Input::Begin { resume }, ctx);
    }

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        fault::point!("session::stopping");
        Running::Stop
    }
}

impl Handler<Ask> for SessionActor {
    type Result = ();

    fn handle(&mut self, ask: Ask, ctx: &mut Self::Context) {
        fault::point!("session::ask");
        self.taken += 1;
        if self.is_deleted {
            // Whoever asked may have gone.
            let _ = ask.answer.send(Err(Refusal::Unknown));
            return self.rest();
        }
        let ticket = Ticket(self.taken);
        self.answers.insert(ticket, ask.answer);
        let Ask { by, request, admission, .. } = ask;
        let Some(request) = self.while_held(ticket, request, ctx) else { return };
        self.input(Input::Asked { ticket, by, request, admission }, ctx);
    }
}

impl Handler<Watchers> for SessionActor {
    type Result = ();

    fn handle(&mut self, watchers: Watchers, ctx: &mut Self::Context) {
        let Some(watchers) = self.watchers_while_held(watchers) else { return };
        let Watchers { active, suspended } = watchers;
        self.input(Input::Watchers { active, suspended }, ctx);
    }
}

impl Handler<Report> for SessionActor {
    type Result = ();

    fn handle(&mut self, report: Report, ctx: &mut Self::Context) {
        fault::point!("session::report");
        let Report { run, mut what } = report;
        let ack = match &mut what {
            // The transport reads on when what it read is in the log.
            Happened::Said { ack, .. } => ack.take(),
            _ => None,
        };
        self.input_with_ack(Input::Transport { run, what }, ack, ctx);
    }
}

impl Handler<TransportEnded> for SessionActor {
    type Result = ();

    fn handle(&mut self, ended: TransportEnded, ctx: &mut Self::Context) {
        if self.transport.as_ref().is_some_and(|(run, _)| *run == ended.run) {
            self.transport = None;
        }
        self.has_orphans |= ended.end != End::Stopped;
        if let End::Panicked(panic) = &ended.end {
            log::error!(session:% = self.id, run = ended.run, panic; "a transport panicked");
            self.tally.expect(Restart::TransportPanic);
        }
        // After a last report this run is over, and the machine counts this as a late word.
        let detail = match ended.end {
            End::Panicked(panic) => format!("the transport panicked: {panic}"),
            End::Stopped | End::ArbiterGone => "the transport ended without a report".into(),
        };
        self.input(Input::TransportLost { run: ended.run, detail }, ctx);
    }
}

impl Handler<Leave> for SessionActor {
    type Result = ();

    fn handle(&mut self, leave: Leave, ctx: &mut Self::Context) {
        if self.is_deleted {
            return ctx.stop();
        }
        self.leaving = Some(leave.done);
        self.input(Input::Leave { grace: leave.grace }, ctx);
    }
}

impl Handler<Retire> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
