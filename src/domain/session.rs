//! A session as it is stored: what its events add up to. Every transaction that changes it stores it beside the
//! event, so that start-up, recovery and a restarted actor read one row and no history.

use super::{
    Body, ClientState, Draft, EndReason, MessageId, Seq, SessionId, State, Timestamp,
    event::{AgentContext, Escalation, Permission, Question, TransportFault},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    /// The profile's name.
    pub agent: String,
    pub title: Option<String>,
    pub cwd: String,
    pub env: BTreeMap<String, String>,
    /// SHA-256 of the creating body in canonical JSON; makes a repeated create recognisable.
    pub create_digest: [u8; 32],
    pub created_at: Timestamp,
    pub updated_at: Timestamp,

    pub state: State,
    pub end_reason: Option<EndReason>,
    /// What it was told to finish for, while CLOSING.
    #[serde(default)]
    pub closing: Option<EndReason>,
    pub run: u32,
    /// Restarts of the transport over the session's life.
    pub restarts: u32,
    pub pid: Option<u32>,
    /// It runs without a child, which was stopped for want of work.
    #[serde(default)]
    pub parked: bool,
    /// The agent's own id of this conversation, by which a later run resumes it.
    pub agent_session_id: Option<String>,
    /// A turn has ended in this conversation, so that there is something to resume.
    #[serde(default = "had_turns")]
    pub has_context: bool,
    /// The agent has forgotten what was said, and no run since has begun to say so.
    #[serde(default)]
    pub lost: bool,

    pub turn: Option<OpenTurn>,
    /// Given to the current run, its turn not ended. For agents without turns: the last one given.
    pub dispatched: Option<MessageId>,
    /// Who asked for the interrupt that has no outcome yet.
    #[serde(default)]
    pub interrupt: Option<String>,
    /// The block that deltas are being added to.
    pub block: Option<OpenBlock>,
    pub permissions: Vec<Permission>,
    pub questions: Vec<Question>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenTurn {
    pub turn_id: String,
    pub message_id: Option<MessageId>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenBlock {
    pub block_id: String,
    pub turn_id: Option<String>,
    pub is_thought: bool,
}

/// An accepted message that was not dispatched yet. Its content stays in the log until it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    pub message_id: MessageId,
    pub seq: Seq,
    pub interrupt: bool,
}

impl Session {
    /// A session of which nothing has happened yet.
    pub fn new(
        id: SessionId,
        agent: String,
        cwd: String,
        create_digest: [u8; 32],
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            agent,
            title: None,
            cwd,
            env: BTreeMap::new(),
            create_digest,
            created_at: now,
            updated_at: now,
            state: State::Created,
            end_reason: None,
            closing: None,
            run: 0,
            restarts: 0,
            pid: None,
            parked: false,
            agent_session_id: None,
            has_context: false,
            lost: false,
            turn: None,
            dispatched: None,
            interrupt: None,
            block: None,
            permissions: Vec::new(),
            questions: Vec::new(),
        }
    }

    /// `requires_action` wins over `running`; who watches plays no part.
    pub fn client_state(&self) -> ClientState {
        if !self.permissions.is_empty() || !self.questions.is_empty() {
            ClientState::RequiresAction
        } else if self.turn.is_some() {
            ClientState::Running
        } else {
            ClientState::Idle
        }
    }

    /// Something is under way that a later event will end: what began it must not be forgotten before.
    pub fn has_open_work(&self) -> bool {
        self.turn.is_some() || !self.permissions.is_empty() || !self.questions.is_empty()
    }

    /// Adds one event. True where the session changed, so that its row has to be stored with the event; deltas
    /// within an open block change nothing.
    pub fn apply(&mut self, draft: &Draft) -> bool {
        match &draft.body {
            Body::SessionState { to, reason, .. } => self.apply_state(*to, *reason, draft.run),
            Body::SessionTitled { title } => self.title.clone_from(title),
            Body::UserMessage { .. } => {}
            Body::MessageDispatched { message_id } => self.dispatched = Some(message_id.clone()),
            Body::MessageFailed { message_id, .. } => self.settle(Some(message_id)),
            Body::TurnStarted { turn_id, message_id } => {
                self.turn =
                    Some(OpenTurn { turn_id: turn_id.clone(), message_id: message_id.clone() });
            }
            Body::TurnEnded { message_id, .. } => {
                self.turn = None;
                self.has_context = true;
                self.settle(message_id.as_ref());
            }
            Body::AgentMessage(chunk) => return self.apply_chunk(chunk, false),
            Body::AgentThought(chunk) => return self.apply_chunk(chunk, true),
            Body::PermissionRequested(permission) => self.permissions.push(permission.clone()),
            Body::PermissionResolved { permission_id, .. } => {
                self.permissions.retain(|open| open.permission_id != *permission_id);
            }
            Body::QuestionRequested(question) => self.questions.push(question.clone()),
            Body::QuestionResolved { question_id, .. } => {
                self.questions.retain(|open| open.question_id != *question_id);
            }
            Body::TransportStarted { pid, agent_session_id, context } => {
                self.pid = *pid;
                self.agent_session_id.clone_from(agent_session_id);
                self.has_context = *context == AgentContext::Resumed;
                self.lost = false;
            }
            Body::TransportFailed { code: TransportFault::Resume, .. } => {
                self.agent_session_id = None;
                self.lost = true;
            }
            Body::TransportExited(_) => {
                self.pid = None;
                // Unless it is started again, which the same transaction tells.
                self.parked = self.state.is_running();
            }
            Body::TransportRestarting { .. } => self.restarts += 1,
            Body::InterruptRequested { by } => self.interrupt = Some(by.clone()),
            Body::InterruptCompleted { .. } => self.interrupt = None,
            Body::InterruptFailed { escalated_to, .. } => {
                // After SIGINT there is more to come.
                if *escalated_to == Escalation::Sigint {
                    return false;
                }
                self.interrupt = None;
            }
            Body::AgentToolCall(_)
            | Body::AgentToolUpdate(_)
            | Body::AgentPlan(_)
            | Body::AgentOutput { .. }
            | Body::AgentRaw { .. }
            | Body::AgentInactive { .. }
            | Body::TransportFailed { .. }
            | Body::TransportStopping { .. }
            | Body::TransportGaveUp { .. } => return false,
        }
        self.updated_at = draft.ts;
        true
    }

    fn apply_state(&mut self, to: State, reason: Option<EndReason>, run: u32) {
        self.state = to;
        self.run = run;
        self.closing = reason.filter(|_| to == State::Closing);
        self.parked &= !matches!(to, State::Starting | State::Ended);
        match to {
            State::Ended => {
                self.end_reason = reason;
                self.pid = None;
                self.interrupt = None;
            }
            State::Created => self.end_reason = None,
            // An interrupt does not outlive its run.
            State::Starting => self.interrupt = None,
            _ => {}
        }
    }

    fn settle(&mut self, message: Option<&MessageId>) {
        if self.dispatched.as_ref() == message {
            self.dispatched = None;
        }
    }

    fn apply_chunk(&mut self, chunk: &super::event::Chunk, is_thought: bool) -> bool {
        let open = (!chunk.is_final).then(|| OpenBlock {
            block_id: chunk.block_id.clone(),
            turn_id: chunk.turn_id.clone(),
            is_thought,
        });
        let changed = self.block != open;
        self.block = open;
        changed
    }
}

