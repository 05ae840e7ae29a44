//! Asks the core parts, again and again, whether they still answer, from a thread that none of them can hold up. While
//! all do, systemd's watchdog is fed. What hangs is told and not killed: a handler that runs cannot be.

use super::systemd::{self, Status};
use crate::{
    clock::Clock,
    registry::Registry,
    store::EventLog,
    supervise::pulse::{Part, Pulse},
    supervisor::{self, Supervisor},
};
use actix::Addr;
use std::{io, sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// From one round of questions to the next, where no watchdog asks for less.
const INTERVAL: Duration = Duration::from_secs(5);
/// A part that has not answered for so long hangs: far longer than any of them works on one thing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Beats until it is dropped.
pub(super) struct Heart {
    _stop: oneshot::Sender<()>,
}

pub(super) struct Asked {
    pub(super) supervisor: Addr<Supervisor>,
    pub(super) registry: Registry,
    pub(super) log: Arc<dyn EventLog>,
    pub(super) clock: Clock,
    pub(super) pulse: Arc<Pulse>,
    pub(super) status: Arc<Status>,
}

impl Heart {
    pub(super) fn start(asked: Asked) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let beat = async move {
            tokio::select! {
                // It is never sent: dropping it is the word.
                _ = stopped => {}
                () = asked.beat() => {}
            }
        };
        std::thread::Builder::new().name("heart".into()).spawn(move || runtime.block_on(beat))?;
        Ok(Self { _stop: stop })
    }
}

impl Asked {
    async fn beat(&self) {
        // Twice in the watchdog's time is what systemd recommends; thrice leaves room for a slow round.
        let watchdog = systemd::watchdog().map(|time| time / 3);
        let interval = watchdog.map_or(INTERVAL, |time| time.min(INTERVAL));
        loop {
            let answers = tokio::join!(
                self.within(async { self.supervisor.send(supervisor::Ping).await.is_ok() }),
                self.within(self.registry.probe()),
                self.within(async { self.log.settled().await.is_ok() }),
            );
            let answers = [answers.0, answers.1, answers.2];
            for (part, answered) in Part::ALL.into_iter().zip(answers) {
                self.note(part, answered);
            }
            if watchdog.is_some() && answers.iter().all(|answered| *answered) {
                systemd::feed();
            }
            // The second answer is the registry's.
            if answers[1] {
                let refreshed = async {
                    self.status.refresh(&self.registry).await;
                    true
                };
                self.within(refreshed).await;
            }
            self.clock.sleep(interval).await;
        }
    }

    async fn within(&self, answer: impl Future<Output = bool>) -> bool {
        tokio::select! {
            answer = answer => answer,
            () = self.clock.sleep(PATIENCE) => false,
        }
    }

    fn note(&self, part: Part, answered: bool) {
        if !self.pulse.note(part, answered, self.clock.now()) {
            return;
        }
        let part = part.name();
        if answered {
            log::info!(part; "answers again");
        } else {
            log::error!(part; "does not answer; systemd's watchdog is not fed until it does");
        }
    }
}
