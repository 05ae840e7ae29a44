//! `seawall admin`: what an administrator sees and does, each word one call of the admin listener. What is shown of
//! several things is in files of their own.

mod sessions;
mod show;
mod streams;
mod tree;

use super::{
    args::SessionArg,
    failure::Usage,
    ls::parse_state,
    output::Output,
    session_id::find_in,
    words::{count, size},
};
use crate::{
    client,
    domain::{SessionId, State},
};

/// See and do what an administrator may. Needs a token of role admin.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub(super) struct Admin {
    /// The server's admin listener: a URL, or unix:PATH.
    #[arg(
        id = "admin-url",
        long = "admin-url",
        value_name = "URL",
        global = true,
        env = "SEAWALL_ADMIN_URL",
        default_value = "http://127.0.0.1:7879",
        help_heading = "Server"
    )]
    pub(super) url: String,

    #[command(subcommand)]
    pub(super) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  seawall admin status
  seawall admin sessions --state active
  seawall admin --admin-url unix:/run/seawall/admin.sock tree
  seawall admin drain                     # before an update; --undo takes it back
  seawall admin backup before-update.db
  seawall admin log 'info,seawall::registry=debug'
  seawall admin status --json | jq .streams.max_lag";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show the server in numbers.
    Status,
    /// List sessions with their processes, memory, streams and failures.
    Sessions(Filter),
    /// Show one session: who follows it and how far, what waits, what failed.
    Session {
        #[command(flatten)]
        session: SessionArg,
    },
    /// Kill a session's agent with its whole tree; it is then restarted as its profile says.
    Kill {
        #[command(flatten)]
        session: SessionArg,
    },
    /// List the open streams: who, from where, how far.
    Connections,
    /// Close a stream; its client does not come back by itself.
    Disconnect {
        /// The stream's id, or the first characters of it.
        #[arg(value_name = "ID")]
        connection: String,
    },
    /// Draw the supervision tree: every actor, its state, what failed.
    Tree,
    /// Take no new work; what runs goes on.
    Drain {
        /// Take new work again.
        #[arg(long)]
        undo: bool,
    },
    /// Copy the store while it is in use, to a file of this name in store.backup_dir.
    Backup { name: String },
    /// Compare all streams with their sessions now.
    Sync,
    /// Change what is logged, until the next start.
    Log {
        /// Such as info or info,seawall::registry=debug.
        filter: String,
    },
    /// Read the configuration file again; say what changed and what needs a restart.
    Reload,
    /// Show the configuration in effect and where each value came from.
    Config,
    /// Print the metrics as Prometheus reads them.
    Metrics,
}

#[derive(Debug, clap::Args)]
pub(super) struct Filter {
    /// Only sessions in this state, such as active or ended.
    #[arg(long, value_parser = parse_state)]
    state: Option<State>,
    /// Only sessions of this agent profile.
    #[arg(long)]
    agent: Option<String>,
    /// Only sessions with this text in title, folder, agent or id.
    #[arg(short, long = "query", value_name = "TEXT")]
    query: Option<String>,
}

pub(super) async fn run(
    server: &client::Admin,
    output: &Output,
    command: Command,
) -> anyhow::Result<()> {
    match command {
        Command::Status => show::status(server, output).await,
        Command::Sessions(filter) => sessions::list(server, output, filter).await,
        Command::Session { session } => {
            sessions::show(server, output, find(server, &session).await?).await
        }
        Command::Kill { session } => kill(server, output, find(server, &session).await?).await,
        Command::Connections => streams::list(server, output).await,
        Command::Disconnect { connection } => {
            streams::disconnect(server, output, &connection).await
        }
        Command::Tree => tree::draw(server, output).await,
        Command::Drain { undo } => drain(server, output, !undo).await,
        Command::Backup { name } => backup(server, output, &name).await,
        Command::Sync => sync(server, output).await,
        Command::Log { filter } => log(server, output, &filter).await,
        Command::Reload => show::reload(server, output).await,
        Command::Config => show::config(server, output).await,
        Command::Metrics => metrics(server, output).await,
    }
}

/// The admin listener alone is asked: the public one may be out of reach.
async fn find(server: &client::Admin, text: &str) -> anyhow::Result<SessionId> {
    let list = async |filter: &client::SessionFilter| {
        let page = server.sessions(filter).await?;
        let ids = page.sessions.iter().map(|entry| entry.session.id).collect();
        Ok((ids, page.next_cursor))
    };
    find_in(list, text).await
}

async fn kill(server: &client::Admin, output: &Output, id: SessionId) -> anyhow::Result<()> {
    let answer = server.kill(id).await?;
    if output.json {
        return Ok(output.object(&answer)?);
    }
    Ok(output.line(match answer.requested {
        true => "kill requested; `seawall events` tells what came of it",
        false => "there was no process to kill",
    })?)
}

async fn drain(server: &client::Admin, output: &Output, draining: bool) -> anyhow::Result<()> {
    let answer = server.set_draining(draining).await?;
    if output.json {
        return Ok(output.object(&answer)?);
    }
    Ok(output.line(match answer.draining {
        true => "draining: no new work is taken; `seawall admin drain --undo` takes that back",
        false => "new work is taken",
    })?)
}

async fn backup(server: &client::Admin, output: &Output, name: &str) -> anyhow::Result<()> {
    let made = server.backup(name).await?;
    if output.json {
        return Ok(output.object(&made)?);
    }
    Ok(output.line(&format!("{}: {}", made.name, size(made.bytes)))?)
}

async fn sync(server: &client::Admin, output: &Output) -> anyhow::Result<()> {
    let report = server.sync().await?;
    if output.json {
        return Ok(output.object(&report)?);
    }
    let streams = count(report.streams as u64, "stream");
    Ok(output.line(&format!(
        "{streams}: {} behind and woken, {} moved to the head, {} stalled and closed",
        report.nudged, report.moved, report.stalled
    ))?)
}

async fn log(server: &client::Admin, output: &Output, filter: &str) -> anyhow::Result<()> {
    if filter.trim().is_empty() {
        return Err(Usage("an empty filter would log nothing; `off` says so".into()).into());
    }
    let answer = server.log(filter).await?;
    if output.json {
        return Ok(output.object(&answer)?);
    }
    Ok(output.line(&format!("logging {}", answer.filter))?)
}

/// With `--json` too: this is the API's own form of them.
async fn metrics(server: &client::Admin, output: &Output) -> anyhow::Result<()> {
    Ok(output.write(&server.metrics().await?)?)
}
