//! Peers that say nothing when they go, or take next to nothing: how the server finds out, and that it costs the others
//! nothing. Peers that close in order are not here.

use super::{
    burst::{LINES, overflow, read_up_to},
    support::{Contiguous, EventSource, active, grow, json, narrow},
};
use crate::support::{Driven, End, Process, Proxy, Sse, within};
use seawall::{
    client::{Begin, Client, StreamItem, StreamRequest},
    domain::{ConnectionId, Seq, SessionId, Timestamp},
    registry::connections::Connection,
};
use serde_json::json;
use std::{sync::Arc, task::Waker, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

/// Reads until the session is live on a stream.
async fn live(source: &mut EventSource, stream: &mut Sse, place: &mut Contiguous) {
    loop {
        let frame = stream.next().await.expect("an open stream");
        source.dispatched(&frame);
        place.take(&frame);
        if frame.event == "snapshot" {
            return;
        }
    }
}

/// Scenarios 4 and 5.
#[tokio::test]
async fn a_stream_that_is_found_dead_late_takes_nothing_from_the_one_that_replaced_it() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let proxy = Proxy::to(&server);
    let mut source = EventSource::new(&proxy.through(&server), format!("/v1/stream?sessions={id}"));
    let mut place = Contiguous::after(head);
    let mut old = source.connect().await;
    live(&mut source, &mut old, &mut place).await;
    let dying = proxy.last();
    dying.hold(true);
    drop(old);
    // They are written to the one that nobody reads any more.
    grow(&server, &id, 3).await;
    let mut new = source.connect().await;
    server.streams_open(2).await;
    live(&mut source, &mut new, &mut place).await;
    assert_eq!(place.cursor, head + 3);
    dying.end(End::Reset);
    server.streams_open(1).await;
    server.settled(&id).await;
    server.advance(60 * SECOND);
    server.settled(&id).await;
    assert_eq!(server.session(&id).await["state"], "ACTIVE");
    let last = grow(&server, &id, 3).await;
    assert_eq!(last, head + 6, "nobody has left the session");
    read_up_to(&mut new, &mut place, last).await;
    assert_eq!(place.missed, 0);
}

/// Scenario 6. The server's clock stands, so that nothing but the kernel can tell.
#[tokio::test]
async fn a_peer_that_takes_nothing_and_never_closes_is_found_by_its_failing_write_and_it_alone() {
    let server = Driven::start("[streams]\nstall_timeout = \"1s\"").await;
    let (id, head) = active(&server, "cat").await;
    let proxy = Proxy::to(&server);
    let path = format!("/v1/stream?sessions={id}");
    let mut gone = proxy.through(&server).stream(&path).await;
    gone.named("snapshot").await;
    proxy.last().hold(true);
    let mut other = server.stream(&path).await;
    other.named("snapshot").await;
    server.streams_open(2).await;
    let reading = tokio::spawn(async move {
        let mut place = Contiguous::after(head);
        read_up_to(&mut other, &mut place, head + LINES + 2).await;
        (other, place)
    });
    let last = overflow(&server, &id).await;
    let (mut other, mut place) = reading.await.unwrap();
    server.streams_open(1).await;
    assert!(!proxy.last().is_over(), "nobody told the server");
    let last = last + 3;
    assert_eq!(grow(&server, &id, 3).await, last);
    read_up_to(&mut other, &mut place, last).await;
    assert_eq!(place.missed, 0);
}

/// Scenario 6: a reader that wakes up after the limit is told why it is sent away, and goes on from where it was.
#[tokio::test]
async fn a_reader_that_took_nothing_for_the_stall_limit_gets_goodbye_as_slow_and_resumes() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let proxy = Proxy::to(&server);
    let mut source = EventSource::new(&proxy.through(&server), format!("/v1/stream?sessions={id}"));
    let mut place = Contiguous::after(head);
    let mut stream = source.connect().await;
    live(&mut source, &mut stream, &mut place).await;
    proxy.last().hold(true);
    let last = overflow(&server, &id).await;
    for _ in 0..13 {
        server.advance(5 * SECOND);
        server.settled(&id).await;
    }
    proxy.last().hold(false);
    let bye = loop {
        let frame = stream.next().await.expect("a goodbye");
        if frame.event == "bye" {
            break json(&frame);
        }
        source.dispatched(&frame);
        place.take(&frame);
    };
    assert_eq!(bye, json!({"reason": "slow", "retry_ms": 1000}));
    assert_eq!(stream.next().await, None);
    server.streams_open(0).await;
    let mut stream = source.connect().await;
    live(&mut source, &mut stream, &mut place).await;
    assert_eq!(place.cursor, last);
    let last = grow(&server, &id, 3).await;
    read_up_to(&mut stream, &mut place, last).await;
}

