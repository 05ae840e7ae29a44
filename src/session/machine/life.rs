//! From CREATED to ENDED and back: runs begin, children answer, sessions are told to finish.

use super::{Action, Child, Effect, Ending, Leaving, Machine, Run, Stepping};
use crate::{
    domain::{
        Body, EndReason, State,
        event::{AgentContext, FailReason, Rung, TransportFault},
    },
    session::ladder::StopLadder,
    supervise::restart::RestartHistory,
};
use std::time::Duration;

impl Machine {
    /// Takes up a stored session. A live one whose child is unknown to us lost it: recovery has written that, or
    /// the actor's restart does it here.
    pub(super) fn begin(&mut self, step: &mut Stepping, resume: bool) {
        match self.session.state {
            State::Created => self.start_run(step, Duration::ZERO),
            State::Ended if resume || !self.queue.is_empty() => self.revive(step),
            State::Ended => {}
            State::Closing => {
                let reason = self.session.closing.unwrap_or(EndReason::Stopped);
                self.ending = Some(Ending::Killed { reason });
                self.transport_lost(step, "the session was rebuilt from the log");
            }
            _ if self.session.parked => self.begin_parked(step),
            _ => self.transport_lost(step, "the session was rebuilt from the log"),
        }
    }

    /// It had no child to lose.
    fn begin_parked(&mut self, step: &mut Stepping) {
        self.child = Child::Parked;
        if self.session.state == State::Suspended {
            self.watch.suspended_until = Some(step.now + self.policy.suspend_grace);
        }
        self.settle_unwatched(step);
    }

    /// Somebody asks for an ended session: what failed before is not held against it.
    pub(super) fn revive_afresh(&mut self, step: &mut Stepping) {
        self.restarts = RestartHistory::new(self.policy.restarts);
        self.revive(step);
    }

    /// A new life for an ended session; none any more where the server shuts down.
    pub(super) fn revive(&mut self, step: &mut Stepping) {
        self.resume_after_end = false;
        if self.leaving.is_some() {
            return;
        }
        if self.transit(step, State::Created, None) {
            self.start_run(step, Duration::ZERO);
        }
    }

    /// Counts the next run and spawns its child after `delay`.
    pub(super) fn start_run(&mut self, step: &mut Stepping, delay: Duration) {
        if !self.transit(step, State::Starting, None) {
            return;
        }
        self.this_run = Run::default();
        self.requests.clear();
        if delay.is_zero() {
            self.spawn(step);
        } else {
            self.child = Child::Backoff { until: step.now + delay };
        }
    }

    fn spawn(&mut self, step: &mut Stepping) {
        self.child = Child::Starting { deadline: step.now + self.policy.start_timeout };
        step.then(Effect::Spawn { run: self.session.run });
    }

    pub(super) fn tick_child(&mut self, step: &mut Stepping) {
        match self.child {
            Child::Backoff { until } if until <= step.now => self.spawn(step),
            Child::Starting { deadline } if deadline <= step.now && !self.is_doomed() => {
                let seconds = self.policy.start_timeout.as_secs_f64();
                self.start_failed(
                    step,
                    TransportFault::Handshake,
                    format!("the agent did not answer its handshake within {seconds} s (sessions.start_timeout)"),
                );
            }
            _ => {}
        }
    }

    /// The child answered its handshake.
    pub(super) fn ready(
        &mut self,
        step: &mut Stepping,
        agent_session_id: Option<String>,
        context: AgentContext,
    ) {
        let was_starting = matches!(self.child, Child::Starting { .. });
        // It may go on in another session of its own, and says so.
        let is_another =
            self.child == Child::Up && self.session.agent_session_id != agent_session_id;
        if !was_starting && !is_another {
            return;
        }
        self.child = Child::Up;
        let pid = self.this_run.pid;
        self.emit(step, Body::TransportStarted { pid, agent_session_id, context });
        if !was_starting {
            return;
        }
        if self.ending.is_none() && self.transit(step, State::Active, None) {
            // The detach timeout goes on where it stood; the short timers begin anew.
            self.watch.detach_at = None;
            self.watch.suspended_until = None;
            self.settle_unwatched(step);
        }
    }

    /// The start failed for good. A child that is there is killed first: ENDED means that there is none.
    pub(super) fn start_failed(
        &mut self,
        step: &mut Stepping,
        code: TransportFault,
        detail: String,
    ) {
        self.emit(step, Body::TransportFailed { code, detail });
        // A stop that is under way stays the reason.
        if !matches!(self.ending, Some(Ending::Ladder { reason: Some(_), .. })) {
            self.ending = Some(Ending::Killed { reason: EndReason::StartFailed });
        }
        self.signal(step, Action::Kill);
    }

    /// The run cannot go on. Where the agent itself refused the handshake, the next one would end the same.
    pub(super) fn agent_failed(
        &mut self,
        step: &mut Stepping,
        code: TransportFault,
        detail: String,
    ) {
        let may_be_retried = matches!(code, TransportFault::Protocol | TransportFault::Resume);
        if self.child != Child::Up && !may_be_retried {
            return self.start_failed(step, code, detail);
        }
        self.emit(step, Body::TransportFailed { code, detail });
        self.signal(step, Action::Kill);
    }

