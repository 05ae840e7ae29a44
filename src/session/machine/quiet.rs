//! An agent that says nothing: how long it may while it has a turn. A line costs no timer: the time of the last one is
//! noted, and looked at when a timer comes up that was set before it.

use super::{Child, Machine, Stepping};
use crate::domain::{Body, Timestamp};
use std::time::Duration;

/// Who interrupts a turn of which nothing is heard any more, as its events tell.
const INACTIVITY: &str = "inactivity";

/// Since when the agent is quiet.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    /// Something is expected of it.
    is_expected: bool,
    /// It was heard then, or given something to do.
    since: Timestamp,
    /// That was told, and is not told again before it speaks.
    was_told: bool,
    /// Looked at then.
    look_at: Option<Timestamp>,
}

impl Machine {
    /// Something is expected of the agent: it has a turn, and waits for nobody.
    fn is_expected_to_speak(&self) -> bool {
        self.policy.has_turns
            && self.child == Child::Up
            && self.is_busy()
            && self.session.permissions.is_empty()
            && self.session.questions.is_empty()
            && !self.is_doomed()
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

    /// What is expected of the agent may be another thing after a step.
    pub(super) fn settle_quiet(&mut self, now: Timestamp) {
        let is_expected = self.is_expected_to_speak();
        if is_expected != self.quiet.is_expected {
            self.quiet = Quiet { is_expected, since: now, ..Quiet::default() };
            self.look_again();
        }
    }

    /// How long it may be quiet; None: for ever.
    fn quiet_limit(&self) -> Option<Duration> {
        self.policy.inactivity.filter(|_| self.quiet.is_expected && !self.quiet.was_told)
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
        // It may have been heard since the timer was set.
        self.look_again();
        if self.quiet.look_at.is_some_and(|at| at <= step.now) {
            self.quiet.was_told = true;
            self.quiet.look_at = None;
            self.inactive(step);
        }
    }

    fn inactive(&mut self, step: &mut Stepping) {
        let since = self.quiet.since;
        self.emit(step, Body::AgentInactive { since });
        if self.policy.inactivity_interrupt {
            self.begin_interrupt(step, INACTIVITY);
        }
    }
}
