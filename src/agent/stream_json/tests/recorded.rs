//! Conversations with Claude Code (tests/data/agents), replayed: what we write must be what was recorded, and the events must
//! be those of the list beside the recording.

use super::*;
use crate::domain::event::PermissionOption;
use std::collections::VecDeque;

/// Both sides of a conversation: whether a line is ours, and the line.
pub(super) fn steps(recording: &str) -> Vec<(bool, String)> {
    let steps = recording.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    steps.map(|step| (step["dir"] == "out", step["line"].as_str().unwrap().to_owned())).collect()
}

struct Replay {
    probe: Probe,
    events: Vec<AgentEvent>,
    prompts: u32,
}

impl Replay {
    fn of(recording: &str) -> Vec<Value> {
        let mut replay =
            Replay { probe: Probe::started(options()), events: Vec::new(), prompts: 0 };
        let mut written = VecDeque::from(replay.probe.written());
        for (is_ours, line) in steps(recording) {
            if is_ours {
                let expected: Value = serde_json::from_str(&line).unwrap();
                if written.is_empty() {
                    replay.act(&expected);
                    written.extend(replay.probe.written());
                }
                assert_eq!(written.pop_front(), Some(expected));
            } else {
                replay.probe.hear_line(line.as_bytes(), false);
                written.extend(replay.probe.written());
            }
            replay.events.extend(replay.probe.said());
        }
        assert_eq!(written, [] as [Value; 0], "written but not recorded");
        replay.events.iter().map(|event| serde_json::to_value(event).unwrap()).collect()
    }

    /// A line of ours that does not follow from the agent's is what somebody did: the call that leads to it is made.
    fn act(&mut self, line: &Value) {
        if line["type"] == "user" {
            self.prompts += 1;
            let text = line["message"]["content"][0]["text"].as_str().unwrap();
            self.probe.prompt(&format!("m{}", self.prompts), text);
        } else if line["request"]["subtype"] == "interrupt" {
            self.probe.cancel();
        } else {
            let answer = &line["response"]["response"];
            let request = self.probe.codec.asks.open()[0];
            let outcome = self.outcome(answer);
            self.probe.answer(request, outcome);
        }
    }

    fn outcome(&self, answer: &Value) -> Outcome {
        let chosen = match answer["message"].as_str() {
            Some("This was called off.") => return Outcome::Cancelled,
            Some(_) => "reject_once",
            None if answer["updatedInput"]["answers"].is_object() => {
                return Outcome::Answered { answers: answer["updatedInput"]["answers"].clone() };
            }
            None if answer["updatedPermissions"].is_array() => "allow_always",
            None => "allow_once",
        };
        let offered = self.events.iter().rev().find_map(|event| match event {
            AgentEvent::PermissionRequested { options, .. } => Some(options),
            _ => None,
        });
        let is_chosen = |option: &&PermissionOption| option.option_id == chosen;
        let option_id = offered.unwrap().iter().find(is_chosen).unwrap().option_id.clone();
        Outcome::Selected { option_id }
    }
}

fn check(recording: &str, expected: &str) {
    let events = Replay::of(recording);
    let shown: Vec<_> = events.iter().map(Value::to_string).collect();
    let expected: Vec<Value> =
        expected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events == expected, "the events were:\n{}\n", shown.join("\n"));
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
    turns_with_thoughts_tools_permissions_and_a_question: "claude-code-2.1.330-turns",
    turns_cancelled_in_a_text_at_a_permission_and_in_a_tool: "claude-code-2.1.330-cancel",
    a_turn_of_the_agents_own_and_a_subagent: "claude-code-2.1.330-background",
    turns_of_an_agent_that_gives_no_receipts: "claude-code-2.1.197-turns",
    turns_cancelled_of_an_agent_that_gives_no_receipts: "claude-code-2.1.197-cancel",
}
