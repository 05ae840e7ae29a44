//! No input, however broken, makes the codec panic, write half a line, lose count of its turns or leave a request open
//! that nobody knows of.

use super::*;
use crate::agent::arbitrary::{broken, changes, json_like};
use proptest::{collection::vec, prelude::*};

const TRANSCRIPTS: [&str; 3] = [
    include_str!("../../../../tests/data/agents/codex-0.169.0-commands.jsonl"),
    include_str!("../../../../tests/data/agents/codex-0.169.0-files.jsonl"),
    include_str!("../../../../tests/data/agents/codex-0.169.0-questions.jsonl"),
];

const WORDS: [&str; 40] = [
    "id",
    "method",
    "params",
    "result",
    "error",
    "threadId",
    "th",
    "turn",
    "t-1",
    "status",
    "item",
    "type",
    "text",
    "itemId",
    "delta",
    "questions",
    "permissions",
    "availableDecisions",
    "changes",
    "kind",
    "path",
    "diff",
    "command",
    "tokenUsage",
    "last",
    "requestId",
    "turn/started",
    "turn/completed",
    "item/started",
    "item/completed",
    "item/agentMessage/delta",
    "item/commandExecution/requestApproval",
    "item/tool/requestUserInput",
    "item/fileChange/patchUpdated",
    "serverRequest/resolved",
    "agentMessage",
    "reasoning",
    "fileChange",
    "commandExecution",
    "plan",
];

/// Says the lines to a codec and, between them, does what a session would.
fn survive(lines: &[Vec<u8>]) -> Result<(), TestCaseError> {
    let mut probe = Probe::started(None);
    let (mut ready, mut open_turns, mut given, mut prompts) = (0, 0, false, 0);
    let mut asked = Vec::new();
    for line in lines {
        probe.hear_line(line, false);
        probe.written();
        for event in probe.said() {
            match event {
                AgentEvent::Ready { .. } => ready += 1,
                // The session closes a turn that is followed by another.
                AgentEvent::TurnStarted { .. } => open_turns = 1,
                AgentEvent::TurnEnded { message_id, .. } => {
                    open_turns -= 1;
                    given &= message_id.is_none();
                }
                AgentEvent::Rejected { .. } => given = false,
                AgentEvent::PermissionRequested { request, .. }
                | AgentEvent::QuestionRequested { request, .. } => asked.push(request),
                AgentEvent::RequestCancelled { request } => asked.retain(|open| *open != request),
                _ => {}
            }
        }
        prop_assert!(ready <= 1);
        prop_assert!((0..=1).contains(&open_turns));
        prop_assert_eq!(&asked, &probe.codec.requests.open());
        if ready == 1 && open_turns == 0 && !given {
            prompts += 1;
            given = true;
            probe.prompt(&format!("m-{prompts}"), "go on");
            prop_assert!(probe.said().is_empty());
        } else if open_turns == 1 && prompts % 2 == 0 {
            probe.cancel();
        } else if let Some(request) = asked.pop() {
            probe.answer(request, Outcome::Cancelled);
        }
        probe.written();
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
            json!({"id": 1, "result": {}}),
            json!({"id": 2, "result": {}}),
            json!({"id": 3, "result": {"thread": {"id": "th"}}}),
        ];
        let handshake = handshake.into_iter().take(if opened { 3 } else { 0 });
        let lines: Vec<_> = handshake.chain(messages).map(|line| line.to_string().into()).collect();
        survive(&lines)?;
    }

    #[test]
    fn a_broken_conversation_is_survived(
        transcript in 0..TRANSCRIPTS.len(),
        changes in changes(0..12),
    ) {
        survive(&broken(TRANSCRIPTS[transcript], changes))?;
    }
}
