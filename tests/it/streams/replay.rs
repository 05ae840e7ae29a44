//! What a (re)connecting stream is sent before it is live, and what that costs the store.

use super::support::{active, grow, named, opening, seqs};
use crate::support::Driven;
use futures_util::future::join_all;
use serde_json::json;
use std::time::Duration;

/// Scenario 15.
#[tokio::test]
async fn a_new_watch_of_a_long_session_delivers_no_history_and_reads_none() {
    let server = Driven::start("").await;
    let (id, _) = active(&server, "cat").await;
    let head = grow(&server, &id, 20_000).await;
    let read = server.log.pages_read();
    let mut stream = server.stream(&format!("/v1/stream?sessions={id}")).await;
    let frames = opening(&mut stream).await;
    let names: Vec<_> = frames.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["welcome", "snapshot"]);
    assert_eq!(frames[1].1["head_seq"], head);
    grow(&server, &id, 3).await;
    let events = stream.events_until(|event| event["seq"] == head + 3).await;
    assert_eq!(events.len(), 3);
    assert_eq!(server.log.pages_read(), read);
}

/// Scenario 16.
#[tokio::test]
async fn up_to_200_missed_events_are_replayed_and_of_201_none() {
    let server = Driven::start("").await;
    let (id, _) = active(&server, "cat").await;
    let head = grow(&server, &id, 300).await;
    for missed in [0, 1, 199, 200] {
        let after = head - missed;
        let path = format!("/v1/stream?sessions={id}&after={id}:{after}");
        let frames = opening(&mut server.stream(&path).await).await;
        assert!(named(&frames, "gap").is_empty());
        assert_eq!(seqs(&frames), (after + 1..=head).collect::<Vec<_>>());
        assert_eq!(frames.last().unwrap().1["head_seq"], head);
    }
    let after = head - 201;
    let mut stream = server.stream(&format!("/v1/stream?sessions={id}&after={id}:{after}")).await;
    let frames = opening(&mut stream).await;
    let history = format!("/v1/sessions/{id}/events?after={after}");
    let gap = json!({
        "session_id": id, "after": after, "resume_at": head, "head_seq": head, "missed": 201,
        "reason": "replay_cap", "history": history,
    });
    let names: Vec<_> = frames.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["welcome", "gap", "snapshot"]);
    assert_eq!(frames[1].1, gap);
    let page = server.get(&history).await.expect(200);
    assert_eq!(page["events"][0]["seq"], after + 1, "the history leads to what is missing");
    grow(&server, &id, 3).await;
    let live = stream.events_until(|event| event["seq"] == head + 3).await;
    assert_eq!(live.len(), 3, "live goes on behind the gap");
}

/// Scenario 28, but for the latencies, which `seawall bench storm` measures.
#[tokio::test]
async fn many_that_come_back_far_behind_at_once_cost_no_read_and_are_told_what_they_missed() {
    const STREAMS: usize = 200;
    let server = Driven::start("").await;
    let (quiet, _) = active(&server, "cat").await;
    let mut elsewhere = server.stream(&format!("/v1/stream?sessions={quiet}")).await;
    opening(&mut elsewhere).await;
    let mut busy = Vec::new();
    for _ in 0..4 {
        let (id, _) = active(&server, "cat").await;
        let head = grow(&server, &id, 6_000).await;
        busy.push((id, head));
    }
    let read = server.log.pages_read();
    let returning = (0..STREAMS).map(|number| {
        let (id, head) = &busy[number % busy.len()];
        let (server, after) = (&server, head - 6_000);
        async move {
            let path = format!("/v1/stream?sessions={id}&after={id}:{after}");
            let frames = opening(&mut server.stream(&path).await).await;
            let gap = &named(&frames, "gap")[0];
            assert_eq!((&gap["missed"], &gap["resume_at"]), (&json!(6_000), &json!(head)));
            assert!(seqs(&frames).is_empty());
        }
    });
    let live = async {
        let head = grow(&server, &quiet, 50).await;
        elsewhere.events_until(|event| event["seq"] == head).await
    };
    let (_, live) = tokio::join!(join_all(returning), live);
    assert_eq!(live.len(), 50, "a session elsewhere goes on meanwhile");
    assert_eq!(server.log.pages_read(), read);
}

/// Scenarios 16 and 25.
#[tokio::test]
async fn nothing_missed_costs_no_storage_read_nor_do_ticks_while_nothing_happens() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let read = server.log.pages_read();
    let path = format!("/v1/stream?sessions={id}&after={id}:{head}");
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = server.stream(&path).await;
        assert!(seqs(&opening(&mut stream).await).is_empty());
        streams.push(stream);
    }
    for _ in 0..10 {
        server.advance(Duration::from_secs(5));
        let report = server.registry.sync().await.unwrap();
        assert_eq!((report.streams, report.nudged, report.moved, report.stalled), (20, 0, 0, 0));
    }
    for stream in &mut streams {
        stream.named("ping").await;
    }
    assert_eq!(server.log.pages_read(), read);
}

