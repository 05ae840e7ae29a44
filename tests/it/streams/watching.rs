//! Who watches a session, and what that makes of it: ACTIVE, DETACHED, SUSPENDED. Time is moved by hand.

use super::support::{active, grow, json as data, opening, seqs};
use crate::support::{Driven, Process, Sse, of_type};
use seawall::domain::State;
use serde_json::json;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Opens a stream; gives it with its connection id when its session is live on it.
async fn watch(server: &Driven, query: &str) -> (Sse, String) {
    let mut stream = server.stream(&format!("/v1/stream?{query}")).await;
    let (welcome, _) = stream.named("welcome").await;
    stream.named("snapshot").await;
    (stream, welcome["connection_id"].as_str().expect("an id").into())
}

/// Closes the only stream, and waits until its session knows.
async fn leave(server: &Driven, id: &str, stream: Sse) {
    drop(stream);
    server.streams_open(0).await;
    server.settled(id).await;
}

async fn suspend(server: &Driven, connection: &str) {
    let path = format!("/v1/connections/{connection}/suspend");
    server.call(server.request("POST", &path)).await.expect(204);
}

/// Scenario 36.
#[tokio::test]
async fn a_session_is_detached_five_seconds_after_its_last_stream_and_not_before() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let (stream, _) = watch(&server, &format!("sessions={id}")).await;
    server.advance(60 * SECOND);
    server.settled(&id).await;
    leave(&server, &id, stream).await;
    server.advance(Duration::from_millis(4_999));
    server.settled(&id).await;
    let (stream, _) = watch(&server, &format!("sessions={id}")).await;
    server.settled(&id).await;
    server.advance(60 * SECOND);
    server.settled(&id).await;
    assert_eq!(server.session(&id).await["head_seq"], head, "who is back in time writes no event");
    leave(&server, &id, stream).await;
    server.advance(5 * SECOND);
    let row = server.row_in(&id, State::Detached).await;
    assert_eq!(row.head.0, head + 1);
    assert!(server.session(&id).await["pid"].is_number(), "the child lives");
}

/// Scenario 32.
#[tokio::test]
async fn a_reconnect_to_a_detached_session_makes_it_active_again_in_the_same_run() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let before = server.session(&id).await;
    let (stream, _) = watch(&server, &format!("sessions={id}")).await;
    leave(&server, &id, stream).await;
    server.advance(5 * SECOND);
    server.row_in(&id, State::Detached).await;
    let path = format!("/v1/stream?sessions={id}&after={id}:{head}");
    let mut stream = server.stream(&path).await;
    let events = stream.events_until(|event| event["data"]["to"] == "ACTIVE").await;
    let states: Vec<_> = events.iter().map(|event| &event["data"]["to"]).collect();
    assert_eq!(states, ["DETACHED", "ACTIVE"]);
    let after = server.session(&id).await;
    assert_eq!((&after["run"], &after["pid"]), (&before["run"], &before["pid"]));
    // The detach timeout ran while it was detached, and must be gone.
    server.advance(Duration::from_secs(48 * 3600));
    server.settled(&id).await;
    assert_eq!(server.session(&id).await["head_seq"], head + 2);
}

/// Scenario 33.
#[tokio::test]
async fn a_second_device_steals_nothing_and_sees_the_same() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let (mut phone, _) = watch(&server, &format!("sessions={id}")).await;
    grow(&server, &id, 3).await;
    let (mut laptop, _) = watch(&server, &format!("sessions={id}&after={id}:{head}")).await;
    grow(&server, &id, 10).await;
    let last = |event: &serde_json::Value| event["seq"] == head + 13;
    let on_phone = phone.events_until(last).await;
    assert_eq!(on_phone.len(), 13);
    assert_eq!(laptop.events_until(last).await, on_phone[3..]);
    let frames = opening(&mut server.stream(&format!("/v1/stream?sessions={id}")).await).await;
    assert!(seqs(&frames).is_empty(), "{frames:?}");
}

/// Scenario 37.
#[tokio::test]
async fn a_suspended_stream_is_silent_for_its_grace_and_then_closed_without_a_word() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let (mut stream, connection) = watch(&server, &format!("sessions={id}")).await;
    suspend(&server, &connection).await;
    suspend(&server, &connection).await;
    let row = server.row_in(&id, State::Suspended).await;
    assert_eq!(row.head.0, head + 1, "twice is once");
    grow(&server, &id, 3).await;
    server.advance(Duration::from_millis(119_999));
    server.settled(&id).await;
    assert_eq!(server.session(&id).await["state"], "SUSPENDED");
    server.advance(Duration::from_millis(1));
    server.row_in(&id, State::Detached).await;
    let rest = stream.next().await.map(|frame| (frame.event.clone(), data(&frame)));
    assert_eq!(rest, None, "neither events nor pings nor a goodbye");
    server.streams_open(0).await;
}

