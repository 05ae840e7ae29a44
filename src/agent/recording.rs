//! Recorded conversations with real agents (tests/data/agents), for the codecs' tests: read, and compared with what the
//! codec makes of them.

use super::{AgentEvent, Codec, probe::Probe};
use serde::Deserialize;
use serde_json::Value;
use std::collections::VecDeque;

#[derive(Deserialize)]
struct Recorded {
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

enum Step {
    Ours(String),
    Theirs(String),
}

/// Both sides of a conversation. The recordings hold a placeholder in place of our version.
fn steps(recording: &str) -> Vec<Step> {
    let recording = recording.replace("SEAWALL_VERSION", env!("CARGO_PKG_VERSION"));
    let read = |line: &str| match serde_json::from_str(line).unwrap() {
        Recorded { dir: Direction::In, line } => Step::Theirs(line),
        Recorded { dir: Direction::Out, line } => Step::Ours(line),
    };
    recording.lines().map(read).collect()
}

/// Replays a recording; the events. Lines of ours that do not follow from the agent's are what somebody did: `act` makes the
/// call that leads to such a line when it is due, knowing the events so far.
pub(super) fn replay<C: Codec>(
    mut probe: Probe<C>,
    recording: &str,
    mut act: impl FnMut(&mut Probe<C>, &Value, &[AgentEvent]),
) -> Vec<Value> {
    let mut events = probe.said();
    let mut written = VecDeque::from(probe.written());
    for step in steps(recording) {
        match step {
            Step::Theirs(line) => {
                probe.hear_line(line.as_bytes(), false);
                written.extend(probe.written());
            }
            Step::Ours(line) => {
                let expected: Value = serde_json::from_str(&line).unwrap();
                if written.is_empty() {
                    act(&mut probe, &expected, &events);
                    written.extend(probe.written());
                }
                assert_eq!(written.pop_front(), Some(expected));
            }
        }
        events.extend(probe.said());
    }
    assert_eq!(written, [] as [Value; 0], "written but not recorded");
    events.iter().map(|event| serde_json::to_value(event).unwrap()).collect()
}

/// The agent's side alone.
pub(super) fn agent_lines(recording: &str) -> Vec<String> {
    let theirs = |step| match step {
        Step::Theirs(line) => Some(line),
        Step::Ours(_) => None,
    };
    steps(recording).into_iter().filter_map(theirs).collect()
}

/// The agent's session that a recording begins with, if it resumes one: found at `pointer` in our call.
pub(super) fn resumed(recording: &str, pointer: &str) -> Option<String> {
    steps(recording).into_iter().find_map(|step| {
        let Step::Ours(line) = step else { return None };
        let call: Value = serde_json::from_str(&line).unwrap();
        let method = call["method"].as_str()?;
        let resumes = method.ends_with("/resume") || method.ends_with("/load");
        resumes.then(|| call.pointer(pointer)?.as_str().map(str::to_owned))?
    })
}

/// Fails with the events as the file beside the recording should have them.
pub(super) fn compare(events: &[Value], expected: &str) {
    let shown: Vec<_> = events.iter().map(Value::to_string).collect();
    let expected: Vec<Value> =
        expected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events, expected, "the events were:\n{}\n", shown.join("\n"));
}

/// A test for each recording, by the `check` of where it stands.
macro_rules! recorded {
    ($($test:ident: $name:literal,)*) => {$(
        #[test]
        fn $test() {
            check(
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/agents/", $name, ".jsonl")),
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/agents/", $name, ".events.jsonl")),
            );
        }
    )*};
}
pub(super) use recorded;
