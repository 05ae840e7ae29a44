//! What an agent reports and asks, in our words: `session/update`, the end of a turn, a permission request.
//! Read from plain JSON and not into the protocol's types, which drop what they do not know.

use super::{names, rpc::RpcError};
use crate::{
    agent::AgentEvent,
    domain::event::{PermissionOption, StopReason},
};
use serde_json::{Map, Value};

/// A `session/update` notification. What is not mapped, or not of the expected shape, is kept whole as raw.
pub(super) fn session_update(mut message: Value) -> AgentEvent {
    let update = message.get_mut("params").and_then(|params| params.get_mut("update"));
    match update.and_then(Value::as_object_mut).and_then(map) {
        Some(event) => event,
        None => AgentEvent::Raw(message),
    }
}

/// Whether an update tells of something that was said or done, and not of how the session stands.
pub(super) fn is_history(message: &Value) -> bool {
    let kind = message.pointer("/params/update/sessionUpdate").and_then(Value::as_str);
    matches!(
        kind,
        Some(
            "user_message_chunk"
                | "agent_message_chunk"
                | "agent_thought_chunk"
                | "tool_call"
                | "tool_call_update"
                | "plan"
        )
    )
}

/// Takes `update` apart only where it returns an event.
fn map(update: &mut Map<String, Value>) -> Option<AgentEvent> {
    let kind = update.get("sessionUpdate")?.as_str()?;
    match kind {
        "agent_message_chunk" => {
            let text = |delta| AgentEvent::Message { delta };
            chunk(update, text, |content| AgentEvent::MessageContent { content })
        }
        "agent_thought_chunk" => {
            let text = |delta| AgentEvent::Thought { delta };
            chunk(update, text, |content| AgentEvent::ThoughtContent { content })
        }
        "tool_call" => tool_call(update).map(AgentEvent::ToolCall),
        "tool_call_update" => tool_call(update).map(AgentEvent::ToolUpdate),
        "plan" => update.contains_key("entries").then(|| AgentEvent::Plan(without_kind(update))),
        _ => None,
    }
}

fn chunk(
    update: &mut Map<String, Value>,
    text: impl FnOnce(String) -> AgentEvent,
    content: impl FnOnce(Value) -> AgentEvent,
) -> Option<AgentEvent> {
    let block = update.get_mut("content")?.as_object_mut()?;
    if block.get("type")?.as_str()? != "text" {
        names::content_block(block);
        return Some(content(Value::Object(std::mem::take(block))));
    }
    match block.get_mut("text") {
        Some(Value::String(delta)) => Some(text(std::mem::take(delta))),
        _ => None,
    }
}

fn tool_call(update: &mut Map<String, Value>) -> Option<Map<String, Value>> {
    update.get("toolCallId")?.as_str()?;
    let mut call = without_kind(update);
    names::tool_call(&mut call);
    Some(call)
}

/// The event's type says what `sessionUpdate` said.
fn without_kind(update: &mut Map<String, Value>) -> Map<String, Value> {
    let mut fields = std::mem::take(update);
    fields.shift_remove("sessionUpdate");
    fields
}

/// How a prompt's response ends its turn.
#[derive(Debug, PartialEq)]
pub(super) struct TurnEnd {
    pub(super) stop_reason: StopReason,
    pub(super) usage: Option<Value>,
    /// Our words do not say all of it: the response is to be kept beside them.
    pub(super) keep_raw: bool,
}

impl TurnEnd {
    /// `max_turn_requests` is told as `max_tokens`, which is what it means to a person: a limit cut the turn. A
    /// reason that a later ACP adds is an end that the agent chose. A refused prompt is a turn that ended in `error`,
    /// since it had begun when it was handed over, and the response says why.
    /// `cancelled`: we asked for the end, which some agents tell as an error.
    pub(super) fn of(outcome: Result<&Value, RpcError>, cancelled: bool) -> Self {
        let (stop_reason, keep_raw) = match &outcome {
            Err(error) if error.code == super::rpc::REQUEST_CANCELLED => {
                (StopReason::Cancelled, false)
            }
            Err(error) if cancelled && error.code != super::rpc::AUTH_REQUIRED => {
                (StopReason::Cancelled, true)
            }
            Err(_) => (StopReason::Error, true),
            Ok(result) => match result.get("stopReason").and_then(Value::as_str) {
                Some("end_turn") => (StopReason::EndTurn, false),
                Some("cancelled") => (StopReason::Cancelled, false),
                Some("refusal") => (StopReason::Refusal, false),
                Some("max_tokens") => (StopReason::MaxTokens, false),
                Some("max_turn_requests") => (StopReason::MaxTokens, true),
                Some(_) => (StopReason::EndTurn, true),
                None => (StopReason::Error, true),
            },
        };
        let usage = outcome.ok().and_then(|result| result.get("usage")).cloned();
        let usage = usage.filter(|usage| !usage.is_null()).map(|mut usage| {
            if let Value::Object(fields) = &mut usage {
                names::usage(fields);
            }
            usage
        });
        Self { stop_reason, usage, keep_raw }
    }
}

