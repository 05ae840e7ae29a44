//! The frames of a stream: their order, their ids, their bytes, and the ping.

use super::support::{RawStream, active, grow, json};
use crate::support::{Driven, Process, within};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Scenario 1.
#[tokio::test]
async fn a_stream_begins_with_a_welcome_whose_connection_id_was_never_seen_before() {
    let server = Process::start("").await;
    let id = server.create("cat").await;
    let mut seen = HashSet::new();
    for path in [
        format!("/v1/stream?sessions={id}"),
        format!("/v1/stream?sessions={id}&after={id}:0"),
        format!("/v1/stream?sessions={id}"),
        format!("/v1/sessions/{id}/stream"),
        format!("/v1/stream?sessions={id}&list=1"),
        "/v1/stream?list=1".into(),
        "/v1/sessions/stream".into(),
    ] {
        let mut stream = RawStream::open(&server, &path).await;
        assert_eq!(stream.header("cache-control"), "no-store");
        assert_eq!(stream.header("x-accel-buffering"), "no");
        let first = stream.next().await.unwrap();
        assert_eq!((first.name(), first.field("retry")), ("welcome", Some("1000")), "{path}");
        let welcome: Value = serde_json::from_str(first.data()).unwrap();
        assert_eq!(welcome["protocol"], 1);
        assert_eq!(welcome["heartbeat_ms"], 20_000);
        assert_eq!(welcome["draining"], false);
        assert!(welcome["server"].as_str().unwrap().starts_with("seawall/"));
        assert!(seen.insert(welcome["connection_id"].to_string()), "{path}: an id came twice");
    }
}

/// Scenario 2.
#[tokio::test]
async fn an_id_stands_on_log_events_gaps_and_snapshots_and_nowhere_else() {
    let server = Driven::start("").await;
    let (a, _) = active(&server, "cat").await;
    let (b, _) = active(&server, "cat").await;
    let unknown = uuid::Uuid::new_v4();
    let path = format!("/v1/stream?sessions={a},{b},{unknown}&after={a}:0,{b}:999");
    let mut stream = RawStream::open(&server, &path).await;
    let mut names = BTreeMap::new();
    let mut last = String::new();
    while let Some(frame) = stream.next().await {
        let name = frame.name().to_owned();
        let has_id = ["message", "gap", "snapshot"].contains(&name.as_str());
        assert_eq!(frame.field("id").is_some(), has_id, "{frame:?}");
        if let Some(token) = frame.field("id") {
            assert!(!token.is_empty() && token.len() <= 1024, "{token}");
            assert!(token.bytes().all(|byte| byte.is_ascii_graphic()), "{token}");
        }
        let count = names.entry(name.clone()).and_modify(|count| *count += 1).or_insert(1);
        match (name.as_str(), *count) {
            ("snapshot", 2) => server.advance(Duration::from_secs(20)),
            ("ping", 1) => assert!(server.registry.set_draining(true)),
            ("server", 1) => {
                for id in [&a, &b] {
                    server.delete(&format!("/v1/sessions/{id}")).await.expect(204);
                }
            }
            _ => {}
        }
        last = name;
    }
    assert_eq!(last, "bye");
    let seen: Vec<_> = names.keys().map(String::as_str).collect();
    assert_eq!(
        seen,
        ["bye", "gap", "gone", "message", "ping", "server", "snapshot", "welcome"],
        "every kind of frame was looked at"
    );
}

/// Scenario 2.
#[tokio::test]
async fn an_event_is_the_same_bytes_live_replayed_and_in_history() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    let mut stream = RawStream::open(&server, &format!("/v1/stream?sessions={id}")).await;
    stream.named("snapshot").await;
    server.send(&id, "m1", "zwei Fäden \"and\"\n\u{1f9f5} \u{7f}\\ \u{2028}").await;
    let mut live = Vec::new();
    loop {
        let frame = stream.named("message").await;
        live.push(frame.data().to_owned());
        if frame.data().contains("turn.ended") {
            break;
        }
    }
    let first = serde_json::from_str::<Value>(&live[0]).unwrap()["seq"].as_u64().unwrap();
    let after = first - 1;
    let path = format!("/v1/sessions/{id}/stream?after={id}:{after}");
    let mut stream = RawStream::open(&server, &path).await;
    for line in &live {
        assert_eq!(stream.named("message").await.data(), line);
    }
    let path = format!("/v1/sessions/{id}/events?after={after}&limit={}", live.len());
    let page = server.request("GET", &path).send().await.unwrap().text().await.unwrap();
    let expected = format!("{{\"events\":[{}],", live.join(","));
    assert!(page.starts_with(&expected), "{page}\nbegins not with\n{expected}");
}

