//! Conversations with Claude Code (tests/data/agents), replayed: what we write must be what was recorded, and the events must
//! be those of the list beside the recording.

use super::*;
use crate::{
    agent::recording::{self, Step, recorded},
    domain::event::PermissionOption,
};
use std::collections::VecDeque;

struct Replay {
    probe: Probe,
    events: Vec<AgentEvent>,
    prompts: u32,
}

impl Replay {
    fn of(recorded: &str) -> Vec<Value> {
        let mut replay =
            Replay { probe: Probe::started(options()), events: Vec::new(), prompts: 0 };
        let mut written = VecDeque::from(replay.probe.written());
        for step in recording::steps(recorded) {
            match step {
                Step::Ours(line) => {
                    let expected: Value = serde_json::from_str(&line).unwrap();
                    if written.is_empty() {
                        replay.act(&expected);
                        written.extend(replay.probe.written());
                    }
                    assert_eq!(written.pop_front(), Some(expected));
                }
                Step::Theirs(line) => {
                    replay.probe.hear_line(line.as_bytes(), false);
                    written.extend(replay.probe.written());
                }
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
    recording::compare(&Replay::of(recording), expected);
}

recorded! {
    turns_with_thoughts_tools_permissions_and_a_question: "claude-code-2.1.330-turns",
    turns_cancelled_in_a_text_at_a_permission_and_in_a_tool: "claude-code-2.1.330-cancel",
    a_turn_of_the_agents_own_and_a_subagent: "claude-code-2.1.330-background",
    turns_of_an_agent_that_gives_no_receipts: "claude-code-2.1.197-turns",
    turns_cancelled_of_an_agent_that_gives_no_receipts: "claude-code-2.1.197-cancel",
}
