//! Where a stream begins, as its request says: tokens that are good and bad, `after`, and what is refused.

use super::support::{active, grow, named, opening, seqs};
use crate::support::Driven;
use serde_json::Value;

/// Scenario 35.
#[tokio::test]
async fn a_token_that_says_nothing_to_this_store_gives_a_gap_and_a_working_stream() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let path = format!("/v1/stream?sessions={id}");
    let (_, good) = server.stream(&path).await.named("snapshot").await;
    let other = Driven::start("").await;
    let (foreign_id, _) = active(&other, "cat").await;
    let foreign = other.stream(&format!("/v1/stream?sessions={foreign_id}")).await;
    let (_, foreign) = { foreign }.named("snapshot").await;
    let mut edited = good.clone().into_bytes();
    let place = edited.len() / 2;
    edited[place] = if edited[place] == b'A' { b'B' } else { b'A' };
    let edited = String::from_utf8(edited).unwrap();
    for token in [&good[..good.len() - 1], &edited, &foreign, "x", "42", &"A".repeat(4096)] {
        let by_header = server.request("GET", &path).header("Last-Event-ID", token);
        for request in [by_header, server.request("GET", &format!("{path}&cursor={token}"))] {
            let mut stream = server.stream_with(request).await;
            let frames = opening(&mut stream).await;
            let head = frames.last().unwrap().1["head_seq"].as_u64().unwrap();
            let gap = named(&frames, "gap")[0];
            assert_eq!(gap["reason"], "unknown_cursor", "{token}");
            assert_eq!((&gap["after"], &gap["missed"]), (&Value::Null, &Value::Null));
            assert_eq!((&gap["resume_at"], &gap["head_seq"]), (&head.into(), &head.into()));
            assert!(seqs(&frames).is_empty(), "{frames:?}");
            grow(&server, &id, 3).await;
            let events = stream.events_until(|event| event["seq"] == head + 3).await;
            assert_eq!(events.len(), 3, "{token}");
            // Its frames' tokens are good again: no error loop.
            let token = stream.last_event_id();
            let again = opening(&mut server.stream(&format!("{path}&cursor={token}")).await).await;
            assert!(named(&again, "gap").is_empty());
        }
    }
    let frames = opening(&mut server.stream(&format!("{path}&cursor={good}")).await).await;
    assert_eq!(seqs(&frames).first(), Some(&(head + 1)), "the good one is still good");
}

#[tokio::test]
async fn the_header_goes_before_the_cursor_and_the_cursor_before_after() {
    let server = Driven::start("").await;
    let (id, _) = active(&server, "cat").await;
    let path = format!("/v1/stream?sessions={id}");
    let head = grow(&server, &id, 20).await;
    let mut tokens = Vec::new();
    let mut stream = server.stream(&format!("{path}&after={id}:{}", head - 8)).await;
    for _ in 0..8 {
        tokens.push(stream.named("message").await.1);
    }
    let (at_7, at_4) = (&tokens[0], &tokens[3]);
    let missed = async |header: Option<&str>, query: &str| {
        let request = server.request("GET", &format!("{path}{query}"));
        let request = match header {
            Some(header) => request.header("Last-Event-ID", header),
            None => request,
        };
        seqs(&opening(&mut server.stream_with(request).await).await).len()
    };
    let both = format!("&cursor={at_4}&after={id}:{}", head - 2);
    assert_eq!(missed(Some(at_7), &both).await, 7);
    assert_eq!(missed(Some(""), &both).await, 4, "an empty header counts as absent");
    assert_eq!(missed(None, &both).await, 4);
    assert_eq!(missed(None, &format!("&cursor=&after={id}:{}", head - 2)).await, 2);
    assert_eq!(missed(Some(""), "").await, 0);
}

