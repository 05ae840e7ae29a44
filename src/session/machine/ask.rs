//! Requests from people and programs: who may have what, in which state, and what is answered.

use super::{AcceptTicket, Action, Admission, Child, Effect, Machine, Stepping, Ticket, Waiting};
use crate::{
    domain::{
        Body, ContentBlock, MessageId, Seq, State,
        content::digest,
        event::{FailReason, Outcome},
        session::Queued,
    },
    session::{Refusal, Reply, Request},
    store::{Appended, StoreError},
};

impl Machine {
    pub(super) fn asked(
        &mut self,
        step: &mut Stepping,
        ticket: Ticket,
        by: String,
        request: Request,
        admission: Admission,
    ) {
        match request {
            Request::Send { message_id, content, interrupt } => {
                self.send(step, ticket, Sent { message_id, content, interrupt, by }, admission);
            }
            Request::Withdraw { message_id } => self.withdraw(step, ticket, message_id),
            Request::Interrupt => {
                let requested = self.begin_interrupt(step, &by);
                // The answer never waits: neither for the child nor for the store.
                let result = Ok(Reply::Interrupt { requested });
                step.step.now.push(Effect::Reply { ticket, result });
            }
            Request::Stop { grace } => {
                let grace = grace.unwrap_or(self.policy.close_grace);
                self.stop(step, grace);
                step.step.now.push(Effect::Reply { ticket, result: Ok(Reply::Done) });
            }
            Request::Kill => {
                let requested = self.kill(step);
                // Like a stop: the answer waits neither for the child nor for the store.
                let result = Ok(Reply::Kill { requested });
                step.step.now.push(Effect::Reply { ticket, result });
            }
            Request::Resume => {
                let result = self.resume(step, admission);
                self.reply(step, ticket, result);
            }
            Request::AnswerPermission { permission_id, outcome } => {
                self.answer_permission(step, ticket, permission_id, outcome, by);
            }
            Request::AnswerQuestion { question_id, outcome } => {
                self.answer(step, ticket, question_id, outcome, by, false);
            }
            Request::Rename { title } => {
                if self.session.title != title {
                    self.emit(step, Body::SessionTitled { title });
                }
                self.reply(step, ticket, Ok(Reply::Done));
            }
            Request::Delete => step.then(Effect::Delete { ticket }),
        }
    }

    /// A known message is answered before any check, so the checks here only choose between two ways to the log.
    fn send(&mut self, step: &mut Stepping, ticket: Ticket, sent: Sent, admission: Admission) {
        let limit = self.policy.max_queued_messages;
        let refusal = if admission.draining {
            Some(Refusal::Draining)
        } else if self.queue.len() + self.accepting.len() >= limit {
            Some(Refusal::QueueFull { limit })
        } else if self.session.state == State::Ended {
            admission.full.map(|limit| Refusal::TooManySessions { limit })
        } else {
            None
        };
        let Sent { message_id, content, interrupt, by } = sent;
        match refusal {
            Some(otherwise) => {
                let digest = digest(&content);
                step.then(Effect::ReplyKnown { ticket, message_id, digest, otherwise });
            }
            None => {
                self.accepting.push((ticket, message_id.clone()));
                step.then(Effect::Accept { ticket, message_id, content, interrupt, by });
            }
        }
    }

    pub(super) fn accepted(
        &mut self,
        step: &mut Stepping,
        accept: AcceptTicket,
        outcome: Result<Appended, StoreError>,
    ) {
        let ticket = accept.ticket;
        let message_id = accept.message_id.clone();
        self.accepting.retain(|(accepting, _)| *accepting != ticket);
        let result = match outcome {
            Err(error) => Err(error.into()),
            Ok(Appended::Known(first)) if first.digest == accept.digest => {
                Ok(Reply::Receipt { seq: first.seq, duplicate: true })
            }
            Ok(Appended::Known(_)) => Err(Refusal::MessageConflict),
            Ok(Appended::Stored { head: seq, .. }) => {
                self.enqueue(step, accept, seq);
                Ok(Reply::Receipt { seq, duplicate: false })
            }
        };
        // The message itself is committed: its receipt need not wait for what follows from it.
        step.step.now.push(Effect::Reply { ticket, result });
        let of_this = |(_, withdrawn): &mut (_, MessageId)| *withdrawn == message_id;
        for (ticket, message_id) in self.withdrawing.extract_if(.., of_this).collect::<Vec<_>>() {
            self.withdraw(step, ticket, message_id);
        }
    }