/// The tool call and the options of a `session/request_permission`, or what is wrong with it. An option of a kind
/// that we do not know is offered all the same: its name is for people.
pub(super) fn permission(params: &Value) -> Result<(Value, Vec<PermissionOption>), &'static str> {
    let mut call = params
        .get("toolCall")
        .and_then(Value::as_object)
        .cloned()
        .ok_or("toolCall must be an object")?;
    names::tool_call(&mut call);
    let options =
        params.get("options").and_then(Value::as_array).ok_or("options must be an array")?;
    let options = options.iter().map(permission_option).collect::<Option<Vec<_>>>();
    let options = options.ok_or("every option needs optionId, name and kind, all strings")?;
    Ok((Value::Object(call), options))
}

fn permission_option(option: &Value) -> Option<PermissionOption> {
    let text = |key| option.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(PermissionOption {
        option_id: text("optionId")?,
        name: text("name")?,
        kind: text("kind")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn update(update: Value) -> AgentEvent {
        session_update(message(update))
    }

    fn message(update: Value) -> Value {
        json!({"method": "session/update", "params": {"sessionId": "s", "update": update}})
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn text_extends_a_block_and_everything_else_is_one() {
        let text = json!({"type": "text", "text": "hi"});
        let image = json!({"type": "image", "data": "AA==", "mimeType": "image/png"});
        let as_ours = json!({"type": "image", "data": "AA==", "mime_type": "image/png"});
        for (kind, content, expected) in [
            ("agent_message_chunk", &text, AgentEvent::Message { delta: "hi".to_owned() }),
            ("agent_thought_chunk", &text, AgentEvent::Thought { delta: "hi".to_owned() }),
            (
                "agent_message_chunk",
                &image,
                AgentEvent::MessageContent { content: as_ours.clone() },
            ),
            (
                "agent_thought_chunk",
                &image,
                AgentEvent::ThoughtContent { content: as_ours.clone() },
            ),
        ] {
            assert_eq!(update(json!({"sessionUpdate": kind, "content": content})), expected);
        }
    }

    #[test]
    fn tools_and_plans_keep_their_fields_but_not_the_kind() {
        let fields = json!({"tool_call_id": "c", "status": "pending", "x": 1});
        for kind in ["tool_call", "tool_call_update"] {
            let event = update(
                json!({"sessionUpdate": kind, "toolCallId": "c", "status": "pending", "x": 1}),
            );
            let expected = match kind {
                "tool_call" => AgentEvent::ToolCall(object(fields.clone())),
                _ => AgentEvent::ToolUpdate(object(fields.clone())),
            };
            assert_eq!(event, expected);
        }
        assert_eq!(
            update(json!({"sessionUpdate": "plan", "entries": [{"content": "a"}]})),
            AgentEvent::Plan(object(json!({"entries": [{"content": "a"}]})))
        );
    }

    #[test]
    fn what_is_not_mapped_or_malformed_is_kept_whole() {
        for given in [
            json!({"sessionUpdate": "user_message_chunk", "content": {"type": "text", "text": "x"}}),
            json!({"sessionUpdate": "usage_update", "used": 1, "size": 2}),
            json!({"sessionUpdate": "available_commands_update", "availableCommands": []}),
            json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": 7}}),
            json!({"sessionUpdate": "agent_message_chunk", "content": {"text": "x"}}),
            json!({"sessionUpdate": "agent_message_chunk"}),
            json!({"sessionUpdate": "tool_call", "title": "no id"}),
            json!({"sessionUpdate": "plan"}),
            json!({"sessionUpdate": 1}),
            json!([]),
        ] {
            assert_eq!(update(given.clone()), AgentEvent::Raw(message(given)));
        }
    }

    #[test]
    fn stop_reasons_are_told_in_our_words() {
        for (reason, stop_reason, keep_raw) in [
            ("end_turn", StopReason::EndTurn, false),
            ("cancelled", StopReason::Cancelled, false),
            ("refusal", StopReason::Refusal, false),
            ("max_tokens", StopReason::MaxTokens, false),
            ("max_turn_requests", StopReason::MaxTokens, true),
            ("a_later_one", StopReason::EndTurn, true),
        ] {
            let result = json!({"stopReason": reason, "usage": null});
            assert_eq!(
                TurnEnd::of(Ok(&result), false),
                TurnEnd { stop_reason, usage: None, keep_raw }
            );
        }
        assert_eq!(TurnEnd::of(Ok(&Value::Null), false).stop_reason, StopReason::Error);
    }

    #[test]
    fn usage_is_kept() {
        let result = json!({"stopReason": "end_turn", "usage": {"inputTokens": 5, "more": 1}});
        let usage = TurnEnd::of(Ok(&result), false).usage;
        assert_eq!(usage, Some(json!({"input_tokens": 5, "more": 1})));
    }

    #[test]
    fn a_permission_request_needs_a_tool_call_and_named_options() {
        let option = json!({"optionId": "o", "name": "Yes", "kind": "allow_for_a_week"});
        let good = json!({"toolCall": {"toolCallId": "c"}, "options": [option]});
        let (call, options) = permission(&good).unwrap();
        assert_eq!(call, json!({"tool_call_id": "c"}));
        assert_eq!(options[0].kind, "allow_for_a_week");
        for bad in [
            json!(null),
            json!({"options": []}),
            json!({"toolCall": {}}),
            json!({"toolCall": {}, "options": [{"optionId": 1, "name": "n", "kind": "k"}]}),
        ] {
            assert!(permission(&bad).is_err(), "{bad}");
        }
    }
}
