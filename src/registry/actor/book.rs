//! The book of streams and the sync tick: compares heads in memory, wakes who is behind, reads nothing.

use super::{Booked, Closed, Open, RegistryActor, Stage, Suspend, Sync, followed_sessions};
use crate::{
    domain::{SessionId, State},
    registry::{StreamRefusal, connections::Followed, replay::has_fallen_behind},
    wire::{admin::TickReport, api::ByeReason},
};
use actix::prelude::*;

impl RegistryActor {
    /// Counts a connection in (`+1`) or out (`-1`) as a watcher of its sessions.
    fn count(&mut self, sessions: impl IntoIterator<Item = SessionId>, change: Change) {
        for session in sessions {
            let watchers = self.watching.entry(session).or_default();
            let add = |count: &mut u32, by: i32| *count = count.saturating_add_signed(by);
            add(&mut watchers.active, change.active);
            add(&mut watchers.suspended, change.suspended);
            if *watchers == Default::default() {
                self.watching.remove(&session);
            }
            self.tell_watchers(session);
        }
    }

    pub(super) fn tell_watchers(&self, session: SessionId) {
        let watchers = self.watching.get(&session).copied().unwrap_or_default();
        if let Some(entry) = self.sessions.get(&session)
            && let Stage::Up { addr, .. } = &entry.actor
        {
            addr.do_send(watchers);
        }
    }

    /// Wakes who is behind. Only ticks that come by time tell how long a stream has been behind.
    fn tick(&mut self, cause: Cause) -> TickReport {
        let config = self.around.config.now();
        let streams = &config.streams;
        let now = self.around.clock.now();
        let mut report = TickReport { streams: self.connections.len(), ..TickReport::default() };
        for booked in self.connections.values_mut() {
            let connection = &booked.connection;
            if connection.is_suspended() {
                continue;
            }
            let mut is_behind = false;
            for (followed, last) in connection.followed.iter().zip(&mut booked.last) {
                let progress = followed.progress();
                if progress.cursor < progress.head && is_served(followed) {
                    is_behind = true;
                    if cause == Cause::Time
                        && has_fallen_behind(streams.max_replay_gap, *last, progress)
                    {
                        followed.order_jump();
                        report.moved += 1;
                    }
                }
                if cause == Cause::Time {
                    *last = progress;
                }
            }
            if is_behind {
                if now - connection.progressed_at() >= streams.stall_timeout {
                    report.stalled += 1;
                    // A peer that takes nothing at all is cut by the kernel (TCP_USER_TIMEOUT); this ends the others.
                    connection.close(ByeReason::Slow);
                } else {
                    report.nudged += 1;
                    connection.waker.wake_by_ref();
                }
            }
        }
        self.around.metrics.sync_ticks.add(1);
        self.around.metrics.sync_nudges.add(report.nudged as u64);
        report
    }

    /// Ticks while a stream is open, and only then.
    fn keep_ticking(&mut self, ctx: &mut Context<Self>) {
        if self.is_ticking || self.connections.is_empty() {
            return;
        }
        self.is_ticking = true;
        let clock = self.around.clock.clone();
        let interval = self.around.config.now().streams.sync_interval;
        let wait = async move { clock.sleep(interval).await };
        ctx.spawn(wait.into_actor(self).map(|(), registry, ctx| {
            crate::fault::point!("registry::tick");
            registry.is_ticking = false;
            registry.tick(Cause::Time);
            registry.keep_ticking(ctx);
        }));
    }
}

/// Why there is a tick.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Time,
    Demand,
}

/// How a connection counts among a session's watchers.
#[derive(Clone, Copy)]
struct Change {
    active: i32,
    suspended: i32,
}

/// Whether the tick works for a session in this state.
fn is_served(followed: &Followed) -> bool {
    if followed.is_gone() {
        return false;
    }
    match followed.watch.snapshot().session.state {
        State::Created | State::Starting | State::Active | State::Closing | State::Ended => true,
        State::Detached | State::Suspended => false,
    }
}

impl Handler<Open> for RegistryActor {
    type Result = ();

    fn handle(&mut self, open: Open, ctx: &mut Self::Context) {
        crate::fault::point!("registry::open");
        let Open { connection, answer } = open;
        let limit = self.around.config.now().streams.max_streams;
        if self.connections.len() >= limit {
            let _ = answer.send(Err(StreamRefusal::Full { limit }));
            return;
        }
        let is_suspended = connection.is_suspended();
        let change =
            Change { active: i32::from(!is_suspended), suspended: i32::from(is_suspended) };
        let sessions = followed_sessions(&connection);
        let last = connection.followed.iter().map(Followed::progress).collect();
        let id = connection.id;
        if answer.send(Ok(())).is_err() || connection.has_ended() {
            // The stream went away while it was being opened: it must not be counted.
            return;
        }
        self.connections.insert(id, Booked { connection, last });
        self.count(sessions, change);
        self.keep_ticking(ctx);
    }
}

impl Handler<Closed> for RegistryActor {
    type Result = ();

    fn handle(&mut self, closed: Closed, _: &mut Self::Context) {
        let Some(booked) = self.connections.remove(&closed.connection) else { return };
        let is_suspended = booked.connection.is_suspended();
        let change =
            Change { active: -i32::from(!is_suspended), suspended: -i32::from(is_suspended) };
        self.count(followed_sessions(&booked.connection), change);
    }
}

impl Handler<Suspend> for RegistryActor {
    type Result = ();

    fn handle(&mut self, suspend: Suspend, _: &mut Self::Context) {
        let booked = self
            .connections
            .get(&suspend.connection)
            .filter(|booked| *booked.connection.credential == *suspend.credential);
        let Some(booked) = booked else {
            let _ = suspend.answer.send(false);
            return;
        };
        if booked.connection.suspend() {
            let sessions = followed_sessions(&booked.connection);
            self.count(sessions, Change { active: -1, suspended: 1 });
        }
        let _ = suspend.answer.send(true);
    }
}

impl Handler<Sync> for RegistryActor {
    type Result = ();

    fn handle(&mut self, sync: Sync, _: &mut Self::Context) {
        let report = self.tick(Cause::Demand);
        if let Some(answer) = sync.answer {
            let _ = answer.send(report);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Seq, Session, Timestamp},
        store::{Create, EventLog, memory::MemoryLog},
    };
    use std::sync::Arc;

    fn followed(state: State) -> Followed {
        let log = MemoryLog::new();
        let id = SessionId::from_uuid(uuid::Uuid::from_u128(1));
        let now = Timestamp::from_millis(0);
        let session =
            Session { state, ..Session::new(id, "demo".into(), "/".into(), [0; 32], now) };
        log.create(Create { session, events: Vec::new(), accept: None }).wait().unwrap();
        Followed::new(log.watch(id, Arc::new(tokio::sync::Notify::new())).wait().unwrap(), Seq(0))
    }

    /// Scenario 24.
    #[test]
    fn a_tick_works_for_sessions_that_somebody_may_wait_for() {
        use State::{Active, Closing, Created, Detached, Ended, Starting, Suspended};
        for state in [Created, Starting, Active, Closing, Ended] {
            assert!(is_served(&followed(state)), "{state}");
        }
        for state in [Detached, Suspended] {
            assert!(!is_served(&followed(state)), "{state}");
        }
        let gone = followed(Active);
        gone.set_gone();
        assert!(!is_served(&gone));
    }
}
