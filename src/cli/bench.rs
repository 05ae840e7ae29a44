//! `seawall bench`: what this machine can do, measured on servers of its own in a throw-away folder. Figures that are
//! to be compared are taken in turn within one run; nothing here touches a server that is in use.

pub mod agent;
mod append;
mod bare;
mod disk;
mod figures;
mod history;
mod idle;
mod join;
mod load;
mod meter;
mod place;
mod run;
mod scaling;
mod scan;
mod seawall;
mod server;
mod spawn;
mod start;
mod stored;
mod streams;
pub mod target;

use super::output::Output;
use anyhow::Context;
use clap::ValueEnum;
use figures::{Ratio, Sample};
pub use meter::tree;
use run::{OTHERS, OTHERS_FIGURE, Run};
use serde::Serialize;
use std::path::PathBuf;
use target::{Setup, Subject};

/// Measure this machine: how near the server comes to what its disk, its sockets and its kernel allow.
///
/// Starts servers of its own on loopback with their logs in a temporary folder, and ends them again. All of it takes
/// some ten minutes, two cores, some GB of disk, and descriptors for some thousand connections; nothing else should run
/// meanwhile, and where something did, it is said.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Bench {
    /// What to measure [else everything but stalls and scaling].
    #[arg(value_enum)]
    pub workloads: Vec<Workload>,
    /// How often what is compared is measured in turn; the medians count.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// A tenth of everything, to see that it works.
    #[arg(long)]
    pub quick: bool,
    /// On the disk to be measured [else a temporary folder that is not in memory].
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// For scaling: store up to ten to the power of this many events; 8 takes some 35 GB.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(4..=8))]
    pub largest: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// Events into the store by 1, 64 and 512 producers, against a bare log with fdatasync.
    Append,
    /// Messages over HTTP on 1 and 64 connections, acknowledged when they are on disk.
    Post,
    /// One session to 1,000 streams, one by one and in bursts, against bare socket writes.
    Fanout,
    /// 1,000 sessions that 64 agents at a time write to, with a stream each.
    Sessions,
    /// How long a line of an agent takes to a stream, idle, against fdatasync.
    Line,
    /// 1,000 sessions and 8,000 streams in which nothing happens.
    Idle,
    /// 500 streams begin at once, 200 events behind.
    Join,
    /// 2,000 streams come back at once, little and far behind, and streams of 50 sessions.
    Reconnect,
    /// 100 streams that read nothing beside 100 that do.
    Stalled,
    /// Pages of history against a static answer, and a replay of the whole log.
    History,
    /// Starting and ending children, against posix_spawn.
    Spawn,
    /// Starting with 10,000 sessions and 10 million events in the log.
    Start,
    /// 200 sessions at 50 lines a second with three viewers each.
    Everyday,
    /// Ten minutes of appending at half of what the store takes: the longest wait.
    Stalls,
    /// How costs grow with sessions, streams and stored events; takes some ten minutes by itself.
    Scaling,
}

const EXAMPLES: &str = "\
Examples:
  seawall bench
  seawall bench fanout line --rounds 5
  seawall bench --quick
  seawall --json bench append | jq '.ratios'

Absolute figures belong to the machine and its load; the ratios are what can be compared.";

/// What each workload is judged by, within a round.
const RATIOS: &[(Workload, Ratio)] = &[
    (Workload::Append, ratio("1 producers, full", "appends_per_second", STORE, "bare log")),
    (Workload::Append, ratio("64 producers, full", "appends_per_second", STORE, "bare log")),
    (Workload::Append, ratio("64 producers, full", "p99_us", STORE, "bare log")),
    (Workload::Append, ratio("512 producers, full", "appends_per_second", STORE, "bare log")),
    (
        Workload::Post,
        ratio("1 connection", "acknowledged_per_second", seawall::SEAWALL, "bare log"),
    ),
    (
        Workload::Post,
        ratio("64 connections", "acknowledged_per_second", seawall::SEAWALL, "bare log"),
    ),
    (Workload::Fanout, ratio("one by one", "server_cpu_us", seawall::SEAWALL, bare::BARE_WRITES)),
    (Workload::Fanout, ratio("bursts of 32", "server_cpu_us", seawall::SEAWALL, bare::BARE_WRITES)),
    (Workload::Line, ratio("idle", "p50_us", seawall::SEAWALL, seawall::IN_MEMORY)),
    (
        Workload::History,
        ratio("pages, a connection each", "p50_us_per_60_kib", seawall::SEAWALL, "static answer"),
    ),
    (Workload::Spawn, ratio("small process", "starts_per_second", GUARD, "posix_spawn")),
    (Workload::Spawn, ratio("4 GiB in use", "starts_per_second", GUARD, "posix_spawn")),
];
const STORE: &str = "seawall store";
const GUARD: &str = "seawall guard";

const fn ratio(
    case: &'static str,
    figure: &'static str,
    subject: &'static str,
    to: &'static str,
) -> Ratio {
    Ratio { case, figure, subject, to }
}

