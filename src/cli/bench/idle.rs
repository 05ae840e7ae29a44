//! Sessions and streams in which nothing happens: what each keeps in memory, and what the server does all the same.

use super::{reader::Reader, rounded, server::BenchServer};
use crate::domain::{SessionId, State};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

const SESSIONS: u64 = 1_000;
const STREAMS: u64 = 2_000;
/// What comes first finds caches and tables empty, and is not counted.
const WARM_UP: u64 = 200;
/// Several sync ticks, and a heartbeat.
const WATCHED: Duration = Duration::from_secs(30);
/// Requests under way at a time.
const AT_A_TIME: usize = 16;

#[derive(Serialize)]
pub(super) struct Result {
    server_bytes_at_start: u64,
    sessions: u64,
    /// A session that is live, its agent idle.
    bytes_per_session: u64,
    streams: u64,
    bytes_per_stream: u64,
    seconds_watched: u64,
    pages_read: u64,
    /// Of one core.
    cpu_at_rest: f64,
}

pub(super) async fn measure() -> anyhow::Result<Result> {
    let server = BenchServer::start().await?;
    let at_start = server.memory()?.0;
    make(&server, WARM_UP).await?;
    let before = server.memory()?.0;
    let sessions = make(&server, SESSIONS).await?;
    let with_sessions = server.memory()?.0;
    let scratch = RefCell::new(vec![0; 64 * 1024]);
    let mut streams = open(&server, &sessions, WARM_UP, &scratch).await?;
    let before_streams = server.memory()?.0;
    streams.extend(open(&server, &sessions, STREAMS, &scratch).await?);
    let with_streams = server.memory()?.0;

    let (pages, cpu, start) =
        (server.status().await?.store.pages_read, server.cpu()?, Instant::now());
    tokio::time::sleep(WATCHED).await;
    let used = (server.cpu()? - cpu) / start.elapsed().as_secs_f64();
    let pages_read = server.status().await?.store.pages_read - pages;
    drop(streams);
    Ok(Result {
        server_bytes_at_start: at_start,
        sessions: SESSIONS,
        bytes_per_session: with_sessions.saturating_sub(before) / SESSIONS,
        streams: STREAMS,
        bytes_per_stream: with_streams.saturating_sub(before_streams) / STREAMS,
        seconds_watched: WATCHED.as_secs(),
        pages_read,
        cpu_at_rest: rounded(used),
    })
}

/// Makes sessions, and waits until nothing more happens in them: unwatched, they are detached at the end.
async fn make(server: &BenchServer, count: u64) -> anyhow::Result<Vec<SessionId>> {
    let made = stream::iter(0..count).map(|_| server.create("cat")).buffer_unordered(AT_A_TIME);
    let sessions: Vec<SessionId> = made.try_collect().await?;
    for session in &sessions {
        while server.client.session(*session).await?.state != State::Detached {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(sessions)
}

async fn open(
    server: &BenchServer,
    sessions: &[SessionId],
    count: u64,
    scratch: &RefCell<Vec<u8>>,
) -> anyhow::Result<Vec<Reader>> {
    let opened = stream::iter(0..count as usize).map(|number| async move {
        let session = sessions[number % sessions.len()];
        let path = format!("/v1/sessions/{session}/stream");
        let mut reader = Reader::open(&server.address, &server.token, &path, 0, None).await?;
        reader.until(scratch, |seen| seen.snapshots > 0).await?;
        anyhow::Ok(reader)
    });
    opened.buffer_unordered(AT_A_TIME).try_collect().await
}
