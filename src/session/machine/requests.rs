//! What the agent asks of people: permissions and questions, from the request to the one outcome each has. Who may answer
//! is not decided here.

use super::{Action, Effect, Machine, Stepping};
use crate::{
    agent::AgentRequest,
    domain::{
        Body,
        event::{Outcome, Permission, PermissionOption, Question, RequestId},
    },
};
use serde_json::Value;

impl Machine {
    fn next_request(&mut self, kind: char, request: AgentRequest) -> RequestId {
        self.this_run.request += 1;
        let id = format!("{kind}{}.{}", self.session.run, self.this_run.request);
        self.requests.push((id.clone(), request));
        id
    }

    pub(super) fn permission_requested(
        &mut self,
        step: &mut Stepping,
        request: AgentRequest,
        tool_call: Value,
        options: Vec<PermissionOption>,
    ) {
        let permission_id = self.next_request('p', request);
        let expires_at = step.now + self.policy.permission_timeout;
        let permission = Permission { permission_id, tool_call, options, expires_at };
        self.emit(step, Body::PermissionRequested(permission));
        self.cancel_too_late(step);
    }

    pub(super) fn question_requested(
        &mut self,
        step: &mut Stepping,
        request: AgentRequest,
        questions: Value,
    ) {
        let question_id = self.next_request('q', request);
        let expires_at = step.now + self.policy.permission_timeout;
        self.emit(step, Body::QuestionRequested(Question { question_id, questions, expires_at }));
        self.cancel_too_late(step);
    }

    /// An agent that asks while it is told to leave off gets its answer at once, or it would wait for a person's.
    fn cancel_too_late(&mut self, step: &mut Stepping) {
        let by = self.interrupt.as_ref().map(|interrupt| interrupt.by.clone());
        if by.is_some() || self.is_stopping() || self.is_parking() {
            self.cancel_requests(step, by.as_deref());
        }
    }

    pub(super) fn request_cancelled(&mut self, step: &mut Stepping, request: AgentRequest) {
        let Some((id, _)) = self.requests.iter().find(|(_, open)| *open == request).cloned() else {
            return;
        };
        self.resolve(step, &id, Outcome::Cancelled, None);
    }

    /// Settles one open request, if it is open; true if it was.
    pub(super) fn resolve(
        &mut self,
        step: &mut Stepping,
        id: &str,
        outcome: Outcome,
        by: Option<String>,
    ) -> bool {
        let is_permission = self.session.permissions.iter().any(|open| open.permission_id == id);
        let is_question = self.session.questions.iter().any(|open| open.question_id == id);
        self.requests.retain(|(open, _)| open != id);
        if is_permission {
            self.emit(step, Body::PermissionResolved { permission_id: id.into(), outcome, by });
        } else if is_question {
            self.emit(step, Body::QuestionResolved { question_id: id.into(), outcome, by });
        }
        is_permission || is_question
    }

    /// The agent's number of an open request.
    pub(super) fn agent_request(&self, id: &str) -> Option<AgentRequest> {
        self.requests.iter().find(|(open, _)| open == id).map(|(_, request)| *request)
    }

    /// Settles all open requests in the log alone: the child that made them is gone.
    pub(super) fn resolve_requests(
        &mut self,
        step: &mut Stepping,
        outcome: &Outcome,
        by: Option<&str>,
    ) {
        let permissions = self.session.permissions.iter().map(|open| open.permission_id.clone());
        let questions = self.session.questions.iter().map(|open| open.question_id.clone());
        for id in permissions.chain(questions).collect::<Vec<_>>() {
            self.resolve(step, &id, outcome.clone(), by.map(Into::into));
        }
    }

    /// Settles all open requests and tells the agent.
    pub(super) fn cancel_requests(&mut self, step: &mut Stepping, by: Option<&str>) {
        for (_, request) in &self.requests {
            step.order(Action::Answer { request: *request, outcome: Outcome::Cancelled });
        }
        self.resolve_requests(step, &Outcome::Cancelled, by);
    }

    pub(super) fn expire_requests(&mut self, step: &mut Stepping) {
        let permissions = self.session.permissions.iter().map(|p| (&p.permission_id, p.expires_at));
        let questions = self.session.questions.iter().map(|q| (&q.question_id, q.expires_at));
        let expired: Vec<RequestId> = permissions
            .chain(questions)
            .filter(|(_, expires_at)| *expires_at <= step.now)
            .map(|(id, _)| id.clone())
            .collect();
        for id in expired {
            if let Some(request) = self.agent_request(&id) {
                let outcome = Outcome::Expired;
                step.then(Effect::Order(Action::Answer { request, outcome }));
            }
            self.resolve(step, &id, Outcome::Expired, None);
        }
    }
}
