//! The language of the tables: a session, what is asked of it, and what it told since. What it runs on is not
//! seen in a table.

use super::laws::Laws;
use crate::{
    agent::AgentEvent,
    config::Restart,
    domain::{
        ContentBlock, Draft, MessageId, Session, SessionId, State, Timestamp, event::Outcome,
    },
    process::Happened,
    session::{
        Request,
        machine::{AcceptTicket, Admission, Effect, Input, Machine, Policy, Ticket, first_events},
    },
    store::{Appended, Receipt, StoreError},
    supervise::restart::RestartPolicy,
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

pub(super) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(super) fn id(text: &str) -> MessageId {
    text.parse().unwrap()
}

/// The contract's defaults.
pub(super) fn policy() -> Policy {
    Policy {
        max_queued_messages: 64,
        start_timeout: secs(60),
        detach_after: secs(5),
        detach_timeout: secs(48 * 3600),
        close_grace: secs(10),
        suspend_grace: secs(120),
        permission_timeout: secs(12 * 3600),
        interrupt_step: secs(5),
        inactivity: None,
        inactivity_interrupt: false,
        park_after: None,
        restarts: RestartPolicy {
            max_restarts: 3,
            within: secs(60),
            backoff_min: Duration::from_millis(200),
            backoff_max: secs(10),
        },
        restart: Restart::OnFailure,
        has_turns: true,
    }
}

pub(super) fn lines() -> Policy {
    Policy { has_turns: false, ..policy() }
}

/// Steps that wait for their commit.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) drafts: Vec<Draft>,
    pub(super) row: Option<Session>,
    pub(super) then: Vec<Effect>,
}

#[derive(Debug)]
pub(super) struct Script {
    pub(super) machine: Machine,
    pub(super) now: Timestamp,
    pub(super) laws: Laws,
    pub(super) policy: Policy,
    /// What is committed.
    pub(super) log: Vec<Draft>,
    pub(super) row: Session,
    pub(super) ledger: BTreeMap<MessageId, (Receipt, bool)>,
    /// What is not.
    pub(super) waiting: VecDeque<Batch>,
    pub(super) ready: VecDeque<Effect>,
    /// Outcomes of sends that the machine has not heard of.
    pub(super) outcomes: Vec<(AcceptTicket, Result<Appended, StoreError>)>,
    pub(super) is_pumping: bool,
    /// The store commits at once, and its outcomes arrive at once.
    pub(super) is_prompt: bool,
    pub(super) store_fails: bool,
    pub(super) admission: Admission,
    /// The run whose child lives.
    pub(super) child: Option<u32>,
    /// Orders and prompts that reached the child.
    pub(super) orders: Vec<String>,
    pub(super) prompts: VecDeque<MessageId>,
    /// The agent was told of as inactive, and has not spoken since.
    pub(super) is_silent: bool,
    tickets: u64,
    pub(super) unanswered: BTreeSet<u64>,
    pub(super) told: Vec<String>,
}

impl Script {
    /// CREATED, the actor not begun.
    pub(super) fn given(policy: Policy) -> Self {
        let now = Timestamp::from_millis(1_000_000);
        let id = SessionId::from_uuid(uuid::Uuid::from_u128(7));
        let mut session = Session::new(id, "demo".into(), "/".into(), [0; 32], now);
        let laws = Laws::new(session.clone());
        let log = first_events(&mut session, None);
        let mut script = Self {
            machine: Machine::new(session.clone(), Vec::new(), policy.clone()),
            now,
            laws,
            policy,
            row: session,
            log,
            ledger: BTreeMap::new(),
            waiting: VecDeque::new(),
            ready: VecDeque::new(),
            outcomes: Vec::new(),
            is_pumping: false,
            is_prompt: true,
            store_fails: false,
            admission: Admission { draining: false, full: None },
            child: None,
            orders: Vec::new(),
            prompts: VecDeque::new(),
            is_silent: false,
            tickets: 0,
            unanswered: BTreeSet::new(),
            told: Vec::new(),
        };
        script.laws.see(&script.log[0]);
        script.machine.set_watchers(1, 0);
        script
    }

    /// STARTING, with a child that has not answered.
    pub(super) fn starting(policy: Policy) -> Self {
        Self::given(policy).begin(false).spawned().quiet()
    }

    /// ACTIVE and watched.
    pub(super) fn active() -> Self {
        Self::active_with(policy())
    }

    pub(super) fn active_with(policy: Policy) -> Self {
        Self::starting(policy).ready().quiet()
    }

    /// ACTIVE, with the turn of this message open.
    pub(super) fn running(message: &str) -> Self {
        Self::running_with(policy(), message)
    }

