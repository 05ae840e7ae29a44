//! Turns: messages are dispatched one at a time, and what the agent says becomes events. When a turn has to be broken off
//! is not decided here.

use super::{Child, Effect, Ending, Machine, Stepping};
use crate::{
    agent::AgentEvent,
    domain::{
        Body, MessageId,
        event::{Chunk, FailReason, StopReason},
    },
    process::Happened,
};
use serde_json::Value;

impl Machine {
    pub(super) fn happened(&mut self, step: &mut Stepping, what: Happened) {
        match what {
            Happened::Spawned { pid } => self.this_run.pid = Some(pid),
            Happened::SpawnFailed { code, detail } => {
                self.start_failed(step, code, detail);
                // There is no child whose exit could end the session.
                self.exit_without_child(step);
            }
            Happened::Said { events, ack: _ } => {
                self.heard(step.now);
                for event in events {
                    self.said(step, event);
                }
            }
            Happened::Written { message_id } => {
                if self.this_run.writing.as_ref() == Some(&message_id) {
                    self.this_run.writing = None;
                }
            }
            Happened::Exited(exit) => self.exited(step, exit),
        }
    }

    fn exit_without_child(&mut self, step: &mut Stepping) {
        self.child = Child::None;
        self.close_open_ends(step, "the agent could not be started");
        if let Some(Ending::Ladder { reason: Some(reason), .. } | Ending::Killed { reason }) =
            self.ending.take()
        {
            self.end(step, reason);
        }
    }

    /// Gives the child the next message, if it is free and there is one.
    pub(super) fn dispatch_next(&mut self, step: &mut Stepping) {
        let is_free = self.child == Child::Up
            && self.session.state.is_running()
            && !self.is_busy()
            && !self.is_doomed()
            && self.this_run.hold_until.is_none()
            && self.leaving.is_none();
        if !is_free {
            return;
        }
        let urgent = self.queue.iter().position(|waiting| waiting.queued.interrupt);
        let place = urgent.unwrap_or(0);
        let Some(next) = self.queue.get(place) else {
            return;
        };
        // An earlier send may be in the log before it, its outcome still on its way here.
        if self.accepting.iter().any(|(earlier, _)| *earlier < next.ticket) {
            return;
        }
        let Some(waiting) = self.queue.remove(place) else {
            return;
        };
        let message_id = waiting.queued.message_id;
        self.this_run.dispatched += 1;
        if !self.policy.has_turns {
            self.this_run.writing = Some(message_id.clone());
        }
        self.emit(step, Body::MessageDispatched { message_id: message_id.clone() });
        step.then(Effect::Dispatch { run: self.session.run, message_id });
    }

    fn said(&mut self, step: &mut Stepping, event: AgentEvent) {
        match event {
            AgentEvent::Ready { agent_session_id, context, can_resume } => {
                self.this_run.can_resume = can_resume;
                self.ready(step, agent_session_id, context);
            }
            AgentEvent::Failed { code, detail } => self.agent_failed(step, code, detail),
            AgentEvent::TurnStarted { message_id } => self.turn_started(step, message_id),
            AgentEvent::TurnEnded { message_id, stop_reason, usage } => {
                self.turn_ended(step, message_id, stop_reason, usage);
            }
            AgentEvent::Rejected { message_id, detail } => {
                self.rejected(step, message_id, detail);
            }
            AgentEvent::Message { delta } => self.delta(step, delta, false),
            AgentEvent::Thought { delta } => self.delta(step, delta, true),
            AgentEvent::MessageContent { content } => self.content(step, content, false),
            AgentEvent::ThoughtContent { content } => self.content(step, content, true),
            AgentEvent::ToolCall(call) => {
                self.close_block(step);
                self.emit(step, Body::AgentToolCall(call));
            }
            AgentEvent::ToolUpdate(update) => self.emit(step, Body::AgentToolUpdate(update)),
            AgentEvent::Plan(plan) => self.emit(step, Body::AgentPlan(plan)),
            AgentEvent::Output { stream, text, truncated } => {
                self.emit(step, Body::AgentOutput { stream, text, truncated });
            }
            AgentEvent::Raw(raw) => self.emit(step, Body::AgentRaw { raw }),
            AgentEvent::PermissionRequested { request, tool_call, options } => {
                self.permission_requested(step, request, tool_call, options);
            }
            AgentEvent::QuestionRequested { request, questions } => {
                self.question_requested(step, request, questions);
            }
            AgentEvent::RequestCancelled { request } => self.request_cancelled(step, request),
        }
    }

