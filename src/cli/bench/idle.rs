//! Sessions and streams in which nothing happens: what each keeps in memory, and what the server does all the same.

use super::{
    figures::{Figures, rounded},
    load,
    run::Run,
    seawall::{SEAWALL, Seawall},
    server::Place,
    target::Target,
};
use std::time::{Duration, Instant};

/// Live, each with an idle child: more children than this say more of the machine's memory than of the server's.
const SESSIONS: usize = 1_000;
const STREAMS: usize = 8_000;
/// What comes first finds caches and tables empty, and is not counted.
const WARM_UP: usize = 200;
/// Several sync ticks, and a heartbeat.
const WATCHED: f64 = 30.0;
const KIB: f64 = 1024.0;

pub(super) fn measure(run: &mut Run) -> anyhow::Result<()> {
    let (sessions, streams) = (run.count(SESSIONS), run.count(STREAMS));
    let watched = run.seconds(WATCHED);
    let case = format!("{sessions} sessions, {streams} streams");
    // Memory hardly moves from round to round, and rest takes its time.
    run.sample(("idle", &case), SEAWALL, 0, |setup| {
        let mut server = Seawall::start(setup, Place::Disk)?;
        let at_start = server.server.memory()?;
        server.prepare(WARM_UP)?;
        let before = server.server.memory()?;
        server.block_on(server.server.create_many("cat", sessions))?;
        let with_sessions = server.server.memory()?;
        let mut warm = load::hold(requests(&server, WARM_UP))?;
        let before_streams = server.server.memory()?;
        let mut held = load::hold(requests(&server, streams))?;
        let with_streams = server.server.memory()?;
        let pages = server.pages_read()?;
        let (cpu, start) = (server.server.cpu()?, Instant::now());
        held.keep(watched)?;
        let used = (server.server.cpu()? - cpu) / start.elapsed().as_secs_f64();
        warm.keep(Duration::ZERO)?;
        let mut figures = Figures::new();
        let mut note = |name: &str, value: f64| figures.insert(name.into(), rounded(value));
        note("memory_at_start_mib", at_start);
        note("session_kib", (with_sessions - before) * KIB / sessions as f64);
        note("stream_kib", (with_streams - before_streams) * KIB / streams as f64);
        note("cores_at_rest", used);
        note("pages_read_at_rest", (server.pages_read()? - pages) as f64);
        Ok(figures)
    })
}

fn requests(server: &Seawall, count: usize) -> Vec<super::target::Subscription> {
    (0..count).map(|number| server.subscription(number % server.sessions.len())).collect()
}
