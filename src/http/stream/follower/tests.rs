//! A stream on a log in memory, without a server: what its readers get while the log cannot be read. Whole servers are
//! not started here.

use super::*;
use crate::{
    config::{Config, Role, Token},
    domain::{Body, ConnectionId, Draft, Session, SessionId, Timestamp, event::OutputStream},
    store::{Append, Create, Entry, EventLog, memory::MemoryLog},
    wire::sse::Decoder,
};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::task::Waker;
use tokio::sync::Notify;

fn session(number: u128) -> SessionId {
    SessionId::from_uuid(uuid::Uuid::from_u128(number))
}

fn output() -> Entry {
    let body =
        Body::AgentOutput { stream: OutputStream::Stdout, text: "x".into(), truncated: false };
    Entry::new(&Draft { run: 1, ts: Timestamp::from_millis(0), body }, 1 << 20)
}

async fn append(log: &MemoryLog, number: u128, events: usize) {
    let events = vec![output(); events];
    let append = Append { session: session(number), events, row: None, accept: None };
    log.append(append).await.unwrap();
}

/// Sessions with so many events each.
async fn log(sessions: &[(u128, usize)]) -> Arc<MemoryLog> {
    let log = Arc::new(MemoryLog::new());
    for &(number, events) in sessions {
        let now = Timestamp::from_millis(0);
        let session = Session::new(session(number), "demo".into(), "/".into(), [0; 32], now);
        log.create(Create { session, events: vec![output(); events], accept: None }).await.unwrap();
    }
    log
}

struct Reader {
    follower: Follower,
    desk: Desk,
    decoder: Decoder,
}

impl Reader {
    /// A stream of these sessions, each after its cursor.
    async fn open(log: Arc<MemoryLog>, sessions: &[(u128, u64)]) -> Self {
        let config = Config::from_texts(None, []).unwrap();
        let clock = crate::clock::Clock::manual(Timestamp::from_millis(0));
        let token = Token {
            name: "ann".into(),
            role: Role::Viewer,
            sha256: Sha256::digest("secret").into(),
            agents: None,
        };
        let app = web::Data::new(App::alone(log.clone(), config, clock, Some(token)));
        let viewer = app.access().tokens.find("secret").cloned().unwrap();
        let (mut places, mut followed) = (Vec::new(), Vec::new());
        for &(number, cursor) in sessions {
            let watch = log.watch(session(number), Arc::new(Notify::new())).await.unwrap();
            let plan = Plan { cursor: Seq(cursor), gap: None };
            followed.push(Followed::new(watch.clone(), plan.cursor));
            places.push(Place::new(watch, plan));
        }
        let id = ConnectionId::from_uuid(uuid::Uuid::from_u128(9));
        let now = app.clock.now();
        let waker = Waker::noop().clone();
        let connection = Arc::new(Connection::new(id, "ann".into(), None, followed, waker, now));
        let desk = Desk::new(now, &app.config.now());
        let entered = Entered::new(app.registry.clone(), connection);
        let follower = Follower::new(app, viewer, entered, places, Vec::new(), None);
        Self { follower, desk, decoder: Decoder::new(1 << 20) }
    }

    /// All that it has to say now: the session's number and seq of each event, or the frame's name.
    fn heard(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.chunk()).flatten().collect()
    }

    /// The same of one chunk.
    fn chunk(&mut self) -> Option<Vec<String>> {
        let chunk = self.bytes()?;
        self.decoder.feed(&chunk).unwrap();
        let mut heard = Vec::new();
        while let Some(frame) = self.decoder.next_event() {
            let data: serde_json::Value = serde_json::from_slice(&frame.data).unwrap();
            let id = data["session_id"].as_str().unwrap_or_default();
            let number = id.chars().last().unwrap_or_default();
            heard.push(match frame.event.as_str() {
                "message" => format!("{number}.{}", data["seq"]),
                name => format!("{name} {number}").trim_end_matches([' ', '\0']).to_owned(),
            });
        }
        Some(heard)
    }

    fn bytes(&mut self) -> Option<Bytes> {
        let mut cx = Context::from_waker(Waker::noop());
        match self.follower.poll_chunk(&mut cx, &mut self.desk) {
            Poll::Ready(chunk) => Some(chunk.unwrap().content()),
            Poll::Pending => None,
        }
    }
}

