//! Readers that come all at once, with something behind them in the log: new ones, and those of a network that is back.

use super::{
    figures::{Figures, rounded},
    load::{self, Probe},
    run::Run,
    seawall::{self, SEAWALL, Seawall},
    server::Place,
    target::{Subject, Subscription, Target},
};

const READERS: usize = 500;
/// What each of them has behind it: all of it is within the replay cap.
const BEHIND: u64 = 200;
const STREAMS: usize = 2_000;
const SESSIONS: usize = 20;
/// Beyond the replay cap.
const FAR_BEHIND: u64 = 6_000;
/// Sessions of one stream that comes back.
const FOLLOWED: usize = 50;
const FOLLOWED_BEHIND: u64 = 20;

/// 500 readers of one session with 200 events each.
pub(super) fn joins(run: &mut Run, peers: &[Subject]) -> anyhow::Result<()> {
    let readers = run.count(READERS);
    let own = [seawall::subject()];
    for round in 0..run.rounds {
        for subject in own.iter().chain(peers) {
            run.sample(("join", "500 x 200 events"), subject.name, round, |setup| {
                let mut target = (subject.start)(setup)?;
                let _producers = load::fill(target.as_mut(), 1, BEHIND)?;
                let request = target.replay(0);
                let request = request.ok_or_else(|| anyhow::anyhow!("its topics have no past"))?;
                let request = Subscription { ready: (b"", 0), ..request };
                let mut outcome = load::join(target.as_ref(), vec![request; readers], BEHIND)?;
                let mut figures = outcome.figures();
                figures.insert("whole_ms".into(), rounded(outcome.seconds * 1e3));
                Ok(figures)
            })?;
        }
    }
    Ok(())
}

/// 2,000 streams come back at once, within the cap and beyond it, while a session is in use; then streams of 50 sessions.
pub(super) fn reconnects(run: &mut Run) -> anyhow::Result<()> {
    let streams = run.count(STREAMS);
    let behind = run.count(FAR_BEHIND as usize).max(300) as u64;
    for round in 0..run.rounds {
        let mut server = Seawall::start(&run.setup, Place::Disk)?;
        server.prepare(SESSIONS + 1)?;
        let mut children = server.publishers(SESSIONS + 1)?;
        let busy = children.pop().ok_or_else(|| anyhow::anyhow!("no session is left"))?;
        let _children = load::print(children, behind)?;
        server.until_heads(&server.sessions[..SESSIONS], behind)?;
        let probe = Probe::start(server.subscription(SESSIONS), busy);
        let quiet = run.seconds(2.0);
        let mut times = probe.look(quiet)?;
        let quiet_p99 = times.micros(990);
        for (case, missed) in [("within the cap", 150), ("beyond the cap", behind)] {
            let requests = (0..streams)
                .map(|number| server.after(&[number % SESSIONS], behind - missed))
                .collect();
            run.sample(("reconnect", case), SEAWALL, round, |_| {
                let figures = come_back(&server, requests)?;
                beside(figures, quiet_p99, &probe)
            })?;
        }
        probe.finish()?;
    }
    for round in 0..run.rounds {
        let mut server = Seawall::start(&run.setup, Place::Disk)?;
        let _children = load::fill(&mut server, FOLLOWED, FOLLOWED_BEHIND)?;
        let all: Vec<usize> = (0..FOLLOWED).collect();
        for (case, count) in [("50 sessions, one stream", 1), ("50 sessions, 100 streams", 100)] {
            run.sample(("reconnect", case), SEAWALL, round, |_| {
                come_back(&server, vec![server.after(&all, 0); count])
            })?;
        }
    }
    Ok(())
}

fn come_back(server: &Seawall, requests: Vec<Subscription>) -> anyhow::Result<Figures> {
    let before = server.pages_read()?;
    let mut outcome = load::join(server, requests, 0)?;
    let mut figures = outcome.figures();
    // A reader of several sessions sees the numbers of all of them mixed.
    for name in ["duplicates", "order_errors", "silent_gaps", "told_gaps"] {
        figures.remove(name);
    }
    figures.insert("whole_ms".into(), rounded(outcome.seconds * 1e3));
    figures.insert("pages_read".into(), (server.pages_read()? - before) as f64);
    Ok(figures)
}

/// What the session that was in use saw of it.
fn beside(mut figures: Figures, quiet_p99: f64, probe: &Probe) -> anyhow::Result<Figures> {
    let mut times = probe.taken()?;
    figures.insert("live_p99_quiet_us".into(), rounded(quiet_p99));
    figures.insert("live_p99_us".into(), rounded(times.micros(990)));
    figures.insert("live_p99_ratio".into(), rounded(times.micros(990) / quiet_p99.max(1.0)));
    Ok(figures)
}
