//! Conversations with real agents (tests/data/agents), replayed: what we write must be what was recorded, and the
//! events must be those of the list beside the recording.

use super::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Step {
    dir: Direction,
    line: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    /// From the agent.
    In,
    /// From us.
    Out,
}

/// Both sides of a conversation. The recordings hold a placeholder in place of our version.
pub(super) fn steps(recording: &str) -> Vec<(bool, String)> {
    let recording = recording.replace("SEAWALL_VERSION", env!("CARGO_PKG_VERSION"));
    let steps = recording.lines().map(|line| serde_json::from_str(line).unwrap());
    steps.map(|Step { dir, line }| (matches!(dir, Direction::Out), line)).collect()
}

/// Replays a recording. Lines of ours that do not follow from the agent's are what somebody did: the call that
/// leads to such a line is made when it is due.
fn replay(recording: &str) -> Vec<Value> {
    let mut probe = Probe::started(None);
    let mut written = std::collections::VecDeque::from(probe.written());
    let mut prompts = 0;
    for (is_ours, line) in steps(recording) {
        if !is_ours {
            probe.hear_line(line.as_bytes(), false);
            written.extend(probe.written());
            continue;
        }
        let expected: Value = serde_json::from_str(&line).unwrap();
        if written.is_empty() {
            act(&mut probe, &expected, &mut prompts);
            written.extend(probe.written());
        }
        assert_eq!(written.pop_front(), Some(expected));
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
    let events = replay(recording);
    let shown: Vec<_> = events.iter().map(Value::to_string).collect();
    let expected: Vec<Value> =
        expected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events, expected, "the events were:\n{}\n", shown.join("\n"));
}

macro_rules! recorded {
    ($($test:ident: $name:literal,)*) => {$(
        #[test]
        fn $test() {
            check(
                include_str!(concat!("../../../../tests/data/agents/", $name, ".jsonl")),
                include_str!(concat!("../../../../tests/data/agents/", $name, ".events.jsonl")),
            );
        }
    )*};
}

recorded! {
    two_turns_with_tools_and_permissions: "acp-sdk-example-0.5.1-turns",
    a_turn_cancelled_in_its_midst_and_one_at_a_permission: "acp-sdk-example-0.5.1-cancel",
    a_prompt_that_fails_in_the_agent: "acp-sdk-example-0.5.1-error",
}
