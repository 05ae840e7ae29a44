//! The end of a child, and of a server: nothing stays open, what is uncertain is told, and policy says what follows.

use super::{Child, Ending, Machine, Stepping};
use crate::{
    config::Restart,
    domain::{
        Body, EndReason,
        event::{Chunk, Exit, FailReason, Outcome, StopReason, TransportFault},
    },
    session::machine::Step,
    supervise::restart::Decision,
};

impl Machine {
    /// What a crash of the server left open, closed in one transaction that ends the session with `server_restart`.
    /// Messages that wait stay in the queue; [`super::Input::Begin`] gives them a run.
    pub fn recover(&mut self, now: crate::domain::Timestamp) -> Step {
        let mut step = Stepping::at(now);
        if self.session.state.is_live() {
            // A crash says nothing of a `lines` message: whether its write was complete is not in the log.
            self.this_run.writing = None;
            self.close_open_ends(&mut step, "the server was restarted");
            let queue = std::mem::take(&mut self.queue);
            self.end(&mut step, EndReason::ServerRestart);
            self.queue = queue;
        }
        step.step
    }

    /// The child and its tree are gone.
    pub(super) fn exited(&mut self, step: &mut Stepping, exit: Exit) {
        let was_starting = matches!(self.child, Child::Starting { .. });
        let is_completion = exit.exit_code == Some(0)
            && !was_starting
            && self.session.turn.is_none()
            && (!self.policy.has_turns || self.session.dispatched.is_none())
            && self.interrupt.is_none()
            && !self.this_run.signalled
            && self.policy.restart != Restart::Always;
        self.emit(step, Body::TransportExited(exit));
        self.close_open_ends(step, "the agent exited");
        self.after_child(step, is_completion);
    }

    /// The transport's actor is gone without a last word; its tree went with it.
    pub(super) fn transport_lost(&mut self, step: &mut Stepping, detail: &str) {
        // A start that was called off has nothing to tell: there was no child.
        let was_seen = self.this_run.pid.or(self.session.pid).is_some();
        if was_seen || !self.is_stopping() {
            let code = TransportFault::Protocol;
            self.emit(step, Body::TransportFailed { code, detail: detail.into() });
            self.emit(step, Body::TransportExited(Exit::default()));
        }
        self.close_open_ends(step, detail);
        self.after_child(step, false);
    }

    fn after_child(&mut self, step: &mut Stepping, is_completion: bool) {
        self.child = Child::None;
        let gave_any = self.this_run.dispatched > 0;
        match self.ending.take() {
            Some(Ending::Ladder { reason: Some(reason), .. } | Ending::Killed { reason }) => {
                return self.end(step, reason);
            }
            Some(Ending::Ladder { reason: None, .. }) => {
                self.child = Child::Parked;
                return;
            }
            Some(Ending::Grace { .. }) => return self.end(step, EndReason::DetachTimeout),
            None => {}
        }
        if is_completion && (gave_any || self.queue.is_empty()) {
            self.end(step, EndReason::Completed);
        } else if is_completion {
            self.complete_idle_run(step);
        } else if self.policy.restart == Restart::Never {
            self.end(step, EndReason::Error);
        } else if self.leaving.is_some() {
            self.end(step, EndReason::ServerRestart);
        } else {
            self.restart(step);
        }
    }

    /// The child went without taking any of what waits: the next run counts, or it would respawn for ever.
    fn complete_idle_run(&mut self, step: &mut Stepping) {
        let jitter = self.draw();
        match self.restarts.next(step.now, jitter) {
            Decision::Restart { .. } => self.end(step, EndReason::Completed),
            Decision::GiveUp { attempt } => self.give_up(step, attempt),
        }
    }

    fn give_up(&mut self, step: &mut Stepping, attempt: u32) {
        self.emit(step, Body::TransportGaveUp { attempt });
        self.end(step, EndReason::RestartLimit);
    }

    fn restart(&mut self, step: &mut Stepping) {
        let jitter = self.draw();
        match self.restarts.next(step.now, jitter) {
            Decision::Restart { attempt, delay } => {
                let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                self.emit(step, Body::TransportRestarting { attempt, delay_ms });
                self.start_run(step, delay);
            }
            Decision::GiveUp { attempt } => self.give_up(step, attempt),
        }
    }

    /// Closes all that the child of this run had open.
    pub(super) fn close_open_ends(&mut self, step: &mut Stepping, why: &str) {
        self.close_block(step);
        self.resolve_requests(step, &Outcome::Cancelled, None);
        // Taken before the turn's end settles it: it is told by an event of its own.
        let unsettled = match self.policy.has_turns {
            true => self.session.dispatched.clone(),
            false => self.this_run.writing.take(),
        };
        if let Some(turn) = self.session.turn.clone() {
            self.emit(
                step,
                Body::TurnEnded {
                    turn_id: turn.turn_id,
                    message_id: turn.message_id,
                    stop_reason: StopReason::TransportLost,
                    usage: None,
                },
            );
        }
        if let Some(message_id) = unsettled {
            let reason = FailReason::TransportLost;
            self.emit(step, Body::MessageFailed { message_id, reason, uncertain: true });
        }
        self.interrupt_died(step, why);
        self.requests.clear();
    }

    /// Nothing is said in a block any more.
    pub(super) fn close_block(&mut self, step: &mut Stepping) {
        let Some(block) = self.session.block.clone() else {
            return;
        };
        let chunk = Chunk {
            turn_id: block.turn_id,
            block_id: block.block_id,
            delta: Some(String::new()),
            content: None,
            is_final: true,
        };
        let body =
            if block.is_thought { Body::AgentThought(chunk) } else { Body::AgentMessage(chunk) };
        self.emit(step, body);
    }
}
