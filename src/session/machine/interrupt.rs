//! Interrupts: the protocol's own cancel, SIGINT, then another child. The turn is what is cancelled; what waits in the
//! queue is never touched here.

use super::{Action, Child, Interrupt, Machine, Stepping};
use crate::domain::{Body, event::Escalation};

impl Machine {
    /// Cancels what runs. False where nothing runs; a second interrupt joins the first.
    pub(super) fn begin_interrupt(&mut self, step: &mut Stepping, by: &str) -> bool {
        if self.child != Child::Up || (self.policy.has_turns && !self.is_busy()) {
            return false;
        }
        if self.interrupt.is_some() {
            return true;
        }
        self.emit(step, Body::InterruptRequested { by: by.into() });
        self.cancel_requests(step, Some(by));
        if !self.policy.has_turns {
            self.signal(step, Action::Interrupt);
            self.emit(step, Body::InterruptCompleted { by: by.into() });
            return true;
        }
        self.interrupt = Some(Interrupt {
            by: by.into(),
            step: Escalation::None,
            deadline: step.now + self.policy.interrupt_step,
        });
        // A prompt that is still on its way to the child is cancelled when its turn starts.
        if self.session.turn.is_some() {
            step.order(Action::Cancel);
        }
        true
    }

    /// The turn began after it was to be cancelled.
    pub(super) fn interrupt_begun_turn(&mut self, step: &mut Stepping) {
        if self.interrupt.is_some() && !self.is_interrupt_restarting() {
            step.order(Action::Cancel);
        }
    }

    pub(super) fn interrupt_done(&mut self, step: &mut Stepping) {
        // A child that is being killed for not answering stays an unanswered one.
        if self.is_interrupt_restarting() {
            return;
        }
        if let Some(interrupt) = self.interrupt.take() {
            if interrupt.step == Escalation::Sigint {
                self.this_run.hold_until = Some(interrupt.deadline);
            }
            self.emit(step, Body::InterruptCompleted { by: interrupt.by });
        }
    }

    pub(super) fn tick_interrupt(&mut self, step: &mut Stepping) {
        self.this_run.hold_until = self.this_run.hold_until.filter(|until| *until > step.now);
        // A stop has a ladder of its own.
        if self.is_stopping() {
            return;
        }
        let Some(interrupt) = &mut self.interrupt else {
            return;
        };
        if interrupt.deadline > step.now || interrupt.step == Escalation::Restart {
            return;
        }
        let (next, action, tried) = match interrupt.step {
            Escalation::None => (Escalation::Sigint, Action::Interrupt, "cancel"),
            _ => (Escalation::Restart, Action::Kill, "SIGINT"),
        };
        interrupt.step = next;
        interrupt.deadline = step.now + self.policy.interrupt_step;
        let by = interrupt.by.clone();
        let seconds = self.policy.interrupt_step.as_secs_f64();
        let reason = format!(
            "the agent did not answer {tried} within {seconds} s (sessions.interrupt_step)"
        );
        self.emit(step, Body::InterruptFailed { by, reason, escalated_to: next });
        self.signal(step, action);
    }

    /// The child died before it answered. It is told unless it was the interrupt that killed the child.
    pub(super) fn interrupt_died(&mut self, step: &mut Stepping, why: &str) {
        let reached = self.interrupt.take().map_or(Escalation::None, |interrupt| interrupt.step);
        if let Some(by) = self.session.interrupt.clone() {
            let reason = why.to_owned();
            self.emit(step, Body::InterruptFailed { by, reason, escalated_to: reached });
        }
    }

    /// Whether an interrupt has gone as far as to replace the child.
    fn is_interrupt_restarting(&self) -> bool {
        self.interrupt.as_ref().is_some_and(|interrupt| interrupt.step == Escalation::Restart)
    }
}