    fn turn_started(&mut self, step: &mut Stepping, message_id: Option<MessageId>) {
        // The agent went on to another turn without a word on the last one, which is over then.
        self.turn_ended(step, None, StopReason::EndTurn, None);
        self.close_block(step);
        self.this_run.turn += 1;
        let turn_id = format!("t{}.{}", self.session.run, self.this_run.turn);
        self.emit(step, Body::TurnStarted { turn_id, message_id });
        self.interrupt_begun_turn(step);
    }

    fn turn_ended(
        &mut self,
        step: &mut Stepping,
        message_id: Option<MessageId>,
        stop_reason: StopReason,
        usage: Option<Value>,
    ) {
        let Some(turn) = self.session.turn.clone() else {
            return;
        };
        // Permissions and questions stay open: what the agent does in the background may wait for them.
        self.close_block(step);
        let message_id = turn.message_id.or(message_id);
        let turn_id = turn.turn_id;
        self.emit(step, Body::TurnEnded { turn_id, message_id, stop_reason, usage });
        self.interrupt_done(step);
        self.cancel_rung_done(step);
    }

    fn rejected(&mut self, step: &mut Stepping, message_id: MessageId, detail: String) {
        let raw = serde_json::json!({ "rejected": detail });
        self.emit(step, Body::AgentRaw { raw });
        if self.session.dispatched.as_ref() != Some(&message_id) {
            return;
        }
        if self
            .session
            .turn
            .as_ref()
            .is_some_and(|turn| turn.message_id.as_ref() == Some(&message_id))
        {
            self.turn_ended(step, None, StopReason::Error, None);
        }
        let reason = FailReason::Rejected;
        self.emit(step, Body::MessageFailed { message_id, reason, uncertain: false });
        self.interrupt_done(step);
    }

    fn delta(&mut self, step: &mut Stepping, delta: String, is_thought: bool) {
        let turn_id = self.session.turn.as_ref().map(|turn| turn.turn_id.clone());
        let open = self
            .session
            .block
            .as_ref()
            .filter(|block| block.is_thought == is_thought && block.turn_id == turn_id)
            .map(|block| block.block_id.clone());
        let block_id = match open {
            Some(block_id) => block_id,
            None => {
                self.close_block(step);
                self.next_block()
            }
        };
        let delta = Some(delta);
        self.chunk(step, Chunk { turn_id, block_id, delta, ..Chunk::default() }, is_thought);
    }

    fn content(&mut self, step: &mut Stepping, content: Value, is_thought: bool) {
        self.close_block(step);
        let turn_id = self.session.turn.as_ref().map(|turn| turn.turn_id.clone());
        let block_id = self.next_block();
        let content = Some(content);
        let chunk = Chunk { turn_id, block_id, delta: None, content, is_final: true };
        self.chunk(step, chunk, is_thought);
    }

    fn next_block(&mut self) -> String {
        self.this_run.block += 1;
        format!("b{}.{}", self.session.run, self.this_run.block)
    }

    fn chunk(&mut self, step: &mut Stepping, chunk: Chunk, is_thought: bool) {
        let body = if is_thought { Body::AgentThought(chunk) } else { Body::AgentMessage(chunk) };
        self.emit(step, body);
    }
}
