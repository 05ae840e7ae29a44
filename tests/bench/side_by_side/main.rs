//! Measures Seawall beside other servers, by the same load, in turn within each round; `scripts/bench` builds and runs it.
//! What the workloads are is `seawall bench`'s matter; here stands how each of the others is started and spoken to.

mod durable_streams;
mod lab;
mod nats;
mod nchan;
mod process;
mod redis;

use clap::Parser;
use seawall::cli::bench::{Bench, Workload, side_by_side, target::Subject};
use std::{path::PathBuf, process::ExitCode};

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    bench: Bench,
    /// The `seawall` to be measured.
    #[arg(long)]
    seawall: PathBuf,
    /// Where `durable-streams-server` is.
    #[arg(long)]
    durable_streams: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let peers = |workload| peers(workload, &args.durable_streams);
    match side_by_side(&args.bench, args.seawall.clone(), &peers) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("side_by_side: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Who takes part in what: a workload is for those that have what it asks for.
fn peers(workload: Workload, durable_streams: &std::path::Path) -> Vec<Subject> {
    let durable = || durable_streams::subject(durable_streams, true);
    let memory = || durable_streams::subject(durable_streams, false);
    match workload {
        Workload::Fanout | Workload::Line | Workload::Sessions => {
            let brokers = [nchan::subject(), redis::subject(), nats::subject(), lab::subject()];
            [durable(), memory()].into_iter().chain(brokers).collect()
        }
        Workload::Post => vec![durable(), memory(), redis::durable(), lab::bare()],
        Workload::Join => vec![durable(), memory(), nchan::subject()],
        Workload::Stalled => {
            vec![durable(), nchan::subject(), redis::subject(), nats::subject(), lab::subject()]
        }
        _ => Vec::new(),
    }
}
