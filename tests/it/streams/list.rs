//! The list as a stream: the newest sessions first, then each change.

use super::support::{active, grow};
use crate::support::{Driven, Sse};
use serde_json::{Value, json};
use std::time::Duration;

async fn next(list: &mut Sse) -> (String, Value) {
    let frame = list.next().await.expect("an open stream");
    (frame.event.clone(), super::support::json(&frame))
}

async fn rename(server: &Driven, id: &str, title: &str) {
    let request = server.request("PATCH", &format!("/v1/sessions/{id}"));
    server.call(request.json(&json!({ "title": title }))).await.expect(200);
}

#[tokio::test]
async fn the_list_begins_with_the_newest_sessions_as_the_api_gives_them() {
    let server = Driven::start("").await;
    let (older, _) = active(&server, "cat").await;
    server.advance(Duration::from_secs(1));
    let (newer, _) = active(&server, "cat").await;
    let mut list = server.stream("/v1/sessions/stream").await;
    assert_eq!(next(&mut list).await.0, "welcome");
    let (name, sessions) = next(&mut list).await;
    assert_eq!(name, "sessions");
    let ids: Vec<_> = sessions["sessions"].as_array().unwrap().iter().map(|s| &s["id"]).collect();
    assert_eq!(ids, [&newer, &older]);
    assert_eq!(sessions["sessions"][1], server.session(&older).await);
    assert_eq!(list.last_event_id(), "", "the list needs no cursor");
}

#[tokio::test]
async fn a_change_of_a_session_comes_at_most_once_a_second_and_the_newest_wins() {
    let server = Driven::start("").await;
    let (a, _) = active(&server, "cat").await;
    let (b, _) = active(&server, "cat").await;
    let mut list = server.stream("/v1/sessions/stream").await;
    list.named("sessions").await;
    rename(&server, &a, "one").await;
    let (name, session) = next(&mut list).await;
    assert_eq!((name.as_str(), &session["title"]), ("session", &json!("one")));
    rename(&server, &a, "two").await;
    rename(&server, &a, "three").await;
    rename(&server, &b, "another").await;
    assert_eq!(next(&mut list).await.1["title"], "another", "it is not held up by the first");
    server.advance(Duration::from_secs(1));
    assert_eq!(next(&mut list).await.1["title"], "three");
}

#[tokio::test]
async fn a_new_session_and_a_removal_come_on_the_list() {
    let server = Driven::start("").await;
    let mut list = server.stream("/v1/sessions/stream").await;
    assert_eq!(list.named("sessions").await.0["sessions"], json!([]));
    let (id, _) = active(&server, "cat").await;
    assert_eq!(list.named("session").await.0["id"], id.as_str());
    server.advance(Duration::from_secs(1));
    server.delete(&format!("/v1/sessions/{id}")).await.expect(204);
    loop {
        let (frame, _) = list.named("session").await;
        if frame["deleted"] == true {
            break assert_eq!(frame, json!({"session_id": id, "deleted": true}));
        }
        assert_eq!(frame["id"], id.as_str());
        server.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn the_list_comes_along_on_a_stream_that_outlives_its_last_session() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let mut stream = server.stream(&format!("/v1/stream?sessions={id}&list=1")).await;
    let mut names = Vec::new();
    while names.len() < 3 {
        names.push(stream.next().await.unwrap().event);
    }
    assert_eq!(names, ["welcome", "snapshot", "sessions"]);
    grow(&server, &id, 3).await;
    stream.events_until(|event| event["seq"] == head + 3).await;
    server.delete(&format!("/v1/sessions/{id}")).await.expect(204);
    assert_eq!(stream.named("gone").await.0["session_id"], id.as_str());
    server.advance(Duration::from_secs(1));
    while stream.named("session").await.0["deleted"] != true {}
    server.advance(Duration::from_secs(20));
    assert_eq!(next(&mut stream).await.0, "ping");
}

#[tokio::test]
async fn who_looks_at_the_list_watches_no_session() {
    let server = Driven::start("").await;
    let (id, _) = active(&server, "cat").await;
    let mut list = server.stream("/v1/sessions/stream").await;
    list.named("sessions").await;
    server.settled(&id).await;
    server.advance(Duration::from_secs(5));
    let (session, _) = list.named("session").await;
    assert_eq!(session["state"], "DETACHED");
}
