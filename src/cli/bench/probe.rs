//! How long a line takes from a client through an agent to a client's stream, sampled on a thread of its own, so that
//! what else this process does delays it as little as can be.

use super::{reader::Reader, server::BenchServer};
use crate::{cli::new::message, client::Client, domain::SessionId};
use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// A session that echoes, and where it is.
#[derive(Clone)]
pub(super) struct Echo {
    client: Client,
    address: String,
    token: String,
    session: SessionId,
}

/// Sampling that is under way.
pub(super) struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Vec<Duration>>>,
}

impl Echo {
    pub(super) async fn new(server: &BenchServer) -> anyhow::Result<Self> {
        let session = server.create("cat").await?;
        server.until(session, |head, _| head >= 3).await?;
        Ok(Self {
            client: server.client.clone(),
            address: server.address.clone(),
            token: server.token.clone(),
            session,
        })
    }

    /// Begins to sample, one line after the other, until it is told to stop; but at least `least` of them.
    pub(super) fn probe(&self, least: usize) -> Probe {
        let (echo, stop) = (self.clone(), Arc::new(AtomicBool::new(false)));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(echo.sample(least, &stopped))
        });
        Probe { stop, thread }
    }

    async fn sample(self, least: usize, stop: &AtomicBool) -> anyhow::Result<Vec<Duration>> {
        let scratch = RefCell::new(vec![0; 16 * 1024]);
        // A client of its own: connections belong to the runtime that made them.
        let client = Client::new(self.client.url(), Some(&self.token))?;
        let head = client.session(self.session).await?.head_seq.0;
        let access = (self.address.as_str(), self.token.as_str());
        let mut stream = Reader::follow(access, self.session, head, &scratch).await?;
        let mut samples = Vec::new();
        while samples.len() < least || !stop.load(Ordering::Relaxed) {
            let body = message("x".into(), None);
            // Three events: the message, its dispatch, and what came back.
            let awaited = stream.seen().events + 3;
            let start = Instant::now();
            let (sent, came) = tokio::join!(
                client.post_message(self.session, &body),
                stream.until(&scratch, |seen| seen.events >= awaited)
            );
            sent?;
            came?;
            samples.push(start.elapsed());
        }
        Ok(samples)
    }
}

impl Probe {
    pub(super) fn finish(self) -> anyhow::Result<Vec<Duration>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the probe panicked"))?
    }
}

/// The sample that so many of a hundred are not above.
pub(super) fn percentile(samples: &[Duration], percent: usize) -> Duration {
    let mut samples = samples.to_vec();
    samples.sort();
    let index = (samples.len() * percent).div_ceil(100).saturating_sub(1);
    samples.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_sample() {
        let samples: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&samples, 50).as_millis(), 100);
        assert_eq!(percentile(&samples, 99).as_millis(), 198);
        assert_eq!(percentile(&samples, 100).as_millis(), 200);
        assert_eq!(percentile(&samples[..1], 99).as_millis(), 200);
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
