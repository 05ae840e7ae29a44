//! Starting a child through its guard and ending it, against starting a program and nothing else; with little memory in
//! use and with much, since a process that forked would pay for its size.

use super::{
    figures::{Figures, Times, rounded},
    run::Run,
};
use crate::{
    domain::{SessionId, StoreId},
    process::{ChildSpec, Marker, child::Launcher},
};
use anyhow::Context;
use std::{
    collections::BTreeMap,
    hint::black_box,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};
use uuid::Uuid;

/// Starts in a round.
const STARTS: usize = 100;
/// What the process is made larger by.
const BALLAST: usize = 4 << 30;
const PAGE: usize = 4096;

/// The least that can be started.
fn nothing() -> (&'static Path, &'static [&'static str]) {
    (Path::new("true"), &[])
}

pub(super) fn measure(run: &mut Run) -> anyhow::Result<()> {
    let starts = run.count(STARTS);
    for round in 0..run.rounds {
        for (case, ballast) in [("small process", 0), ("4 GiB in use", run.count(BALLAST))] {
            let mut ballast = vec![0_u8; ballast];
            // Memory is in use when it was written to.
            ballast.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
            run.sample(("spawn", case), "posix_spawn", round, |_| {
                bare_spawns(&[nothing()], starts)
            })?;
            // What a guard of our own program costs at the least: without a socket it ends at once.
            run.sample(("spawn", case), "our program, and true", round, |setup| {
                let guard = (setup.program.as_path(), &["guard"][..]);
                bare_spawns(&[guard, nothing()], starts)
            })?;
            run.sample(("spawn", case), "seawall guard", round, |setup| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(guarded_starts(&setup.program, starts))
            })?;
            black_box(ballast);
        }
    }
    Ok(())
}

/// Programs one after the other, each until it has ended by itself. The standard library uses posix_spawn.
fn bare_spawns(programs: &[(&Path, &[&str])], starts: usize) -> anyhow::Result<Figures> {
    let (mut times, start) = (Times::default(), Instant::now());
    for _ in 0..starts {
        let begun = Instant::now();
        for (program, args) in programs {
            let mut command = Command::new(program);
            command.args(*args).stdin(Stdio::null()).stderr(Stdio::null());
            command.status().with_context(|| format!("cannot run `{}`", program.display()))?;
        }
        times.add_time(begun.elapsed());
    }
    Ok(figures(times, start))
}

async fn guarded_starts(program: &Path, starts: usize) -> anyhow::Result<Figures> {
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
    let launcher = Launcher { guard: program.to_owned() };
    // Until the guard has said that its child runs.
    let (mut times, start) = (Times::default(), Instant::now());
    for _ in 0..starts {
        times.add_time(launcher.start_and_end(&spec).await?);
    }
    Ok(figures(times, start))
}

fn figures(mut times: Times, start: Instant) -> Figures {
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    let mut figures = Figures::new();
    figures.insert("started_and_ended_per_second".into(), rounded(rate));
    figures.insert("starts_per_second".into(), rounded(1e6 / times.micros(500).max(1.0)));
    times.note(&mut figures);
    figures
}
