//! The sync tick: what it does for streams whose own ways have failed, and for which it does nothing. What a tick costs
//! otherwise stands elsewhere.

use super::support::{active, grow};
use crate::support::{Driven, within};
use futures_util::FutureExt;
use seawall::{
    domain::{ConnectionId, Seq, State},
    registry::{
        Entered,
        connections::{Connection, Followed},
    },
};
use serde_json::json;
use std::{
    sync::Arc,
    task::{Wake, Waker},
    time::Duration,
};
use tokio::sync::Notify;

/// What a stream's waker does.
struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// A stream in the book that moves its cursor only by hand. What wakes readers after a commit does not reach it.
async fn deaf_stream(server: &Driven, id: &str, cursor: u64) -> (Entered, Arc<Woken>) {
    let astray = Arc::new(Notify::new());
    let watch = server.log.watch(id.parse().unwrap(), astray).await.unwrap();
    let followed = vec![Followed::new(watch, Seq(cursor))];
    let id = ConnectionId::from_uuid(uuid::Uuid::new_v4());
    let woken = Arc::new(Woken(Notify::new()));
    let waker = Waker::from(woken.clone());
    let now = server.clock.now();
    let connection = Arc::new(Connection::new(id, "test".into(), None, followed, waker, now));
    (server.registry.open(connection).await.unwrap(), woken)
}

/// Scenario 21.
#[tokio::test]
async fn a_tick_wakes_a_stream_whose_wake_up_was_lost_and_only_while_it_is_behind() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let (stream, woken) = deaf_stream(&server, &id, head).await;
    let head = grow(&server, &id, 3).await;
    assert_eq!(woken.0.notified().now_or_never(), None);
    server.advance(Duration::from_secs(5));
    within("the tick", woken.0.notified()).await;
    stream.connection().followed[0].moved_to(Seq(head));
    let report = server.registry.sync().await.unwrap();
    assert_eq!((report.streams, report.nudged), (1, 0));
    assert_eq!(woken.0.notified().now_or_never(), None);
}

/// Scenario 24.
#[tokio::test]
async fn an_ended_session_is_served_to_its_end_and_not_again_until_it_has_a_new_run() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let (stream, _) = deaf_stream(&server, &id, head).await;
    server.stop_session(&id, json!({ "grace_ms": 0 })).await;
    let ended = server.row_in(&id, State::Ended).await;
    assert!(ended.head.0 > head);
    let nudged = async || server.registry.sync().await.unwrap().nudged;
    assert_eq!(nudged().await, 1);
    assert_eq!(nudged().await, 1, "until it has all");
    stream.connection().followed[0].moved_to(ended.head);
    assert_eq!(nudged().await, 0);
    server.resume(&id).await.expect(202);
    server.row_in(&id, State::Active).await;
    assert_eq!(nudged().await, 1);
}
