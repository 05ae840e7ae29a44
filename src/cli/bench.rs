//! `seawall bench`: what this machine can do, measured on a server of its own in a throw-away folder. Figures that are
//! to be compared are taken in turn within one run; nothing here touches a server that is in use.

mod busy;
mod idle;
mod probe;
mod reader;
mod server;
mod slow;
mod spawn;
mod start;
mod storm;

use super::output::Output;
use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Map, Value};
use std::time::Duration;

/// Measure this machine: streams, reconnect storms, slow readers, memory at rest, the start after a crash.
///
/// Starts a server of its own on loopback with a database in a temporary folder, and ends it again. It takes some
/// minutes, two cores, and descriptors for some thousand connections.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Bench {
    /// What to measure [else everything].
    #[arg(value_enum)]
    workloads: Vec<Workload>,
    /// How often what is compared is measured in turn; the medians count.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Workload {
    /// One session with ten watchers, as fast as its agent writes.
    Busy,
    /// 2,000 streams come back at once, far behind, while another session is in use.
    Storm,
    /// A reader of 1 kB/s beside 500 that keep up.
    Slow,
    /// Starting children, also with 4 GiB of memory in use.
    Spawn,
    /// 1,000 sessions and 2,000 streams in which nothing happens.
    Idle,
    /// 10,000 sessions in the log, of which 200 were live: the server is killed and starts again.
    Start,
}

const EXAMPLES: &str = "\
Examples:
  seawall bench
  seawall bench storm --rounds 5
  seawall --json bench idle | jq .idle.bytes_per_stream

Absolute figures belong to the machine and its load; the ratios are what can be compared.";

pub(super) fn run(output: &Output, bench: &Bench) -> anyhow::Result<()> {
    raise_descriptor_limit()?;
    let all = Workload::value_variants();
    let wanted = if bench.workloads.is_empty() { all } else { &bench.workloads };
    let mut results = Map::new();
    for workload in wanted {
        let name = workload.to_possible_value().expect("none is hidden").get_name().to_owned();
        output.remark(&format!("measuring {name} …"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let rounds = bench.rounds as usize;
        let result = match workload {
            Workload::Busy => value(runtime.block_on(busy::measure(rounds))?)?,
            Workload::Storm => value(runtime.block_on(storm::measure(rounds))?)?,
            Workload::Slow => value(runtime.block_on(slow::measure(rounds))?)?,
            Workload::Spawn => value(runtime.block_on(spawn::measure(rounds))?)?,
            Workload::Idle => value(runtime.block_on(idle::measure())?)?,
            Workload::Start => value(runtime.block_on(start::measure(rounds))?)?,
        };
        if !output.json {
            print(output, &name, &result)?;
        }
        results.insert(name, result);
    }
    if output.json {
        output.object(&results)?;
    }
    Ok(())
}

fn value(result: impl Serialize) -> anyhow::Result<Value> {
    serde_json::to_value(result).context("a result cannot be written down")
}

fn print(output: &Output, name: &str, result: &Value) -> anyhow::Result<()> {
    output.line(&format!("\n{name}"))?;
    for (figure, value) in result.as_object().into_iter().flatten() {
        output.line(&format!("  {:<38} {value}", figure.replace('_', " ")))?;
    }
    Ok(())
}

/// Our ends of the streams take a descriptor each.
fn raise_descriptor_limit() -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("the limit of open files cannot be raised")
}

/// The one in the middle; of an even number the lower of the two. 0 where there is none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or_default()
}

/// Three decimals say more than these machines hold still for.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn millis(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_value_that_was_measured() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.0);
        assert_eq!(median(vec![]), 0.0);
    }
}