#[tokio::test]
async fn a_session_that_the_token_does_not_name_begins_at_its_head_and_one_too_many_is_ignored() {
    let server = Driven::start("").await;
    let (a, _) = active(&server, "cat").await;
    let (b, _) = active(&server, "cat").await;
    let (c, c_head) = active(&server, "cat").await;
    let mut stream = server.stream(&format!("/v1/stream?sessions={a},{b}")).await;
    opening(&mut stream).await;
    let (_, token) = stream.named("snapshot").await;
    grow(&server, &a, 3).await;
    grow(&server, &b, 3).await;
    let mut stream = server.stream(&format!("/v1/stream?sessions={c},{b}&cursor={token}")).await;
    let of_c = opening(&mut stream).await;
    assert_eq!((seqs(&of_c), &of_c.last().unwrap().1["head_seq"]), (vec![], &c_head.into()));
    let of_b = opening(&mut stream).await;
    assert_eq!(seqs(&of_b).len(), 3);
    assert!(named(&of_b, "message").iter().all(|event| event["session_id"] == b.as_str()));
    let head = grow(&server, &c, 3).await;
    let events = stream.events_until(|event| event["seq"] == head).await;
    assert!(events.iter().all(|event| event["session_id"] == c.as_str()), "a is not followed");
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused_and_says_what_is_wrong() {
    let server = Driven::start("").await;
    let (id, _) = active(&server, "cat").await;
    let many: Vec<_> = (0..65).map(|_| uuid::Uuid::new_v4().to_string()).collect();
    let many = many.join(",");
    for (path, word) in [
        (format!("/v1/stream?sessions={id}&after={id}"), "after"),
        (format!("/v1/stream?sessions={id}&after={id}:"), "after"),
        (format!("/v1/stream?sessions={id}&after={id}:-1"), "after"),
        (format!("/v1/stream?sessions={id}&after={id}:+1"), "after"),
        (format!("/v1/stream?sessions={id}&after={id}:99999999999999999999"), "after"),
        (format!("/v1/stream?sessions={id}&after={id}:1,"), "after"),
        (format!("/v1/stream?sessions={id}&after=x:1"), "after"),
        (format!("/v1/stream?sessions={id}&after="), "after"),
        (format!("/v1/sessions/{id}/stream?after=1"), "after"),
        (format!("/v1/stream?sessions={many}"), "max_sessions_per_stream"),
        ("/v1/stream".into(), "sessions"),
        ("/v1/stream?sessions=".into(), "sessions"),
        (format!("/v1/stream?sessions={id}&list=yes"), "list"),
        (format!("/v1/stream?sessions={id}&since=1"), "since"),
        (format!("/v1/sessions/{id}/stream?sessions={id}"), "sessions"),
    ] {
        let problem = server.get(&path).await.refused(400, "invalid_query");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{path}: {problem}");
    }
    assert_eq!(server.registry.sync().await.unwrap().streams, 0);
}

/// Promise 3. The frames of a session come before the gap of the next one: the tokens that they bear must not stand behind
/// a gap that was not told yet.
#[tokio::test]
async fn a_gap_that_a_cut_kept_from_being_told_is_told_by_the_next_stream() {
    let server = Driven::start("").await;
    let (near, head) = active(&server, "cat").await;
    let (far, _) = active(&server, "cat").await;
    grow(&server, &far, 300).await;
    let path = format!("/v1/stream?sessions={near},{far}");
    for (place, reason, after) in [
        (format!("&after={near}:{head},{far}:3"), "replay_cap", Some(3)),
        (format!("&after={near}:{head},{far}:9000"), "cursor_ahead", Some(9000)),
        // That it was unknown is not known any more, but still that it is no place to go on from.
        ("&cursor=x".into(), "cursor_ahead", None),
    ] {
        let (first, token) = server.stream(&format!("{path}{place}")).await.named("snapshot").await;
        assert_eq!(first["session_id"], near.as_str());
        let mut stream = server.stream(&format!("{path}&cursor={token}")).await;
        assert!(named(&opening(&mut stream).await, "gap").is_empty());
        let frames = opening(&mut stream).await;
        let gaps = named(&frames, "gap");
        assert_eq!(gaps.len(), 1, "{frames:?}");
        assert_eq!(
            (&gaps[0]["session_id"], &gaps[0]["reason"]),
            (&far.clone().into(), &reason.into())
        );
        if let Some(after) = after {
            assert_eq!(gaps[0]["after"], after);
        }
    }
}
