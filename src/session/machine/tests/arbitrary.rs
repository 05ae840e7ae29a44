//! Any session, asked anything in any order while its store and its child do as they like: no law of the log is broken
//! (the script checks them at each step), every asker is answered, and every message has one fate.

use super::script::{Script, id, lines, policy, secs, sent};
use crate::{
    agent::{AgentEvent, AgentRequest},
    config::Restart,
    domain::{
        MessageId, State,
        event::{AgentContext, Exit, Outcome, PermissionOption, StopReason, TransportFault},
    },
    process::Happened,
    session::{
        Request,
        machine::{Input, Policy},
    },
    store::MessageStatus,
};
use proptest::{collection::vec, prelude::*, sample::Index};
use std::time::Duration;

#[derive(Clone, Debug)]
enum Op {
    Ask(Asked),
    Child(Does),
    Watchers(u32, u32),
    Pass(Duration),
    Commit(usize),
    HearOutcome(Index),
    StoreIsPrompt(bool),
    StoreFails(bool),
    Draining(bool),
    LateReport,
    Leave(Duration),
    Crash,
    ActorDies,
    Reload(Policy),
}

#[derive(Clone, Debug)]
enum Asked {
    Send { message: u8, interrupt: bool },
    Withdraw(u8),
    Interrupt,
    Stop(Option<Duration>),
    Kill,
    Resume,
    Answer(Index),
    Rename,
}

#[derive(Clone, Debug)]
enum Does {
    Spawned,
    NotSpawned,
    /// True: it could be resumed.
    Ready(bool),
    Turn,
    OwnTurn,
    TurnEnds,
    Rejects,
    Says(bool),
    Babbles,
    AsksPermission,
    AsksQuestion,
    TakesBack(u64),
    Fails(TransportFault),
    Writes,
    Exits(i32),
    IsLost,
}

fn any_wait() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::from_millis(300)),
        Just(secs(2)),
        Just(secs(6)),
        Just(secs(61)),
        Just(secs(50 * 3600)),
    ]
}

fn any_ask() -> impl Strategy<Value = Asked> {
    prop_oneof![
        8 => (0u8..12, prop::bool::weighted(0.3))
            .prop_map(|(message, interrupt)| Asked::Send { message, interrupt }),
        2 => (0u8..12).prop_map(Asked::Withdraw),
        3 => Just(Asked::Interrupt),
        1 => prop_oneof![Just(None), any_wait().prop_map(Some), Just(Some(Duration::ZERO))]
            .prop_map(Asked::Stop),
        1 => Just(Asked::Kill),
        2 => Just(Asked::Resume),
        2 => any::<Index>().prop_map(Asked::Answer),
        1 => Just(Asked::Rename),
    ]
}

fn any_deed() -> impl Strategy<Value = Does> {
    use TransportFault::{AuthRequired, Protocol};
    prop_oneof![
        3 => Just(Does::Spawned),
        1 => Just(Does::NotSpawned),
        6 => any::<bool>().prop_map(Does::Ready),
        6 => Just(Does::Turn),
        1 => Just(Does::OwnTurn),
        5 => Just(Does::TurnEnds),
        1 => Just(Does::Rejects),
        3 => any::<bool>().prop_map(Does::Says),
        1 => Just(Does::Babbles),
        2 => Just(Does::AsksPermission),
        1 => Just(Does::AsksQuestion),
        1 => (0u64..6).prop_map(Does::TakesBack),
        1 => prop_oneof![Just(AuthRequired), Just(Protocol)].prop_map(Does::Fails),
        3 => Just(Does::Writes),
        3 => (0i32..2).prop_map(Does::Exits),
        1 => Just(Does::IsLost),
    ]
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => any_ask().prop_map(Op::Ask),
        24 => any_deed().prop_map(Op::Child),
        2 => (0u32..2, 0u32..2).prop_map(|(active, suspended)| Op::Watchers(active, suspended)),
        4 => any_wait().prop_map(Op::Pass),
        6 => (1usize..4).prop_map(Op::Commit),
        4 => any::<Index>().prop_map(Op::HearOutcome),
        2 => prop::bool::weighted(0.7).prop_map(Op::StoreIsPrompt),
        1 => prop::bool::weighted(0.3).prop_map(Op::StoreFails),
        1 => prop::bool::weighted(0.3).prop_map(Op::Draining),
        1 => Just(Op::LateReport),
        1 => any_wait().prop_map(Op::Leave),
        1 => Just(Op::Crash),
        1 => Just(Op::ActorDies),
        1 => any_policy().prop_map(Op::Reload),
    ]
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let restart =
        prop_oneof![Just(Restart::OnFailure), Just(Restart::Always), Just(Restart::Never)];
    let off_or_time = || prop_oneof![Just(None), any_wait().prop_map(Some)];
    (any::<bool>(), restart, off_or_time(), any::<bool>(), off_or_time()).prop_map(
        |(has_turns, restart, inactivity, inactivity_interrupt, park_after)| {
            let policy = if has_turns { policy() } else { lines() };
            let policy = Policy { inactivity, inactivity_interrupt, park_after, ..policy };
            Policy { restart, max_queued_messages: 5, ..policy }
        },
    )
}

