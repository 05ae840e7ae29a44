//! No input, however broken, makes the codec panic, write half a line or lose count of its turns.

use super::*;
use crate::agent::recording;
use proptest::{collection::vec, prelude::*, sample::Index};

const TRANSCRIPT: &str =
    include_str!("../../../../tests/data/agents/acp-sdk-example-0.5.1-turns.jsonl");

/// JSON that looks like the protocol's: its own words in any shape.
fn json_like() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("id"),
        Just("method"),
        Just("params"),
        Just("result"),
        Just("error"),
        Just("code"),
        Just("sessionId"),
        Just("update"),
        Just("sessionUpdate"),
        Just("content"),
        Just("type"),
        Just("text"),
        Just("toolCall"),
        Just("toolCallId"),
        Just("options"),
        Just("optionId"),
        Just("requestId"),
        Just("s-1"),
        Just("session/update"),
        Just("session/request_permission"),
        Just("$/cancel_request"),
        Just("agent_message_chunk"),
        Just("tool_call"),
        Just("plan"),
        Just("stopReason"),
        Just("end_turn"),
        Just("usage"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1i64..6).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((word.clone(), inner), 0..6).prop_map(|fields| {
                fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            }),
        ]
    })
}

/// Says the lines to a codec and, between them, does what a session would.
fn survive(lines: &[Vec<u8>]) -> Result<(), TestCaseError> {
    let mut probe = Probe::started(None);
    let (mut ready, mut open_turns, mut asked, mut prompts) = (0, 0, Vec::new(), 0);
    for line in lines {
        probe.hear_line(line, false);
        messages(&std::mem::take(&mut probe.out.stdin));
        for event in probe.said() {
            match event {
                AgentEvent::Ready { .. } => ready += 1,
                AgentEvent::TurnStarted { .. } => open_turns += 1,
                AgentEvent::TurnEnded { .. } => open_turns -= 1,
                AgentEvent::PermissionRequested { request, .. } => asked.push(request),
                AgentEvent::RequestCancelled { request } => asked.retain(|open| *open != request),
                AgentEvent::Message { .. } => prop_assert!(ready == 1),
                _ => {}
            }
        }
        prop_assert!(ready <= 1);
        prop_assert!((0..=1).contains(&open_turns));
        prop_assert_eq!(asked.len(), probe.codec.permissions.len());
        if ready == 1 && open_turns == 0 {
            prompts += 1;
            probe.prompt(&format!("m-{prompts}"), "go on");
            open_turns += i32::from(matches!(probe.said()[..], [AgentEvent::TurnStarted { .. }]));
            messages(&std::mem::take(&mut probe.out.stdin));
        } else if let Some(request) = asked.pop() {
            probe.answer(request, Outcome::Cancelled);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn random_bytes_are_survived(lines in vec(vec(any::<u8>(), 0..200), 0..20)) {
        survive(&lines)?;
    }

    #[test]
    fn random_json_is_survived(
        opened in any::<bool>(),
        messages in vec(json_like(), 0..20),
    ) {
        let handshake = [
            json!({"id": 1, "result": {"protocolVersion": 1}}),
            json!({"id": 2, "result": {"sessionId": "s-1"}}),
        ];
        let handshake = handshake.into_iter().take(if opened { 2 } else { 0 });
        let lines: Vec<_> = handshake.chain(messages).map(|line| line.to_string().into()).collect();
        survive(&lines)?;
    }

    #[test]
    fn a_broken_conversation_is_survived(
        changes in vec((any::<Index>(), any::<Index>(), any::<u8>(), 0..4), 1..12),
    ) {
        let mut lines: Vec<Vec<u8>> = recording::agent_lines(TRANSCRIPT).into_iter().map(Into::into).collect();
        for (line, other, byte, change) in changes {
            let (line, other) = (line.index(lines.len()), other.index(lines.len()));
            match change {
                0 => lines.swap(line, other),
                1 => lines[line] = lines[other].clone(),
                2 => lines[line].truncate(usize::from(byte)),
                _ => {
                    let at = usize::from(byte) % lines[line].len().max(1);
                    if let Some(old) = lines[line].get_mut(at) {
                        *old = byte;
                    }
                }
            }
        }
        survive(&lines)?;
    }
}
