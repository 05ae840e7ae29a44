//! More than a reader takes at once: what is held for it, what it is told, and what it costs the others.

use super::support::{Contiguous, active, grow, json, narrow};
use crate::support::{Driven, Process, Sse};
use serde_json::json;
use std::{fs, time::Duration};

/// Scenario 20. The clock stands, so that no tick can help.
#[tokio::test]
async fn a_burst_of_5000_events_reaches_a_reader_that_keeps_reading_whole() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let mut stream = narrow(&server, &[&id]).await;
    let mut place = Contiguous::after(head);
    let last = grow(&server, &id, 5_000).await;
    read_up_to(&mut stream, &mut place, last).await;
    assert_eq!(place.missed, 0);
    grow(&server, &id, 3).await;
    let events = stream.events_until(|event| event["seq"] == last + 3).await;
    assert_eq!(events.len(), 3, "three events come without waiting for anything either");
}

/// So many lines of this size are far more than a narrow stream's sockets hold.
const LINE_BYTES: usize = 16 * 1024;
pub(super) const LINES: u64 = 600;

/// Has a session's log grow by more than sockets hold; the new head.
pub(super) async fn overflow(server: &Driven, id: &str) -> u64 {
    let receipt = server.send(id, &uuid::Uuid::new_v4().to_string(), &long_text()).await;
    let head = receipt["seq"].as_u64().expect("a seq") + 1 + LINES;
    server.row(id, |row| row.head.0 >= head).await;
    head
}

fn long_text() -> String {
    vec!["x".repeat(LINE_BYTES); usize::try_from(LINES).expect("a small number")].join("\n")
}

pub(super) async fn read_up_to(stream: &mut Sse, place: &mut Contiguous, head: u64) {
    while place.cursor < head {
        place.take(&stream.next().await.expect("an open stream"));
    }
}

#[tokio::test]
async fn a_reader_that_stood_still_for_less_than_an_interval_gets_all_of_it() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let mut stream = narrow(&server, &[&id]).await;
    let last = overflow(&server, &id).await;
    for _ in 0..3 {
        // Ticks that somebody asked for do not count as time.
        let report = server.registry.sync().await.unwrap();
        assert_eq!((report.nudged, report.moved), (1, 0));
    }
    let mut place = Contiguous::after(head);
    read_up_to(&mut stream, &mut place, last).await;
    assert_eq!(place.missed, 0);
}

#[tokio::test]
async fn a_reader_that_stood_still_for_whole_intervals_is_moved_to_the_head_and_told() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let mut stream = narrow(&server, &[&id]).await;
    let last = overflow(&server, &id).await;
    for _ in 0..6 {
        server.advance(Duration::from_secs(5));
        // The session shares its thread with the registry: what it answers comes after the registry's tick.
        server.settled(&id).await;
    }
    let mut place = Contiguous::after(head);
    read_up_to(&mut stream, &mut place, last).await;
    assert!(place.missed > 200, "{}", place.missed);
    grow(&server, &id, 3).await;
    let events = stream.events_until(|event| event["seq"] == last + 3).await;
    assert_eq!(events.len(), 3);
}

#[tokio::test]
async fn a_reader_that_stands_still_holds_up_no_other() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let _slow = narrow(&server, &[&id]).await;
    let mut fast = narrow(&server, &[&id]).await;
    let reading = tokio::spawn(async move {
        let mut place = Contiguous::after(head);
        read_up_to(&mut fast, &mut place, head + LINES + 2).await;
        place.missed
    });
    overflow(&server, &id).await;
    assert_eq!(reading.await.unwrap(), 0);
}

#[tokio::test]
async fn a_session_deleted_under_a_reader_that_is_behind_is_gone_and_the_stream_lives_on() {
    let server = Driven::start("").await;
    let (deleted, _) = active(&server, "cat").await;
    let (other, _) = active(&server, "cat").await;
    let mut stream = narrow(&server, &[&deleted, &other]).await;
    overflow(&server, &deleted).await;
    server.delete(&format!("/v1/sessions/{deleted}")).await.expect(204);
    let (gone, _) = stream.named("gone").await;
    assert_eq!(gone, json!({"session_id": deleted, "reason": "deleted"}));
    let head = grow(&server, &other, 3).await;
    stream.events_until(|event| event["seq"] == head).await;
    server.advance(Duration::from_secs(20));
    let frame = stream.next().await.unwrap();
    assert_eq!((frame.event.as_str(), &json(&frame)["ts"].is_string()), ("ping", &true));
}

/// Scenario 26.
#[tokio::test]
async fn a_session_that_is_far_behind_does_not_hold_up_the_others_on_its_stream() {
    let server = Driven::start("").await;
    let (busy, head) = active(&server, "cat").await;
    let (quiet, _) = active(&server, "cat").await;
    let mut stream = narrow(&server, &[&busy, &quiet]).await;
    let last = overflow(&server, &busy).await;
    let quiet_head = grow(&server, &quiet, 3).await;
    let mut place = Contiguous::after(head);
    loop {
        let frame = stream.next().await.unwrap();
        let event = json(&frame);
        if event["session_id"] == busy.as_str() {
            place.take(&frame);
        } else if event["seq"] == quiet_head {
            break;
        }
    }
    assert!(last - place.cursor > 100, "it waited for {} of {last}", place.cursor);
    read_up_to(&mut stream, &mut place, last).await;
    assert_eq!(place.missed, 0);
}

/// Scenario 67. The grace is longer than the test has patience.
#[tokio::test]
async fn a_reader_that_takes_nothing_does_not_hold_up_the_end_of_the_server() {
    let (_, folder) = Process::start("").await.stop().await;
    let path = folder.path().join("seawall.toml");
    let text = fs::read_to_string(&path).unwrap();
    let patient = text.replace("[server]\n", "[server]\nshutdown_grace = \"10m\"\n");
    assert_ne!(text, patient);
    fs::write(&path, patient).unwrap();
    let server = Process::start_in(folder).await;
    let id = server.create("cat").await;
    let _stalled = narrow(&server, &[&id]).await;
    let mut reader = narrow(&server, &[&id]).await;
    server.send(&id, "m1", &format!("{}\nend", long_text())).await;
    reader.events_until(|event| event["data"]["text"] == "end").await;
    let (status, _) = server.stop().await;
    assert_eq!(status.code(), Some(0));
}
