//! The session's machine: state × input -> step. It holds every rule of a session's life and none of its means; it
//! does no I/O and reads no clock, so that each rule is a table row in a test.

mod ask;
mod death;
mod interrupt;
mod life;
mod park;
mod quiet;
mod requests;
mod step;
mod turn;
mod watched;

#[cfg(test)]
mod tests;

use super::{Refusal, Reply, Request, ladder::StopLadder};
use crate::{
    agent::AgentRequest,
    domain::{
        Body, ContentBlock, Draft, EndReason, MessageId, Session, State, Timestamp,
        content::ContentDigest,
        event::{Escalation, RequestId},
        session::Queued,
    },
    process::Happened,
    store::{Appended, StoreError},
    supervise::restart::{RestartHistory, RestartPolicy},
};
use quiet::Quiet;
use std::{collections::VecDeque, time::Duration};
use step::Stepping;

pub use step::{Action, Effect, Step};

/// The limits and choices of one session: configuration and profile, resolved.
#[derive(Clone, Debug)]
pub struct Policy {
    pub max_queued_messages: usize,
    pub start_timeout: Duration,
    pub detach_after: Duration,
    pub detach_timeout: Duration,
    pub close_grace: Duration,
    pub suspend_grace: Duration,
    pub permission_timeout: Duration,
    pub interrupt_step: Duration,
    /// An agent with a turn that says nothing for so long is told of; None: it may.
    pub inactivity: Option<Duration>,
    /// Its turn is interrupted then.
    pub inactivity_interrupt: bool,
    /// The child of a session without work is stopped after so long; None: never.
    pub park_after: Option<Duration>,
    pub restarts: RestartPolicy,
    pub restart: crate::config::Restart,
    /// The agent acknowledges messages by turns, and has a cancel of its own.
    pub has_turns: bool,
}

/// What happens to a session.
#[derive(Debug)]
pub enum Input {
    /// The actor begins with a stored session; `resume`: start a run although nothing is queued.
    Begin {
        resume: bool,
    },
    Asked {
        ticket: Ticket,
        by: String,
        request: Request,
        admission: Admission,
    },
    /// The outcome of [`Effect::Accept`].
    Accepted {
        accept: AcceptTicket,
        outcome: Result<Appended, StoreError>,
    },
    /// How many streams watch, and how many of the open ones are suspended.
    Watchers {
        active: u32,
        suspended: u32,
    },
    Transport {
        run: u32,
        what: Happened,
    },
    /// The transport's actor ended without a last report.
    TransportLost {
        run: u32,
        detail: String,
    },
    /// The server shuts down and gives this much time.
    Leave {
        grace: Duration,
    },
    /// Time has passed; one of the deadlines may be due.
    Tick,
}

/// Whose answer is waited for; later requests have higher numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What the registry knows when a request comes in.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    pub draining: bool,
    /// None: there is a place under `max_live` for this session; else the limit that was reached.
    pub full: Option<usize>,
}

/// A send on its way into the log.
#[derive(Clone, Debug)]
pub struct AcceptTicket {
    pub ticket: Ticket,
    pub message_id: MessageId,
    pub digest: ContentDigest,
    pub interrupt: bool,
    pub by: String,
}

#[derive(Debug)]
pub struct Machine {
    session: Session,
    policy: Policy,
    queue: VecDeque<Waiting>,
    /// Sends that are on their way into the log; they count towards the queue's limit.
    accepting: Vec<(Ticket, MessageId)>,
    /// Withdrawals of messages that are on their way into the log.
    withdrawing: Vec<(Ticket, MessageId)>,
    child: Child,
    interrupt: Option<Interrupt>,
    ending: Option<Ending>,
    /// The server shuts down: no turn begins, and no run.
    leaving: Option<Leaving>,
    /// Start another run after the end of this one.
    resume_after_end: bool,
    watch: Watched,
    quiet: Quiet,
    restarts: RestartHistory,
    /// A source of jitter that needs no clock and no I/O: the number of draws so far, mixed.
    jitter: u64,
    /// Requests of the agent that are open, by our id.
    requests: Vec<(RequestId, AgentRequest)>,
    this_run: Run,
    stats: Stats,
}

/// A queued message.
#[derive(Debug)]
struct Waiting {
    queued: Queued,
    /// The send that brought it in this actor's life, else 0.
    ticket: Ticket,
    /// It came while the session was closing, so it survives the end by a stop.
    after_stop: bool,
}

/// The child of the current run.
#[derive(Debug, PartialEq)]
enum Child {
    None,
    /// The run is counted; its child is spawned at `until`.
    Backoff {
        until: Timestamp,
    },
    /// Spawned or being spawned, handshake not done.
    Starting {
        deadline: Timestamp,
    },
    Up,
    /// The last one was stopped for want of work; the session goes on without.
    Parked,
}