impl Script {
    fn does_op(mut self, op: Op) -> Self {
        match op {
            Op::Ask(asked) => self.is_asked(asked),
            Op::Child(deed) => return self.child_does(deed),
            Op::Watchers(active, suspended) => return self.watchers(active, suspended),
            Op::Pass(time) => return self.after(time),
            Op::Commit(steps) => self.commit(steps),
            Op::HearOutcome(index) if !self.outcomes.is_empty() => {
                self.hear_outcome(index.index(self.outcomes.len()));
            }
            Op::HearOutcome(_) => {}
            Op::StoreIsPrompt(true) => return self.store_heals(),
            Op::StoreIsPrompt(false) => self.is_prompt = false,
            Op::StoreFails(fails) => self.store_fails = fails,
            Op::Draining(draining) => self.admission.draining = draining,
            Op::LateReport => self.hears_of_an_older_run(),
            Op::Leave(grace) => return self.leave(grace),
            Op::Crash => return self.crash().begin(false),
            Op::ActorDies => self.actor_dies(),
            Op::Reload(policy) => self.reload(policy),
        }
        self
    }

    fn is_asked(&mut self, asked: Asked) {
        let request = match asked {
            Asked::Send { message, interrupt } => {
                let message = format!("m{message}");
                sent(&message, &message, interrupt)
            }
            Asked::Withdraw(message) => {
                Request::Withdraw { message_id: id(&format!("m{message}")) }
            }
            Asked::Interrupt => Request::Interrupt,
            Asked::Stop(grace) => Request::Stop { grace },
            Asked::Kill => Request::Kill,
            Asked::Resume => Request::Resume,
            Asked::Answer(index) => {
                let open = &self.machine.session().permissions;
                if open.is_empty() {
                    return;
                }
                let permission_id = open[index.index(open.len())].permission_id.clone();
                let outcome = Outcome::Selected { option_id: "yes".into() };
                Request::AnswerPermission { permission_id, outcome }
            }
            Asked::Rename => Request::Rename { title: Some("title".into()) },
        };
        self.asks("ann", request);
    }

    fn hears_of_an_older_run(&mut self) {
        let before = self.machine.stats().late_reports;
        let run = self.machine.session().run.wrapping_sub(1);
        let what = Happened::Exited(Exit::default());
        self.step(Input::Transport { run, what });
        assert_eq!(self.machine.stats().late_reports, before + 1);
    }

