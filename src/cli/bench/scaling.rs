//! How the cost of an event grows with what there is: sessions, streams, stored events. A cost that does not grow is a flat
//! line; the case of a sample is what was grown, and to what.

use super::{
    append::append_for,
    figures::{Figures, Times, rounded},
    load::{self, Length, Plan},
    meter,
    run::Run,
    seawall::{SEAWALL, Seawall},
    server::Place,
    stored::{self, Folder},
    target::Target,
};
use crate::{
    domain::Seq,
    store::{
        EventLog, PageFrom, PageQuery,
        sqlite::{Durability, SqliteLog},
    },
};
use futures_util::future::try_join_all;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Notify;

const GROWN: [u64; 5] = [1, 10, 100, 1_000, 10_000];
/// Events that are appended at each number of sessions.
const APPENDS: u64 = 20_000;
/// Of those under way at a time.
const PRODUCERS: u64 = 64;
/// Sessions among which the stored events lie.
const SESSIONS: u64 = 1_000;
/// What a reader that comes back reads, and how many do.
const BEHIND: usize = 200;
const RECONNECTS: u64 = 500;
/// Single events of a session that is followed.
const STEPS: u64 = 2_000;
const STORE: &str = "seawall store";

/// `largest` is the power of ten up to which events are stored.
pub(super) fn measure(run: &mut Run, largest: u32) -> anyhow::Result<()> {
    sessions(run)?;
    streams(run)?;
    events(run, if run.quick { largest.min(5) } else { largest })
}

/// Appends to each of so many sessions in turn.
fn sessions(run: &mut Run) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let appends = run.count(APPENDS as usize) as u64;
    let folder = Folder::new(&run.setup)?;
    let log = folder.open(Durability::Full)?;
    let mut made = 0;
    for sessions in GROWN {
        runtime.block_on(stored::make(&log, made, sessions, sessions))?;
        made = sessions;
        for round in 0..run.rounds {
            run.sample(("scaling", &format!("sessions {sessions}")), STORE, round, |_| {
                runtime.block_on(append_in_turn(&log, sessions, appends))
            })?;
        }
    }
    runtime.block_on(log.close())?;
    Ok(())
}

async fn append_in_turn(log: &SqliteLog, sessions: u64, appends: u64) -> anyhow::Result<Figures> {
    let own = [std::process::id()];
    let (cpu, start) = (meter::cpu(&own)?, Instant::now());
    // The store takes appends of one session side by side, so that groups are as large with one session as with many.
    let produce = |producer: u64| async move {
        for number in (producer..appends).step_by(PRODUCERS as usize) {
            log.append(stored::append(number % sessions, vec![stored::entry(256)])).await?;
        }
        anyhow::Ok(())
    };
    try_join_all((0..PRODUCERS).map(produce)).await?;
    let events = appends as f64;
    let mut figures = Figures::new();
    figures.insert("append_cpu_us".into(), rounded((meter::cpu(&own)? - cpu) * 1e6 / events));
    figures.insert("appends_per_second".into(), (events / start.elapsed().as_secs_f64()).round());
    Ok(figures)
}

/// One session to so many streams, each line when all have the last one.
fn streams(run: &mut Run) -> anyhow::Result<()> {
    let length = Length::Time(run.seconds(2.0));
    for streams in GROWN.map(|streams| streams as usize) {
        if run.quick && streams > 1_000 {
            continue;
        }
        for round in 0..run.rounds {
            run.sample(("scaling", &format!("streams {streams}")), SEAWALL, round, |setup| {
                let mut server = Seawall::start(setup, Place::Disk)?;
                let plan = Plan::new(streams, length);
                Ok(load::run(&mut server as &mut dyn Target, plan)?.figures())
            })?;
        }
    }
    Ok(())
}

/// A log that holds so many events: appending, following, coming back, and opening it.
fn events(run: &mut Run, largest: u32) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let folder = Folder::new(&run.setup)?;
    let mut log = folder.open(Durability::Full)?;
    runtime.block_on(stored::make(&log, 0, SESSIONS, 0))?;
    let mut stored = 0;
    for power in 4..=largest {
        let events = 10_u64.pow(power);
        runtime.block_on(stored::fill(&log, SESSIONS, events - stored))?;
        stored = events;
        for round in 0..run.rounds {
            let length = run.seconds(1.0);
            run.sample(("scaling", &format!("events {events}")), STORE, round, |_| {
                runtime.block_on(log.close())?;
                let start = Instant::now();
                log = folder.open(Durability::Full)?;
                let opened = start.elapsed();
                let mut figures = runtime.block_on(work(&log, length))?;
                figures.insert("open_ms".into(), rounded(opened.as_secs_f64() * 1e3));
                Ok(figures)
            })?;
        }
    }
    runtime.block_on(log.close())?;
    Ok(())
}

async fn work(log: &SqliteLog, length: Duration) -> anyhow::Result<Figures> {
    let own = [std::process::id()];
    let mut figures = Figures::new();
    let mut note = |name: &str, value: f64| figures.insert(name.into(), rounded(value));
    let cpu = meter::cpu(&own)?;
    let mut times = append_for(log, PRODUCERS, length).await?;
    note("append_cpu_us", (meter::cpu(&own)? - cpu) * 1e6 / times.len().max(1) as f64);
    note("append_p50_us", times.micros(500));
    let mut times = follow(log).await?;
    note("tail_step_p50_us", times.micros(500));
    let (cpu, mut times) = (meter::cpu(&own)?, come_back(log).await?);
    note("reconnect_cpu_us", (meter::cpu(&own)? - cpu) * 1e6 / times.len().max(1) as f64);
    note("reconnect_p50_us", times.micros(500));
    Ok(figures)
}

/// From an event's commit to its line in a reader's hand.
async fn follow(log: &SqliteLog) -> anyhow::Result<Times> {
    let watch = log.watch(stored::id(7), Arc::new(Notify::new())).await?;
    let mut times = Times::default();
    for _ in 0..STEPS {
        let before = watch.head();
        log.append(stored::append(7, vec![stored::entry(256)])).await?;
        let begun = Instant::now();
        let lines = watch.lines_after(before, BEHIND, 1 << 20).unwrap_or_default();
        times.add_time(begun.elapsed());
        anyhow::ensure!(lines.len() == 1, "the feed has {} lines", lines.len());
    }
    Ok(times)
}

/// The newest events of sessions that nobody has looked at for long.
async fn come_back(log: &SqliteLog) -> anyhow::Result<Times> {
    let mut times = Times::default();
    for number in 0..RECONNECTS {
        // All over the log; the step has no divisor in common with the number of sessions.
        let session = stored::id(number * 37 % SESSIONS);
        let begun = Instant::now();
        let head = log.session(session).await?.head;
        let from = PageFrom::After(Seq(head.0.saturating_sub(BEHIND as u64)));
        let (limit, max_bytes, types) = (BEHIND, 4 << 20, Vec::new());
        log.page(PageQuery { session, from, limit, max_bytes, types }).await?;
        times.add_time(begun.elapsed());
    }
    Ok(times)
}