/// Scenario 17.
#[tokio::test]
async fn ten_thousand_events_elsewhere_do_not_count_against_the_one_in_mine() {
    let server = Driven::start("").await;
    let (mine, head) = active(&server, "cat").await;
    let (other, other_head) = active(&server, "cat").await;
    let path = format!("/v1/stream?sessions={other},{mine}");
    let mut stream = server.stream(&format!("{path}&after={mine}:{}", head - 1)).await;
    // The token of the second snapshot stands before the last event of neither session.
    opening(&mut stream).await;
    let (_, token) = stream.named("snapshot").await;
    drop(stream);
    grow(&server, &other, 10_000).await;
    let new_head = grow(&server, &mine, 3).await;
    let mut stream = server.stream(&format!("{path}&cursor={token}")).await;
    let frames = opening(&mut stream).await;
    assert_eq!(named(&frames, "gap")[0]["session_id"], other.as_str());
    assert_eq!(named(&frames, "gap")[0]["missed"], 10_000);
    assert_eq!(named(&frames, "gap")[0]["after"], other_head);
    let frames = opening(&mut stream).await;
    assert!(named(&frames, "gap").is_empty());
    assert_eq!(seqs(&frames), (head + 1..=new_head).collect::<Vec<_>>());
}

/// Scenario 18.
#[tokio::test]
async fn a_cursor_ahead_of_the_log_is_told_so_and_later_events_come() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let after = head + 1_000;
    let mut stream = server.stream(&format!("/v1/stream?sessions={id}&after={id}:{after}")).await;
    let frames = opening(&mut stream).await;
    let gap = named(&frames, "gap")[0];
    assert_eq!(gap["reason"], "cursor_ahead");
    assert_eq!((&gap["after"], &gap["resume_at"]), (&after.into(), &head.into()));
    assert_eq!((&gap["missed"], &gap["head_seq"]), (&0.into(), &head.into()));
    assert_eq!(frames.last().unwrap().1["head_seq"], head);
    grow(&server, &id, 3).await;
    let events = stream.events_until(|event| event["seq"] == head + 3).await;
    assert_eq!(events.len(), 3);
}

/// Scenario 19.
#[tokio::test]
async fn an_unknown_and_a_deleted_session_are_gone_and_the_others_work() {
    let server = Driven::start("").await;
    let (a, _) = active(&server, "cat").await;
    let (deleted, _) = active(&server, "cat").await;
    let (b, _) = active(&server, "cat").await;
    let unknown = uuid::Uuid::new_v4().to_string();
    server.delete(&format!("/v1/sessions/{deleted}")).await.expect(204);
    let read = server.log.pages_read();
    let path = format!("/v1/stream?sessions={a},{deleted},{unknown},not-an-id,{b}");
    let mut stream = server.stream(&path).await;
    let mut frames = opening(&mut stream).await;
    frames.extend(opening(&mut stream).await);
    let expected = [
        json!({"session_id": deleted, "reason": "deleted"}),
        json!({"session_id": unknown, "reason": "unknown"}),
        json!({"session_id": "not-an-id", "reason": "unknown"}),
    ];
    assert_eq!(named(&frames, "gone"), expected.iter().collect::<Vec<_>>());
    assert_eq!(named(&frames, "snapshot").len(), 2);
    server.registry.sync().await.unwrap();
    assert_eq!(server.log.pages_read(), read, "what is gone is not asked for");
    for id in [&a, &b] {
        let head = grow(&server, id, 3).await;
        let events = stream.events_until(|event| event["seq"] == head).await;
        assert!(events.iter().all(|event| event["session_id"] == id.as_str()), "{events:#?}");
    }
}

/// Scenario 19.
#[tokio::test]
async fn a_stream_on_which_no_session_is_visible_is_refused() {
    let server = Driven::start("").await;
    let (deleted, _) = active(&server, "cat").await;
    server.delete(&format!("/v1/sessions/{deleted}")).await.expect(204);
    let unknown = uuid::Uuid::new_v4();
    for path in [
        format!("/v1/stream?sessions={unknown},{deleted}"),
        format!("/v1/sessions/{unknown}/stream"),
        format!("/v1/sessions/{deleted}/stream"),
        "/v1/stream?sessions=not-an-id".into(),
    ] {
        server.get(&path).await.refused(404, "not_found");
    }
    let mut list = server.stream(&format!("/v1/stream?sessions={unknown}&list=1")).await;
    assert_eq!(list.named("gone").await.0["reason"], "unknown");
    list.named("sessions").await;
}