    /// What a child can do at this moment, if there is one.
    fn child_does(mut self, deed: Does) -> Self {
        if self.child.is_none() {
            return self;
        }
        let is_open = self.machine.session().turn.is_some();
        match deed {
            Does::Spawned => self.spawned(),
            Does::NotSpawned if self.prompts.is_empty() && !is_open => self.not_spawned(),
            Does::NotSpawned => self,
            Does::Ready(can_resume) => self.says(AgentEvent::Ready {
                agent_session_id: can_resume.then(|| "theirs".into()),
                context: AgentContext::Resumed,
                can_resume,
            }),
            Does::Turn => match self.next_prompt() {
                Some(message) => self.turn(message.as_str()),
                None => self,
            },
            Does::OwnTurn => self.own_turn(),
            Does::TurnEnds => self.turn_ends(StopReason::EndTurn),
            Does::Rejects => match self.next_prompt() {
                Some(message) => self.rejects(message.as_str()),
                None => self,
            },
            Does::Says(true) => self.delta("a"),
            Does::Says(false) => self.thought("b"),
            Does::Babbles => self.babbles(),
            Does::AsksPermission => {
                let option = PermissionOption {
                    option_id: "yes".into(),
                    name: "yes".into(),
                    kind: "allow_once".into(),
                };
                self.says(AgentEvent::PermissionRequested {
                    request: AgentRequest(1),
                    tool_call: serde_json::Value::Null,
                    options: vec![option],
                })
            }
            Does::AsksQuestion => self.asks_question(2),
            Does::TakesBack(request) => {
                let request = AgentRequest(request);
                self.says(AgentEvent::RequestCancelled { request })
            }
            Does::Fails(code) => self.fails(code),
            Does::Writes if self.machine.policy.has_turns => self,
            Does::Writes => match self.prompts.pop_front() {
                Some(message) => self.written(message.as_str()),
                None => self,
            },
            Does::Exits(code) => self.exits(code),
            Does::IsLost => self.vanishes(),
        }
    }

    /// Agents of lines have no turns.
    fn next_prompt(&mut self) -> Option<MessageId> {
        self.machine.policy.has_turns.then(|| self.prompts.pop_front()).flatten()
    }

    /// From here on the store is well and the child does what it is told.
    fn behaves(mut self) -> Self {
        self.store_fails = false;
        self = self.store_heals();
        for _ in 0..300 {
            let is_told_to_end =
                self.orders.iter().any(|order| !order.starts_with("answer") && order != "cancel");
            if self.child.is_none() {
                let Some(due) = self.machine.next_deadline() else { return self };
                let wait = due - self.now;
                self = self.after(wait);
            } else if is_told_to_end {
                self = self.exits(0);
            } else if self.machine.session().state == State::Starting {
                self = self.ready();
            } else if let Some(message) = self.prompts.pop_front() {
                self = match self.machine.policy.has_turns {
                    true => self.turn(message.as_str()),
                    false => self.written(message.as_str()),
                };
            } else if self.machine.session().turn.is_some() {
                self = self.turn_ends(StopReason::EndTurn);
            } else {
                return self;
            }
        }
        panic!("it never comes to rest: {:?}", self.machine);
    }

    /// Every accepted message waits, was dispatched or has failed; the machine's queue is what waits.
    fn check_messages(&self) {
        for (message, (known, _)) in &self.ledger {
            let fate = match known.status {
                MessageStatus::Queued => (false, false),
                MessageStatus::Dispatched => (true, false),
                MessageStatus::Failed => (self.laws.is_dispatched(message), true),
            };
            assert_eq!((self.laws.is_dispatched(message), self.laws.is_failed(message)), fate);
        }
        let queued = |(_, (known, _)): &(&MessageId, &(crate::store::Receipt, bool))| {
            known.status == MessageStatus::Queued
        };
        let mut queued: Vec<_> = self.ledger.iter().filter(queued).collect();
        queued.sort_by_key(|(_, (known, _))| known.seq);
        let queued: Vec<_> = queued.into_iter().map(|(message, _)| message).collect();
        let waiting = &self.machine.queue;
        assert_eq!(waiting.iter().map(|w| &w.queued.message_id).collect::<Vec<_>>(), queued);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_laws_hold_and_everything_comes_to_rest(
        policy in any_policy(),
        ops in vec(any_op(), 0..120),
    ) {
        let script = Script::given(policy).begin(false);
        let script = ops.into_iter().fold(script, Script::does_op).behaves();
        prop_assert_eq!(&script.unanswered.len(), &0, "{:?}", script.machine);
        script.check_messages();
        let is_leaving = script.machine.leaving.is_some();
        prop_assert!(script.machine.queue.is_empty() || is_leaving, "{:?}", script.machine);
        prop_assert!(!is_leaving || script.machine.session().state == State::Ended);

        let script = script.stop().behaves().is(State::Ended);
        script.check_messages();
        prop_assert!(script.machine.is_at_rest() || is_leaving);
        script.quiet().crash().then("");
    }
}
