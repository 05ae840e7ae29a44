//! A network that comes back: 2,000 streams reconnect at once, each 6,000 events behind on one of 20 sessions, while a
//! person works with another session. Then the same with what fits the replay cap.

use super::{
    median, millis,
    probe::{Echo, percentile},
    reader::{Reader, Seen},
    rounded,
    server::BenchServer,
};
use crate::domain::SessionId;
use futures_util::future::try_join_all;
use serde::Serialize;
use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

const SESSIONS: usize = 20;
const STREAMS: usize = 2_000;
const BEHIND: u64 = 6_000;
/// Below `streams.max_replay_gap`.
const WITHIN_CAP: u64 = 150;
/// Samples of a quiet round.
const QUIET: usize = 300;

#[derive(Serialize)]
pub(super) struct Result {
    streams: usize,
    events_behind_each: u64,
    /// Until every stream had its snapshot.
    storm_ms: f64,
    /// Reads of the log for all streams together, in the worst round.
    pages_read: u64,
    events_replayed: u64,
    gaps_told: u64,
    quiet_p99_ms: f64,
    storm_p99_ms: f64,
    /// Medians over the rounds.
    p99_ratio: f64,
    within_cap_ms: f64,
    within_cap_pages_read: u64,
    within_cap_events_replayed: u64,
    duplicates: u64,
    holes: u64,
    server_peak_bytes: u64,
}

/// What one storm did.
#[derive(Default)]
struct Storm {
    time: Duration,
    pages_read: u64,
    seen: Seen,
}

pub(super) async fn measure(rounds: usize) -> anyhow::Result<Result> {
    let server = BenchServer::start().await?;
    let echo = Echo::new(&server).await?;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let session = server.create("demo").await?;
        let head = server.flood(session, BEHIND + 100).await?;
        sessions.push((session, head));
    }
    let (mut quiet, mut busy, mut storms, mut within) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        quiet.push(percentile(&echo.probe(QUIET).finish()?, 99));
        let probe = echo.probe(QUIET);
        storms.push(storm(&server, &sessions, BEHIND).await?);
        busy.push(percentile(&probe.finish()?, 99));
        within.push(storm(&server, &sessions, WITHIN_CAP).await?);
    }
    let p99 = |times: &[Duration]| median(times.iter().map(|time| millis(*time)).collect());
    let ratios =
        quiet.iter().zip(&busy).map(|(quiet, busy)| busy.as_secs_f64() / quiet.as_secs_f64());
    let all = || storms.iter().chain(&within);
    let time = |storms: &[Storm]| median(storms.iter().map(|storm| millis(storm.time)).collect());
    let worst = |storms: &[Storm]| storms.iter().map(|storm| storm.pages_read).max().unwrap_or(0);
    Ok(Result {
        streams: STREAMS,
        events_behind_each: BEHIND,
        storm_ms: time(&storms),
        pages_read: worst(&storms),
        events_replayed: storms.iter().map(|storm| storm.seen.events).sum::<u64>() / rounds as u64,
        gaps_told: storms.iter().map(|storm| storm.seen.gaps).sum::<u64>() / rounds as u64,
        quiet_p99_ms: p99(&quiet),
        storm_p99_ms: p99(&busy),
        p99_ratio: rounded(median(ratios.collect())),
        within_cap_ms: time(&within),
        within_cap_pages_read: worst(&within),
        within_cap_events_replayed: within.iter().map(|storm| storm.seen.events).sum::<u64>()
            / rounds as u64,
        duplicates: all().map(|storm| storm.seen.duplicates).sum(),
        holes: all().map(|storm| storm.seen.holes).sum(),
        server_peak_bytes: server.memory()?.1,
    })
}

async fn storm(
    server: &BenchServer,
    sessions: &[(SessionId, u64)],
    behind: u64,
) -> anyhow::Result<Storm> {
    let before = server.status().await?.store.pages_read;
    let scratch = RefCell::new(vec![0; 64 * 1024]);
    let start = Instant::now();
    let readers = (0..STREAMS).map(|number| {
        let (session, head) = sessions[number % sessions.len()];
        Reader::follow(server.access(), session, head - behind, &scratch)
    });
    // They stay connected until the last one is.
    let readers = try_join_all(readers).await?;
    let time = start.elapsed();
    let mut storm = Storm { time, ..Storm::default() };
    storm.pages_read = server.status().await?.store.pages_read - before;
    for reader in readers {
        let seen = reader.seen();
        storm.seen.events += seen.events;
        storm.seen.gaps += seen.gaps;
        storm.seen.duplicates += seen.duplicates;
        storm.seen.holes += seen.holes;
    }
    Ok(storm)
}
