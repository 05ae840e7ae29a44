//! Who watches: ACTIVE, DETACHED, SUSPENDED, and the detach timeout.

use super::{Ending, Machine, Stepping};
use crate::domain::{EndReason, State, Timestamp};

impl Machine {
    pub(super) fn watchers(&mut self, step: &mut Stepping, active: u32, suspended: u32) {
        let had = (self.watch.active, self.watch.suspended);
        (self.watch.active, self.watch.suspended) = (active, suspended);
        if active > 0 {
            self.watch.unwatched_since = None;
            self.watch.detach_at = None;
            self.watch.suspended_until = None;
            self.come_back(step);
            return;
        }
        if suspended == 0 && had != (0, 0) {
            self.watch.unwatched_since = Some(step.now);
        }
        self.settle_unwatched(step);
    }

    /// A watcher or a message is here: what only waits for somebody goes on.
    pub(super) fn come_back(&mut self, step: &mut Stepping) {
        match self.session.state {
            State::Detached | State::Suspended => {
                self.transit(step, State::Active, None);
            }
            State::Closing if matches!(self.ending, Some(Ending::Grace { .. })) => {
                self.ending = None;
                self.transit(step, State::Active, None);
                // A message does not watch: the timeout begins anew.
                self.watch.unwatched_since = None;
                self.settle_unwatched(step);
            }
            _ => {}
        }
    }

    /// Sets the timers of a session that runs and that nobody watches.
    pub(super) fn settle_unwatched(&mut self, step: &mut Stepping) {
        if self.watch.active > 0 {
            return;
        }
        if self.watch.suspended > 0 {
            if self.session.state == State::Active {
                self.watch.detach_at = None;
                self.watch.suspended_until = Some(step.now + self.policy.suspend_grace);
                self.transit(step, State::Suspended, None);
            }
            return;
        }
        if self.session.state.is_running() {
            self.watch.unwatched_since.get_or_insert(step.now);
        }
        if self.session.state == State::Active {
            self.watch.detach_at.get_or_insert(step.now + self.policy.detach_after);
        }
    }

    pub(super) fn watched_deadline(&self) -> Option<Timestamp> {
        let (detach, timeout) = match self.session.state {
            State::Active => (self.watch.detach_at, self.detach_timeout_at()),
            State::Suspended => (self.watch.suspended_until, self.detach_timeout_at()),
            State::Detached => (None, self.detach_timeout_at()),
            _ => (None, None),
        };
        [detach, timeout].into_iter().flatten().min()
    }

    fn detach_timeout_at(&self) -> Option<Timestamp> {
        // A child that is being parked is on its way out: the session is judged when that is done.
        let since = self.watch.unwatched_since.filter(|_| !self.is_parking());
        since.map(|since| since + self.policy.detach_timeout)
    }

    pub(super) fn tick_watched(&mut self, step: &mut Stepping) {
        let is_due = |deadline: Option<Timestamp>| deadline.is_some_and(|at| at <= step.now);
        if !self.session.state.is_running() {
            return;
        }
        if is_due(self.detach_timeout_at()) {
            let until = step.now + self.policy.close_grace;
            self.watch.detach_at = None;
            self.watch.suspended_until = None;
            self.ending = Some(Ending::Grace { until });
            self.transit(step, State::Closing, Some(EndReason::DetachTimeout));
            return;
        }
        let detaches = match self.session.state {
            State::Active => is_due(self.watch.detach_at),
            State::Suspended => is_due(self.watch.suspended_until),
            _ => false,
        };
        if detaches {
            self.watch.detach_at = None;
            self.watch.suspended_until = None;
            self.watch.unwatched_since.get_or_insert(step.now);
            self.transit(step, State::Detached, None);
        }
    }
}
