//! Appending in process: the store alone, with producers that each wait for their last event before the next, against a
//! bare log that syncs as many records at a time as the store did.

use super::{
    bare,
    figures::{Figures, Times, rounded},
    meter,
    run::Run,
    stored::{self, Folder},
};
use crate::store::{
    EventLog,
    sqlite::{Durability, SqliteLog},
};
use futures_util::future::try_join_all;
use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

/// Of a measurement for stalls: as long as disks and checkpoints take to show all that they do.
const STALLS_SECONDS: f64 = 600.0;
const PRODUCERS: u64 = 64;
/// What is not counted: the files grow to their size.
const WARM: f64 = 0.2;

pub(super) fn measure(run: &mut Run) -> anyhow::Result<()> {
    let length = run.seconds(3.0);
    let producers = [1, 64, 512];
    for round in 0..run.rounds {
        for count in producers {
            for (name, durability) in [("full", Durability::Full), ("normal", Durability::Normal)] {
                let case = format!("{count} producers, {name}");
                let mut batch = 1.0;
                run.sample(("append", &case), "seawall store", round, |setup| {
                    let folder = Folder::new(setup)?;
                    let figures = producers_of(&folder, durability, count, length)?;
                    batch = figures.get("batch").copied().unwrap_or(1.0);
                    Ok(figures)
                })?;
                if durability == Durability::Full {
                    let batch = batch.round().max(1.0) as usize;
                    run.sample(("append", &case), "bare log", round, |setup| {
                        bare::log(&setup.folder, batch, length / 3)
                    })?;
                }
            }
        }
    }
    Ok(())
}

fn producers_of(
    folder: &Folder,
    durability: Durability,
    producers: u64,
    length: Duration,
) -> anyhow::Result<Figures> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let log = folder.open(durability)?;
    runtime.block_on(stored::make(&log, 0, producers, producers))?;
    runtime.block_on(append_for(&log, producers, length.mul_f64(WARM)))?;
    let own = [std::process::id()];
    let (cpu, start) = (meter::cpu(&own)?, Instant::now());
    let (commits, appended) = commits(&log);
    let mut times = runtime.block_on(append_for(&log, producers, length))?;
    let seconds = start.elapsed().as_secs_f64();
    let cpu = meter::cpu(&own)? - cpu;
    let (commits_after, appended_after) = self::commits(&log);
    let events = times.len().max(1) as f64;
    let mut figures = Figures::new();
    figures.insert("appends_per_second".into(), (events / seconds).round());
    figures.insert("cpu_us".into(), rounded(cpu * 1e6 / events));
    let groups = (commits_after - commits).max(1) as f64;
    figures.insert("batch".into(), rounded((appended_after - appended) as f64 / groups));
    figures.insert("syncs_per_second".into(), (groups / seconds).round());
    times.note(&mut figures);
    runtime.block_on(log.close())?;
    Ok(figures)
}

/// Each producer has a session; how long each of its events took.
pub(super) async fn append_for(
    log: &SqliteLog,
    producers: u64,
    length: Duration,
) -> anyhow::Result<Times> {
    let times = RefCell::new(Times::default());
    let start = Instant::now();
    let produce = |number: u64| {
        let times = &times;
        async move {
            while start.elapsed() < length {
                let begun = Instant::now();
                log.append(stored::append(number, vec![stored::entry(256)])).await?;
                times.borrow_mut().add_time(begun.elapsed());
            }
            anyhow::Ok(())
        }
    };
    try_join_all((0..producers).map(produce)).await?;
    Ok(times.into_inner())
}

/// 64 producers at half of what the store takes, for ten minutes: how long the slowest event waited.
pub(super) fn stalls(run: &mut Run) -> anyhow::Result<()> {
    let length = run.seconds(STALLS_SECONDS);
    let short = run.seconds(3.0);
    run.sample(("stalls", "half load"), "bare log", 0, |setup| {
        bare::log(&setup.folder, PRODUCERS as usize, short)
    })?;
    run.sample(("stalls", "half load"), "seawall store", 0, |setup| {
        let folder = Folder::new(setup)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let log = folder.open(Durability::Full)?;
        runtime.block_on(stored::make(&log, 0, PRODUCERS, PRODUCERS))?;
        let most = runtime.block_on(append_for(&log, PRODUCERS, short))?.len() as f64;
        let pace = Duration::from_secs_f64(2.0 * PRODUCERS as f64 * short.as_secs_f64() / most);
        let start = Instant::now();
        let mut times = runtime.block_on(append_evenly(&log, pace, length))?;
        let mut figures = Figures::new();
        let rate = times.len() as f64 / start.elapsed().as_secs_f64();
        figures.insert("appends_per_second".into(), rate.round());
        times.note(&mut figures);
        runtime.block_on(log.close())?;
        Ok(figures)
    })
}

/// Each producer has an event every `pace`; one that has to wait for the last one is counted from when it was due.
async fn append_evenly(log: &SqliteLog, pace: Duration, length: Duration) -> anyhow::Result<Times> {
    let times = RefCell::new(Times::default());
    let start = Instant::now();
    let produce = |number: u64| {
        let times = &times;
        async move {
            let mut due = start + pace.mul_f64(number as f64 / PRODUCERS as f64);
            while start.elapsed() < length {
                let is_late = due < Instant::now();
                tokio::time::sleep_until(due.into()).await;
                // What the timer is late by is not the store's.
                let begun = if is_late { due } else { Instant::now() };
                log.append(stored::append(number, vec![stored::entry(256)])).await?;
                times.borrow_mut().add_time(begun.elapsed());
                due += pace;
            }
            anyhow::Ok(())
        }
    };
    try_join_all((0..PRODUCERS).map(produce)).await?;
    Ok(times.into_inner())
}

/// Commits so far, and the events in them.
fn commits(log: &SqliteLog) -> (u64, u64) {
    let metrics = log.metrics();
    let in_buckets = metrics.commit_size.buckets().last().map_or(0, |(_, count)| *count);
    (in_buckets + metrics.commit_size.beyond(), metrics.commit_size.sum())
}