/// All that a run found.
#[derive(Serialize)]
struct Report {
    machine: place::Place,
    rounds: u32,
    quick: bool,
    ratios: Vec<Row>,
    samples: Vec<Sample>,
}

#[derive(Serialize)]
struct Row {
    workload: String,
    case: &'static str,
    figure: &'static str,
    of: &'static str,
    to: &'static str,
    ratio: f64,
}

pub(super) fn run(output: &Output, bench: &Bench) -> anyhow::Result<()> {
    measure(output, bench, std::env::current_exe()?, &|_| Vec::new())
}

/// The same for a program that brings other servers to compare with, by workload, and says which `seawall` it measures. Its
/// report is printed as JSON.
pub fn side_by_side(
    bench: &Bench,
    program: PathBuf,
    peers: &dyn Fn(Workload) -> Vec<Subject>,
) -> anyhow::Result<()> {
    measure(&Output::new(true), bench, program, peers)
}

fn measure(
    output: &Output,
    bench: &Bench,
    program: PathBuf,
    peers: &dyn Fn(Workload) -> Vec<Subject>,
) -> anyhow::Result<()> {
    raise_descriptor_limit()?;
    let folder = place::folder(bench.folder.as_deref())?;
    let machine = place::Place::of(&folder);
    output.remark(&format!("the log is in {}, on {}", folder.display(), machine.file_system));
    let mut run = Run {
        setup: Setup { program, folder },
        rounds: bench.rounds as usize,
        quick: bench.quick,
        disk: disk::Disk::default(),
        samples: Vec::new(),
        remark: |text| eprintln!("{text}"),
    };
    let everything: Vec<Workload> = Workload::value_variants()
        .iter()
        .copied()
        .filter(|workload| !matches!(workload, Workload::Stalls | Workload::Scaling))
        .collect();
    let wanted = if bench.workloads.is_empty() { &everything } else { &bench.workloads };
    let mut report = Report {
        machine,
        rounds: bench.rounds,
        quick: bench.quick,
        ratios: vec![],
        samples: vec![],
    };
    for workload in wanted {
        output.remark(&format!("measuring {} …", name(*workload)));
        take(*workload, &mut run, &peers(*workload), bench.largest)
            .with_context(|| format!("measuring {}", name(*workload)))?;
        let samples = std::mem::take(&mut run.samples);
        let rows = ratios(*workload, &samples);
        if !output.json {
            print(output, *workload, &samples, &rows)?;
        }
        report.ratios.extend(rows);
        report.samples.extend(samples);
    }
    if output.json {
        output.object(&report)?;
    }
    Ok(())
}

fn take(workload: Workload, run: &mut Run, peers: &[Subject], largest: u32) -> anyhow::Result<()> {
    match workload {
        Workload::Append => append::measure(run),
        Workload::Post => streams::post(run, peers),
        Workload::Fanout => streams::fanout(run, peers),
        Workload::Sessions => streams::sessions(run, peers),
        Workload::Line => streams::line(run, peers),
        Workload::Idle => idle::measure(run),
        Workload::Join => join::joins(run, peers),
        Workload::Reconnect => join::reconnects(run),
        Workload::Stalled => streams::stalled(run, peers),
        Workload::History => history::measure(run),
        Workload::Spawn => spawn::measure(run),
        Workload::Start => start::measure(run),
        Workload::Everyday => streams::everyday(run),
        Workload::Stalls => append::stalls(run),
        Workload::Scaling => scaling::measure(run, largest),
    }
}

fn name(workload: Workload) -> String {
    workload.to_possible_value().expect("none is hidden").get_name().to_owned()
}

fn ratios(workload: Workload, samples: &[Sample]) -> Vec<Row> {
    let judged = RATIOS.iter().filter(|(judged, _)| *judged == workload);
    judged
        .filter_map(|(_, ratio)| {
            let &Ratio { case, figure, subject: of, to } = ratio;
            let workload = name(workload);
            Some(Row { workload, case, figure, of, to, ratio: ratio.of(samples)? })
        })
        .collect()
}

fn print(
    output: &Output,
    workload: Workload,
    samples: &[Sample],
    rows: &[Row],
) -> anyhow::Result<()> {
    output.line(&format!("\n{}", name(workload)))?;
    for line in figures::table(samples) {
        output.line(&line)?;
    }
    for row in rows {
        let figure = row.figure.replace('_', " ");
        output.line(&format!(
            "  {}: {figure} of {} are {} x those of {}",
            row.case, row.of, row.ratio, row.to
        ))?;
    }
    let others = samples.iter().filter_map(|sample| sample.figures.get(OTHERS_FIGURE));
    let most = others.copied().fold(0.0, f64::max);
    if most > OTHERS {
        output.line(&format!("  others used up to {most:.1} cores meanwhile: measure again"))?;
    }
    Ok(())
}

/// Our ends of the streams take a descriptor each, and a server's as many.
fn raise_descriptor_limit() -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("the limit of open files cannot be raised")
}
