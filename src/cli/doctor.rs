//! `seawall doctor`: starts agents as the server would, through their handshake, and says what is missing. It asks no
//! server and changes nothing.

mod finding;

use super::{
    args::ConfigArg,
    check_config,
    failure::{Unsuccessful, Usage},
    output::Output,
};
use crate::{
    clock::Clock,
    config::{Agent, Config},
    process::child::Launcher,
    session::trial,
};
use finding::Finding;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use std::collections::BTreeMap;

/// Agents that are started side by side.
const AT_A_TIME: usize = 4;

/// Start an agent as the server would, and say what is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Doctor {
    /// The agent profile [else all of the configuration].
    #[arg(value_name = "AGENT")]
    agent: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
}

const EXAMPLES: &str = "\
The agent gets the environment, the folder and the account that the profile gives it, has
sessions.start_timeout for its handshake, and is ended again; it is given no message.
What can be missing: it is not installed, nobody is logged in, it is too old, its folder is not
there, it says nothing, it ends.

Run it as the account that the server runs as: who is logged in, and what is on PATH, depends on
that. Some agents find out only in their first turn that nobody is logged in.
The exit code is 0 where every agent is ready, else 1.

Examples:
  seawall doctor                                   # all agents
  sudo -u seawall seawall doctor codex             # one, as the service has it
  seawall doctor --json | jq 'select(.ok | not)'";

/// One agent's line.
#[derive(Serialize)]
struct Line<'a> {
    agent: &'a str,
    ok: bool,
    #[serde(flatten)]
    finding: &'a Finding,
}

pub(super) fn run(output: &Output, doctor: &Doctor) -> anyhow::Result<()> {
    let config = check_config::load(doctor.config.as_deref())?;
    let agents = chosen(&config, doctor.agent.as_deref())?;
    actix::System::new().block_on(examine(output, &config, &agents))
}

fn chosen<'a>(
    config: &'a Config,
    name: Option<&str>,
) -> anyhow::Result<BTreeMap<&'a str, &'a Agent>> {
    let all = || config.agents.iter().map(|(name, agent)| (name.as_str(), agent));
    let Some(name) = name else {
        return Ok(all().collect());
    };
    match config.agents.get_key_value(name) {
        Some((name, agent)) => Ok([(name.as_str(), agent)].into()),
        None => {
            let names: Vec<_> = all().map(|(name, _)| name).collect();
            let detail = format!("no agent profile `{name}`; there are: {}", names.join(", "));
            Err(Usage(detail).into())
        }
    }
}

async fn examine(
    output: &Output,
    config: &Config,
    agents: &BTreeMap<&str, &Agent>,
) -> anyhow::Result<()> {
    let patience = config.sessions.start_timeout;
    let mut findings = stream::iter(agents)
        .map(async |(name, agent)| {
            let clock = Clock::system();
            let trial = trial::run(name, agent, Launcher::default(), &clock, patience).await;
            (*name, finding::of(agent, &trial, patience))
        })
        .buffered(AT_A_TIME);
    let mut failed = 0;
    while let Some((agent, finding)) = findings.next().await {
        let ok = finding.is_ready();
        failed += usize::from(!ok);
        match output.json {
            true => output.object(&Line { agent, ok, finding: &finding })?,
            // What an agent says of itself may be several lines.
            false => {
                let sentence = finding.detail().split_whitespace().collect::<Vec<_>>().join(" ");
                output.line(&format!("{agent}: {sentence}"))?;
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => {
            let all = agents.len();
            Err(Unsuccessful(format!("{failed} of {all} agents cannot be used as they are")).into())
        }
    }
}