/// The other way round: the client is there, and what the server writes gets lost without a word.
#[tokio::test]
async fn a_client_to_which_nothing_comes_through_any_more_comes_back_and_misses_nothing() {
    let server = Process::start("[streams]\nheartbeat = \"1s\"").await;
    let id = server.create("demo").await;
    let head = server.state(&id, "ACTIVE").await.len() as u64;
    let proxy = Proxy::to(&server);
    let client = Client::new(&proxy.url(), server.token.as_deref()).unwrap();
    let session: SessionId = id.parse().unwrap();
    let begin = Begin::After(vec![(session, Seq(head))]);
    let mut stream = client.stream(StreamRequest::session(session, begin));
    let mut next = async || within("an item", stream.next()).await.unwrap().expect("no end");
    while !matches!(next().await, StreamItem::Snapshot(_)) {}
    proxy.last().change(|rules| rules.down.lost = true);
    server.send(&id, "m1", "hello").await;
    let last = server.turn(&id, "m1").await.len() as u64;
    let (mut cursor, mut losses) = (head, 0);
    while cursor < last {
        match next().await {
            StreamItem::Event(event) => {
                assert_eq!(event.seq.0, cursor + 1);
                cursor += 1;
            }
            StreamItem::Lost(_) => losses += 1,
            _ => {}
        }
    }
    assert!(losses > 0, "nothing came but by another connection");
}

/// Scenario 6. A peer that resets right behind its request: the HTTP library drops the call wherever that is.
#[tokio::test]
async fn a_stream_whose_peer_goes_while_it_is_being_opened_is_not_in_the_book() {
    let server = Driven::start("").await;
    let id = ConnectionId::from_uuid(uuid::Uuid::from_u128(6));
    let (waker, now) = (Waker::noop().clone(), Timestamp::from_millis(0));
    let connection = Connection::new(id, "ann".into(), None, Vec::new(), waker, now);
    let mut opening = Box::pin(server.registry.open(Arc::new(connection)));
    assert!(futures_util::poll!(&mut opening).is_pending());
    // The registry has answered, and nobody has heard it yet.
    server.streams_open(1).await;
    drop(opening);
    server.streams_open(0).await;
}

/// Scenario 27.
#[tokio::test]
async fn a_reader_at_1_kb_a_second_costs_the_fast_ones_nothing_and_sees_no_hole_that_is_not_announced()
 {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let proxy = Proxy::to(&server);
    let path = format!("/v1/stream?sessions={id}");
    let mut slow = proxy.through(&server).stream(&path).await;
    slow.named("snapshot").await;
    proxy.last().change(|rules| rules.down.bytes_per_second = Some(1024));
    let mut fast = Vec::new();
    for _ in 0..8 {
        let mut stream = server.stream(&path).await;
        stream.named("snapshot").await;
        fast.push(tokio::spawn(async move {
            let mut place = Contiguous::after(head);
            read_up_to(&mut stream, &mut place, head + LINES + 2).await;
            place.missed
        }));
    }
    let last = overflow(&server, &id).await;
    for reading in fast {
        assert_eq!(reading.await.unwrap(), 0);
    }
    for _ in 0..6 {
        server.advance(5 * SECOND);
        server.settled(&id).await;
    }
    proxy.last().change(|rules| rules.down.bytes_per_second = None);
    let mut place = Contiguous::after(head);
    read_up_to(&mut slow, &mut place, last).await;
    assert!(place.missed > 200, "{}", place.missed);
    let last = grow(&server, &id, 3).await;
    read_up_to(&mut slow, &mut place, last).await;
}

/// Scenario 27. A tenth of what waits for it in all that time, but always something.
#[tokio::test]
async fn a_reader_that_takes_a_little_all_the_time_is_slow_and_not_stalled() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let mut stream = narrow(&server, &[&id]).await;
    let last = overflow(&server, &id).await;
    let mut place = Contiguous::after(head);
    for round in 1..=8 {
        read_up_to(&mut stream, &mut place, head + 8 * round).await;
        for _ in 0..4 {
            server.advance(5 * SECOND);
            server.settled(&id).await;
        }
    }
    read_up_to(&mut stream, &mut place, last).await;
    let last = grow(&server, &id, 3).await;
    read_up_to(&mut stream, &mut place, last).await;
}

/// Scenario 26. What was under way to the reader when the others spoke comes before them; of the rest, one batch may.
#[tokio::test]
async fn two_sessions_beside_one_that_is_far_behind_wait_for_one_batch_of_it() {
    let server = Driven::start("").await;
    let (busy, head) = active(&server, "cat").await;
    let (quiet, _) = active(&server, "cat").await;
    let (other, _) = active(&server, "cat").await;
    let proxy = Proxy::to(&server);
    let path = format!("/v1/stream?sessions={busy},{quiet},{other}");
    let mut stream = proxy.through(&server).stream(&path).await;
    for _ in 0..3 {
        stream.named("snapshot").await;
    }
    proxy.last().hold(true);
    let last = overflow(&server, &busy).await;
    grow(&server, &quiet, 3).await;
    grow(&server, &other, 3).await;
    proxy.last().hold(false);
    let mut place = Contiguous::after(head);
    // How far the busy one was at each event of the others.
    let mut at = Vec::new();
    while at.len() < 6 {
        let frame = stream.next().await.unwrap();
        match json(&frame)["session_id"] == busy.as_str() {
            true => place.take(&frame),
            false => at.push(place.cursor),
        }
    }
    assert!(at[5] - at[0] <= 50, "{at:?}");
    // A queue and a batch, and what sockets hold.
    assert!(at[0] - head <= 64 + 50 + 36, "{at:?} after {head}");
    read_up_to(&mut stream, &mut place, last).await;
    assert_eq!(place.missed, 0);
}