    pub(super) fn running_with(policy: Policy, message: &str) -> Self {
        Self::active_with(policy).send(message).turn(message).quiet()
    }

    // What was told

    /// All that was told since the last look, in order: first what is done at once, orders marked `!`, then events, then what
    /// follows from their commit.
    #[track_caller]
    pub(super) fn then(mut self, expected: &str) -> Self {
        let expected: Vec<_> =
            expected.split([';', '\n']).map(str::trim).filter(|item| !item.is_empty()).collect();
        assert_eq!(std::mem::take(&mut self.told), expected);
        self
    }

    /// Looks away.
    pub(super) fn quiet(mut self) -> Self {
        self.told.clear();
        self
    }

    #[track_caller]
    pub(super) fn is(self, state: State) -> Self {
        assert_eq!(self.machine.session().state, state);
        self
    }

    // What is asked

    pub(super) fn ask(mut self, request: Request) -> Self {
        self.asks("ann", request);
        self
    }

    pub(super) fn asks(&mut self, by: &str, request: Request) {
        self.tickets += 1;
        self.unanswered.insert(self.tickets);
        let (ticket, admission) = (Ticket(self.tickets), self.admission);
        self.step(Input::Asked { ticket, by: by.into(), request, admission });
    }

    pub(super) fn send(self, message: &str) -> Self {
        self.ask(sent(message, message, false))
    }

    pub(super) fn send_urgent(self, message: &str) -> Self {
        self.ask(sent(message, message, true))
    }

    pub(super) fn withdraw(self, message: &str) -> Self {
        self.ask(Request::Withdraw { message_id: id(message) })
    }

    pub(super) fn interrupt(self) -> Self {
        self.ask(Request::Interrupt)
    }

    pub(super) fn stop(self) -> Self {
        self.ask(Request::Stop { grace: None })
    }

    pub(super) fn stop_within(self, grace: Duration) -> Self {
        self.ask(Request::Stop { grace: Some(grace) })
    }

    pub(super) fn resume(self) -> Self {
        self.ask(Request::Resume)
    }

    pub(super) fn permit(self, permission: &str, option: &str) -> Self {
        let outcome = Outcome::Selected { option_id: option.into() };
        self.ask(Request::AnswerPermission { permission_id: permission.into(), outcome })
    }

    // What happens

    pub(super) fn begin(mut self, resume: bool) -> Self {
        self.step(Input::Begin { resume });
        self
    }

    pub(super) fn happens(mut self, what: Happened) -> Self {
        let run = self.machine.session().run;
        if matches!(what, Happened::Exited(_) | Happened::SpawnFailed { .. }) {
            self.child = None;
        }
        if matches!(what, Happened::Said { .. }) {
            self.is_silent = false;
        }
        self.step(Input::Transport { run, what });
        self
    }

    /// A line that means nothing.
    pub(super) fn babbles(self) -> Self {
        self.happens(Happened::Said { events: Vec::new(), ack: None })
    }

    pub(super) fn says(self, event: AgentEvent) -> Self {
        self.happens(Happened::Said { events: vec![event], ack: None })
    }

    pub(super) fn watchers(mut self, active: u32, suspended: u32) -> Self {
        self.step(Input::Watchers { active, suspended });
        self
    }

    pub(super) fn leave(mut self, grace: Duration) -> Self {
        self.step(Input::Leave { grace });
        self
    }

    /// Time passes, and each deadline is kept when it is due.
    #[track_caller]
    pub(super) fn after(mut self, time: Duration) -> Self {
        let until = self.now + time;
        let mut ticks = 0;
        while let Some(due) = self.machine.next_deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.step(Input::Tick);
            ticks += 1;
            assert!(ticks < 100, "a deadline that is kept stays due: {:?}", self.machine);
        }
        self.now = until;
        self
    }

    pub(super) fn full(mut self) -> Self {
        self.admission.full = Some(1);
        self
    }

    pub(super) fn draining(mut self, draining: bool) -> Self {
        self.admission.draining = draining;
        self
    }

    /// The store takes nothing from here on.
    pub(super) fn store_stalls(mut self) -> Self {
        self.is_prompt = false;
        self
    }

    pub(super) fn store_heals(mut self) -> Self {
        self.is_prompt = true;
        self.commit(usize::MAX);
        while !self.outcomes.is_empty() {
            self.hear_outcome(0);
        }
        self
    }

    /// The server dies with all that was not committed, and recovers.
    pub(super) fn crash(mut self) -> Self {
        self.crashes();
        self
    }
}

pub(super) fn sent(message: &str, text: &str, interrupt: bool) -> Request {
    Request::Send { message_id: id(message), content: vec![ContentBlock::text(text)], interrupt }
}
