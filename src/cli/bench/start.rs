//! The start after a crash: how long until the server listens, with a long list of sessions and a large log behind it, of
//! which some sessions were live. Only the time of the server is measured, and not that of the log's making.

use super::{
    figures::{Figures, rounded},
    run::Run,
    seawall::SEAWALL,
    server::BenchServer,
    stored::{self, Folder},
};
use crate::store::{EventLog, sqlite::Durability};
use anyhow::ensure;

const SESSIONS: usize = 10_000;
const EVENTS: usize = 10_000_000;
const LIVE: usize = 200;

pub(super) fn measure(run: &mut Run) -> anyhow::Result<()> {
    let (sessions, events) = (run.count(SESSIONS), run.count(EVENTS));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = Folder::new(&run.setup)?;
    runtime.block_on(async {
        let log = folder.open(Durability::Normal)?;
        stored::make(&log, 0, sessions as u64, 0).await?;
        stored::fill(&log, sessions as u64, events as u64).await?;
        anyhow::Ok(log.close().await?)
    })?;
    let mut server = runtime.block_on(BenchServer::start_in(&run.setup, folder.0.clone()))?;
    let case = format!("{sessions} sessions, {events} events");
    for round in 0..run.rounds {
        runtime.block_on(server.create_many("cat", LIVE))?;
        run.sample(("start", &case), SEAWALL, round, |_| {
            let took = server.crash_and_start()?;
            let mut figures = Figures::new();
            figures.insert("listening_ms".into(), rounded(took.as_secs_f64() * 1e3));
            figures.insert("memory_mib".into(), rounded(server.memory()?));
            Ok(figures)
        })?;
        let sessions = runtime
            .block_on(async {
                // What the last server had open is noticed first.
                tokio::task::yield_now().await;
                server.status().await
            })?
            .sessions;
        ensure!(sessions.live == 0 && sessions.by_state.len() == 1, "not all have ended");
    }
    Ok(())
}
