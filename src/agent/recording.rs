//! Recorded conversations with real agents (tests/data/agents), for the codecs' tests: read, and compared with what the
//! codec makes of them.

use serde::Deserialize;
use serde_json::Value;

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

pub(super) enum Step {
    Ours(String),
    Theirs(String),
}

/// Both sides of a conversation. The recordings hold a placeholder in place of our version.
pub(super) fn steps(recording: &str) -> Vec<Step> {
    let recording = recording.replace("SEAWALL_VERSION", env!("CARGO_PKG_VERSION"));
    let read = |line: &str| match serde_json::from_str(line).unwrap() {
        Recorded { dir: Direction::In, line } => Step::Theirs(line),
        Recorded { dir: Direction::Out, line } => Step::Ours(line),
    };
    recording.lines().map(read).collect()
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
