//! Conversations with Claude Code (tests/data/agents), replayed: what we write must be what was recorded, and the events must
//! be those of the list beside the recording.

use super::*;
use crate::{
    agent::recording::{self, recorded},
    domain::event::PermissionOption,
};

fn act(probe: &mut Probe, line: &Value, events: &[AgentEvent], prompts: &mut u32) {
    if line["type"] == "user" {
        *prompts += 1;
        let text = line["message"]["content"][0]["text"].as_str().unwrap();
        probe.prompt(&format!("m{prompts}"), text);
    } else if line["request"]["subtype"] == "interrupt" {
        probe.cancel();
    } else {
        let request = probe.codec.asks.open()[0];
        probe.answer(request, outcome(&line["response"]["response"], events));
    }
}

/// What somebody chose, for an answer to be this.
fn outcome(answer: &Value, events: &[AgentEvent]) -> Outcome {
    let chosen = match answer["message"].as_str() {
        Some("This was called off.") => return Outcome::Cancelled,
        Some(_) => "reject_once",
        None if answer["updatedInput"]["answers"].is_object() => {
            return Outcome::Answered { answers: answer["updatedInput"]["answers"].clone() };
        }
        None if answer["updatedPermissions"].is_array() => "allow_always",
        None => "allow_once",
    };
    let offered = events.iter().rev().find_map(|event| match event {
        AgentEvent::PermissionRequested { options, .. } => Some(options),
        _ => None,
    });
    let is_chosen = |option: &&PermissionOption| option.option_id == chosen;
    let option_id = offered.unwrap().iter().find(is_chosen).unwrap().option_id.clone();
    Outcome::Selected { option_id }
}

fn check(recording: &str, expected: &str) {
    let mut prompts = 0;
    let act = |probe: &mut Probe, line: &Value, events: &[AgentEvent]| {
        act(probe, line, events, &mut prompts);
    };
    recording::compare(&recording::replay(Probe::started(options()), recording, act), expected);
}

recorded! {
    turns_with_thoughts_tools_permissions_and_a_question: "claude-code-2.1.330-turns",
    turns_cancelled_in_a_text_at_a_permission_and_in_a_tool: "claude-code-2.1.330-cancel",
    a_turn_of_the_agents_own_and_a_subagent: "claude-code-2.1.330-background",
    turns_of_an_agent_that_gives_no_receipts: "claude-code-2.1.197-turns",
    turns_cancelled_of_an_agent_that_gives_no_receipts: "claude-code-2.1.197-cancel",
}
