//! No input, however broken, makes the codec panic, write half a line or lose count of its turns.

use super::*;
use crate::agent::arbitrary::{broken, changes, json_like};
use proptest::{collection::vec, prelude::*};

const TRANSCRIPT: &str =
    include_str!("../../../../tests/data/agents/acp-sdk-example-0.5.1-turns.jsonl");

const WORDS: [&str; 27] = [
    "id",
    "method",
    "params",
    "result",
    "error",
    "code",
    "sessionId",
    "update",
    "sessionUpdate",
    "content",
    "type",
    "text",
    "toolCall",
    "toolCallId",
    "options",
    "optionId",
    "requestId",
    "s-1",
    "session/update",
    "session/request_permission",
    "$/cancel_request",
    "agent_message_chunk",
    "tool_call",
    "plan",
    "stopReason",
    "end_turn",
    "usage",
];

/// Says the lines to a codec and, between them, does what a session would.
fn survive(lines: &[Vec<u8>]) -> Result<(), TestCaseError> {
    let mut probe = Probe::started(None);
    let (mut ready, mut open_turns, mut asked, mut prompts) = (0, 0, Vec::new(), 0);
    for line in lines {
        probe.hear_line(line, false);
        probe.written();
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
            probe.written();
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
        messages in vec(json_like(&WORDS), 0..20),
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
        changes in changes(1..12),
    ) {
        survive(&broken(TRANSCRIPT, changes))?;
    }
}
