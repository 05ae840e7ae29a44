//! A stream whose socket holds next to nothing, so that who does not read it is soon behind. What it is told is as on
//! any other stream.

use super::{Api, Sse, within};
use bytes::BytesMut;
use futures_util::{StreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

/// What the socket holds, in bytes; the kernel doubles it.
const NARROW: u32 = 16 * 1024;

impl Api {
    /// `GET {path}`, where it is given after this event id. HTTP/1.0, which has no chunks: the frames stand in the body
    /// as they are.
    pub(crate) async fn narrow_stream(&self, path: &str, last_event_id: &str) -> Sse {
        let address = self.url.strip_prefix("http://").expect("a plain address");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(NARROW).expect("a small buffer");
        let mut socket =
            socket.connect(address.parse().expect("an address")).await.expect("a server");
        let token = self.token.as_deref().expect("a token");
        let head = format!(
            "GET {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nLast-Event-ID: {last_event_id}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.expect("a reader");
        let mut answer = BytesMut::new();
        let body = loop {
            within("an answer", socket.read_buf(&mut answer)).await.expect("an answer");
            if let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
                break answer.split_off(end + 4).freeze();
            }
        };
        assert!(answer.starts_with(b"HTTP/1.0 200"), "{answer:?}");
        let rest = stream::unfold(socket, |mut socket| async move {
            let mut chunk = BytesMut::with_capacity(64 * 1024);
            let read = socket.read_buf(&mut chunk).await.ok().filter(|read| *read > 0);
            read.map(|_| (chunk.freeze(), socket))
        });
        Sse::of(stream::once(async { body }).chain(rest))
    }
}
