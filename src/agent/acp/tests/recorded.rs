//! Conversations with real agents (tests/data/agents), replayed: what we write must be what was recorded, and the
//! events must be those of the list beside the recording.

use super::*;
use crate::agent::recording;

fn act(probe: &mut Probe, line: &Value, prompts: &mut u64) {
    let outcome = &line["result"]["outcome"];
    match line["method"].as_str() {
        Some("session/prompt") => {
            *prompts += 1;
            let text = line["params"]["prompt"][0]["text"].as_str().unwrap();
            probe.prompt(&format!("m-{prompts}"), text);
        }
        Some("session/cancel") => drop(probe.cancel()),
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
    let resume = recording::resumed(recording, "/params/sessionId");
    let probe = Probe::started(resume.as_deref());
    let mut prompts = 0;
    let events =
        recording::replay(probe, recording, |probe, line, _| act(probe, line, &mut prompts));
    recording::compare(&events, expected);
}

recording::recorded! {
    two_turns_with_tools_and_permissions: "acp-sdk-example-0.5.1-turns",
    a_turn_cancelled_in_its_midst_and_one_at_a_permission: "acp-sdk-example-0.5.1-cancel",
    a_prompt_that_fails_in_the_agent: "acp-sdk-example-0.5.1-error",
    tools_allowed_and_rejected_and_a_turn_cancelled: "claude-agent-acp-0.49.0-turns",
    a_session_resumed_by_another_process: "claude-agent-acp-0.49.0-resume",
}
