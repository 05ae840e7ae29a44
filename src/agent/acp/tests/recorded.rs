//! Conversations with real agents (tests/data/agents), replayed: what we write must be what was recorded, and the
//! events must be those of the list beside the recording.

use super::*;
use crate::agent::recording::{self, Step};

/// Replays a recording. Lines of ours that do not follow from the agent's are what somebody did: the call that
/// leads to such a line is made when it is due.
fn replay(recording: &str) -> Vec<Value> {
    let resume = recording::resumed(recording, "/params/sessionId");
    let mut probe = Probe::started(resume.as_deref());
    let mut written = std::collections::VecDeque::from(probe.written());
    let mut prompts = 0;
    for step in recording::steps(recording) {
        match step {
            Step::Theirs(line) => {
                probe.hear_line(line.as_bytes(), false);
                written.extend(probe.written());
            }
            Step::Ours(line) => {
                let expected: Value = serde_json::from_str(&line).unwrap();
                if written.is_empty() {
                    act(&mut probe, &expected, &mut prompts);
                    written.extend(probe.written());
                }
                assert_eq!(written.pop_front(), Some(expected));
            }
        }
    }
    assert_eq!(written, [] as [Value; 0], "written but not recorded");
    probe.said().iter().map(|event| serde_json::to_value(event).unwrap()).collect()
}

fn act(probe: &mut Probe, line: &Value, prompts: &mut u64) {
    let outcome = &line["result"]["outcome"];
    match line["method"].as_str() {
        Some("session/prompt") => {
            *prompts += 1;
            let text = line["params"]["prompt"][0]["text"].as_str().unwrap();
            probe.prompt(&format!("m-{prompts}"), text);
        }
        Some("session/cancel") => probe.codec.cancel(&mut probe.out),
        Some(other) => panic!("the codec should have written {other} by itself"),
        None => {
            let request = probe.codec.permissions[0].request;
            let outcome = match outcome["optionId"].as_str() {
                Some(option) => Outcome::Selected { option_id: option.to_owned() },
                None => Outcome::Cancelled,
            };
            probe.answer(request, outcome);
        }
    }
}

fn check(recording: &str, expected: &str) {
    recording::compare(&replay(recording), expected);
}

recording::recorded! {
    two_turns_with_tools_and_permissions: "acp-sdk-example-0.5.1-turns",
    a_turn_cancelled_in_its_midst_and_one_at_a_permission: "acp-sdk-example-0.5.1-cancel",
    a_prompt_that_fails_in_the_agent: "acp-sdk-example-0.5.1-error",
    tools_allowed_and_rejected_and_a_turn_cancelled: "claude-agent-acp-0.49.0-turns",
    a_session_resumed_by_another_process: "claude-agent-acp-0.49.0-resume",
}
