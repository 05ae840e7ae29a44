//! Readers of streams: one that looks at the frames' own bytes, one that reconnects as a browser does, and one that
//! checks that nothing is skipped silently.

use crate::support::{Api, Driven, Sse, within};
use seawall::{domain::State, wire::sse::ServerEvent};
use serde_json::Value;

/// A frame as it stands on the wire.
#[derive(Debug)]
pub(super) struct RawFrame(Vec<(String, String)>);

impl RawFrame {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Its name; `message` where it has none.
    pub(super) fn name(&self) -> &str {
        self.field("event").unwrap_or("message")
    }

    pub(super) fn data(&self) -> &str {
        self.field("data").expect("data")
    }
}

/// A stream whose frames are split by hand, without the product's decoder.
pub(super) struct RawStream {
    response: reqwest::Response,
    buffer: Vec<u8>,
}

impl RawStream {
    pub(super) async fn open(api: &Api, path: &str) -> Self {
        let response = within("a stream", api.request("GET", path).send()).await.expect("a stream");
        assert_eq!(response.status(), 200);
        Self { response, buffer: Vec::new() }
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.response.headers()[name].to_str().expect("ASCII")
    }

    pub(super) async fn next(&mut self) -> Option<RawFrame> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let rest = self.buffer.split_off(end + 2);
                let frame = std::mem::replace(&mut self.buffer, rest);
                let text = String::from_utf8(frame).expect("UTF-8");
                let fields = text.lines().filter(|line| !line.is_empty());
                let split = |line: &str| line.split_once(": ").map(|(a, b)| (a.into(), b.into()));
                return Some(RawFrame(fields.map(|line| split(line).expect("a field")).collect()));
            }
            let chunk = within("a frame", self.response.chunk()).await.expect("a chunk")?;
            self.buffer.extend_from_slice(&chunk);
        }
    }

    /// The next frame of this name.
    pub(super) async fn named(&mut self, name: &str) -> RawFrame {
        loop {
            let frame = self.next().await.unwrap_or_else(|| panic!("it ended before {name}"));
            if frame.name() == name {
                return frame;
            }
        }
    }
}

/// What a browser's `EventSource` knows: its address and the id of the last frame that it has dispatched.
pub(super) struct EventSource {
    api: Api,
    path: String,
    last_event_id: String,
}

impl EventSource {
    pub(super) fn new(api: &Api, path: String) -> Self {
        Self { api: api.clone(), path, last_event_id: String::new() }
    }

    pub(super) async fn connect(&self) -> Sse {
        let request = self.api.request("GET", &self.path);
        self.api.stream_with(request.header("Last-Event-ID", &self.last_event_id)).await
    }

    /// The same over a network that may break before there is an answer.
    pub(super) async fn try_connect(&self) -> Option<Sse> {
        let request = self.api.request("GET", &self.path);
        let request = request.header("Last-Event-ID", &self.last_event_id);
        let response = within("an answer or none", request.send()).await.ok()?;
        assert_eq!(response.status(), 200);
        Some(Sse::from(response))
    }

    /// A frame was dispatched to the page. The id outlives the connection, as it does in browsers: the first frames of
    /// the next one, which have none, do not take it away.
    pub(super) fn dispatched(&mut self, frame: &ServerEvent) {
        if !frame.id.is_empty() {
            self.last_event_id.clone_from(&frame.id);
        }
    }
}

pub(super) fn json(frame: &ServerEvent) -> Value {
    serde_json::from_slice(&frame.data).expect("JSON")
}

/// The frames up to the next snapshot, each as its name and data; the snapshot is the last.
pub(super) async fn opening(stream: &mut Sse) -> Vec<(String, Value)> {
    let mut frames = Vec::new();
    loop {
        let frame = stream.next().await.expect("a frame before the end");
        frames.push((frame.event.clone(), json(&frame)));
        if frame.event == "snapshot" {
            return frames;
        }
    }
}

/// The seqs of the log events among these frames.
pub(super) fn seqs(frames: &[(String, Value)]) -> Vec<u64> {
    let events = frames.iter().filter(|(name, _)| name == "message");
    events.map(|(_, data)| data["seq"].as_u64().expect("a seq")).collect()
}

/// The data of the frames of this name.
pub(super) fn named<'a>(frames: &'a [(String, Value)], name: &str) -> Vec<&'a Value> {
    frames.iter().filter(|(event, _)| event == name).map(|(_, data)| data).collect()
}

/// A new session whose agent answers; its id and its head.
pub(super) async fn active(server: &Driven, agent: &str) -> (String, u64) {
    let id = server.create(agent).await;
    let row = server.row_in(&id, State::Active).await;
    (id, row.head.0)
}

/// Has `cat` say so much that a session's log grows by exactly `count` events, at least 3; the new head.
pub(super) async fn grow(server: &Driven, id: &str, count: u64) -> u64 {
    // The others are `user.message` and `message.dispatched`.
    let lines: Vec<_> = (1..=count - 2).map(|number| number.to_string()).collect();
    let message_id = uuid::Uuid::new_v4().to_string();
    let receipt = server.send(id, &message_id, &lines.join("\n")).await;
    let head = receipt["seq"].as_u64().expect("a seq") - 1 + count;
    server.row(id, |row| row.head.0 >= head).await;
    head
}

/// Follows one session's cursor over its frames: what is not the next event must have been announced.
pub(super) struct Contiguous {
    pub(super) cursor: u64,
    /// Events that gaps announced as left out.
    pub(super) missed: u64,
}

impl Contiguous {
    pub(super) fn after(cursor: u64) -> Self {
        Self { cursor, missed: 0 }
    }

    #[track_caller]
    pub(super) fn take(&mut self, frame: &ServerEvent) {
        let data = json(frame);
        match frame.event.as_str() {
            "message" => {
                assert_eq!(data["seq"], self.cursor + 1, "a hole or a double");
                self.cursor += 1;
            }
            "gap" => {
                assert_eq!(data["after"], self.cursor);
                let missed = data["missed"].as_u64().expect("a count");
                assert!(missed > 0, "a gap of nothing");
                self.cursor += missed;
                self.missed += missed;
                assert_eq!(data["resume_at"], self.cursor);
            }
            _ => {}
        }
    }
}

/// A live stream of these sessions whose socket holds next to nothing, so that who does not read it is soon behind.
pub(super) async fn narrow(api: &Api, sessions: &[&str]) -> Sse {
    let path = format!("/v1/stream?sessions={}", sessions.join(","));
    let mut stream = api.narrow_stream(&path, "").await;
    for _ in sessions {
        stream.named("snapshot").await;
    }
    stream
}
