//! Workloads that are nothing but a load: lines of agents to readers, in different numbers of both.

use super::{
    bare,
    load::{Length, Plan},
    run::Run,
    seawall,
    target::Subject,
};
use std::time::Duration;

/// Readers of the one session, and sessions with a reader each.
const MANY: usize = 1_000;
/// Lines on their way in a burst.
const BURST: usize = 32;

/// One session to 1,000 streams: each line when all have the last one, and in bursts.
pub(super) fn fanout(run: &mut Run, peers: &[Subject]) -> anyhow::Result<()> {
    let length = Length::Time(run.seconds(3.0));
    let single = Plan::new(run.count(MANY), length);
    let burst = Plan { window: BURST, ..single };
    let own = [bare::subject(), seawall::subject()];
    let subjects: Vec<&Subject> = own.iter().chain(peers).collect();
    run.compare("fanout", &[("one by one", single), ("bursts of 32", burst)], &subjects)
}

/// 1,000 sessions with a stream each, and 64 that talk at a time.
pub(super) fn sessions(run: &mut Run, peers: &[Subject]) -> anyhow::Result<()> {
    let plan = Plan {
        topics: run.count(MANY),
        producers: run.count(MANY).min(64),
        window: 4,
        ..Plan::new(1, Length::Time(run.seconds(4.0)))
    };
    let own = [seawall::subject()];
    let subjects: Vec<&Subject> = own.iter().chain(peers).collect();
    run.compare("sessions", &[("64 producers", plan)], &subjects)
}

/// A line of an agent to a stream, where nothing else happens.
pub(super) fn line(run: &mut Run, peers: &[Subject]) -> anyhow::Result<()> {
    let rate = 200.0;
    let plan = Plan {
        rate: Some(rate),
        window: usize::MAX,
        ..Plan::new(1, Length::Time(run.seconds(5.0)))
    };
    let (pause, length) = (Duration::from_secs_f64(1.0 / rate), run.seconds(2.0));
    let own = [seawall::subject(), seawall::in_memory()];
    let subjects: Vec<&Subject> = own.iter().chain(peers).collect();
    for round in 0..run.rounds {
        run.sample(("line", "idle"), "fdatasync", round, |setup| {
            bare::sync(&setup.folder, pause, length)
        })?;
    }
    run.compare("line", &[("idle", plan)], &subjects)
}

/// Messages over HTTP, acknowledged when they are in the log, to agents that do not read them.
pub(super) fn post(run: &mut Run, peers: &[Subject]) -> anyhow::Result<()> {
    let length = run.seconds(3.0);
    let plan = |connections| Plan {
        topics: connections,
        producers: connections,
        window: usize::MAX,
        post: true,
        ..Plan::new(0, Length::Time(length))
    };
    let own = [seawall::subject()];
    let subjects: Vec<&Subject> = own.iter().chain(peers).collect();
    let cases = [("1 connection", plan(1), 1), ("64 connections", plan(64), 64)];
    for round in 0..run.rounds {
        for (case, _, batch) in cases {
            run.sample(("post", case), "bare log", round, |setup| {
                let mut figures = bare::log(&setup.folder, batch, length / 3)?;
                // Under the name that an acknowledged message has.
                let rate = figures.remove("appends_per_second").unwrap_or_default();
                figures.insert("acknowledged_per_second".into(), rate);
                Ok(figures)
            })?;
        }
    }
    run.compare("post", &cases.map(|(case, plan, _)| (case, plan)), &subjects)
}

/// 100 readers that keep up with 12 MB, alone and beside 100 that read nothing until the end.
pub(super) fn stalled(run: &mut Run, peers: &[Subject]) -> anyhow::Result<()> {
    let lines = run.count(3_000) as u64;
    let alone = Plan { window: BURST, line: 4096, ..Plan::new(100, Length::Lines(lines)) };
    let beside = Plan { stalled: 100, ..alone };
    let own = [seawall::subject()];
    let subjects: Vec<&Subject> = own.iter().chain(peers).collect();
    run.compare("stalled", &[("none stalled", alone), ("100 stalled", beside)], &subjects)
}

/// An ordinary day: 200 sessions at 50 lines a second, with three viewers each.
pub(super) fn everyday(run: &mut Run) -> anyhow::Result<()> {
    let topics = run.count(200);
    let plan = Plan {
        topics,
        producers: topics,
        window: usize::MAX,
        rate: Some(50.0 * topics as f64),
        ..Plan::new(3, Length::Time(run.seconds(10.0)))
    };
    run.compare("everyday", &[("50 lines a second", plan)], &[&seawall::subject()])
}
