//! The client against a server that plays recorded bytes. Time is a clock that stands until a test moves it.

use super::scripted::{
    self, Script::*, Server, event_json, gap_json, json, snapshot_json, stream, welcome_json,
};
use super::*;
use crate::{
    domain::{MessageId, Seq},
    wire::{api::SendMessage, problem::ErrorCode},
};
use futures_util::FutureExt;
use std::pin::pin;

const RECEIPT: &str = r#"{"accepted":true,"session_id":"00000000-0000-0000-0000-000000000001","message_id":"m1","seq":3,"duplicate":false}"#;

fn follow(server: &Server, begin: Begin) -> Stream {
    server.client.stream(StreamRequest::session(scripted::session(), begin))
}

fn after(seq: u64) -> Begin {
    Begin::After(vec![(scripted::session(), Seq(seq))])
}

async fn item(stream: &mut Stream) -> StreamItem {
    stream.next().await.unwrap().expect("the stream goes on")
}

#[track_caller]
fn seq(item: StreamItem) -> u64 {
    match item {
        StreamItem::Event(event) => event.seq.0,
        other => panic!("no event: {other:?}"),
    }
}

#[track_caller]
fn lost(item: StreamItem) -> Lost {
    match item {
        StreamItem::Lost(lost) => lost,
        other => panic!("not lost: {other:?}"),
    }
}

fn problem(code: ErrorCode) -> String {
    serde_json::to_string(&Problem::new(code, "so it is")).unwrap()
}

fn message() -> SendMessage {
    let message_id: MessageId = "m1".parse().unwrap();
    SendMessage { message_id, content: None, text: Some("hi".into()), interrupt: false }
}

/// Tries again at once, for as long as it takes.
const EAGER: SendOptions = SendOptions {
    deadline: Duration::from_secs(60),
    first_delay: Duration::ZERO,
    max_delay: Duration::ZERO,
};

#[tokio::test]
async fn a_cut_stream_resumes_from_its_token_and_shows_nothing_twice() {
    let first =
        stream(&[(Some("welcome"), None, welcome_json()), (None, Some("t5"), event_json(5))]);
    let second = stream(&[
        (Some("welcome"), None, welcome_json()),
        (None, Some("t5"), event_json(5)),
        (None, Some("t6"), event_json(6)),
        (Some("snapshot"), Some("t6"), snapshot_json(6)),
    ]);
    let mut server = Server::new(vec![Play(first), Hold(second)]).await;
    let mut stream = follow(&server, after(4));

    assert!(matches!(item(&mut stream).await, StreamItem::Welcome(_)));
    assert_eq!(seq(item(&mut stream).await), 5);
    let lost = lost(item(&mut stream).await);
    assert!(lost.retry_in <= Duration::from_secs(1), "{lost:?}");
    assert!(stream.next().now_or_never().is_none(), "it does not wait before it comes back");
    server.clock.advance(lost.retry_in);
    assert!(matches!(item(&mut stream).await, StreamItem::Welcome(_)));
    assert_eq!(seq(item(&mut stream).await), 6);
    assert!(matches!(item(&mut stream).await, StreamItem::Snapshot(_)));
    assert_eq!(stream.token(), Some("t6"));

    let request = server.request().await;
    assert!(request.contains(&format!("after={}%3A4 ", scripted::session())), "{request}");
    assert!(request.contains("authorization: Bearer secret"), "{request}");
    assert!(!request.contains("last-event-id"), "{request}");
    let request = server.request().await;
    assert!(request.contains("last-event-id: t5"), "{request}");
    assert!(!request.contains("after="), "{request}");
}

#[tokio::test]
async fn silence_of_two_and_a_half_heartbeats_is_a_lost_connection() {
    let server = Server::new(vec![Hold(stream(&[(Some("welcome"), None, welcome_json())]))]).await;
    let mut stream = follow(&server, Begin::Head);
    assert!(matches!(item(&mut stream).await, StreamItem::Welcome(_)));
    {
        let mut next = pin!(stream.next());
        assert!(next.as_mut().now_or_never().is_none());
        server.clock.advance(Duration::from_millis(49_999));
        assert!(next.as_mut().now_or_never().is_none());
    }
    // A dropped call must not begin the wait anew.
    server.clock.advance(Duration::from_millis(1));
    let lost = lost(item(&mut stream).await);
    assert!(matches!(lost.cause, ClientError::TimedOut { .. }), "{lost:?}");
}

