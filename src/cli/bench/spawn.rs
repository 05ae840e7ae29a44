//! Starting a child through its guard, against starting a program and nothing else; with little memory in use and with
//! much, since a process that forked would pay for its size.

use super::{median, millis, rounded};
use crate::{
    domain::{SessionId, StoreId},
    process::{ChildSpec, Marker, child::Launcher},
};
use anyhow::Context;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    hint::black_box,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Starts in a round.
const STARTS: usize = 50;
/// What the process is made larger by.
const BALLAST: usize = 4 << 30;
const PAGE: usize = 4096;

#[derive(Serialize)]
pub(super) struct Result {
    /// posix_spawn of `true`, until it has ended.
    bare_spawn_ms: f64,
    /// Until the guard has said that its child runs.
    guarded_start_ms: f64,
    guarded_start_with_4_gib_in_use_ms: f64,
    /// 1: the size of the process makes no difference.
    ratio_with_4_gib: f64,
    ratio_to_two_bare_spawns: f64,
}

pub(super) async fn measure(rounds: usize) -> anyhow::Result<Result> {
    let (mut bare, mut small, mut large) = (vec![], vec![], vec![]);
    for _ in 0..rounds {
        bare.push(median_of(bare_spawns()?));
        small.push(median_of(guarded_starts().await?));
        let mut ballast = vec![0_u8; BALLAST];
        // Memory is in use when it was written to.
        ballast.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
        large.push(median_of(guarded_starts().await?));
        black_box(ballast);
    }
    let ratios = small.iter().zip(&large).map(|(small, large)| large / small);
    let to_bare = bare.iter().zip(&small).map(|(bare, small)| small / (2.0 * bare));
    Ok(Result {
        ratio_with_4_gib: rounded(median(ratios.collect())),
        ratio_to_two_bare_spawns: rounded(median(to_bare.collect())),
        bare_spawn_ms: median(bare),
        guarded_start_ms: median(small),
        guarded_start_with_4_gib_in_use_ms: median(large),
    })
}

fn median_of(times: Vec<Duration>) -> f64 {
    median(times.into_iter().map(millis).collect())
}

fn bare_spawns() -> anyhow::Result<Vec<Duration>> {
    let spawn = || {
        let start = Instant::now();
        let status = Command::new("true").stdin(Stdio::null()).status();
        status.context("cannot run `true`").map(|_| start.elapsed())
    };
    (0..STARTS).map(|_| spawn()).collect()
}

async fn guarded_starts() -> anyhow::Result<Vec<Duration>> {
    let path = std::env::var("PATH").unwrap_or_default();
    let spec = ChildSpec {
        command: "cat".into(),
        args: Vec::new(),
        env: BTreeMap::from([("PATH".into(), path)]),
        cwd: "/".into(),
        user: None,
        marker: Marker {
            store: StoreId::from_uuid(Uuid::new_v4()),
            session: SessionId::from_uuid(Uuid::new_v4()),
            run: 1,
        },
        max_line_bytes: 1 << 20,
    };
    let launcher = Launcher::default();
    let mut times = Vec::new();
    for _ in 0..STARTS {
        times.push(launcher.start_and_end(&spec).await?);
    }
    Ok(times)
}
