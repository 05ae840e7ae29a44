//! The demo agent's stdout: JSON-RPC messages of the agent's side, written by one task behind a bounded queue.
//! It speaks the protocol by itself, so that a fault in the codec is not answered by the same fault.

use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    task::JoinHandle,
};

const QUEUED_LINES: usize = 64;

/// A reader that takes nothing for this long does not get the last words.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where messages go. Waits while the reader is slow; fails when there is none any more.
#[derive(Clone)]
pub(super) struct Wire(mpsc::Sender<Vec<u8>>);

/// Nobody reads stdout any more.
#[derive(Debug)]
pub(super) struct Gone;

/// The task that writes.
pub(super) struct Writer(JoinHandle<()>);

pub(super) fn open(mut output: impl AsyncWrite + Unpin + Send + 'static) -> (Wire, Writer) {
    let (sender, mut lines) = mpsc::channel::<Vec<u8>>(QUEUED_LINES);
    let writer = tokio::spawn(async move {
        let mut batch = Vec::new();
        while lines.recv_many(&mut batch, QUEUED_LINES).await > 0 {
            let written = output.write_all(&batch.concat()).await;
            if written.is_err() || output.flush().await.is_err() {
                return;
            }
            batch.clear();
        }
    });
    (Wire(sender), Writer(writer))
}

impl Wire {
    pub(super) async fn result(&self, id: &Value, result: Value) -> Result<(), Gone> {
        self.message(&json!({"jsonrpc": "2.0", "id": id, "result": result})).await
    }

    pub(super) async fn error(&self, id: &Value, code: i64, message: &str) -> Result<(), Gone> {
        let error = json!({"code": code, "message": message});
        self.message(&json!({"jsonrpc": "2.0", "id": id, "error": error})).await
    }

    pub(super) async fn message(&self, message: &Value) -> Result<(), Gone> {
        self.line(message.to_string().into_bytes()).await
    }

    /// Writes the bytes and a line end.
    pub(super) async fn line(&self, mut bytes: Vec<u8>) -> Result<(), Gone> {
        bytes.push(b'\n');
        self.0.send(bytes).await.map_err(|_| Gone)
    }

    /// Waits until nobody reads stdout any more.
    pub(super) async fn gone(&self) {
        self.0.closed().await;
    }
}

impl Writer {
    /// Until all is written that was said; every [`Wire`] must be gone before.
    pub(super) async fn finish(self) {
        let _ = tokio::time::timeout(LAST_WORDS, self.0).await;
    }
}
