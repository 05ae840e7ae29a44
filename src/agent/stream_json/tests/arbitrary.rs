//! No input, however broken, makes the codec panic, write half a line or lose count of its turns.

use super::*;
use crate::agent::arbitrary::{broken, changes, json_like};
use proptest::{collection::vec, prelude::*};

const TRANSCRIPT: &str =
    include_str!("../../../../tests/data/agents/claude-code-2.1.330-cancel.jsonl");

const WORDS: [&str; 47] = [
    "type",
    "subtype",
    "request",
    "request_id",
    "response",
    "message",
    "content",
    "event",
    "delta",
    "text",
    "uuid",
    "command_uuid",
    "state",
    "started",
    "completed",
    "cancelled",
    "discarded",
    "result",
    "success",
    "system",
    "init",
    "assistant",
    "user",
    "stream_event",
    "control_request",
    "control_response",
    "control_cancel_request",
    "command_lifecycle",
    "can_use_tool",
    "tool_name",
    "input",
    "id",
    "name",
    "tool_use",
    "tool_result",
    "tool_use_id",
    "isReplay",
    "permission_suggestions",
    "session_id",
    "seawall-1",
    "errors",
    "usage",
    "content_block_delta",
    "text_delta",
    "thinking",
    "AskUserQuestion",
    "questions",
];

/// Messages that a session has, in any order.
fn known() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(init()),
        Just(result()),
        Just(piece("x")),
        Just(permission_request("r")),
        Just(json!({"type": "control_cancel_request", "request_id": "r"})),
        prop::sample::select(vec!["queued", "started", "completed", "cancelled", "discarded"])
            .prop_map(receipt),
        json_like(&WORDS),
    ]
}

/// Says the lines to a codec and, between them, does what a session would.
fn survive(lines: &[Vec<u8>]) -> Result<(), TestCaseError> {
    let mut probe = Probe::started(options());
    let (mut open_turns, mut asked, mut prompts, mut failures) = (0, Vec::new(), 0, 0);
    for line in lines {
        probe.hear_line(line, false);
        probe.written();
        for event in probe.said() {
            match event {
                AgentEvent::Failed { .. } => failures += 1,
                AgentEvent::TurnStarted { .. } => open_turns += 1,
                AgentEvent::TurnEnded { .. } => open_turns -= 1,
                AgentEvent::PermissionRequested { request, .. }
                | AgentEvent::QuestionRequested { request, .. } => asked.push(request),
                AgentEvent::RequestCancelled { request } => asked.retain(|open| *open != request),
                _ => {}
            }
            prop_assert!((0..=1).contains(&open_turns));
        }
        prop_assert!(failures <= 1);
        prop_assert_eq!(&asked, &probe.codec.asks.open());
        match prompts % 3 {
            0 => probe.prompt("m-1", "go\non"),
            1 => drop(probe.cancel()),
            _ => {
                for request in asked.drain(..) {
                    probe.answer(request, Outcome::Cancelled);
                }
            }
        }
        prompts += 1;
        probe.written();
        probe.said();
    }
    Ok(())
}

proptest! {
    #[test]
    fn random_bytes_are_survived(lines in vec(vec(any::<u8>(), 0..200), 0..20)) {
        survive(&lines)?;
    }

    #[test]
    fn random_messages_are_survived(opened in any::<bool>(), messages in vec(known(), 0..40)) {
        let handshake = opened.then(|| initialized(json!({})));
        let lines: Vec<_> =
            handshake.into_iter().chain(messages).map(|line| line.to_string().into()).collect();
        survive(&lines)?;
    }

    #[test]
    fn a_broken_conversation_is_survived(
        changes in changes(1..12),
    ) {
        survive(&broken(TRANSCRIPT, changes))?;
    }
}