    fn enqueue(&mut self, step: &mut Stepping, accept: AcceptTicket, seq: Seq) {
        let AcceptTicket { ticket, message_id, interrupt, by, .. } = accept;
        let after_stop = self.session.state == State::Closing && self.is_stopping();
        let queued = Queued { message_id, seq, interrupt };
        // Sends are committed side by side, and their outcomes may come in any order.
        let place = self.queue.partition_point(|waiting| waiting.queued.seq < seq);
        self.queue.insert(place, Waiting { queued, ticket, after_stop });
        match self.session.state {
            State::Ended => self.revive_afresh(step),
            State::Closing => self.come_back(step),
            _ => {}
        }
        if interrupt {
            self.begin_interrupt(step, &by);
        }
    }

    fn withdraw(&mut self, step: &mut Stepping, ticket: Ticket, message_id: MessageId) {
        let position =
            self.queue.iter().position(|waiting| waiting.queued.message_id == message_id);
        let Some(position) = position else {
            if self.accepting.iter().any(|(_, accepting)| *accepting == message_id) {
                return self.withdrawing.push((ticket, message_id));
            }
            return step.then(Effect::ReplyWithdrawn { ticket, message_id });
        };
        self.queue.remove(position);
        let reason = FailReason::Withdrawn;
        self.emit(step, Body::MessageFailed { message_id, reason, uncertain: false });
        self.reply(step, ticket, Ok(Reply::Done));
    }

    /// False where there is no child. Its exit is a death like another, unless the session is told to finish already.
    fn kill(&mut self, step: &mut Stepping) -> bool {
        let has_child = matches!(self.child, Child::Starting { .. } | Child::Up);
        if has_child {
            self.signal(step, Action::Kill);
        }
        has_child
    }

    fn resume(&mut self, step: &mut Stepping, admission: Admission) -> Result<Reply, Refusal> {
        match self.session.state {
            _ if admission.draining => return Err(Refusal::Draining),
            State::Ended => {
                if let Some(limit) = admission.full {
                    return Err(Refusal::TooManySessions { limit });
                }
                self.revive_afresh(step);
            }
            _ if self.is_stopping() => self.resume_after_end = true,
            state => {
                if state == State::Closing {
                    self.come_back(step);
                }
                self.resume_after_end = self.child == Child::Parked || self.is_parking();
            }
        }
        Ok(Reply::Done)
    }

    fn answer_permission(
        &mut self,
        step: &mut Stepping,
        ticket: Ticket,
        id: String,
        outcome: Outcome,
        by: String,
    ) {
        let open = self.session.permissions.iter().find(|open| open.permission_id == id);
        if let (Some(open), Outcome::Selected { option_id }) = (open, &outcome)
            && !open.options.iter().any(|option| option.option_id == *option_id)
        {
            let offered: Vec<_> = open.options.iter().map(|o| o.option_id.as_str()).collect();
            let detail = format!(
                "`{option_id}` is not among the options of this permission: {}",
                offered.join(", ")
            );
            let refusal = Refusal::Invalid { field: "option_id", detail };
            return self.reply(step, ticket, Err(refusal));
        }
        self.answer(step, ticket, id, outcome, by, true);
    }

    fn answer(
        &mut self,
        step: &mut Stepping,
        ticket: Ticket,
        id: String,
        outcome: Outcome,
        by: String,
        is_permission: bool,
    ) {
        let is_open = if is_permission {
            self.session.permissions.iter().any(|open| open.permission_id == id)
        } else {
            self.session.questions.iter().any(|open| open.question_id == id)
        };
        if !is_open {
            return step.then(Effect::ReplySettled { ticket, request_id: id, is_permission });
        }
        // The agent learns of the answer only when the log has it.
        if let Some(request) = self.agent_request(&id) {
            let outcome = outcome.clone();
            step.then(Effect::Order(Action::Answer { request, outcome }));
        }
        self.resolve(step, &id, outcome, Some(by));
        self.reply(step, ticket, Ok(Reply::Done));
    }
}

/// A message as it was sent.
struct Sent {
    message_id: MessageId,
    content: Vec<ContentBlock>,
    interrupt: bool,
    by: String,
}
