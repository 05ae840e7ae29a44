//! What the machine answers: drafts for the log and effects for the actor. Nothing here decides or carries out.

use super::Ticket;
use crate::{
    agent::AgentRequest,
    domain::{
        ContentBlock, Draft, MessageId, Timestamp,
        content::ContentDigest,
        event::{Outcome, RequestId},
    },
    process::{GroupSignal, Order},
    session::{Refusal, Reply},
};

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start the child of this run, if the machine still wants it (`Machine::wants_child`).
    Spawn {
        run: u32,
    },
    Order(Action),
    /// Hand the message, which the log has just given up, to the child.
    Dispatch {
        run: u32,
        message_id: MessageId,
    },
    Reply {
        ticket: Ticket,
        result: Result<Reply, Refusal>,
    },
    /// Append this `user.message` unless its id is known.
    Accept {
        ticket: Ticket,
        message_id: MessageId,
        content: Vec<ContentBlock>,
        interrupt: bool,
        by: String,
    },
    /// Answer with the first receipt if the message id is known, else with the refusal.
    ReplyKnown {
        ticket: Ticket,
        message_id: MessageId,
        digest: ContentDigest,
        otherwise: Refusal,
    },
    /// Answer a withdrawal of a message that is not queued.
    ReplyWithdrawn {
        ticket: Ticket,
        message_id: MessageId,
    },
    /// Answer with how the request was settled, from the log.
    ReplySettled {
        ticket: Ticket,
        request_id: RequestId,
        is_permission: bool,
    },
    /// Remove the session from the store, answer, and be gone.
    Delete {
        ticket: Ticket,
    },
}

/// An [`Order`] to the current child.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Cancel,
    Answer { request: AgentRequest, outcome: Outcome },
    CloseStdin,
    Interrupt,
    Terminate,
    Kill,
}

impl From<Action> for Order {
    fn from(action: Action) -> Self {
        match action {
            Action::Cancel => Order::Cancel,
            Action::Answer { request, outcome } => Order::Answer { request, outcome },
            Action::CloseStdin => Order::CloseStdin,
            Action::Interrupt => Order::Signal(GroupSignal::Interrupt),
            Action::Terminate => Order::Signal(GroupSignal::Terminate),
            Action::Kill => Order::Kill,
        }
    }
}

/// The answer to one input. The drafts are one transaction.
#[derive(Debug, Default, PartialEq)]
pub struct Step {
    pub drafts: Vec<Draft>,
    /// The drafts changed the session, so its row has to be stored with them.
    pub changed: bool,
    /// To be done at once, also while the store cannot write: what acts on the child to stop it.
    pub now: Vec<Effect>,
    /// To be done when these drafts and all before them are in the log.
    pub then: Vec<Effect>,
}

/// A step in the making, with the time at which it is made.
pub(super) struct Stepping {
    pub(super) now: Timestamp,
    pub(super) step: Step,
}

impl Stepping {
    pub(super) fn at(now: Timestamp) -> Self {
        Self { now, step: Step::default() }
    }

    /// Acts on the child at once.
    pub(super) fn order(&mut self, action: Action) {
        self.step.now.push(Effect::Order(action));
    }

    /// Is done when the drafts are in the log.
    pub(super) fn then(&mut self, effect: Effect) {
        self.step.then.push(effect);
    }
}
