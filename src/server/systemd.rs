//! What systemd is told, where it started us: ready, stopping, alive. Where it did not, nothing happens.

use sd_notify::NotifyState;
use std::time::Duration;

/// The server accepts requests; `status` is what `systemctl status` shows.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
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