/// Of rows from before this was noted: they were all resumed.
fn had_turns() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        let id = SessionId::from_uuid(uuid::Uuid::nil());
        Session::new(id, "demo".into(), "/".into(), [0; 32], Timestamp::from_millis(0))
    }

    impl Session {
        /// What the event makes of it, and whether its row says so.
        fn after(mut self, body: Body) -> (Self, bool) {
            let changed = self.apply(&Draft { run: 1, ts: Timestamp::from_millis(7), body });
            (self, changed)
        }
    }

    fn becomes(to: State, reason: Option<EndReason>) -> Body {
        Body::SessionState { from: None, to, reason, client_state: ClientState::Idle }
    }

    #[test]
    fn an_end_has_a_reason_until_the_next_life() {
        let (ended, _) = session().after(becomes(State::Ended, Some(EndReason::Stopped)));
        assert_eq!(ended.end_reason, Some(EndReason::Stopped));
        let (created, _) = ended.after(becomes(State::Created, None));
        assert_eq!(created.end_reason, None);
    }

    #[test]
    fn why_a_session_is_closing_is_known_while_it_is() {
        let reason = Some(EndReason::DetachTimeout);
        let (closing, _) = session().after(becomes(State::Closing, reason));
        assert_eq!((closing.closing, closing.end_reason), (reason, None));
        let (active, _) = closing.after(becomes(State::Active, None));
        assert_eq!(active.closing, None);
    }

    #[test]
    fn an_interrupt_is_open_until_its_outcome_and_no_longer_than_its_run() {
        let failed = |escalated_to| Body::InterruptFailed {
            by: "ann".into(),
            reason: "no answer".into(),
            escalated_to,
        };
        let open = || session().after(Body::InterruptRequested { by: "ann".into() }).0;
        for (event, is_open) in [
            (Body::InterruptCompleted { by: "ann".into() }, false),
            (failed(Escalation::Sigint), true),
            (failed(Escalation::Restart), false),
            (failed(Escalation::None), false),
            (becomes(State::Starting, None), false),
            (becomes(State::Ended, None), false),
            (becomes(State::Closing, None), true),
        ] {
            let (session, _) = open().after(event.clone());
            assert_eq!(session.interrupt.is_some(), is_open, "{event:?}");
        }
    }

    #[test]
    fn only_the_message_that_was_given_is_settled() {
        let given = Body::MessageDispatched { message_id: "m1".parse().unwrap() };
        let ended = |message: Option<&str>| Body::TurnEnded {
            turn_id: "t".into(),
            message_id: message.map(|id| id.parse().unwrap()),
            stop_reason: super::super::event::StopReason::EndTurn,
            usage: None,
        };
        for (message, is_settled) in [(Some("m1"), true), (Some("m2"), false), (None, false)] {
            let (session, _) = session().after(given.clone()).0.after(ended(message));
            assert_eq!(session.dispatched.is_none(), is_settled, "{message:?}");
        }
    }

    #[test]
    fn a_delta_of_an_open_block_changes_no_row_and_its_beginning_and_end_do() {
        let chunk = |is_final| {
            let block_id = "b".to_owned();
            Body::AgentMessage(super::super::event::Chunk {
                block_id,
                is_final,
                ..Default::default()
            })
        };
        let (session, begun) = session().after(chunk(false));
        let (session, extended) = session.after(chunk(false));
        let (session, ended) = session.after(chunk(true));
        assert_eq!((begun, extended, ended, session.block), (true, false, true, None));
    }

    #[test]
    fn a_conversation_has_something_to_resume_once_a_turn_has_ended() {
        let started = |context| Body::TransportStarted {
            pid: Some(1),
            agent_session_id: Some("s".into()),
            context,
        };
        let ended = || Body::TurnEnded {
            turn_id: "t".into(),
            message_id: None,
            stop_reason: super::super::event::StopReason::TransportLost,
            usage: None,
        };
        let (fresh, _) = session().after(started(AgentContext::New));
        assert!(!fresh.has_context);
        let (used, _) = fresh.after(ended());
        assert!(used.has_context);
        let (resumed, _) = used.after(started(AgentContext::Resumed));
        assert!(resumed.has_context);
        let (lost, _) = resumed.after(started(AgentContext::Lost));
        assert!(!lost.has_context);
    }

    #[test]
    fn a_row_from_before_it_was_noted_whether_turns_had_ended_is_resumed() {
        let mut row = serde_json::to_value(session()).unwrap();
        row.as_object_mut().unwrap().remove("has_context").unwrap();
        assert!(serde_json::from_value::<Session>(row).unwrap().has_context);
    }

    #[test]
    fn what_the_agent_has_forgotten_is_known_until_a_run_has_told_it() {
        let (code, detail) = (TransportFault::Resume, String::new());
        let mut given = session();
        given.agent_session_id = Some("s".into());
        let (forgotten, changed) = given.after(Body::TransportFailed { code, detail });
        assert_eq!((changed, forgotten.lost, &forgotten.agent_session_id), (true, true, &None));
        let (pid, agent_session_id, context) = (None, None, AgentContext::Lost);
        let (told, _) = forgotten.after(Body::TransportStarted { pid, agent_session_id, context });
        assert!(!told.lost);
    }

    #[test]
    fn a_row_from_before_a_field_was_there_is_read() {
        let mut row = serde_json::to_value(session()).unwrap();
        for field in ["closing", "interrupt", "lost", "parked"] {
            row.as_object_mut().unwrap().remove(field).unwrap();
        }
        assert_eq!(serde_json::from_value::<Session>(row).unwrap(), session());
    }
}
