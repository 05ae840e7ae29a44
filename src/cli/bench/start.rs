//! The start after a crash: how long until the server listens, with a long list of sessions behind it of which some were
//! live. Only the time of the server is measured, and not that of the sessions' making.

use super::{median, millis, server::BenchServer};
use anyhow::ensure;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

const SESSIONS: u64 = 10_000;
const LIVE: u64 = 200;
/// Requests under way at a time.
const AT_A_TIME: usize = 16;

#[derive(Serialize)]
pub(super) struct Result {
    sessions: u64,
    live: u64,
    /// From the process's start until it accepts requests and the list is true.
    listening_ms: f64,
    listening_ms_at_most: f64,
}

pub(super) async fn measure(rounds: usize) -> anyhow::Result<Result> {
    let mut server = BenchServer::start().await?;
    // What cannot be executed ends at once and leaves a session of some events.
    make(&server, "ghost", SESSIONS - LIVE).await?;
    let mut times = Vec::new();
    for _ in 0..rounds {
        make(&server, "cat", LIVE).await?;
        times.push(millis(server.crash_and_start()?));
        let sessions = server.status().await?.sessions;
        ensure!(sessions.live == 0 && sessions.by_state.len() == 1, "not all have ended");
    }
    let at_most = times.iter().copied().fold(0.0, f64::max);
    Ok(Result {
        sessions: SESSIONS,
        live: LIVE,
        listening_ms: median(times),
        listening_ms_at_most: at_most,
    })
}

async fn make(server: &BenchServer, agent: &str, count: u64) -> anyhow::Result<()> {
    let made = stream::iter(0..count).map(|_| server.create(agent)).buffer_unordered(AT_A_TIME);
    let _: Vec<_> = made.try_collect().await?;
    Ok(())
}
