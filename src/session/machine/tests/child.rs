//! What a child does in a table, in one word each. Whether a child would do so is not asked.

use super::script::{Script, id};
use crate::{
    agent::{AgentEvent, AgentRequest},
    domain::event::{AgentContext, Exit, PermissionOption, StopReason, TransportFault},
    process::Happened,
    session::machine::Input,
};

impl Script {
    pub(super) fn spawned(self) -> Self {
        self.happens(Happened::Spawned { pid: 100 })
    }

    pub(super) fn not_spawned(self) -> Self {
        let detail = "no such file".into();
        self.happens(Happened::SpawnFailed { code: TransportFault::Spawn, detail })
    }

    pub(super) fn ready(self) -> Self {
        self.says_ready(false)
    }

    /// As an agent that a later run can go on with.
    pub(super) fn ready_to_resume(self) -> Self {
        self.says_ready(true)
    }

    fn says_ready(self, can_resume: bool) -> Self {
        let (agent_session_id, context) = (Some("theirs".into()), AgentContext::New);
        self.says(AgentEvent::Ready { agent_session_id, context, can_resume })
    }

    pub(super) fn fails(self, code: TransportFault) -> Self {
        self.says(AgentEvent::Failed { code, detail: "it said so".into() })
    }

    pub(super) fn exits(self, code: i32) -> Self {
        self.happens(Happened::Exited(Exit { exit_code: Some(code), ..Exit::default() }))
    }

    pub(super) fn dies(self, signal: i32) -> Self {
        self.happens(Happened::Exited(Exit { signal: Some(signal), ..Exit::default() }))
    }

    /// The transport's actor ends without a last report.
    pub(super) fn vanishes(mut self) -> Self {
        self.child = None;
        let run = self.machine.session().run;
        self.step(Input::TransportLost { run, detail: "it panicked".into() });
        self
    }

    pub(super) fn turn(self, message: &str) -> Self {
        self.says(AgentEvent::TurnStarted { message_id: Some(id(message)) })
    }

    pub(super) fn own_turn(self) -> Self {
        self.says(AgentEvent::TurnStarted { message_id: None })
    }

    pub(super) fn turn_ends(self, stop_reason: StopReason) -> Self {
        self.says(AgentEvent::TurnEnded { message_id: None, stop_reason, usage: None })
    }

    pub(super) fn rejects(self, message: &str) -> Self {
        let detail = "no images".into();
        self.says(AgentEvent::Rejected { message_id: id(message), detail })
    }

    pub(super) fn delta(self, text: &str) -> Self {
        self.says(AgentEvent::Message { delta: text.into() })
    }

    pub(super) fn thought(self, text: &str) -> Self {
        self.says(AgentEvent::Thought { delta: text.into() })
    }

    pub(super) fn asks_permission(self, request: u64) -> Self {
        let option = |id: &str| PermissionOption {
            option_id: id.into(),
            name: id.into(),
            kind: "allow_once".into(),
        };
        self.says(AgentEvent::PermissionRequested {
            request: AgentRequest(request),
            tool_call: serde_json::json!({}),
            options: vec![option("yes"), option("no")],
        })
    }

    pub(super) fn asks_question(self, request: u64) -> Self {
        let (request, questions) = (AgentRequest(request), serde_json::json!([]));
        self.says(AgentEvent::QuestionRequested { request, questions })
    }

    pub(super) fn written(self, message: &str) -> Self {
        self.happens(Happened::Written { message_id: id(message) })
    }
}
