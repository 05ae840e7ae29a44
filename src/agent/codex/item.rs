//! The items of a turn: texts, tool calls and what else Codex reports of them. What an item of a kind means to a person is
//! told in `text` and `tool`.

use super::{
    text::{Texts, Voice},
    tool::{self, Tool},
};
use crate::{
    agent::{AgentEvent, Output},
    domain::MessageId,
};
use serde_json::{Map, Value};

/// Tools that run at a time; of more, permissions are asked without their titles.
const OPEN_TOOLS_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Items {
    texts: Texts,
    /// Those that run, in the order in which they began.
    tools: Vec<(String, Tool)>,
}

impl Items {
    /// A turn begins or ends: no text goes on beyond it, but a command in the background may.
    pub(super) fn pause(&mut self) {
        self.texts = Texts::default();
    }

    /// A turn was broken off: Codex ends its tools and says no more of them.
    pub(super) fn break_off(&mut self, out: &mut Output) {
        let cut = self.tools.drain(..);
        out.events.extend(cut.map(|(id, _)| AgentEvent::ToolUpdate(tool::broken_off(&id))));
    }

    /// The tool that a permission is asked for.
    pub(super) fn tool(&self, id: &str) -> Option<&Tool> {
        self.tools.iter().find(|(open, _)| open == id).map(|(_, tool)| tool)
    }

    /// Says what the notification means; what has no meaning here, or not the expected shape, is raw.
    pub(super) fn notification(
        &mut self,
        method: &str,
        message: Value,
        prompt: Option<&MessageId>,
        out: &mut Output,
    ) {
        let params = &message["params"];
        let is_told = match method {
            "item/started" => self.started(&params["item"], prompt, out),
            "item/completed" => self.completed(&params["item"], prompt, out),
            _ => self.progress(method, params, out),
        };
        if !matches!(is_told, Some(true)) {
            out.events.push(AgentEvent::Raw(message));
        }
    }

    fn started(
        &mut self,
        item: &Value,
        prompt: Option<&MessageId>,
        out: &mut Output,
    ) -> Option<bool> {
        let (id, kind, fields) = parts(item)?;
        match kind {
            "userMessage" => return Some(is_prompt(fields, prompt)),
            "agentMessage" | "plan" => {
                self.texts.say(id, Voice::Message, fields.get("text")?.as_str()?, out);
                return Some(true);
            }
            "reasoning" => {
                self.texts.say(id, Voice::Thought, &thoughts(fields), out);
                return Some(true);
            }
            _ => {}
        }
        let tool = Tool::of(kind, fields)?;
        let call = tool.call(id, fields);
        if self.tools.len() < OPEN_TOOLS_MAX {
            self.tools.push((id.to_owned(), tool));
        }
        self.show(AgentEvent::ToolCall(call), out);
        Some(true)
    }

    fn completed(
        &mut self,
        item: &Value,
        prompt: Option<&MessageId>,
        out: &mut Output,
    ) -> Option<bool> {
        let (id, kind, fields) = parts(item)?;
        match kind {
            "userMessage" => return Some(is_prompt(fields, prompt)),
            "agentMessage" | "plan" => {
                let text = fields.get("text")?.as_str()?;
                // A text that is not the sum of its pieces is kept beside them.
                return Some(self.texts.finish(id, Voice::Message, text, out) == text.len());
            }
            "reasoning" => {
                self.texts.finish(id, Voice::Thought, &thoughts(fields), out);
                return Some(true);
            }
            _ => {}
        }
        let place = self.tools.iter().position(|(open, _)| open == id);
        match place.map(|place| self.tools.remove(place).1) {
            Some(tool) => self.show(AgentEvent::ToolUpdate(tool.result(id, fields, true)), out),
            // Some tools are told of only when they are done.
            None => {
                let tool = Tool::of(kind, fields)?;
                self.show(AgentEvent::ToolCall(tool.call(id, fields)), out);
                self.show(AgentEvent::ToolUpdate(tool.result(id, fields, false)), out);
            }
        }
        Some(true)
    }

    fn progress(&mut self, method: &str, params: &Value, out: &mut Output) -> Option<bool> {
        let id = params.get("itemId")?.as_str()?;
        let delta = params.get("delta").and_then(Value::as_str);
        match method {
            "item/agentMessage/delta" | "item/plan/delta" => {
                self.texts.say(id, Voice::Message, delta?, out);
            }
            "item/reasoning/summaryTextDelta" | "item/reasoning/textDelta" => {
                self.texts.say(id, Voice::Thought, delta?, out);
            }
            "item/reasoning/summaryPartAdded" => {
                self.texts.paragraph(id, Voice::Thought, out);
            }
            "item/commandExecution/outputDelta" => {
                self.show(AgentEvent::ToolUpdate(tool::output(id, delta?)), out);
            }
            "item/fileChange/patchUpdated" => {
                let update = tool::patch(id, params.get("changes")?)?;
                self.show(AgentEvent::ToolUpdate(update), out);
            }
            _ => return None,
        }
        Some(true)
    }

    fn show(&mut self, event: AgentEvent, out: &mut Output) {
        self.texts.pause();
        out.events.push(event);
    }
}

fn parts(item: &Value) -> Option<(&str, &str, &Map<String, Value>)> {
    let fields = item.as_object()?;
    Some((fields.get("id")?.as_str()?, fields.get("type")?.as_str()?, fields))
}

/// The echo of the message that the turn is for, which the log has.
fn is_prompt(item: &Map<String, Value>, prompt: Option<&MessageId>) -> bool {
    let client_id = item.get("clientId").and_then(Value::as_str);
    client_id.is_some() && client_id == prompt.map(MessageId::as_str)
}

/// The summary of a reasoning, or where there is none the reasoning itself.
fn thoughts(item: &Map<String, Value>) -> String {
    let parts = |key: &str| {
        let parts = item.get(key).and_then(Value::as_array).into_iter().flatten();
        parts.filter_map(Value::as_str).collect::<Vec<_>>().join("\n\n")
    };
    let summary = parts("summary");
    if summary.is_empty() { parts("content") } else { summary }
}
