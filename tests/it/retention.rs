//! Events that are kept no longer: they go in the background, and whoever comes back for them is told.

use crate::support::{Driven, Sse};
use seawall::domain::{Seq, State};
use serde_json::{Value, json};
use std::time::Duration;

/// Between two walks of retention over the sessions.
const INTERVAL: Duration = Duration::from_secs(60);

/// A session whose log has grown to `lines` and some, its head, and a watcher: without one it would be detached as time
/// passes, which is an event.
async fn grown(server: &Driven, lines: u64) -> (String, u64, Sse) {
    let id = server.create("cat").await;
    let watcher = server.follow(&id).await;
    server.row_in(&id, State::Active).await;
    let text: Vec<String> = (0..lines).map(|n| n.to_string()).collect();
    let receipt = server.send(&id, "grow", &text.join("\n")).await;
    let head = receipt["seq"].as_u64().unwrap() + 1 + lines;
    server.row(&id, |row| row.head.0 >= head).await;
    (id, head, watcher)
}

/// Lets time pass until the log of a session begins at `first`. Nobody is woken by that, so it looks again and again.
async fn pruned_to(server: &Driven, id: &str, first: u64) {
    server.advance(INTERVAL);
    crate::support::within("retention", async {
        while server.row(id, |_| true).await.first != Seq(first) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The gap and the events that a stream begins with, up to its snapshot.
async fn opening(server: &Driven, id: &str, after: u64) -> (Option<Value>, Vec<u64>, Sse) {
    let mut stream = server.stream(&format!("/v1/stream?sessions={id}&after={id}:{after}")).await;
    let (mut gap, mut seqs) = (None, Vec::new());
    loop {
        let frame = stream.next().await.unwrap();
        let data: Value = serde_json::from_slice(&frame.data).unwrap();
        match frame.event.as_str() {
            "gap" => gap = Some(data),
            "message" => seqs.push(data["seq"].as_u64().unwrap()),
            "snapshot" => return (gap, seqs, stream),
            _ => {}
        }
    }
}

/// Scenario 14.
#[tokio::test]
async fn a_cursor_below_the_retained_floor_gets_a_gap_and_the_rest_that_fits_the_cap() {
    let server = Driven::start("[store]\nretention_events = 100").await;
    let (id, head, _watcher) = grown(&server, 500).await;
    let first = head - 99;
    pruned_to(&server, &id, first).await;
    let (gap, seqs, mut stream) = opening(&server, &id, 10).await;
    let history = format!("/v1/sessions/{id}/events?after={}", first - 1);
    assert_eq!(
        gap.unwrap(),
        json!({
            "session_id": id, "after": 10, "resume_at": first - 1, "head_seq": head,
            "missed": first - 1 - 10, "reason": "retention", "history": history,
        })
    );
    assert_eq!(seqs, (first..=head).collect::<Vec<_>>());

    let page = server.get(&history).await.expect(200);
    assert_eq!((&page["first_seq"], &page["events"][0]["seq"]), (&json!(first), &json!(first)));
    let oldest = format!("/v1/sessions/{id}/events?before={}", first + 3);
    let page = server.get(&oldest).await.expect(200);
    assert_eq!((page["events"].as_array().unwrap().len(), &page["has_more"]), (3, &json!(false)));

    server.send(&id, "more", "still alive").await;
    let live = stream.events_until(|event| event["data"]["text"] == "still alive").await;
    assert_eq!(live[0]["seq"], head + 1, "the numbering goes on");
    // A message whose event is gone is known still.
    server.try_send(&id, "grow", "another text").await.refused(409, "message_conflict");
}

/// Scenario 14.
#[tokio::test]
async fn below_the_floor_and_beyond_the_cap_the_stream_begins_at_the_head() {
    let server = Driven::start("[store]\nretention_events = 300").await;
    let (id, head, _watcher) = grown(&server, 500).await;
    pruned_to(&server, &id, head - 299).await;
    let (gap, seqs, _stream) = opening(&server, &id, 10).await;
    let gap = gap.unwrap();
    assert_eq!((&gap["reason"], &gap["resume_at"]), (&json!("retention"), &json!(head)));
    assert_eq!(gap["missed"], head - 10);
    assert_eq!(gap["history"], format!("/v1/sessions/{id}/events?after={}", head - 300));
    assert_eq!(seqs, Vec::<u64>::new());
}

#[tokio::test]
async fn events_of_a_certain_age_are_removed() {
    let server = Driven::start("[store]\nretention_age = \"2h\"").await;
    let (id, old, _watcher) = grown(&server, 300).await;
    server.advance(Duration::from_secs(2 * 3600 - 1));
    server.send(&id, "young", "young").await;
    server.row(&id, |row| row.head.0 > old + 2).await;
    pruned_to(&server, &id, old + 1).await;
}
