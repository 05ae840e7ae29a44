//! Conversations with the real Codex (tests/data/agents), replayed: what we write must be what was recorded, and the
//! events must be those of the list beside the recording.

use super::*;
use crate::agent::recording;

fn act(probe: &mut Probe, line: &Value) {
    match line["method"].as_str() {
        Some("turn/start") => {
            let text = line["params"]["input"][0]["text"].as_str().unwrap();
            probe.prompt(line["params"]["clientUserMessageId"].as_str().unwrap(), text);
        }
        Some("turn/interrupt") => {
            probe.cancel();
        }
        Some(other) => panic!("the codec should have written {other} by itself"),
        None => {
            let request = probe.codec.requests.open()[0];
            probe.answer(request, outcome(&line["result"]));
        }
    }
}

/// What somebody chose, for an answer to be this.
fn outcome(result: &Value) -> Outcome {
    let selected = |option: &str| Outcome::Selected { option_id: option.to_owned() };
    match (result["decision"].as_str(), &result["answers"], &result["permissions"]) {
        (Some("cancel"), ..) => Outcome::Cancelled,
        (Some("decline"), ..) => Outcome::Expired,
        (Some(other), ..) => selected(other),
        (None, Value::Object(answers), _) if answers.is_empty() => Outcome::Cancelled,
        (None, answers @ Value::Object(_), _) => Outcome::Answered { answers: answers.clone() },
        (None, _, Value::Object(given)) if given.is_empty() => selected("decline"),
        _ => selected("turn"),
    }
}

fn check(recording: &str, expected: &str) {
    let resume = recording::resumed(recording, "/params/threadId");
    let probe = Probe::started(resume.as_deref());
    let events = recording::replay(probe, recording, |probe, line, _| act(probe, line));
    recording::compare(&events, expected);
}

recording::recorded! {
    two_turns_with_thoughts: "codex-0.169.0-turns",
    a_command_allowed_one_declined_and_one_that_ended_the_turn: "codex-0.169.0-commands",
    files_added_changed_and_deleted: "codex-0.169.0-files",
    questions_answered_or_not_and_permissions_given_or_not: "codex-0.169.0-questions",
    turns_interrupted_in_text_at_an_approval_and_in_a_tool: "codex-0.169.0-interrupts",
    a_thread_resumed_by_another_process: "codex-0.169.0-resume",
    a_thread_that_is_not_there: "codex-0.169.0-lost",
    a_thread_that_another_process_writes: "codex-0.169.0-writer",
    a_turn_that_fails: "codex-0.169.0-error",
    nobody_logged_in: "codex-0.169.0-login",
}
