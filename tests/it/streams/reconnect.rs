//! Coming back after a cut, wherever it was: every event once, in order, and then the truth about the session.

use super::support::{EventSource, json, named, opening, seqs};
use crate::support::{Driven, Process};
use seawall::domain::State;
use serde_json::json;
use std::collections::BTreeMap;

/// Cuts a stream of `sessions` again and again while their agents talk, until all of them have said `said`. Gives the
/// seqs as they came, and the number of cuts.
async fn follow_over_cuts(
    api: &Process,
    sessions: &[String],
    frames_between_cuts: usize,
) -> (BTreeMap<String, Vec<u64>>, usize) {
    let mut came: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut source = EventSource::new(api, format!("/v1/stream?sessions={}", sessions.join(",")));
    let mut cuts = 0;
    let mut stream = source.connect().await;
    let mut snapshots = 0;
    while snapshots < sessions.len() {
        let frame = stream.next().await.expect("an open stream");
        snapshots += usize::from(frame.event == "snapshot");
        source.dispatched(&frame);
    }
    for (id, number) in sessions.iter().zip(1..) {
        api.send(id, "m1", &format!("slow {} 2", 200 * number)).await;
    }
    let mut running = sessions.len();
    while running > 0 {
        let mut left = frames_between_cuts;
        while left > 0 && running > 0 {
            let frame = stream.next().await.expect("an open stream");
            source.dispatched(&frame);
            assert!(!["gap", "gone"].contains(&frame.event.as_str()), "{}", json(&frame));
            if frame.event == "message" {
                let event = json(&frame);
                let id = event["session_id"].as_str().expect("an id");
                came.entry(id.into()).or_default().push(event["seq"].as_u64().expect("a seq"));
                running -= usize::from(event["type"] == "turn.ended");
                left -= 1;
            }
        }
        // Cut wherever it is; what came and was not dispatched is lost with the connection.
        stream = source.connect().await;
        cuts += 1;
    }
    (came, cuts)
}

/// Scenario 7.
#[tokio::test]
async fn a_browser_that_only_reconnects_sees_every_event_once_over_twenty_cuts() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    server.state(&id, "ACTIVE").await;
    let (came, cuts) = follow_over_cuts(&server, std::slice::from_ref(&id), 8).await;
    assert!(cuts >= 20, "{cuts}");
    let head = server.session(&id).await["head_seq"].as_u64().unwrap();
    let seqs = &came[&id];
    assert_eq!(*seqs, (seqs[0]..=head).collect::<Vec<_>>());
    assert!(seqs.len() > 200);
}

/// Scenario 7.
#[tokio::test]
async fn three_sessions_on_one_stream_come_whole_over_twenty_cuts() {
    let server = Process::start("").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = server.create("demo").await;
        server.state(&id, "ACTIVE").await;
        ids.push(id);
    }
    let (came, cuts) = follow_over_cuts(&server, &ids, 20).await;
    assert!(cuts >= 20, "{cuts}");
    for id in &ids {
        let head = server.session(id).await["head_seq"].as_u64().unwrap();
        assert_eq!(came[id], (came[id][0]..=head).collect::<Vec<_>>(), "{id}");
    }
}

/// Scenario 29.
#[tokio::test]
async fn events_committed_while_streams_open_are_neither_lost_nor_doubled() {
    let server = Process::start("[streams]\nmax_replay_gap = 100000").await;
    let id = server.create("demo").await;
    let path = format!("/v1/stream?sessions={id}&after={id}:0");
    server.send(&id, "m1", "flood 4000").await;
    let mut streams = Vec::new();
    // Each opens at another moment of the flood: after what the one before has seen of it.
    for _ in 0..8 {
        let mut stream = server.stream(&path).await;
        let seen = (streams.len() as u64 + 1) * 100;
        let events = stream.events_until(|event| event["seq"] == seen).await;
        streams.push((stream, events));
    }
    for (mut stream, mut events) in streams {
        events.extend(stream.events_until(|event| event["type"] == "turn.ended").await);
        let seqs: Vec<_> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
        assert!(seqs.len() > 4000);
    }
}

/// Scenario 30.
#[tokio::test]
async fn a_snapshot_comes_though_nothing_was_missed_and_tells_the_truth() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    let mut stream = server.stream(&format!("/v1/stream?sessions={id}&after={id}:0")).await;
    stream
        .events_until(|event| event["type"] == "session.state" && event["data"]["to"] == "ACTIVE")
        .await;
    let mut token = stream.last_event_id();
    let again = async |token: &str| {
        let path = format!("/v1/stream?sessions={id}&cursor={token}");
        let frames = opening(&mut server.stream(&path).await).await;
        assert!(seqs(&frames).is_empty(), "{frames:?}");
        frames.last().unwrap().1.clone()
    };
    let snapshot = again(&token).await;
    assert_eq!((&snapshot["client_state"], &snapshot["agent"]), (&json!("idle"), &json!("demo")));
    assert_eq!((&snapshot["state"], &snapshot["run"]), (&json!("ACTIVE"), &json!(1)));
    for (prompt, until, expected) in
        [("hang", "agent.message", "running"), ("ask", "permission.requested", "requires_action")]
    {
        server.send(&id, prompt, prompt).await;
        // The agent falls silent with this event.
        let events = stream.events_until(|event| event["type"] == until).await;
        token = stream.last_event_id();
        let snapshot = again(&token).await;
        assert_eq!(snapshot["client_state"], expected);
        assert_eq!(snapshot["head_seq"], events.last().unwrap()["seq"]);
        match expected {
            "running" => assert_eq!(snapshot["pending_permissions"], json!([])),
            _ => assert_eq!(snapshot["pending_permissions"][0], events.last().unwrap()["data"]),
        }
        server.post(&format!("/v1/sessions/{id}/interrupt"), json!({})).await.expect(202);
        stream.events_until(|event| event["type"] == "turn.ended").await;
    }
}

/// Scenario 31.
#[tokio::test]
async fn a_session_that_ended_while_away_gives_its_last_events_once() {
    let server = Driven::start("").await;
    let id = server.create("demo").await;
    let path = format!("/v1/stream?sessions={id}");
    let head = server.row_in(&id, State::Active).await.head.0;
    let mut stream = server.stream(&path).await;
    let (_, token) = stream.named("snapshot").await;
    drop(stream);
    server.post(&format!("/v1/sessions/{id}/stop"), json!({})).await.expect(202);
    let row = server.row_in(&id, State::Ended).await;
    let mut stream = server.stream(&format!("{path}&cursor={token}")).await;
    let frames = opening(&mut stream).await;
    assert_eq!(seqs(&frames), (head + 1..=row.head.0).collect::<Vec<_>>());
    let last = named(&frames, "message").last().unwrap()["data"].clone();
    assert_eq!((&last["to"], &last["reason"]), (&json!("ENDED"), &json!("stopped")));
    let (name, snapshot) = frames.last().unwrap();
    assert_eq!((name.as_str(), &snapshot["state"]), ("snapshot", &json!("ENDED")));
    let token = stream.last_event_id();
    let read = server.log.pages_read();
    let frames = opening(&mut server.stream(&format!("{path}&cursor={token}")).await).await;
    assert!(seqs(&frames).is_empty(), "{frames:?}");
    assert_eq!(frames.last().unwrap().1["state"], "ENDED");
    assert_eq!(server.registry.sync().await.unwrap().nudged, 0);
    assert_eq!(server.log.pages_read(), read);
}
