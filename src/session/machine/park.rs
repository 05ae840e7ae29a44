//! Sessions that outlive their child: one without work has it stopped, stays as it is, and gets another when there is
//! something to do. When it has been without work for long enough is not decided here.

use super::{Child, Ending, Machine, Stepping};
use crate::session::ladder::StopLadder;
use std::time::Duration;

impl Machine {
    /// Nothing is owed, and the agent can take up its conversation in another run. What waits in the queue is not looked for:
    /// a child that is free has been given it, but for the reasons below.
    pub(super) fn may_park(&self) -> bool {
        self.this_run.can_resume
            && self.session.agent_session_id.is_some()
            && self.session.state.is_running()
            && self.accepting.is_empty()
            && self.this_run.hold_until.is_none()
            && self.leaving.is_none()
    }

    /// Has the child stopped. What comes from now on waits for the next one.
    pub(super) fn park(&mut self, step: &mut Stepping) {
        let ladder = StopLadder::begin(step.now, self.policy.close_grace, false);
        self.ending = Some(Ending::Ladder { reason: None, ladder });
        self.stand_on_rung(step);
    }

    /// The child is being stopped, and the session stays.
    pub(super) fn is_parking(&self) -> bool {
        matches!(self.ending, Some(Ending::Ladder { reason: None, .. }))
    }

    /// A message or a person wants the child again; that counts as no restart.
    pub(super) fn unpark(&mut self, step: &mut Stepping) {
        let is_wanted = self.resume_after_end || !self.queue.is_empty();
        let is_parked = self.child == Child::Parked && self.session.state.is_running();
        if is_wanted && is_parked && self.leaving.is_none() {
            self.resume_after_end = false;
            self.start_run(step, Duration::ZERO);
        }
    }
}
