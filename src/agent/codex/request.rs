//! What Codex asks: approvals and questions for people, and everything else, which is refused. Each request is answered
//! once, under the id it came with.

mod asked;
mod form;

use super::{item::Items, wire};
use crate::{
    agent::{AgentEvent, AgentRequest, Output, rpc},
    domain::event::Outcome,
};
use asked::{Asked, Shown};
use serde_json::Value;

/// The most requests that may wait at a time; one more is answered with an error.
const OPEN_REQUESTS_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Requests {
    open: Vec<Open>,
    made: u64,
}

#[derive(Debug)]
struct Open {
    request: AgentRequest,
    /// Codex's id, echoed in the answer as it came.
    id: Value,
    asked: Asked,
}

impl Requests {
    /// Asks people, or refuses; `items` has the tools that run.
    pub(super) fn ask(&mut self, message: Value, items: Option<&Items>, out: &mut Output) {
        let id = message["id"].clone();
        if self.open.len() >= OPEN_REQUESTS_MAX {
            let detail = format!("{OPEN_REQUESTS_MAX} requests are open; wait for an answer");
            wire::refuse(&id, rpc::INTERNAL_ERROR, &detail, out);
            return out.events.push(AgentEvent::Raw(message));
        }
        let method = message["method"].as_str().unwrap_or_default();
        let request = AgentRequest(self.made + 1);
        let Some((asked, shown)) = Asked::read(method, &message["params"], request, items) else {
            let refusal = format!("{method} is not offered by this client");
            wire::refuse(&id, rpc::METHOD_NOT_FOUND, &refusal, out);
            return out.events.push(AgentEvent::Raw(message));
        };
        self.made += 1;
        self.open.push(Open { request, id, asked });
        out.events.push(match shown {
            Shown::Permission { tool_call, options } => {
                AgentEvent::PermissionRequested { request, tool_call, options }
            }
            Shown::Question { questions } => AgentEvent::QuestionRequested { request, questions },
        });
    }

    pub(super) fn answer(&mut self, request: AgentRequest, outcome: &Outcome, out: &mut Output) {
        if let Some(position) = self.open.iter().position(|open| open.request == request) {
            let open = self.open.remove(position);
            wire::answer(&open.id, &open.asked.answer(outcome), out);
        }
    }

    /// Codex waits for this one no more. None: because it has our answer, or it is none that we know.
    pub(super) fn resolved(&mut self, id: &Value) -> Option<AgentRequest> {
        let position = self.open.iter().position(|open| open.id == *id)?;
        Some(self.open.remove(position).request)
    }

    #[cfg(test)]
    pub(super) fn open(&self) -> Vec<AgentRequest> {
        self.open.iter().map(|open| open.request).collect()
    }
}
