//! What systemd is told, where it started us: ready, reloading, stopping, alive, and in words what the server is about.
//! Where it did not, nothing happens.

use crate::registry::{Overview, Registry};
use sd_notify::NotifyState;
use std::time::Duration;
use tokio::sync::watch;

/// What `systemctl status` shows; told only when it changes.
pub(super) struct Status {
    told: watch::Sender<Told>,
}

struct Told {
    stage: Stage,
    text: String,
}

enum Stage {
    Starting,
    /// Where clients connect.
    Serving(String),
    Stopping,
}

impl Status {
    pub(super) fn new() -> Self {
        Self { told: watch::Sender::new(Told { stage: Stage::Starting, text: String::new() }) }
    }

    /// A step of the start.
    pub(super) fn starting(&self, what: &str) {
        self.show(format!("starting: {what}"));
    }

    /// The server accepts requests at this address.
    pub(super) fn serving(&self, address: String) {
        let text = format!("serving on {address}");
        tell(&[NotifyState::Ready, NotifyState::Status(&text)]);
        self.told.send_replace(Told { stage: Stage::Serving(address), text });
    }

    /// The configuration is being read again.
    pub(super) fn reloading(&self) {
        if matches!(self.told.borrow().stage, Stage::Serving(_)) {
            let words = NotifyState::Status("reloading");
            match NotifyState::monotonic_usec_now() {
                Ok(now) => tell(&[NotifyState::Reloading, now, words]),
                Err(_) => tell(&[words]),
            }
        }
    }

    /// And it has been, whatever came of it.
    pub(super) fn reloaded(&self) {
        let told = self.told.borrow();
        if matches!(told.stage, Stage::Serving(_)) {
            tell(&[NotifyState::Ready, NotifyState::Status(&told.text)]);
        }
    }

    pub(super) fn stopping(&self) {
        let text = "stopping".to_owned();
        tell(&[NotifyState::Stopping, NotifyState::Status(&text)]);
        self.told.send_replace(Told { stage: Stage::Stopping, text });
    }

    /// Tells what the registry's book says by now.
    pub(super) async fn refresh(&self, registry: &Registry) {
        let Some(overview) = registry.overview().await else { return };
        let draining = *registry.draining().borrow();
        let text = match &self.told.borrow().stage {
            Stage::Starting => return,
            Stage::Serving(address) => serving(address, overview.live, draining),
            Stage::Stopping => stopping(turns(&overview)),
        };
        self.show(text);
    }

    fn show(&self, text: String) {
        let is_new = self.told.send_if_modified(|told| {
            let is_new = told.text != text;
            told.text.clone_from(&text);
            is_new
        });
        if is_new {
            tell(&[NotifyState::Status(&text)]);
        }
    }
}

fn serving(address: &str, live: usize, draining: bool) -> String {
    let sessions = if live == 1 { "session" } else { "sessions" };
    let draining = if draining { ", draining" } else { "" };
    format!("serving on {address}, {live} {sessions} live{draining}")
}

fn stopping(turns: usize) -> String {
    match turns {
        0 => "stopping".into(),
        1 => "stopping: waiting for 1 turn".into(),
        turns => format!("stopping: waiting for {turns} turns"),
    }
}

fn turns(overview: &Overview) -> usize {
    let rows = overview.sessions.iter().filter_map(|session| session.row.as_ref());
    rows.filter(|row| row.turn.is_some()).count()
}

/// Within which time the watchdog wants to be fed; None where there is none.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

pub(super) fn feed() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!(error:%; "systemd cannot be told");
    }
}
