//! Claude Code, by a recording of it: what of its protocol is seen only with a server and a process around it.

use crate::support::*;
use serde_json::{Value, json};
use std::path::Path;

/// The session of the recording: its ids are derived from this one.
const RECORDED: &str = "0e3b36f4-5c1e-4dd4-9a52-1f1f2fd4a2a7";

/// A profile that plays a recording back.
fn profile(recording: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/agents");
    let (replay, recording) = (folder.join("replay.py"), folder.join(recording));
    let args = json!(["-B", replay, recording, "--model=opus"]);
    format!("[agents.claude]\nprotocol = \"stream-json\"\ncommand = \"python3\"\nargs = {args}\n")
}

async fn start() -> Process {
    let server = Process::start(&profile("claude-code-2.1.330-turns.jsonl")).await;
    let body = json!({ "agent": "claude", "session_id": RECORDED });
    server.post("/v1/sessions", body).await.expect(201);
    server
}

fn kill() -> String {
    format!("/admin/sessions/{RECORDED}/kill")
}

/// Has this turn, and says how the events since the stream's last went.
async fn turn(server: &Process, log: &mut Sse, message_id: &'static str, text: &str) -> Vec<Value> {
    server.send(RECORDED, message_id, text).await;
    log.events_until(turn_of(message_id)).await
}

#[tokio::test]
async fn a_permission_of_claude_is_answered_over_http() {
    let server = start().await;
    let mut log = server.follow(RECORDED).await;
    let events = turn(&server, &mut log, "m1", "hello\u{2028}there").await;
    assert_eq!(said(&events), "you said: hello\u{2028}there");
    let events = turn(&server, &mut log, "m2", "think deep").await;
    let thought = of_type(&events, "agent.thought");
    assert_eq!((&thought[0]["data"]["delta"], said(&events).as_str()), (&json!("deep"), "deep"));

    server.send(RECORDED, "m3", "run echo yes > yes.txt").await;
    let events = log.events_until(is("permission.requested")).await;
    let asked = only(&events, "permission.requested");
    assert_eq!(asked["tool_call"]["title"], "echo yes > yes.txt");
    let body = json!({ "outcome": "selected", "option_id": "allow_once" });
    let permission_id = asked["permission_id"].as_str().expect("an id");
    server.settle(RECORDED, permission_id, body).await.expect(200);
    let events = log.events_until(turn_of("m3")).await;
    let statuses: Vec<_> = of_type(&events, "agent.tool_update")
        .iter()
        .map(|update| update["data"]["status"].clone())
        .collect();
    assert_eq!(statuses, ["in_progress", "completed"]);
    assert_eq!(only(&events, "turn.ended")["stop_reason"], "end_turn");
}

#[tokio::test]
async fn a_session_that_claude_has_forgotten_goes_on_in_another_and_says_so() {
    let server = start().await;
    let mut log = server.follow(RECORDED).await;
    turn(&server, &mut log, "m1", "hello\u{2028}there").await;
    server.admin().post(&kill(), json!({})).await.expect(202);
    let events = log.events_until(is("transport.started")).await;
    let failed = only(&events, "transport.failed");
    assert_eq!(failed["code"], "resume");
    assert!(failed["detail"].as_str().unwrap().contains("No conversation found"), "{failed}");
    let started = only(&events, "transport.started");
    assert_eq!(started["context"], "lost");
    assert_eq!(server.session(RECORDED).await["run"], 3);
}

#[tokio::test]
async fn a_child_that_dies_before_its_first_turn_has_nothing_to_resume() {
    let server = start().await;
    let mut log = server.follow(RECORDED).await;
    let first = log.events_until(is("transport.started")).await;
    server.admin().post(&kill(), json!({})).await.expect(202);
    let second = log.events_until(is("transport.started")).await;
    assert_eq!(of_type(&second, "transport.failed").len(), 0);
    let of = |events: &[Value]| only(events, "transport.started").clone();
    let (first, second) = (of(&first), of(&second));
    assert_eq!((&first["context"], &second["context"]), (&json!("new"), &json!("new")));
    assert_ne!(first["agent_session_id"], second["agent_session_id"], "an id is used once");
}