#[tokio::test]
async fn streams_at_the_same_place_are_given_the_same_bytes_and_others_their_own() {
    let log = log(&[(1, 1), (2, 1)]).await;
    let mut first = Reader::open(log.clone(), &[(1, 1)]).await;
    let mut same = Reader::open(log.clone(), &[(1, 1)]).await;
    let mut behind = Reader::open(log.clone(), &[(1, 0)]).await;
    let mut two = Reader::open(log.clone(), &[(1, 1), (2, 1)]).await;
    let mut opening = Reader::open(log.clone(), &[(1, 1)]).await;
    for reader in [&mut first, &mut same, &mut two] {
        reader.heard();
    }
    append(&log, 1, 3).await;
    let bytes = first.bytes().unwrap();
    let mut batch = first.desk.batch.take();
    assert!(batch.is_some());
    // One desk, handed around.
    let others =
        [(&mut same, true), (&mut behind, false), (&mut two, false), (&mut opening, false)];
    for (reader, is_same) in others {
        reader.desk.batch = batch.take();
        let other = reader.bytes().unwrap();
        batch = reader.desk.batch.take();
        reader.decoder.feed(&other).unwrap();
        let is_shared = other.as_ptr() == bytes.as_ptr();
        assert_eq!(is_shared, is_same, "{other:?}");
    }
    // What comes next comes to all of them, each event once.
    append(&log, 1, 1).await;
    for reader in [&mut first, &mut same, &mut two] {
        assert_eq!(reader.heard().last().unwrap(), "1.5");
        assert_eq!(reader.heard(), Vec::<String>::new());
    }
}

/// Scenario 22.
#[tokio::test]
async fn a_session_that_cannot_be_read_holds_up_no_other_and_comes_whole_when_it_can_be() {
    let log = log(&[(1, 100), (2, 1)]).await;
    let mut reader = Reader::open(log.clone(), &[(1, 0), (2, 1)]).await;
    log.fail_reads(Some("it is broken"));
    assert_eq!(reader.heard(), ["welcome", "snapshot 2"]);
    append(&log, 2, 2).await;
    assert_eq!(reader.heard(), ["2.2", "2.3"]);
    // A tick has it look, again and again.
    assert_eq!(reader.heard(), Vec::<String>::new());
    append(&log, 1, 1).await;
    assert_eq!(reader.heard(), Vec::<String>::new(), "what is in memory does not overtake");
    log.fail_reads(None);
    let events: Vec<_> = (1..=101).map(|seq| format!("1.{seq}")).collect();
    let heard = reader.heard();
    assert_eq!(heard[..101], events);
    assert_eq!(heard[101..], ["snapshot 1"]);
}

/// Scenario 21: what is behind is read in batches of 50, fairly, and none is lost.
#[tokio::test]
async fn what_is_behind_is_read_in_batches_and_no_session_gets_far_ahead_of_another() {
    const BEHIND: usize = 350;
    let sessions: Vec<u128> = (1..=6).collect();
    let log = log(&sessions.iter().map(|number| (*number, 1)).collect::<Vec<_>>()).await;
    let places: Vec<_> = sessions.iter().map(|number| (*number, 1)).collect();
    let mut reader = Reader::open(log.clone(), &places).await;
    reader.heard();
    for number in &sessions {
        // Further than the memory goes back.
        append(&log, *number, BEHIND).await;
    }
    let mut came = vec![0; sessions.len()];
    while let Some(heard) = reader.chunk() {
        for turn in heard.chunk_by(|one, other| one[..2] == other[..2]) {
            let (number, _) = turn[0].split_once('.').unwrap();
            let session: &mut usize = &mut came[number.parse::<usize>().unwrap() - 1];
            let due: Vec<_> =
                (2..).skip(*session).take(turn.len()).map(|n| format!("{number}.{n}")).collect();
            assert_eq!(turn, due);
            *session += turn.len();
        }
        let (least, most) = (came.iter().min().unwrap(), came.iter().max().unwrap());
        assert!(most - least <= 100, "{came:?}");
    }
    assert_eq!(came, vec![BEHIND; sessions.len()]);
    assert!(log.pages_read() <= 6 * 2, "what is in memory is not read");
}
