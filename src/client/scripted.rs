//! A server for tests that plays recorded bytes on loopback, one script a connection, and shows what it was asked.
//! Beside it, items and frames of one session.

use super::{Client, StreamItem};
use crate::{
    clock::Clock,
    domain::{SessionId, Timestamp},
    wire::sse::{Frame, ServerEvent},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};
use uuid::Uuid;

/// What a connection is answered with.
pub(super) enum Script {
    /// These bytes, then the end of the connection.
    Play(Vec<u8>),
    /// These bytes, then silence for as long as the client stays.
    Hold(Vec<u8>),
}

pub(super) struct Server {
    pub(super) client: Client,
    pub(super) clock: Clock,
    requests: mpsc::UnboundedReceiver<String>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    /// Plays the scripts, one for each connection; the next connection is then refused.
    pub(super) async fn new(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (seen, requests) = mpsc::unbounded_channel();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        tokio::spawn(async move {
            let mut held = Vec::new();
            for script in scripts {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !is_whole(&request) {
                    assert_ne!(socket.read_buf(&mut request).await.unwrap(), 0, "a cut request");
                }
                count.fetch_add(1, Ordering::SeqCst);
                let _ = seen.send(String::from_utf8(request).unwrap());
                match script {
                    Script::Play(bytes) => socket.write_all(&bytes).await.unwrap(),
                    Script::Hold(bytes) => {
                        socket.write_all(&bytes).await.unwrap();
                        held.push(socket);
                    }
                }
            }
            drop(listener);
            std::future::pending::<()>().await;
        });
        let clock = Clock::manual(Timestamp::from_millis(0));
        let client = Client::new(&url, Some("secret")).unwrap().with_clock(clock.clone());
        Self { client, clock, requests, asked }
    }

    /// How many requests have come so far.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The next request, head and body, as it was received.
    pub(super) async fn request(&mut self) -> String {
        self.requests.recv().await.unwrap()
    }
}

/// The head has ended, and as many bytes of body are there as it says.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

pub(super) fn json(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}").into_bytes()
}

/// A stream's head and these frames.
pub(super) fn stream(frames: &[(Option<&str>, Option<&str>, String)]) -> Vec<u8> {
    let mut out =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec();
    for (event, id, data) in frames {
        let retry = (*event == Some("welcome")).then_some(1000);
        Frame { event: *event, id: *id, retry, data: data.as_bytes() }.encode(&mut out);
    }
    out
}

pub(super) fn session() -> SessionId {
    SessionId::from_uuid(Uuid::from_u128(1))
}

pub(super) fn welcome_json() -> String {
    let id = Uuid::from_u128(9);
    format!(
        r#"{{"protocol":1,"connection_id":"{id}","heartbeat_ms":20000,"server":"seawall/0","draining":false}}"#
    )
}

pub(super) fn event_json(seq: u64) -> String {
    let id = session();
    format!(
        r#"{{"session_id":"{id}","seq":{seq},"run":1,"ts":"2026-11-23T08:20:01.123Z","type":"turn.started","data":{{"turn_id":"t","message_id":null}}}}"#
    )
}

pub(super) fn snapshot_json(head: u64) -> String {
    let id = session();
    format!(
        r#"{{"session_id":"{id}","state":"ACTIVE","client_state":"idle","run":1,"head_seq":{head},"pending_permissions":[],"pending_questions":[],"title":null,"agent":"demo"}}"#
    )
}

pub(super) fn gap_json(resume_at: u64) -> String {
    let id = session();
    format!(
        r#"{{"session_id":"{id}","after":2,"resume_at":{resume_at},"head_seq":{resume_at},"missed":null,"reason":"replay_cap","history":"/"}}"#
    )
}

/// A frame as the item that it is.
pub(super) fn item(event: &str, data: String) -> StreamItem {
    let event =
        ServerEvent { event: event.into(), data: data.into(), id: String::new(), retry: None };
    StreamItem::parse(&event).unwrap().unwrap()
}
