//! One reader of 1 kB/s beside 500 that keep up: whether they notice, what the server holds for it, and whether it is
//! told of all that it does not get.

use super::{
    median,
    reader::{Reader, Seen, path},
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

const FAST: usize = 500;
const EVENTS: u64 = 3_000;
/// What the slow reader takes at once, once a second.
const SIP: usize = 1_000;
/// The smallest that the kernel gives.
const NARROW: u32 = 2_304;

#[derive(Serialize)]
pub(super) struct Result {
    fast_readers: usize,
    events: u64,
    deliveries_per_second_alone: f64,
    deliveries_per_second_beside_a_slow_one: f64,
    /// Median over the rounds; 1: they did not notice.
    throughput_ratio: f64,
    /// Of the server, from before to after the flood with the slow reader.
    memory_growth_bytes: i64,
    duplicates: u64,
    holes: u64,
    slow_reader_duplicates: u64,
    slow_reader_holes: u64,
}

pub(super) async fn measure(rounds: usize) -> anyhow::Result<Result> {
    let server = BenchServer::start().await?;
    let session = server.create("demo").await?;
    let scratch = RefCell::new(vec![0; 64 * 1024]);
    // The first flood makes the buffers that all later ones use.
    fan_out(&server, session, &scratch).await?;
    let (mut alone, mut beside, mut ratios) = (vec![], vec![], vec![]);
    let (mut fast, mut slow) = (Seen::default(), Seen::default());
    let mut growth = Vec::new();
    for _ in 0..rounds {
        let (rate, seen) = fan_out(&server, session, &scratch).await?;
        add(&mut fast, seen);
        let without = rate;
        let head = server.until(session, |_, is_idle| is_idle).await?;
        let path = path(session, head);
        let reader =
            Reader::open(&server.address, &server.token, &path, head, Some(NARROW)).await?;
        let before = server.memory()?.0;
        let sips = RefCell::new(vec![0; SIP]);
        let (result, sipped) =
            tokio::join!(fan_out(&server, session, &scratch), sip(reader, &sips, head + EVENTS));
        let (rate, seen) = result?;
        growth.push(server.memory()?.0 as f64 - before as f64);
        add(&mut fast, seen);
        add(&mut slow, sipped?);
        alone.push(without);
        beside.push(rate);
        ratios.push(rate / without);
    }
    Ok(Result {
        fast_readers: FAST,
        events: EVENTS,
        deliveries_per_second_alone: median(alone).round(),
        deliveries_per_second_beside_a_slow_one: median(beside).round(),
        throughput_ratio: rounded(median(ratios)),
        memory_growth_bytes: median(growth) as i64,
        duplicates: fast.duplicates,
        holes: fast.holes,
        slow_reader_duplicates: slow.duplicates,
        slow_reader_holes: slow.holes,
    })
}

fn add(sum: &mut Seen, seen: Seen) {
    sum.duplicates += seen.duplicates;
    sum.holes += seen.holes;
}

/// A flood that all fast readers take whole; deliveries a second, and what they saw together.
async fn fan_out(
    server: &BenchServer,
    session: SessionId,
    scratch: &RefCell<Vec<u8>>,
) -> anyhow::Result<(f64, Seen)> {
    let head = server.until(session, |_, is_idle| is_idle).await?;
    let opened = (0..FAST).map(|_| Reader::follow(server.access(), session, head, scratch));
    let mut readers = try_join_all(opened).await?;
    let start = Instant::now();
    server.send(session, &format!("flood {EVENTS}")).await?;
    try_join_all(
        readers.iter_mut().map(|reader| reader.until(scratch, |seen| seen.events >= EVENTS)),
    )
    .await?;
    let rate = (EVENTS * FAST as u64) as f64 / start.elapsed().as_secs_f64();
    let mut sum = Seen::default();
    readers.iter().for_each(|reader| add(&mut sum, reader.seen()));
    Ok((rate, sum))
}

/// Reads 1 kB a second for some seconds; then all at once, to see what it was not given.
async fn sip(mut reader: Reader, sips: &RefCell<Vec<u8>>, head: u64) -> anyhow::Result<Seen> {
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let so_far = reader.seen();
        reader.until(sips, |seen| seen.events > so_far.events || seen.gaps > so_far.gaps).await?;
    }
    reader.until(sips, |seen| seen.cursor >= head).await?;
    Ok(reader.seen())
}