/// Scenario 37.
#[tokio::test]
async fn a_session_stays_suspended_for_the_grace_though_the_stream_is_closed() {
    let server = Driven::start("").await;
    let (id, _) = active(&server, "cat").await;
    let (stream, connection) = watch(&server, &format!("sessions={id}")).await;
    suspend(&server, &connection).await;
    server.row_in(&id, State::Suspended).await;
    leave(&server, &id, stream).await;
    server.advance(Duration::from_millis(119_999));
    server.settled(&id).await;
    assert_eq!(server.session(&id).await["state"], "SUSPENDED");
    server.advance(Duration::from_millis(1));
    server.row_in(&id, State::Detached).await;
}

/// Scenario 37.
#[tokio::test]
async fn coming_back_from_the_background_resumes_where_the_stream_was() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let mut stream = server.stream(&format!("/v1/stream?sessions={id}")).await;
    let (welcome, _) = stream.named("welcome").await;
    let (_, token) = stream.named("snapshot").await;
    suspend(&server, welcome["connection_id"].as_str().unwrap()).await;
    server.row_in(&id, State::Suspended).await;
    grow(&server, &id, 5).await;
    let mut stream = server.stream(&format!("/v1/stream?sessions={id}&cursor={token}")).await;
    let events = stream.events_until(|event| event["data"]["to"] == "ACTIVE").await;
    let seqs: Vec<_> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (head + 1..=head + seqs.len() as u64).collect::<Vec<_>>());
    assert_eq!(of_type(&events, "agent.output").len(), 3);
    assert!(events.iter().all(|event| event["run"] == 1));
    server.settled(&id).await;
    server.advance(120 * SECOND);
    server.settled(&id).await;
    assert_eq!(server.session(&id).await["state"], "ACTIVE", "the old stream's grace is nothing");
}

#[tokio::test]
async fn a_session_is_suspended_only_when_every_watcher_is() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let (_phone, phone_id) = watch(&server, &format!("sessions={id}")).await;
    let (mut laptop, laptop_id) = watch(&server, &format!("sessions={id}")).await;
    suspend(&server, &phone_id).await;
    server.settled(&id).await;
    grow(&server, &id, 3).await;
    let events = laptop.events_until(|event| event["seq"] == head + 3).await;
    assert_eq!(of_type(&events, "session.state").len(), 0, "{events:#?}");
    suspend(&server, &laptop_id).await;
    server.row_in(&id, State::Suspended).await;
}

#[tokio::test]
async fn a_stream_that_is_not_there_cannot_be_suspended() {
    let server = Driven::start("").await;
    let (id, _) = active(&server, "cat").await;
    let (stream, connection) = watch(&server, &format!("sessions={id}")).await;
    leave(&server, &id, stream).await;
    for connection in [connection.as_str(), "x", &uuid::Uuid::new_v4().to_string()] {
        let path = format!("/v1/connections/{connection}/suspend");
        server.call(server.request("POST", &path)).await.refused(404, "not_found");
    }
}

/// Scenario 24.
#[tokio::test]
async fn a_tick_works_for_no_session_that_is_suspended() {
    let server = Driven::start("").await;
    let (id, _) = active(&server, "cat").await;
    let (_stream, connection) = watch(&server, &format!("sessions={id}")).await;
    suspend(&server, &connection).await;
    server.row_in(&id, State::Suspended).await;
    grow(&server, &id, 500).await;
    let read = server.log.pages_read();
    let report = server.registry.sync().await.unwrap();
    assert_eq!((report.streams, report.nudged, report.moved), (1, 0, 0));
    assert_eq!(server.log.pages_read(), read);
}

#[tokio::test]
async fn the_last_session_to_be_deleted_ends_the_stream_with_goodbye_for_ever() {
    let server = Driven::start("").await;
    let (a, _) = active(&server, "cat").await;
    let (b, _) = active(&server, "cat").await;
    let (mut stream, _) = watch(&server, &format!("sessions={a},{b}")).await;
    stream.named("snapshot").await;
    server.delete(&format!("/v1/sessions/{a}")).await.expect(204);
    assert_eq!(stream.named("gone").await.0, json!({"session_id": a, "reason": "deleted"}));
    let head = grow(&server, &b, 3).await;
    stream.events_until(|event| event["seq"] == head).await;
    server.delete(&format!("/v1/sessions/{b}")).await.expect(204);
    assert_eq!(stream.named("gone").await.0["session_id"], b.as_str());
    assert_eq!(stream.named("bye").await.0, json!({"reason": "deleted", "retry_ms": null}));
    assert_eq!(stream.next().await, None);
    server.streams_open(0).await;
}

#[tokio::test]
async fn a_server_that_stops_says_goodbye_and_when_to_come_back() {
    let server = Process::start("").await;
    let id = server.create("cat").await;
    let mut stream = server.stream(&format!("/v1/stream?sessions={id}")).await;
    stream.named("snapshot").await;
    let mut list = server.stream("/v1/sessions/stream").await;
    list.named("sessions").await;
    let (status, _) = server.stop().await;
    assert_eq!(status.code(), Some(0));
    for stream in [&mut stream, &mut list] {
        let (bye, _) = stream.named("bye").await;
        assert_eq!(bye["reason"], "shutdown");
        assert!(bye["retry_ms"].is_number());
        assert_eq!(stream.next().await, None);
    }
}