#[derive(Debug)]
struct Interrupt {
    by: String,
    /// What is tried now, and until when.
    step: Escalation,
    deadline: Timestamp,
}

/// The session is on its way to ENDED, or its child alone.
#[derive(Debug)]
enum Ending {
    /// CLOSING by the detach timeout, the child untouched until then; a watcher or a message saves it.
    Grace { until: Timestamp },
    Ladder {
        /// None: the session stays, parked.
        reason: Option<EndReason>,
        ladder: StopLadder,
    },
    /// The child was killed; its exit ends the session.
    Killed { reason: EndReason },
}

#[derive(Debug)]
struct Leaving {
    /// The running turn has until then.
    until: Timestamp,
    /// For the stop ladder after it.
    grace: Duration,
}

#[derive(Debug, Default)]
struct Watched {
    active: u32,
    suspended: u32,
    /// ACTIVE and unwatched: DETACHED then.
    detach_at: Option<Timestamp>,
    /// SUSPENDED: DETACHED then.
    suspended_until: Option<Timestamp>,
    unwatched_since: Option<Timestamp>,
}

/// What is known of the current run alone. The counts make ids that are unique in the session: the run and a count.
#[derive(Debug, Default)]
struct Run {
    turn: u32,
    block: u32,
    request: u32,
    /// Messages given to the child of this run.
    dispatched: u32,
    /// For agents without turns: the message that is being written.
    writing: Option<MessageId>,
    /// The agent can take up its conversation in another run.
    can_resume: bool,
    /// We sent this child a signal: an exit with 0 is no completion.
    signalled: bool,
    /// It was SIGKILL: nothing is given to this child any more.
    killed: bool,
    /// It was SIGINT, and it ended the turn. Most agents exit on it, and what they are given before that is lost.
    hold_until: Option<Timestamp>,
    pid: Option<u32>,
}

/// What went by that no event tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub invalid_transitions: u64,
    /// Reports of a run that is not the current one.
    pub late_reports: u64,
}

