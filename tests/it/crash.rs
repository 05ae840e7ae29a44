//! Servers that are killed or told to go, and what the next one finds. Whatever the moment was, nothing that was
//! acknowledged or shown is lost, nothing is done twice, and nobody is left behind.

mod ending;
mod random;

use crate::support::{
    Process, assert_dense, assert_no_process_in, configure, eventually, of_type, processes_in,
    read_database, types,
};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Replays of any length, so that a reconnect shows everything.
const WHOLE_REPLAY: &str = "[streams]\nmax_replay_gap = 1000000\n";

fn path_after(id: &str, seq: u64) -> String {
    format!("/v1/stream?sessions={id}&after={id}:{seq}")
}

fn last_state(events: &[Value]) -> (&str, &str) {
    let states = of_type(events, "session.state");
    let last = &states.last().expect("a session begins with its state")["data"];
    (last["to"].as_str().unwrap(), last["reason"].as_str().unwrap_or_default())
}

// Scenarios 2 and 10.
#[tokio::test]
async fn what_was_streamed_before_a_kill_is_replayed_byte_for_byte_and_numbering_goes_on() {
    let server = Process::start(WHOLE_REPLAY).await;
    let id = server.create("demo").await;
    let mut live = server.stream(&path_after(&id, 0)).await;
    server.send(&id, "m1", "flood 1000000").await;
    let mut before = live.lines(2000).await;
    let token = live.last_event_id();
    let folder = server.kill();
    // What was on the wire when the server died counts as well.
    let late = live.lines(usize::MAX).await;

    let server = Process::start_in(folder).await;
    let history = server.lines(&id).await;
    let resumed = server.request("GET", &format!("/v1/stream?sessions={id}"));
    let mut resumed = server.stream_with(resumed.header("Last-Event-ID", token)).await;
    let replayed = resumed.lines(history.len() - before.len()).await;
    assert!(
        replayed.len() >= late.len(),
        "{} streamed events are lost",
        late.len() - replayed.len()
    );
    assert_eq!(late, replayed[..late.len()]);
    before.extend(replayed);
    assert_eq!(before, history);

    let events = server.events(&id).await;
    assert_dense(&events, 1);
    assert_eq!(last_state(&events), ("ENDED", "server_restart"));
    let receipt = server.send(&id, "m2", "flood 1").await;
    assert_eq!(receipt["seq"], history.len() + 1);
    let events = server.turn(&id, "m2").await;
    assert_dense(&events, 1);
}

// Scenario 46, the first half. The handshake that never ends keeps the message from being dispatched.
#[tokio::test]
async fn a_message_that_was_acknowledged_and_not_dispatched_is_dispatched_once_after_a_kill() {
    let profile = |env: &str| {
        format!(
            "[agents.slow]\nprotocol = \"acp\"\ncommand = \"seawall:self\"\nargs = [\"demo-agent\"]\nenv = {{ {env} }}\n"
        )
    };
    let server = Process::start(&profile("DEMO_AGENT_HANDSHAKE = \"hang\"")).await;
    let id = server.create("slow").await;
    server.state(&id, "STARTING").await;
    let first = server.send(&id, "m1", "flood 1").await;
    assert_eq!(server.session(&id).await["queued_messages"], 1);

    let folder = server.kill();
    configure(folder.path(), &profile(""));
    let server = Process::start_in(folder).await;
    let events = server.turn(&id, "m1").await;
    assert_dense(&events, 1);
    for (kind, count) in [("user.message", 1), ("message.dispatched", 1), ("turn.started", 1)] {
        assert_eq!(of_type(&events, kind).len(), count, "{kind}: {events:#?}");
    }
    assert_eq!(of_type(&events, "turn.ended")[0]["data"]["stop_reason"], "end_turn");
    assert!(of_type(&events, "message.failed").is_empty());
    let mut again = server.send(&id, "m1", "flood 1").await;
    assert_eq!(again["duplicate"].take(), true);
    assert_eq!(again["seq"], first["seq"]);
}