fn page(seqs: &[u64], more: bool) -> scripted::Script {
    let events: Vec<_> = seqs.iter().map(|seq| event_json(*seq)).collect();
    let events = events.join(",");
    Play(json(
        200,
        "",
        &format!(r#"{{"events":[{events}],"first_seq":1,"head_seq":9,"has_more":{more}}}"#),
    ))
}

// Scenario 55.
#[tokio::test]
async fn a_hole_is_healed_from_history_on_the_same_connection() {
    let holed = stream(&[
        (None, Some("t5"), event_json(5)),
        (None, Some("t9"), event_json(9)),
        (None, Some("t10"), event_json(10)),
    ]);
    let mut server =
        Server::new(vec![Hold(holed), page(&[6, 7], true), page(&[8, 9], false)]).await;
    let mut stream = follow(&server, after(4));
    assert_eq!(seq(item(&mut stream).await), 5);
    // A call that is dropped while history is asked loses nothing.
    while server.asked() < 2 {
        assert!(stream.next().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    let mut seqs = Vec::new();
    while seqs.last() != Some(&10) {
        seqs.push(seq(item(&mut stream).await));
        if seqs.len() == 1 {
            assert_eq!(stream.token(), Some("t5"), "a cut here must ask for the hole again");
        }
    }
    assert_eq!(seqs, [6, 7, 8, 9, 10]);
    assert_eq!(stream.token(), Some("t10"));
    let requests = [server.request().await, server.request().await, server.request().await];
    assert!(requests[1].contains("/events?after=5&"), "{requests:?}");
    assert!(requests[2].contains("/events?after=7&"), "{requests:?}");
}

// Scenario 55.
#[tokio::test]
async fn a_hole_that_history_cannot_fill_is_asked_for_by_coming_back_from_before_it() {
    let holed = stream(&[(None, Some("t5"), event_json(5)), (None, Some("t7"), event_json(7))]);
    let whole = stream(&[(None, Some("t6"), event_json(6)), (None, Some("t7"), event_json(7))]);
    let refusal = json(500, "", &problem(ErrorCode::Internal));
    let mut server = Server::new(vec![Hold(holed), Play(refusal), Hold(whole)]).await;
    let mut stream = follow(&server, after(4));
    assert_eq!(seq(item(&mut stream).await), 5);
    server.clock.advance(lost(item(&mut stream).await).retry_in);
    assert_eq!(seq(item(&mut stream).await), 6);
    assert_eq!(seq(item(&mut stream).await), 7);
    server.request().await;
    server.request().await;
    assert!(server.request().await.contains("last-event-id: t5"));
}

// Scenario 55.
#[tokio::test]
async fn a_gap_gives_its_pages_when_someone_wants_them() {
    let frames = stream(&[(Some("gap"), Some("t5"), gap_json(5))]);
    let mut server = Server::new(vec![Hold(frames), page(&[3, 4, 5, 6], true)]).await;
    let mut stream = follow(&server, after(2));
    let StreamItem::Gap(gap) = item(&mut stream).await else { panic!("no gap") };
    server.request().await;
    assert_eq!(server.asked(), 1, "nothing is loaded unasked");
    let mut pages = gap.pages(&server.client).unwrap();
    let lines = pages.next_page().await.unwrap().unwrap();
    let lines: Vec<_> = lines.iter().map(|line| line.get().to_owned()).collect();
    assert_eq!(lines, [3, 4, 5].map(event_json));
    assert!(pages.next_page().await.unwrap().is_none());
    assert!(server.request().await.contains("after=2&"));
}

#[tokio::test]
async fn a_gap_is_shown_and_the_stream_goes_on_behind_it() {
    let frames = stream(&[
        (Some("gap"), Some("t900"), gap_json(900)),
        (Some("snapshot"), Some("t900"), snapshot_json(900)),
        (None, Some("t901"), event_json(901)),
    ]);
    let server = Server::new(vec![Hold(frames)]).await;
    let mut stream = follow(&server, after(2));
    assert!(matches!(item(&mut stream).await, StreamItem::Gap(gap) if gap.resume_at == Seq(900)));
    assert!(matches!(item(&mut stream).await, StreamItem::Snapshot(_)));
    assert_eq!(seq(item(&mut stream).await), 901);
}

#[tokio::test]
async fn a_bye_without_retry_ends_the_stream() {
    let bye = r#"{"reason":"deleted","retry_ms":null}"#.to_owned();
    let server = Server::new(vec![Play(stream(&[(Some("bye"), None, bye)]))]).await;
    let mut stream = follow(&server, Begin::Head);
    assert!(matches!(item(&mut stream).await, StreamItem::Bye(_)));
    assert!(stream.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_bye_with_retry_is_followed_by_another_connection() {
    let bye = r#"{"reason":"shutdown","retry_ms":2000}"#.to_owned();
    let first = stream(&[(Some("bye"), None, bye)]);
    let second = stream(&[(Some("welcome"), None, welcome_json())]);
    let server = Server::new(vec![Play(first), Hold(second)]).await;
    let mut stream = follow(&server, Begin::Head);
    assert!(matches!(item(&mut stream).await, StreamItem::Bye(_)));
    server.clock.advance(Duration::from_secs(2));
    assert!(matches!(item(&mut stream).await, StreamItem::Welcome(_)));
}

#[tokio::test]
async fn a_stream_that_is_refused_for_good_says_so_once_and_is_over() {
    let refusal = json(401, "", &problem(ErrorCode::Unauthorized));
    let server = Server::new(vec![Play(refusal)]).await;
    let mut stream = follow(&server, Begin::Head);
    let error = stream.next().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Unauthorized));
    assert!(stream.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_stream_that_is_refused_for_now_waits_as_long_as_it_was_told() {
    let refusal = json(503, "retry-after: 7\r\n", &problem(ErrorCode::Draining));
    let server = Server::new(vec![Play(refusal)]).await;
    let mut stream = follow(&server, Begin::Head);
    assert_eq!(lost(item(&mut stream).await).retry_in, Duration::from_secs(7));
}

#[tokio::test]
async fn an_answer_that_is_no_event_stream_is_not_read_as_one() {
    let server = Server::new(vec![Play(json(200, "content-type: text/html\r\n", "<html>"))]).await;
    let mut stream = follow(&server, Begin::Head);
    let lost = lost(item(&mut stream).await);
    assert!(matches!(lost.cause, ClientError::Malformed { .. }), "{lost:?}");
}

#[tokio::test]
async fn a_frame_that_cannot_be_read_ends_the_stream_with_an_error() {
    let server = Server::new(vec![Hold(stream(&[(None, Some("t"), "{".into())]))]).await;
    let mut stream = follow(&server, Begin::Head);
    assert!(matches!(stream.next().await, Err(ClientError::Malformed { .. })));
    assert!(stream.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_message_is_sent_again_with_the_same_id_and_body_until_there_is_a_receipt() {
    let mut server = Server::new(vec![
        Play(json(503, "", &problem(ErrorCode::StoreUnavailable))),
        Play(Vec::new()),
        Play(json(202, "", "not json")),
        Play(json(202, "", RECEIPT)),
    ])
    .await;
    let receipt = server.client.send(scripted::session(), &message(), EAGER).await.unwrap();
    assert_eq!(receipt.seq, Seq(3));
    let first = server.request().await;
    assert!(first.ends_with(r#"{"message_id":"m1","text":"hi"}"#), "{first}");
    for _ in 0..3 {
        assert_eq!(server.request().await, first);
    }
}

#[tokio::test]
async fn a_message_that_is_refused_for_good_is_not_sent_again() {
    let server = Server::new(vec![
        Play(json(409, "", &problem(ErrorCode::MessageConflict))),
        Play(json(202, "", RECEIPT)),
    ])
    .await;
    let error = server.client.send(scripted::session(), &message(), EAGER).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::MessageConflict));
}

#[tokio::test]
async fn sending_ends_with_the_last_failure_when_the_next_try_would_be_too_late() {
    let refusal = json(429, "retry-after: 61\r\n", &problem(ErrorCode::QueueFull));
    let server = Server::new(vec![Play(refusal)]).await;
    let error = server.client.send(scripted::session(), &message(), EAGER).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::QueueFull));
}

#[tokio::test]
async fn a_call_without_an_answer_is_given_up() {
    let mut server = Server::new(vec![Hold(Vec::new())]).await;
    let client = server.client.clone();
    let (answer, ()) = tokio::join!(client.session(scripted::session()), async {
        server.request().await;
        server.clock.advance(CALL_TIMEOUT);
    });
    assert!(matches!(answer, Err(ClientError::TimedOut { .. })), "{answer:?}");
}

#[tokio::test]
async fn history_is_read_page_by_page_up_to_where_it_was_asked() {
    let mut server = Server::new(vec![page(&[3, 4], true), page(&[5, 6, 7], true)]).await;
    let mut history = server.client.history(scripted::session(), Seq(2), Some(Seq(6)));
    let mut lines = Vec::new();
    while let Some(page) = history.next_page().await.unwrap() {
        lines.extend(page.into_iter().map(|line| line.get().to_owned()));
    }
    assert_eq!(lines, [3, 4, 5, 6].map(event_json));
    assert!(server.request().await.contains("after=2&"));
    assert!(server.request().await.contains("after=4&"));
}

#[test]
fn a_server_is_named_by_its_root() {
    for good in ["http://127.0.0.1:7878", "http://box:80/seawall/"] {
        assert!(Client::new(good, None).is_ok(), "{good}");
    }
    for bad in ["", "localhost:7878", "ftp://box", "http://box?x=1"] {
        assert!(Client::new(bad, None).is_err(), "{bad}");
    }
    let client = Client::new("http://box/base/", None).unwrap();
    assert_eq!(client.endpoint(&["v1", "a/b"]).as_str(), "http://box/base/v1/a%2Fb");
}

#[test]
fn a_token_is_not_shown_by_debug() {
    let client = Client::new("http://localhost", Some("secret")).unwrap();
    assert!(!format!("{client:?}").contains("secret"));
}

#[test]
fn a_token_does_not_cross_a_network_in_the_clear() {
    for url in ["http://box", "http://10.0.0.1:7878", "http://localhost.example.org"] {
        let error = Client::new(url, Some("secret")).unwrap_err().to_string();
        assert!(error.contains("in the clear") && !error.contains("secret"), "{error}");
        assert!(Client::new(url, None).is_ok(), "{url}");
    }
    for url in ["http://127.0.0.1:7878", "http://[::1]:7878", "http://localhost:7878"] {
        assert!(Client::new(url, Some("secret")).is_ok(), "{url}");
    }
}

#[test]
fn this_machine_is_known_by_its_loopback_names() {
    for (url, loopback) in [
        ("http://localhost:1", true),
        ("http://127.1.2.3", true),
        ("http://[::1]:7878", true),
        ("http://127.0.0.1.example.org", false),
        ("http://10.0.0.1", false),
    ] {
        assert_eq!(is_loopback(&url.parse().unwrap()), loopback, "{url}");
    }
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let after = |text: &str| {
        let mut headers = header::HeaderMap::new();
        headers.insert(header::RETRY_AFTER, text.parse().unwrap());
        retry_after(&headers, Timestamp::from_millis(784_111_770_000))
    };
    assert_eq!(after("120"), Some(Duration::from_secs(120)));
    assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
    assert_eq!(after("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO), "it is past");
    assert_eq!(after("soon"), None);
}

// Scenario 53.
#[tokio::test]
async fn an_interrupt_or_a_stop_that_fails_is_reported_and_not_repeated() {
    let refusal = || Play(json(503, "retry-after: 0\r\n", &problem(ErrorCode::StoreUnavailable)));
    let mut server = Server::new(vec![refusal(), refusal(), Play(Vec::new())]).await;
    let error = server.client.interrupt(scripted::session()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::StoreUnavailable));
    let error = server.client.stop(scripted::session(), None).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::StoreUnavailable));
    let error = server.client.interrupt(scripted::session()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    for what in ["/interrupt ", "/stop ", "/interrupt "] {
        assert!(server.request().await.contains(what));
    }
    assert_eq!(server.asked(), 3);
}
