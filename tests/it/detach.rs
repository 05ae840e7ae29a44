//! Nobody watches: detached, closed, and saved in time. The clock of these servers is moved by hand.

use crate::support::*;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(48 * 3600);
const GRACE: Duration = Duration::from_secs(10);

/// Makes a session and waits until it is DETACHED.
async fn detached(server: &Driven, agent: &str) -> String {
    let id = server.create(agent).await;
    server.look_until(&id, becomes("ACTIVE")).await;
    server.advance(Duration::from_secs(5));
    server.look_until(&id, becomes("DETACHED")).await;
    id
}

/// Makes a session whose detach timeout has just passed.
async fn closing(server: &Driven, agent: &str) -> String {
    let id = detached(server, agent).await;
    server.advance(TIMEOUT);
    server.look_until(&id, becomes("CLOSING")).await;
    id
}

fn states(events: &[Value]) -> Vec<&str> {
    let states = of_type(events, "session.state");
    states.iter().map(|event| event["data"]["to"].as_str().expect("a state")).collect()
}

// Scenarios 32, 36
#[tokio::test]
async fn a_session_without_watchers_is_detached_its_child_lives_and_a_watcher_brings_it_back() {
    let server = Driven::start("").await;
    let id = detached(&server, "cat").await;
    let pid = server.session(&id).await["pid"].clone();
    assert!(pid.is_number());
    server.send(&id, "m1", "who is there").await;
    server.look_until(&id, is("agent.output")).await;
    assert_eq!(server.session(&id).await["state"], "DETACHED");

    let mut log = server.follow(&id).await;
    let events = log.events_until(|event| {
        event["data"]["from"] == "DETACHED" && event["data"]["to"] == "ACTIVE"
    });
    assert_eq!(events.await.last().unwrap()["run"], 1);
    assert_eq!(server.session(&id).await["pid"], pid);
}

// Scenario 36
#[tokio::test]
async fn a_watcher_that_goes_leaves_a_detached_session_and_one_that_is_soon_back_leaves_no_trace() {
    let server = Driven::start("").await;
    let id = server.create("cat").await;
    let mut log = server.follow(&id).await;
    log.events_until(becomes("ACTIVE")).await;
    // While somebody watches, no time is too long.
    server.advance(Duration::from_secs(3600));
    let mut other = server.follow(&id).await;
    other.named("snapshot").await;
    drop(log);
    server.advance(Duration::from_secs(3600));
    assert_eq!(states(&server.events(&id).await), ["CREATED", "STARTING", "ACTIVE"]);

    drop(other);
    // When the server notices is not in our hands; from then on it is five seconds.
    let start = Instant::now();
    while server.session(&id).await["state"] == "ACTIVE" {
        server.advance(Duration::from_secs(1));
        assert!(start.elapsed() < PATIENCE, "it is never detached");
    }
    assert_eq!(states(&server.events(&id).await), ["CREATED", "STARTING", "ACTIVE", "DETACHED"]);
}

// Scenario 38
#[tokio::test]
async fn a_session_that_nobody_watched_for_48_hours_is_closed_with_its_tree() {
    let server = Driven::start("").await;
    let id = detached(&server, "demo").await;
    server.send(&id, "m1", "hello").await;
    server.look_until(&id, turn_of("m1")).await;
    // It counts from when there first was something to watch, five seconds ago.
    server.advance(TIMEOUT - Duration::from_secs(6));
    server.send(&id, "m2", "a message is no watcher").await;
    server.look_until(&id, turn_of("m2")).await;
    assert_eq!(server.session(&id).await["state"], "DETACHED");
    server.advance(Duration::from_secs(1));
    server.look_until(&id, becomes("CLOSING")).await;
    // During the grace nothing is sent to the child.
    server.advance(GRACE - Duration::from_secs(1));
    let events = server.events(&id).await;
    assert_eq!(of_type(&events, "transport.stopping").len(), 0);
    assert!(server.session(&id).await["pid"].is_number());
    server.advance(Duration::from_secs(1));
    let events = server.look_until(&id, ends("detach_timeout")).await;
    // The clock runs ahead of the child, so later rungs may have been told; it ended at the first.
    assert_eq!(of_type(&events, "transport.stopping")[0]["data"]["rung"], "close_stdin");
    assert_eq!(only(&events, "transport.exited")["exit_code"], 0);
    assert_eq!(server.session(&id).await["pid"], Value::Null);
    assert_no_process_in(server.folder.path());
}

// Scenario 38
#[tokio::test]
async fn a_watcher_in_the_grace_saves_the_session_and_the_child_notices_nothing() {
    let server = Driven::start("").await;
    let id = closing(&server, "cat").await;
    let pid = server.session(&id).await["pid"].clone();
    let mut log = server.follow(&id).await;
    log.events_until(|event| event["data"]["from"] == "CLOSING" && event["data"]["to"] == "ACTIVE")
        .await;
    server.advance(GRACE);
    server.send(&id, "m1", "still here").await;
    log.events_until(is("agent.output")).await;
    let session = server.session(&id).await;
    assert_eq!((&session["state"], &session["pid"]), (&json!("ACTIVE"), &pid));
    assert_eq!(of_type(&server.events(&id).await, "transport.stopping").len(), 0);
}