// Scenario 46, the second half, with contract 2, "Death".
#[tokio::test]
async fn a_kill_in_mid_turn_closes_what_was_open_reports_it_as_uncertain_and_a_send_revives() {
    let server = Process::start("").await;
    let talking = server.create("demo").await;
    let asking = server.create("demo").await;
    server.send(&talking, "m1", "slow 100000 5").await;
    server.send(&asking, "m1", "ask").await;
    server.until(&talking, |event| event["type"] == "agent.message").await;
    server.until(&asking, |event| event["type"] == "permission.requested").await;

    let server = Process::start_in(server.kill()).await;
    for id in [&talking, &asking] {
        let events = server.events(id).await;
        assert_dense(&events, 1);
        let failed = of_type(&events, "message.failed");
        assert_eq!(failed.len(), 1, "{:?}", types(&events));
        assert_eq!(
            failed[0]["data"],
            json!({"message_id": "m1", "reason": "transport_lost", "uncertain": true})
        );
        let ended = of_type(&events, "turn.ended");
        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0]["data"]["stop_reason"], "transport_lost");
        assert_eq!(last_state(&events), ("ENDED", "server_restart"));
        assert!(open_blocks(&events).is_empty(), "{:?}", open_blocks(&events));
        let session = server.session(id).await;
        assert_eq!(
            (&session["state"], &session["client_state"], &session["end_reason"], &session["pid"]),
            (&json!("ENDED"), &json!("idle"), &json!("server_restart"), &Value::Null)
        );
        assert_eq!(session["pending_permissions"], json!([]));
    }
    let events = server.events(&asking).await;
    let resolved = of_type(&events, "permission.resolved");
    assert_eq!(resolved.len(), 1);
    assert_eq!(resolved[0]["data"]["outcome"], "cancelled", "{resolved:?}");
    let permission = resolved[0]["data"]["permission_id"].as_str().unwrap();
    let answer = json!({"outcome": "selected", "option_id": "once"});
    let path = format!("/v1/sessions/{asking}/permissions/{permission}");
    server.post(&path, answer).await.refused(409, "permission_closed");

    server.send(&talking, "m2", "flood 1").await;
    let events = server.turn(&talking, "m2").await;
    assert_eq!(of_type(&events, "message.dispatched").len(), 2, "m1 is not run again");
    let started = of_type(&events, "transport.started");
    assert_eq!(started.last().unwrap()["data"]["context"], "resumed");
    assert_eq!(started.last().unwrap()["run"], 2);
}

/// The blocks to which something was added and whose end was not told.
fn open_blocks(events: &[Value]) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    for event in events {
        if !matches!(event["type"].as_str(), Some("agent.message" | "agent.thought")) {
            continue;
        }
        let block = event["data"]["block_id"].as_str().expect("an id").to_owned();
        open.retain(|known| *known != block);
        if event["data"]["final"] != true {
            open.push(block);
        }
    }
    open
}

// Promise 8: `lines` agents acknowledge nothing, so a crash of the server says nothing of their messages.
#[tokio::test]
async fn a_kill_adds_no_verdict_on_the_messages_of_a_plain_agent() {
    let server = Process::start("").await;
    let id = server.create("cat").await;
    server.send(&id, "m1", "hello").await;
    server.until(&id, |event| event["type"] == "agent.output").await;
    let server = Process::start_in(server.kill()).await;
    let events = server.events(&id).await;
    assert_eq!(last_state(&events), ("ENDED", "server_restart"));
    assert!(of_type(&events, "message.failed").is_empty(), "{events:#?}");
}

// Scenario 67, the last sentence, and 64.
#[tokio::test]
async fn no_child_and_no_grandchild_outlives_a_killed_server() {
    let server = Process::start("").await;
    let demo = server.create("demo").await;
    server.send(&demo, "m1", "fork").await;
    server.turn(&demo, "m1").await;
    let shell = server.create("sh").await;
    server
        .send(&shell, "m1", "setsid sh -c 'trap \"\" TERM INT HUP; sleep 1000 & echo up; wait' &")
        .await;
    server.until(&shell, |event| event["data"]["text"] == "up").await;
    let children = processes_in(server.folder.path());
    assert!(children.len() >= 6, "two agents, two sleepers, a shell and its sleeper: {children:?}");
    let folder = server.kill();
    // No other server has started: the guards alone see to it.
    assert_no_process_in(folder.path());
}

// Contract 4, "After a server crash".
#[tokio::test]
async fn a_profile_may_ask_for_its_sessions_to_go_on_after_a_crash() {
    let server = Process::start("[agents.demo]\nresume_on_start = true\n").await;
    let id = server.create("demo").await;
    let ended = server.create("demo").await;
    server.state(&id, "ACTIVE").await;
    server.state(&ended, "ACTIVE").await;
    server.post(&format!("/v1/sessions/{ended}/stop"), json!({})).await.expect(202);
    server.state(&ended, "ENDED").await;

    let server = Process::start_in(server.kill()).await;
    let events =
        server.until(&id, |event| event["type"] == "transport.started" && event["run"] == 2).await;
    let started = of_type(&events, "transport.started");
    assert_eq!(started[1]["data"]["context"], "resumed");
    assert_eq!(started[1]["data"]["agent_session_id"], started[0]["data"]["agent_session_id"]);
    assert_eq!(last_state(&server.events(&ended).await), ("ENDED", "stopped"));
}