/// Scenario 3.
#[tokio::test]
async fn silence_for_a_heartbeat_is_broken_by_a_ping_and_counted_anew_from_each_frame() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let mut stream = server.stream(&format!("/v1/stream?sessions={id}")).await;
    stream.named("snapshot").await;
    server.advance(Duration::from_millis(19_999));
    grow(&server, &id, 3).await;
    for seq in head + 1..=head + 3 {
        let frame = stream.next().await.unwrap();
        assert_eq!((frame.event.as_str(), &json(&frame)["seq"]), ("message", &seq.into()));
    }
    for _ in 0..2 {
        server.advance(Duration::from_millis(20_000));
        let frame = stream.next().await.unwrap();
        assert_eq!(frame.event, "ping");
        assert_eq!(json(&frame)["ts"], serde_json::to_value(server.clock.now()).unwrap());
    }
}

/// Scenario 4.
#[tokio::test]
async fn two_streams_have_cursors_of_their_own() {
    let server = Driven::start("").await;
    let (id, _) = active(&server, "cat").await;
    let head = grow(&server, &id, 20).await;
    let at_head = format!("/v1/stream?sessions={id}");
    let behind = format!("/v1/stream?sessions={id}&after={id}:{}", head - 10);
    let mut a = server.stream(&at_head).await;
    let mut b = server.stream(&behind).await;
    a.named("snapshot").await;
    let replayed = b.events_until(|event| event["seq"] == head).await;
    assert_eq!(replayed.len(), 10);
    b.named("snapshot").await;
    grow(&server, &id, 3).await;
    let last = |event: &Value| event["seq"] == head + 3;
    let (a, b) = (a.events_until(last).await, b.events_until(last).await);
    assert_eq!(a.len(), 3);
    assert_eq!(a, b);
}

/// Scenarios 5 and 6.
#[tokio::test]
async fn a_stream_whose_peer_is_gone_is_removed_at_once_and_it_alone() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let path = format!("/v1/stream?sessions={id}");
    let mut old = server.stream(&path).await;
    old.named("snapshot").await;
    let mut new = server.stream(&path).await;
    new.named("snapshot").await;
    server.streams_open(2).await;
    // No frame is due, so that no failing write can tell.
    drop(old);
    server.streams_open(1).await;
    server.settled(&id).await;
    server.advance(Duration::from_secs(60));
    server.settled(&id).await;
    grow(&server, &id, 3).await;
    let events = new.events_until(|event| event["seq"] == head + 3).await;
    assert_eq!(events.len(), 3, "nobody has left the session: {events:#?}");
    assert_eq!(server.session(&id).await["state"], "ACTIVE");
}

#[tokio::test]
async fn a_reader_that_speaks_http_1_0_gets_the_frames_without_chunks() {
    let server = Process::start("").await;
    let id = server.create("cat").await;
    let address = server.url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let token = server.token.as_deref().unwrap();
    let head = format!(
        "GET /v1/stream?sessions={id}&after={id}:0 HTTP/1.0\r\nHost: {address}\r\nConnection: keep-alive\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 16];
    within("an answer", socket.read_exact(&mut first)).await.unwrap();
    assert_eq!(&first, b"HTTP/1.0 200 OK\r");
    server.delete(&format!("/v1/sessions/{id}")).await.expect(204);
    let mut rest = String::new();
    within("the end", socket.read_to_string(&mut rest)).await.unwrap();
    let (head, body) = rest.split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("chunked"), "{head}");
    for line in body.lines() {
        let name = line.split(": ").next().unwrap();
        assert!(["event", "retry", "data", "id", ""].contains(&name), "{line}");
    }
    assert!(body.starts_with("event: welcome\n") && body.ends_with("\n\n"), "{body}");
}
