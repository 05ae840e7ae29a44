//! What a stream brings, frame by frame, as types. Pure: an event of the stream in, an item out; unknown frames are
//! nothing, since newer servers may send more.

use super::ClientError;
use crate::{
    domain::{Body, Seq, SessionId, Timestamp},
    wire::{
        api::{
            ByeFrame, GapFrame, GoneFrame, PingFrame, ServerFrame, SessionView, SnapshotFrame,
            Welcome,
        },
        sse::ServerEvent,
    },
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// One thing that a stream tells.
#[derive(Debug)]
pub enum StreamItem {
    /// Connected, for the first time or again.
    Welcome(Welcome),
    Event(LogEvent),
    Snapshot(Box<SnapshotFrame>),
    Gap(GapFrame),
    Gone(GoneFrame),
    Ping(PingFrame),
    Server(ServerFrame),
    Bye(ByeFrame),
    /// The list as it is now.
    Sessions(Vec<SessionView>),
    /// One change of the list.
    Session(Box<ListChange>),
    /// The connection is gone; the stream comes back by itself.
    Lost(Lost),
}

/// An event of a session's log.
#[derive(Clone, Debug)]
pub struct LogEvent {
    pub session_id: SessionId,
    pub seq: Seq,
    pub run: u32,
    pub ts: Timestamp,
    /// The `type`, such as `agent.message`.
    pub kind: String,
    pub data: Value,
    /// The stored bytes of the whole event, one line of JSON.
    pub line: Bytes,
}

#[derive(Clone, Debug)]
pub enum ListChange {
    Changed(SessionView),
    Deleted(SessionId),
}

/// Why a connection is gone, and when the next one is tried.
#[derive(Clone, Debug)]
pub struct Lost {
    pub cause: ClientError,
    pub retry_in: Duration,
}

impl LogEvent {
    /// Reads an event's line.
    pub fn parse(line: Bytes) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Fields {
            session_id: SessionId,
            seq: Seq,
            run: u32,
            ts: Timestamp,
            #[serde(rename = "type")]
            kind: String,
            data: Value,
        }
        let Fields { session_id, seq, run, ts, kind, data } = serde_json::from_slice(&line)?;
        Ok(Self { session_id, seq, run, ts, kind, data, line })
    }

    /// The event as a type; None where this version does not know it.
    pub fn body(&self) -> Option<Body> {
        serde_json::from_slice(&self.line).ok()
    }
}

impl StreamItem {
    /// None: a frame that this version does not know.
    pub(super) fn parse(event: &ServerEvent) -> Result<Option<Self>, serde_json::Error> {
        let data = &event.data;
        Ok(Some(match event.event.as_str() {
            "message" => Self::Event(LogEvent::parse(data.clone())?),
            "welcome" => Self::Welcome(serde_json::from_slice(data)?),
            "snapshot" => Self::Snapshot(serde_json::from_slice(data)?),
            "gap" => Self::Gap(serde_json::from_slice(data)?),
            "gone" => Self::Gone(serde_json::from_slice(data)?),
            "ping" => Self::Ping(serde_json::from_slice(data)?),
            "server" => Self::Server(serde_json::from_slice(data)?),
            "bye" => Self::Bye(serde_json::from_slice(data)?),
            "sessions" => Self::Sessions(parse_list(data)?),
            "session" => Self::Session(Box::new(parse_change(data)?)),
            _ => return Ok(None),
        }))
    }
}

/// The list stands in `sessions`, as in an answer of `GET /v1/sessions`, or is the array itself.
fn parse_list(data: &[u8]) -> Result<Vec<SessionView>, serde_json::Error> {
    #[derive(Deserialize)]
    struct List {
        sessions: Vec<SessionView>,
    }
    if data.first() == Some(&b'[') {
        return serde_json::from_slice(data);
    }
    serde_json::from_slice::<List>(data).map(|list| list.sessions)
}

fn parse_change(data: &[u8]) -> Result<ListChange, serde_json::Error> {
    #[derive(Deserialize)]
    struct Removal {
        session_id: SessionId,
        deleted: bool,
    }
    match serde_json::from_slice::<Removal>(data) {
        Ok(removal) if removal.deleted => Ok(ListChange::Deleted(removal.session_id)),
        _ => serde_json::from_slice(data).map(ListChange::Changed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(event: &str, data: &'static str) -> Option<StreamItem> {
        let event = ServerEvent {
            event: event.into(),
            data: Bytes::from_static(data.as_bytes()),
            id: String::new(),
            retry: None,
        };
        StreamItem::parse(&event).unwrap()
    }

    #[test]
    fn an_event_keeps_its_bytes_and_is_read_as_a_type() {
        let line = r#"{"session_id":"00000000-0000-0000-0000-000000000001","seq":4,"run":1,"ts":"2026-11-23T08:20:01.123Z","type":"interrupt.requested","data":{"by":"me"}}"#;
        let Some(StreamItem::Event(event)) = parse("message", line) else { panic!("no event") };
        assert_eq!((event.seq, event.run, event.kind.as_str()), (Seq(4), 1, "interrupt.requested"));
        assert_eq!(event.line, line);
        assert_eq!(event.body(), Some(Body::InterruptRequested { by: "me".into() }));
    }

    #[test]
    fn an_event_of_a_type_from_the_future_is_still_an_event() {
        let line = r#"{"session_id":"00000000-0000-0000-0000-000000000001","seq":4,"run":1,"ts":"2026-11-23T08:20:01.123Z","type":"agent.dreamt","data":{}}"#;
        let Some(StreamItem::Event(event)) = parse("message", line) else { panic!("no event") };
        assert_eq!(event.body(), None);
    }

    #[test]
    fn unknown_frames_are_nothing() {
        assert!(parse("confetti", "{}").is_none());
    }

    #[test]
    fn the_list_changes_by_views_and_removals() {
        let removal = r#"{"session_id":"00000000-0000-0000-0000-000000000001","deleted":true}"#;
        let Some(StreamItem::Session(change)) = parse("session", removal) else {
            panic!("no change")
        };
        assert!(matches!(*change, ListChange::Deleted(_)));
        for empty in ["[]", r#"{"sessions":[],"next_cursor":null}"#] {
            assert!(
                matches!(parse("sessions", empty), Some(StreamItem::Sessions(list)) if list.is_empty())
            );
        }
    }

    #[test]
    fn a_broken_frame_is_an_error() {
        let event =
            ServerEvent { event: "gap".into(), data: "{".into(), id: String::new(), retry: None };
        assert!(StreamItem::parse(&event).is_err());
    }
}
