//! `seawall restore`: a backup becomes the database again. The one command that changes the data folder without a server.

use super::{args::ConfigArg, check_config, failure::Usage, output::Output};
use crate::{config::environment, server};
use serde::Serialize;
use std::path::PathBuf;

/// Put a backup into the place of the database. The server must be stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Restore {
    /// A copy made by the admin call `backup`.
    #[arg(value_name = "FILE")]
    backup: PathBuf,
    #[command(flatten)]
    config: ConfigArg,
}

const EXAMPLES: &str = "\
The backup is checked from end to end first, and stays as it is. The database that was there is set aside, beside the
new one. Events since the backup are not in it: clients that come back are told so and begin anew.

Examples:
  systemctl stop seawall
  sudo -u seawall seawall restore /var/backups/seawall/monday.db
  systemctl start seawall";

#[derive(Serialize)]
struct Report {
    database: PathBuf,
    sessions: u64,
    events: u64,
    bytes: u64,
    replaced: Option<PathBuf>,
}

pub(super) fn run(output: &Output, restore: &Restore) -> anyhow::Result<()> {
    let config = check_config::load(restore.config.as_deref())?;
    let data = config.data_folder(environment()).map_err(|error| Usage(error.to_string()))?;
    let from = restore.backup.display();
    output.remark(&format!("checking and copying {from}; a large one takes minutes"));
    let (database, restored) = server::restore(&config, &data, &restore.backup)?;
    let server::Restored { sessions, events, bytes, replaced } = restored;
    if output.json {
        return Ok(output.object(&Report { database, sessions, events, bytes, replaced })?);
    }
    output.line(&format!(
        "restored {sessions} sessions with {events} events ({} MiB) into {}",
        bytes.div_ceil(1 << 20),
        database.display()
    ))?;
    if let Some(replaced) = replaced {
        output.line(&format!("what was there is now {}", replaced.display()))?;
    }
    Ok(())
}