    /// Told to stop: no way back from here.
    pub(super) fn stop(&mut self, step: &mut Stepping, grace: Duration) {
        self.resume_after_end = false;
        for waiting in &mut self.queue {
            waiting.after_stop = false;
        }
        match &mut self.ending {
            Some(Ending::Ladder { reason: Some(reason), .. }) => {
                *reason = EndReason::Stopped;
                return self.hurry(step, grace);
            }
            Some(Ending::Killed { reason }) => {
                *reason = EndReason::Stopped;
                return;
            }
            Some(Ending::Ladder { reason: None, .. } | Ending::Grace { .. }) | None => {}
        }
        if self.session.state.is_live() {
            self.finish(step, EndReason::Stopped, grace);
        }
    }

    /// Ends the session: by the stop ladder where there is a child, else at once.
    fn finish(&mut self, step: &mut Stepping, reason: EndReason, grace: Duration) {
        if matches!(self.child, Child::Backoff { .. } | Child::None | Child::Parked) {
            return self.end(step, reason);
        }
        if self.session.state != State::Closing {
            self.transit(step, State::Closing, Some(reason));
        }
        let grace = self.leaving.as_ref().map_or(grace, |leaving| grace.min(leaving.grace));
        if let Some(Ending::Ladder { reason: parked @ None, .. }) = &mut self.ending {
            // The child is on its way out already: the session goes with it.
            *parked = Some(reason);
            return self.hurry(step, grace);
        }
        let can_cancel = self.policy.has_turns && self.session.turn.is_some();
        let ladder = StopLadder::begin(step.now, grace, can_cancel);
        self.ending = Some(Ending::Ladder { reason: Some(reason), ladder });
        self.stand_on_rung(step);
    }

    /// A stop that is under way has less time from here on.
    fn hurry(&mut self, step: &mut Stepping, grace: Duration) {
        if let Some(Ending::Ladder { ladder, .. }) = &mut self.ending
            && ladder.hurry(step.now, grace)
        {
            self.stand_on_rung(step);
        }
    }

    /// The server shuts down. What waits stays in the log for the next start.
    pub(super) fn leave(&mut self, step: &mut Stepping, grace: Duration) {
        let half = grace / 2;
        let grace = half.min(self.policy.close_grace);
        self.leaving = Some(Leaving { until: step.now + half, grace });
        self.hurry(step, grace);
    }

    /// A shutdown waits for the running turn, and no longer than it may.
    pub(super) fn leave_when_idle(&mut self, step: &mut Stepping) {
        let Some(leaving) = &self.leaving else { return };
        let may_go_on = self.is_busy() && !self.this_run.killed && leaving.until > step.now;
        if may_go_on || self.is_stopping() || !self.session.state.is_live() {
            return;
        }
        self.finish(step, EndReason::ServerRestart, leaving.grace);
    }

    pub(super) fn tick_ending(&mut self, step: &mut Stepping) {
        match &mut self.ending {
            Some(Ending::Grace { until }) if *until <= step.now => {
                self.finish(step, EndReason::DetachTimeout, self.policy.close_grace);
            }
            Some(Ending::Ladder { ladder, .. }) if ladder.is_due(step.now) => {
                ladder.climb(step.now);
                self.stand_on_rung(step);
            }
            _ => {}
        }
    }

    /// The turn ended while the ladder stood on its cancel: the next rung need not wait.
    pub(super) fn cancel_rung_done(&mut self, step: &mut Stepping) {
        if let Some(Ending::Ladder { ladder, .. }) = &mut self.ending
            && ladder.rung() == Rung::Cancel
        {
            ladder.climb(step.now);
            self.stand_on_rung(step);
        }
    }

    pub(super) fn stand_on_rung(&mut self, step: &mut Stepping) {
        let Some(Ending::Ladder { ladder, .. }) = &self.ending else {
            return;
        };
        let (rung, share) = (ladder.rung(), ladder.share());
        let deadline_ms = u64::try_from(share.as_millis()).unwrap_or(u64::MAX);
        self.emit(step, Body::TransportStopping { rung, deadline_ms });
        match rung {
            Rung::Cancel => {
                self.cancel_requests(step, None);
                step.order(Action::Cancel);
            }
            Rung::CloseStdin => step.order(Action::CloseStdin),
            Rung::Sigint => self.signal(step, Action::Interrupt),
            Rung::Sigterm => self.signal(step, Action::Terminate),
            Rung::Sigkill => self.signal(step, Action::Kill),
        }
    }

    pub(super) fn signal(&mut self, step: &mut Stepping, action: Action) {
        self.this_run.signalled = true;
        self.this_run.killed |= action == Action::Kill;
        step.order(action);
    }

    /// ENDED. What waits fails with the end or gets a new run, as the reason says.
    pub(super) fn end(&mut self, step: &mut Stepping, reason: EndReason) {
        if !self.transit(step, State::Ended, Some(reason)) {
            return;
        }
        self.child = Child::None;
        self.ending = None;
        self.interrupt = None;
        self.watch.detach_at = None;
        self.watch.suspended_until = None;
        self.watch.unwatched_since = None;
        if !reason.keeps_queue() {
            self.fail_queue(step);
        }
        if self.resume_after_end || !self.queue.is_empty() {
            self.revive(step);
        }
    }

    /// What waits fails with the session, but for what was sent after the stop.
    fn fail_queue(&mut self, step: &mut Stepping) {
        for mut waiting in std::mem::take(&mut self.queue) {
            if waiting.after_stop {
                // The run that it is given next owes it no more than any other.
                waiting.after_stop = false;
                self.queue.push_back(waiting);
                continue;
            }
            let message_id = waiting.queued.message_id;
            let reason = FailReason::SessionEnded;
            self.emit(step, Body::MessageFailed { message_id, reason, uncertain: false });
        }
    }
}
