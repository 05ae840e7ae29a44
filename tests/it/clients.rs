//! Clients that are not ours, over connections that break: each follows sessions whose agents talk all the time, by what
//! it has built in, and must have every event once and in order. Our own client is not here.

mod browser;
mod programs;

use crate::support::{End, Flow, Process, Proxy, Rules, is};
use serde_json::Value;
use std::path::PathBuf;

/// Sessions that talk, behind a network that cuts each connection.
struct Talk {
    server: Process,
    ids: Vec<String>,
    proxy: Proxy,
}

impl Talk {
    async fn begin(sessions: usize) -> Self {
        // How long a client is away is its own matter; how much is replayed at most is another test's.
        let server = Process::start("[streams]\nmax_replay_gap = 100000").await;
        let mut ids = Vec::new();
        for _ in 0..sessions {
            let id = server.create("demo").await;
            server.send(&id, "m1", "slow 100000 20").await;
            server.look_until(&id, is("agent.message")).await;
            ids.push(id);
        }
        let proxy = Proxy::to(&server);
        Self { server, ids, proxy }
    }

    /// The path of a stream of all of them from their first events.
    fn path(&self) -> String {
        let after: Vec<_> = self.ids.iter().map(|id| format!("{id}:0")).collect();
        format!("/v1/stream?sessions={}&after={}", self.ids.join(","), after.join(","))
    }

    fn token(&self) -> &str {
        self.server.token.as_deref().expect("a token")
    }

    /// Waits for so many cuts; then the network is whole, and the agents are told to stop.
    async fn end_after(&self, cuts: usize, unbroken: Rules) {
        self.proxy.cuts_reach(cuts).await;
        let rules = unbroken.clone();
        self.proxy.each(move |_| rules.clone());
        for link in self.proxy.links() {
            link.change(|rules| *rules = unbroken.clone());
        }
        for id in &self.ids {
            assert!(self.server.interrupt(id).await);
        }
    }

    /// Whether a client has seen what the log holds: the same bytes, up to the end of each turn.
    async fn check(&self, seen: &[String]) {
        assert!(seen.len() > 50 * self.ids.len(), "{seen:#?}");
        let session_of = |line: &String| -> String {
            let event: Value = serde_json::from_str(line).expect("JSON");
            event["session_id"].as_str().expect("an id").into()
        };
        let mut count = 0;
        for id in &self.ids {
            let of_session: Vec<_> = seen.iter().filter(|line| session_of(line) == *id).collect();
            let stored = self.server.lines(id).await;
            let is_last = |line: &&String| line.contains("\"type\":\"turn.ended\"");
            let end = stored.iter().position(|line| is_last(&line)).expect("a turn that ended") + 1;
            // A client of several sessions goes on with the others, and may see what comes behind the turn.
            assert!(of_session.len() >= end, "{} events of {end}", of_session.len());
            for (number, (seen, stored)) in of_session.iter().zip(&stored).enumerate() {
                assert_eq!(*seen, stored, "event {} of {id}", number + 1);
            }
            count += of_session.len();
        }
        assert_eq!(count, seen.len(), "events of no session");
    }
}

/// Cuts each connection somewhere, in the middle of whatever is on the wire.
fn cut_anywhere(number: usize, header: Option<String>) -> Rules {
    // Multiples of a prime step through all places of a frame.
    let cut_after = Some(1_500 + number * 7_919 % 12_000);
    let how = if number.is_multiple_of(3) { End::Reset } else { End::Close };
    Rules { down: Flow { cut_after, how, ..Flow::default() }, header, ..Rules::default() }
}

/// A file that `scripts/setup` has installed.
fn installed(path: &str) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/clients").join(path);
    assert!(file.exists(), "{} is not there; run scripts/setup, which installs it", file.display());
    file
}

/// One of our own files that use a client.
fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}