// Contract 4: the list shows the truth before the server listens.
#[tokio::test]
async fn the_first_answer_of_a_restarted_server_tells_the_truth() {
    let server = Process::start("").await;
    for _ in 0..5 {
        let id = server.create("cat").await;
        server.state(&id, "ACTIVE").await;
    }
    let server = Process::start_in(server.kill()).await;
    let list = server.get("/v1/sessions").await.expect(200);
    let sessions = list["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 5);
    for session in sessions {
        assert_eq!((&session["state"], &session["pid"]), (&json!("ENDED"), &Value::Null));
    }
}

// Scenario 67.
#[tokio::test]
async fn told_to_end_the_server_lets_the_turn_finish_says_goodbye_and_exits_with_0() {
    let mut server = Process::start("").await;
    let busy = server.create("demo").await;
    let idle = server.create("cat").await;
    server.state(&idle, "ACTIVE").await;
    let mut stream = server.stream(&path_after(&busy, 0)).await;
    server.send(&busy, "m1", "slow 20 20").await;
    stream.events_until(|event| event["type"] == "agent.message").await;
    server.signal(Signal::TERM);
    let (bye, _) = stream.named("bye").await;
    assert_eq!(bye["reason"], "shutdown");
    assert!(bye["retry_ms"].is_u64(), "{bye}");
    assert!(stream.next().await.is_none(), "nothing comes after bye");
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());

    let server = Process::start_in(server.folder.clone()).await;
    for (id, turns) in [(&busy, 1), (&idle, 0)] {
        let events = server.events(id).await;
        assert_eq!(last_state(&events), ("ENDED", "server_restart"), "{:?}", types(&events));
        let ended = of_type(&events, "turn.ended");
        assert_eq!(ended.len(), turns);
        assert!(ended.iter().all(|event| event["data"]["stop_reason"] == "end_turn"), "{ended:?}");
        assert!(of_type(&events, "message.failed").is_empty());
    }
}

// Scenario 67, and the messages that wait (contract 2: `server_restart` keeps them).
#[tokio::test]
async fn a_second_signal_hurries_and_what_waited_runs_at_the_next_start() {
    let mut server = Process::start("[server]\nshutdown_grace = \"1h\"\n").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "hang").await;
    server.until(&id, |event| event["type"] == "agent.message").await;
    server.send(&id, "m2", "flood 1").await;
    let mut stream = server.stream(&path_after(&id, 0)).await;
    server.signal(Signal::TERM);
    // The first one has been heard.
    stream.named("bye").await;
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    assert_no_process_in(server.folder.path());

    let server = Process::start_in(server.folder.clone()).await;
    let events = server.turn(&id, "m2").await;
    let failed = of_type(&events, "message.failed");
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (&failed[0]["data"]["message_id"], &failed[0]["data"]["uncertain"]),
        (&json!("m1"), &json!(true))
    );
    let dispatched = of_type(&events, "message.dispatched");
    assert_eq!(dispatched.len(), 2);
    assert_eq!(dispatched[1]["data"]["message_id"], "m2");
}

// Scenario 67: no new work while it ends.
#[tokio::test]
async fn a_server_that_is_ending_takes_no_new_work() {
    let mut server = Process::start("[server]\nshutdown_grace = \"1h\"\n").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "hang").await;
    let mut stream = server.stream(&path_after(&id, 0)).await;
    stream.events_until(|event| event["type"] == "agent.message").await;
    let head = server.session(&id).await["head_seq"].clone();
    server.signal(Signal::TERM);
    stream.named("bye").await;
    let body = json!({"message_id": "m2", "text": "too late"});
    let path = format!("/v1/sessions/{id}/messages");
    server.post(&path, body).await.refused(503, "draining");
    server.post("/v1/sessions", json!({"agent": "cat"})).await.refused(503, "draining");
    assert_eq!(server.session(&id).await["head_seq"], head, "nothing of it is stored");
    server.signal(Signal::TERM);
    server.ended().await;
}

// Scenario 11, at rest: after a kill the rows say what the events say, before any recovery.
#[tokio::test]
async fn rows_and_events_agree_in_the_database_of_a_killed_server() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "ask").await;
    server.until(&id, |event| event["type"] == "permission.requested").await;
    let pid = server.session(&id).await["pid"].clone();
    let folder = server.kill();
    let stored = read_database(folder.path());
    assert_eq!(stored.len(), 1);
    random::assert_row_and_events_agree(&stored[0]);
    assert_eq!(stored[0].row["pid"], pid);
    assert_eq!(stored[0].row["permissions"].as_array().map(Vec::len), Some(1));
    assert_eq!(stored[0].row["dispatched"], "m1");
    eventually("the child is gone", || processes_in(folder.path()).is_empty());
}
