//! A session's events as a person reads them: text as it comes, tools and states as one line each. Pure: an event
//! in, text out; what to do about an event is not decided here.

use super::paint::{Page, Style};
use crate::{
    cli::words::{client_state, end_reason, word},
    client::LogEvent,
    domain::{
        Body, ContentBlock, MessageId, State,
        event::{
            AgentContext, Chunk, Escalation, Exit, Outcome, OutputStream, Permission, StopReason,
        },
    },
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub(super) struct Renderer {
    page: Page,
    /// Typed here: already on the screen.
    own: BTreeSet<MessageId>,
    /// Titles of tools that run: their updates may not repeat them.
    tools: BTreeMap<String, String>,
    block: Option<String>,
    /// The session was told to finish.
    is_closing: bool,
    /// The agent was told to leave, so that its end is no failure.
    is_leaving: bool,
}

impl Renderer {
    pub(super) fn new(color: bool) -> Self {
        Self {
            page: Page::new(color),
            own: BTreeSet::new(),
            tools: BTreeMap::new(),
            block: None,
            is_closing: false,
            is_leaving: false,
        }
    }

    /// A message was typed here, and is shown by whoever reads what is typed.
    pub(super) fn own(&mut self, message: MessageId) {
        self.own.insert(message);
    }

    /// A message was typed here, and the terminal has shown it.
    pub(super) fn typed(&mut self, message: MessageId) {
        self.own.insert(message);
        self.page.line_was_ended();
    }

    /// A line of our own.
    pub(super) fn say(&mut self, style: Style, text: &str) -> String {
        self.block = None;
        self.page.line(style, text);
        self.page.take()
    }

    pub(super) fn event(&mut self, event: &LogEvent) -> String {
        if let Some(body) = event.body() {
            self.body(body);
        }
        self.page.take()
    }

    fn body(&mut self, body: Body) {
        match body {
            Body::AgentMessage(chunk) => self.chunk(Style::Plain, &chunk),
            Body::AgentThought(chunk) => self.chunk(Style::Dim, &chunk),
            Body::UserMessage { message_id, content, by } => {
                self.message(&message_id, &content, &by)
            }
            Body::MessageFailed { message_id, reason, uncertain } => {
                let uncertain = if uncertain { "; it may have run" } else { "" };
                self.fault(&format!("message {message_id} failed: {}{uncertain}", spaced(&reason)));
            }
            Body::TurnEnded { stop_reason: StopReason::EndTurn, .. } => self.page.end_line(),
            Body::TurnEnded { stop_reason, .. } => {
                self.note(&format!("the turn ended: {}", spaced(&stop_reason)))
            }
            Body::AgentToolCall(call) => self.tool_call(&call),
            Body::AgentToolUpdate(update) => self.tool_update(&update),
            Body::AgentPlan(plan) => self.plan(&plan),
            Body::AgentOutput { stream, text, truncated } => self.output(stream, &text, truncated),
            Body::AgentInactive { since } => {
                self.note(&format!("the agent has said nothing since {since}"))
            }
            Body::PermissionRequested(permission) => self.permission(&permission),
            Body::PermissionResolved { outcome, by, .. } => {
                self.resolved("permission", &outcome, by)
            }
            Body::QuestionRequested(question) => {
                self.line(Style::Bold, &format!("? the agent asks: {}", question.questions));
                self.note("answer it in the console or by the API");
            }
            Body::QuestionResolved { outcome, by, .. } => self.resolved("question", &outcome, by),
            body => self.happening(body),
        }
    }

    /// What happens to the session and its agent, beside what is said.
    fn happening(&mut self, body: Body) {
        match body {
            Body::SessionState { to, reason, client_state: doing, .. } => {
                self.is_closing = to == State::Closing;
                match reason {
                    Some(reason) if to == State::Ended => {
                        self.note(&format!("the session ended: {}", end_reason(reason)))
                    }
                    _ => self.note(&format!("the session is {to}, {}", client_state(doing))),
                }
            }
            Body::SessionTitled { title: Some(title) } => self.note(&format!("title: {title}")),
            Body::InterruptRequested { by } => self.note(&format!("{by} interrupts the turn")),
            Body::InterruptCompleted { .. } => self.note("interrupted"),
            Body::InterruptFailed { reason, escalated_to, .. } => {
                let then = match escalated_to {
                    Escalation::None => "",
                    Escalation::Sigint => "; the agent was sent SIGINT",
                    Escalation::Restart => "; the agent is restarted",
                };
                self.fault(&format!("the interrupt failed: {reason}{then}"));
            }
            Body::TransportStarted { context: AgentContext::Lost, .. } => {
                self.fault("the agent could not resume and has forgotten what was said before");
            }
            Body::TransportFailed { code, detail } => {
                self.fault(&format!("the agent failed ({}): {detail}", spaced(&code)));
            }
            Body::TransportStopping { rung, .. } => {
                self.is_leaving = true;
                self.note(&format!("stopping: {}", spaced(&rung)))
            }
            Body::TransportExited(exit) => self.exited(&exit),
            Body::TransportRestarting { attempt, delay_ms } => {
                self.note(&format!("restart {attempt} in {delay_ms} ms"));
            }
            Body::TransportGaveUp { attempt } => {
                self.fault(&format!("gave up after {attempt} restarts"))
            }
            // The rest is bookkeeping, or told by another event.
            _ => {}
        }
    }

    fn line(&mut self, style: Style, text: &str) {
        self.block = None;
        self.page.line(style, text);
    }

    fn note(&mut self, text: &str) {
        self.line(Style::Dim, &format!("- {text}"));
    }

    fn fault(&mut self, text: &str) {
        self.line(Style::Red, &format!("! {text}"));
    }

    fn chunk(&mut self, style: Style, chunk: &Chunk) {
        if self.block.as_ref().is_some_and(|block| *block != chunk.block_id) {
            self.page.end_line();
        }
        let whole = chunk.content.as_ref().map(content_text);
        let text = chunk.delta.as_deref().or(whole.as_deref()).unwrap_or_default();
        // What stands open may also be a line that is not of any block.
        if self.block.is_none() && !text.is_empty() {
            self.page.end_line();
        }
        self.page.put(style, text);
        self.block = Some(chunk.block_id.clone());
        if chunk.is_final {
            self.page.end_line();
            self.block = None;
        }
    }

    fn message(&mut self, id: &MessageId, content: &[ContentBlock], by: &str) {
        if self.own.remove(id) {
            return;
        }
        for block in content {
            let text =
                serde_json::to_value(block).map(|block| content_text(&block)).unwrap_or_default();
            self.line(Style::Bold, &format!("{by}> {text}"));
        }
    }

    fn tool_call(&mut self, call: &Map<String, Value>) {
        let title = text_of(call, "title").unwrap_or("a tool");
        if let Some(id) = text_of(call, "tool_call_id") {
            self.tools.insert(id.to_owned(), title.to_owned());
        }
        self.line(Style::Dim, &format!("* {}", first_line(title)));
        self.tool_ended(call);
    }

    fn tool_update(&mut self, update: &Map<String, Value>) {
        if let (Some(id), Some(title)) = (text_of(update, "tool_call_id"), text_of(update, "title"))
        {
            self.tools.insert(id.to_owned(), title.to_owned());
        }
        self.tool_ended(update);
    }

    fn tool_ended(&mut self, call: &Map<String, Value>) {
        let Some(status @ ("completed" | "failed")) = text_of(call, "status") else {
            return;
        };
        let title = text_of(call, "tool_call_id").and_then(|id| self.tools.remove(id));
        let title = title.as_deref().unwrap_or("a tool");
        let style = if status == "failed" { Style::Red } else { Style::Dim };
        self.line(style, &format!("* {}: {status}", first_line(title)));
    }

    fn plan(&mut self, plan: &Map<String, Value>) {
        for entry in plan.get("entries").and_then(Value::as_array).into_iter().flatten() {
            let mark = match entry.get("status").and_then(Value::as_str) {
                Some("completed") => 'x',
                Some("in_progress") => '>',
                _ => ' ',
            };
            let text = entry.get("content").and_then(Value::as_str).unwrap_or_default();
            self.line(Style::Dim, &format!("[{mark}] {}", first_line(text)));
        }
    }

    fn output(&mut self, stream: OutputStream, text: &str, truncated: bool) {
        let cut = if truncated { " [cut]" } else { "" };
        match stream {
            OutputStream::Stdout => self.line(Style::Plain, &format!("{text}{cut}")),
            OutputStream::Stderr => self.line(Style::Dim, &format!("stderr: {text}{cut}")),
        }
    }

    /// What the agent asks, and the numbers to answer it with.
    pub(super) fn ask(&mut self, permission: &Permission) -> String {
        self.permission(permission);
        self.page.take()
    }

    fn permission(&mut self, permission: &Permission) {
        let title =
            permission.tool_call.get("title").and_then(Value::as_str).unwrap_or("something");
        self.line(Style::Bold, &format!("? the agent asks to do: {}", first_line(title)));
        for (index, option) in permission.options.iter().enumerate() {
            self.line(Style::Bold, &format!("  {}  {}", index + 1, option.name));
        }
        self.line(Style::Bold, "  0  cancel the request");
    }

    fn resolved(&mut self, what: &str, outcome: &Outcome, by: Option<String>) {
        let how = match outcome {
            Outcome::Selected { option_id } => option_id.as_str(),
            Outcome::Answered { .. } => "answered",
            Outcome::Cancelled => "cancelled",
            Outcome::Expired => "expired",
        };
        let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
        self.note(&format!("{what}: {how}{by}"));
    }

    fn exited(&mut self, exit: &Exit) {
        let how = match (exit.exit_code, exit.signal) {
            (Some(0), _) => "the agent exited".into(),
            (Some(code), _) => format!("the agent exited with code {code}"),
            (None, Some(signal)) => format!("the agent was ended by signal {signal}"),
            (None, None) => "the agent is gone".into(),
        };
        let was_told = std::mem::take(&mut self.is_leaving);
        let is_clean = exit.exit_code == Some(0);
        if was_told || is_clean {
            self.note(&how)
        } else {
            self.fault(&how)
        }
        let tail: Vec<_> = exit.stderr_tail.lines().rev().take(3).collect();
        for line in tail.iter().rev().filter(|_| !is_clean) {
            self.line(Style::Dim, &format!("stderr: {line}"));
        }
        if was_told && !self.is_closing {
            self.note("the session is parked: the next message starts the agent again");
        }
    }
}

fn spaced(value: &impl serde::Serialize) -> String {
    word(value).replace('_', " ")
}

fn text_of<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Value::as_str)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// A content block as text, or its kind in brackets.
fn content_text(block: &Value) -> String {
    match block.get("text").and_then(Value::as_str) {
        Some(text) => text.to_owned(),
        None => format!("[{}]", block.get("type").and_then(Value::as_str).unwrap_or("content")),
    }
}

#[cfg(test)]
mod tests;