// Scenario 38
#[tokio::test]
async fn a_message_in_the_grace_saves_the_session_and_the_48_hours_begin_anew() {
    let server = Driven::start("").await;
    let id = closing(&server, "cat").await;
    let pid = server.session(&id).await["pid"].clone();
    server.send(&id, "m1", "wait").await;
    let events = server.look_until(&id, is("agent.output")).await;
    assert_eq!(states(&events)[3..], ["DETACHED", "CLOSING", "ACTIVE"]);
    // Nobody watches it now as before.
    server.advance(Duration::from_secs(5));
    server
        .look_until(&id, |event| {
            event["data"]["from"] == "ACTIVE"
                && event["data"]["to"] == "DETACHED"
                && event["seq"].as_u64() > Some(8)
        })
        .await;
    server.advance(TIMEOUT - Duration::from_secs(6));
    assert_eq!(server.session(&id).await["state"], "DETACHED");
    assert_eq!(server.session(&id).await["pid"], pid);
    server.advance(Duration::from_secs(1));
    let closings = |events: &[Value]| states(events).iter().filter(|to| **to == "CLOSING").count();
    let start = Instant::now();
    while closings(&server.events(&id).await) < 2 {
        assert!(start.elapsed() < PATIENCE, "it is not closed again");
    }
}

// Scenario 38
#[tokio::test]
async fn after_the_grace_there_is_no_way_back_but_a_new_run() {
    let server = Driven::start("").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "ignore-interrupt").await;
    server.look_until(&id, is("agent.message")).await;
    server.advance(Duration::from_secs(5));
    server.look_until(&id, becomes("DETACHED")).await;
    server.advance(TIMEOUT);
    server.look_until(&id, becomes("CLOSING")).await;
    server.advance(GRACE);
    server.look_until(&id, is("transport.stopping")).await;
    let mut log = server.follow(&id).await;
    server.send(&id, "m2", "come back").await;
    log.events_until(|event| event["data"]["message_id"] == "m2").await;
    assert_eq!(server.session(&id).await["state"], "CLOSING");
    for rung in ["close_stdin", "sigint", "sigterm"] {
        server.advance(GRACE / 5);
        let events = log.events_until(is("transport.stopping")).await;
        assert_eq!(only(&events, "transport.stopping")["rung"], rung);
    }
    let events = log.events_until(turn_of("m2")).await;
    assert_eq!(states(&events), ["ENDED", "CREATED", "STARTING", "ACTIVE"]);
    assert!(events.iter().any(|event| ends("detach_timeout")(event)));
}

// Scenario 39
#[tokio::test]
async fn a_running_turn_is_running_whoever_watches() {
    let server = Driven::start("").await;
    let id = server.create("demo").await;
    server.send(&id, "m1", "hang").await;
    server.look_until(&id, is("agent.message")).await;
    let running = async |state: &str| {
        let session = server.session(&id).await;
        assert_eq!(
            (&session["state"], &session["client_state"]),
            (&json!(state), &json!("running"))
        );
    };
    running("ACTIVE").await;
    server.advance(Duration::from_secs(5));
    server.look_until(&id, becomes("DETACHED")).await;
    running("DETACHED").await;

    let mut stream = server.follow(&id).await;
    let (welcome, _) = stream.named("welcome").await;
    stream.events_until(|event| event["data"]["from"] == "DETACHED").await;
    running("ACTIVE").await;
    let connection = welcome["connection_id"].as_str().unwrap();
    server.post(&format!("/v1/connections/{connection}/suspend"), Value::Null).await.expect(204);
    server.look_until(&id, becomes("SUSPENDED")).await;
    running("SUSPENDED").await;
    server.advance(Duration::from_secs(120));
    server.look_until(&id, |event| event["data"]["from"] == "SUSPENDED").await;
    running("DETACHED").await;
    server.advance(TIMEOUT);
    server.look_until(&id, becomes("CLOSING")).await;
    running("CLOSING").await;
    let mut back = server.follow(&id).await;
    back.events_until(|event| event["data"]["from"] == "CLOSING").await;
    running("ACTIVE").await;
    assert!(server.interrupt(&id).await);
    let events = back.events_until(turn_of("m1")).await;
    assert!(!events.is_empty());
    let mut events = server.events(&id).await;
    events.retain(|event| event["type"] == "session.state");
    let since = events.iter().position(|event| becomes("DETACHED")(event)).unwrap();
    for event in &events[since..] {
        assert_eq!(event["data"]["client_state"], "running", "{event}");
    }
    assert_eq!(server.session(&id).await["client_state"], "idle");
}