impl Machine {
    pub fn new(session: Session, queued: Vec<Queued>, policy: Policy) -> Self {
        let queue = queued
            .into_iter()
            .map(|queued| Waiting { queued, ticket: Ticket(0), after_stop: false })
            .collect();
        let jitter = u64::from(session.run) ^ session.id.as_uuid().as_u64_pair().0;
        let restarts = RestartHistory::new(policy.restarts);
        Self {
            session,
            policy,
            queue,
            accepting: Vec::new(),
            withdrawing: Vec::new(),
            child: Child::None,
            interrupt: None,
            ending: None,
            leaving: None,
            resume_after_end: false,
            watch: Watched::default(),
            quiet: Quiet::default(),
            restarts,
            jitter,
            requests: Vec::new(),
            this_run: Run::default(),
            stats: Stats::default(),
        }
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Other limits from now on; times that run already end when they were to, but for those of an agent that is quiet.
    /// How a child is spoken to does not change under it.
    pub fn set_policy(&mut self, policy: Policy) {
        self.restarts.set_policy(policy.restarts);
        self.policy = Policy { has_turns: self.policy.has_turns, ..policy };
        self.look_again();
    }

    /// Of the child that is started now.
    pub fn set_has_turns(&mut self, has_turns: bool) {
        self.policy.has_turns = has_turns;
    }

    pub fn step(&mut self, now: Timestamp, input: Input) -> Step {
        let mut step = Stepping::at(now);
        match input {
            Input::Begin { resume } => self.begin(&mut step, resume),
            Input::Asked { ticket, by, request, admission } => {
                self.asked(&mut step, ticket, by, request, admission);
            }
            Input::Accepted { accept, outcome } => self.accepted(&mut step, accept, outcome),
            Input::Watchers { active, suspended } => self.watchers(&mut step, active, suspended),
            Input::Transport { run, what } if self.has_child_of(run) => {
                self.happened(&mut step, what);
            }
            Input::Transport { .. } => self.stats.late_reports += 1,
            Input::TransportLost { run, detail } if self.has_child_of(run) => {
                self.transport_lost(&mut step, &detail);
            }
            // The end of a transport whose last report was the child's exit.
            Input::TransportLost { .. } => {}
            Input::Leave { grace } => self.leave(&mut step, grace),
            Input::Tick => self.tick(&mut step),
        }
        self.unpark(&mut step);
        self.dispatch_next(&mut step);
        self.leave_when_idle(&mut step);
        self.settle_quiet(now);
        step.step
    }

    fn has_child_of(&self, run: u32) -> bool {
        run == self.session.run && matches!(self.child, Child::Starting { .. } | Child::Up)
    }

    /// The ladder or a kill is under way to the end of the session, and there is no way back.
    fn is_stopping(&self) -> bool {
        matches!(self.ending, Some(Ending::Ladder { reason: Some(_), .. } | Ending::Killed { .. }))
    }

    /// The child is on its way out, or was never let in.
    fn is_doomed(&self) -> bool {
        self.ending.is_some() || self.this_run.killed
    }

    /// The child has work in its hands.
    fn is_busy(&self) -> bool {
        let given = match self.policy.has_turns {
            true => &self.session.dispatched,
            false => &self.this_run.writing,
        };
        self.session.turn.is_some() || given.is_some()
    }

    /// What is known of the watchers before the first step.
    pub(crate) fn set_watchers(&mut self, active: u32, suspended: u32) {
        (self.watch.active, self.watch.suspended) = (active, suspended);
    }

    /// Whether the child of this run is still to be spawned.
    pub fn wants_child(&self, run: u32) -> bool {
        run == self.session.run && matches!(self.child, Child::Starting { .. }) && !self.is_doomed()
    }

    /// Nothing is going on and nothing is owed: the session needs no actor.
    pub fn is_at_rest(&self) -> bool {
        self.session.state == State::Ended
            && self.child == Child::None
            && self.accepting.is_empty()
            && self.queue.is_empty()
    }

    /// When [`Input::Tick`] is due; None while nothing waits for time.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let child = match self.child {
            Child::Backoff { until } => Some(until),
            Child::Starting { deadline } if !self.is_doomed() => Some(deadline),
            _ => None,
        };
        let ending = match &self.ending {
            Some(Ending::Grace { until }) => Some(*until),
            Some(Ending::Ladder { ladder, .. }) => ladder.deadline(),
            Some(Ending::Killed { .. }) | None => None,
        };
        let interrupt = self
            .interrupt
            .as_ref()
            .filter(|interrupt| interrupt.step != Escalation::Restart && !self.is_stopping())
            .map(|interrupt| interrupt.deadline)
            .or(self.this_run.hold_until.filter(|_| self.child == Child::Up));
        let is_free_to_go = self.session.state.is_live() && !self.is_stopping();
        let leaving = self.leaving.as_ref().filter(|_| is_free_to_go).map(|leaving| leaving.until);
        let requests = self.session.permissions.iter().map(|open| open.expires_at);
        let questions = self.session.questions.iter().map(|open| open.expires_at);
        [child, ending, interrupt, leaving, self.watched_deadline(), self.quiet_deadline()]
            .into_iter()
            .flatten()
            .chain(requests)
            .chain(questions)
            .min()
    }

    fn tick(&mut self, step: &mut Stepping) {
        self.tick_child(step);
        self.tick_ending(step);
        self.tick_interrupt(step);
        self.tick_watched(step);
        self.tick_quiet(step);
        self.expire_requests(step);
    }

    /// Adds an event to the step and to the session.
    fn emit(&mut self, step: &mut Stepping, body: Body) {
        let draft = Draft { run: self.session.run, ts: step.now, body };
        step.step.changed |= self.session.apply(&draft);
        step.step.drafts.push(draft);
    }

    /// Moves to another state, if that is legal; an illegal transition is refused and counted.
    fn transit(&mut self, step: &mut Stepping, to: State, reason: Option<EndReason>) -> bool {
        let from = self.session.state;
        if !from.may_become(to) {
            self.stats.invalid_transitions += 1;
            return false;
        }
        if to == State::Starting {
            self.session.run += 1;
        }
        let client_state = self.session.client_state();
        self.emit(step, Body::SessionState { from: Some(from), to, reason, client_state });
        true
    }

    fn reply(&self, step: &mut Stepping, ticket: Ticket, result: Result<Reply, Refusal>) {
        step.then(Effect::Reply { ticket, result });
    }

    /// A number in 0..1, another one at every call (SplitMix64).
    fn draw(&mut self) -> f64 {
        self.jitter = self.jitter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.jitter;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The events that make a session: its first state, and its first message if it comes with one.
pub fn first_events(
    session: &mut Session,
    message: Option<(MessageId, Vec<ContentBlock>, String)>,
) -> Vec<Draft> {
    let created = Body::SessionState {
        from: None,
        to: State::Created,
        reason: None,
        client_state: Default::default(),
    };
    let message =
        message.map(|(message_id, content, by)| Body::UserMessage { message_id, content, by });
    let drafts: Vec<_> = std::iter::once(created)
        .chain(message)
        .map(|body| Draft { run: 0, ts: session.created_at, body })
        .collect();
    for draft in &drafts {
        session.apply(draft);
    }
    drafts
}
