//! One session whose agent writes as fast as it is read, with ten watchers: events and deliveries a second, and what a
//! delivery costs the server.

use super::{median, reader::Reader, rounded, server::BenchServer};
use futures_util::future::try_join_all;
use serde::Serialize;
use std::{cell::RefCell, time::Instant};

const WATCHERS: usize = 10;
const EVENTS: u64 = 10_000;

#[derive(Serialize)]
pub(super) struct Result {
    events: u64,
    watchers: usize,
    events_per_second: f64,
    deliveries_per_second: f64,
    /// Microseconds of the server's processor time, with commit and all.
    server_cpu_us_per_delivery: f64,
    duplicates: u64,
    holes: u64,
    gaps: u64,
}

pub(super) async fn measure(rounds: usize) -> anyhow::Result<Result> {
    let server = BenchServer::start().await?;
    let session = server.create("demo").await?;
    let scratch = RefCell::new(vec![0; 64 * 1024]);
    let (mut rates, mut costs) = (vec![], vec![]);
    let (mut duplicates, mut holes, mut gaps) = (0, 0, 0);
    for _ in 0..rounds {
        let head = server.until(session, |_, is_idle| is_idle).await?;
        let opened =
            (0..WATCHERS).map(|_| Reader::follow(server.access(), session, head, &scratch));
        let mut readers = try_join_all(opened).await?;
        let (cpu, start) = (server.cpu()?, Instant::now());
        server.send(session, &format!("flood {EVENTS}")).await?;
        // Of a reader that was moved on by a gap the rest is not waited for.
        let whole = readers
            .iter_mut()
            .map(|reader| reader.until(&scratch, |seen| seen.cursor >= head + EVENTS));
        try_join_all(whole).await?;
        rates.push(EVENTS as f64 / start.elapsed().as_secs_f64());
        costs.push((server.cpu()? - cpu) * 1e6 / (EVENTS * WATCHERS as u64) as f64);
        for reader in readers {
            let seen = reader.seen();
            (duplicates, holes, gaps) =
                (duplicates + seen.duplicates, holes + seen.holes, gaps + seen.gaps);
        }
    }
    let rate = median(rates);
    Ok(Result {
        events: EVENTS,
        watchers: WATCHERS,
        events_per_second: rate.round(),
        deliveries_per_second: (rate * WATCHERS as f64).round(),
        server_cpu_us_per_delivery: rounded(median(costs)),
        duplicates,
        holes,
        gaps,
    })
}
