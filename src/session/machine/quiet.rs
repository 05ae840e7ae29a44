//! An agent that says nothing: too long for one that has a turn, or so long that one without work is not worth its
//! memory. A line costs no timer: the time of the last one is noted, and looked at when a timer comes up that was set
//! before it.

use super::{Child, Machine, Stepping};
use crate::domain::{Body, Timestamp};
use std::time::Duration;

/// Who interrupts a turn of which nothing is heard any more, as its events tell.
const INACTIVITY: &str = "inactivity";

/// Since when the agent is quiet.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    /// What its silence means; None: nothing.
    of: Option<Silence>,
    /// It was heard then, or its silence began to mean this.
    since: Timestamp,
    /// That was told, and is not told again before it speaks.
    was_told: bool,
    /// Looked at then.
    look_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// It has a turn, and waits for nobody.
    OfWork,
    /// It has nothing to do, and a later run can take up where it leaves off.
    OfLeisure,
}

impl Machine {
    fn silence(&self) -> Option<Silence> {
        let is_waiting = !self.session.permissions.is_empty() || !self.session.questions.is_empty();
        if self.child != Child::Up || is_waiting || self.is_doomed() {
            None
        } else if self.is_busy() {
            self.policy.has_turns.then_some(Silence::OfWork)
        } else {
            self.may_park().then_some(Silence::OfLeisure)
        }
    }

    /// The agent has written a line.
    pub(super) fn heard(&mut self, now: Timestamp) {
        self.quiet.since = now;
        if std::mem::take(&mut self.quiet.was_told) {
            self.look_again();
        }
    }

    /// What the agent says is not read now, which is not its silence.
    pub fn excuse_silence(&mut self, now: Timestamp) {
        if !self.quiet.was_told {
            self.quiet.since = now;
        }
    }

    /// What its silence means may be another thing after a step.
    pub(super) fn settle_quiet(&mut self, now: Timestamp) {
        let of = self.silence();
        if of != self.quiet.of {
            self.quiet = Quiet { of, since: now, ..Quiet::default() };
            self.look_again();
        }
    }

    /// How long it may be quiet; None: for ever.
    fn quiet_limit(&self) -> Option<Duration> {
        match self.quiet.of? {
            Silence::OfWork => self.policy.inactivity.filter(|_| !self.quiet.was_told),
            Silence::OfLeisure => self.policy.park_after,
        }
    }

    pub(super) fn look_again(&mut self) {
        self.quiet.look_at = self.quiet_limit().map(|limit| self.quiet.since + limit);
    }

    pub(super) fn quiet_deadline(&self) -> Option<Timestamp> {
        self.quiet.look_at
    }

    pub(super) fn tick_quiet(&mut self, step: &mut Stepping) {
        if self.quiet.look_at.is_none_or(|at| at > step.now) {
            return;
        }
        // It may have been heard since the timer was set, and the rest of this tick may have given it work.
        self.settle_quiet(step.now);
        self.look_again();
        if self.quiet.look_at.is_none_or(|at| at > step.now) {
            return;
        }
        self.quiet.look_at = None;
        match self.quiet.of {
            Some(Silence::OfWork) => self.inactive(step),
            Some(Silence::OfLeisure) => self.park(step),
            None => {}
        }
    }

    fn inactive(&mut self, step: &mut Stepping) {
        self.quiet.was_told = true;
        let since = self.quiet.since;
        self.emit(step, Body::AgentInactive { since });
        if self.policy.inactivity_interrupt {
            self.begin_interrupt(step, INACTIVITY);
        }
    }
}
