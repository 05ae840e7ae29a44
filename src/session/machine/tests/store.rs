//! Beneath the tables: the smallest store and the smallest actor that keep their laws. Every step is checked here, in
//! whichever test it is made.

use super::{
    laws::Laws,
    script::{Batch, Script},
    told,
};
use crate::{
    domain::{
        Body, ContentBlock, Draft, Seq, Session, State,
        content::{ContentDigest, digest},
        session::Queued,
    },
    session::{
        Refusal, Reply,
        machine::{AcceptTicket, Child, Effect, Input, Machine, Policy, Step, Ticket},
    },
    store::{Appended, MessageStatus, Receipt, StoreError},
};

impl Script {
    pub(super) fn crashes(&mut self) {
        self.forget();
        self.machine = Machine::new(self.row.clone(), Vec::new(), self.policy.clone());
        let step = self.machine.recover(self.now);
        self.take(step);
        self.commit(usize::MAX);
        let mut again = Machine::new(self.row.clone(), Vec::new(), self.policy.clone());
        assert_eq!(again.recover(self.now), Step::default(), "a second recovery finds nothing");
        self.rebuild();
        self.admission.draining = false;
    }

    /// The session's actor dies, and is rebuilt from the log with its child gone.
    pub(super) fn actor_dies(&mut self) {
        self.forget();
        self.rebuild();
        self.step(Input::Begin { resume: false });
    }

    fn forget(&mut self) {
        self.waiting.clear();
        self.ready.clear();
        self.outcomes.clear();
        self.unanswered.clear();
        self.prompts.clear();
        self.child = None;
        self.is_silent = false;
        let first = Session::new(
            self.row.id,
            self.row.agent.clone(),
            self.row.cwd.clone(),
            self.row.create_digest,
            self.row.created_at,
        );
        self.laws = Laws::new(first);
        self.log.iter().for_each(|draft| self.laws.see(draft));
        // A user.message is stored without the row, which only its time tells.
        self.laws.session.updated_at = self.row.updated_at;
        assert_eq!(self.laws.session, self.row, "the stored row is the fold of the stored events");
    }

    fn rebuild(&mut self) {
        let queued =
            self.ledger.iter().filter(|(_, (known, _))| known.status == MessageStatus::Queued);
        let mut queued: Vec<_> = queued
            .map(|(message_id, (known, interrupt))| Queued {
                message_id: message_id.clone(),
                seq: known.seq,
                interrupt: *interrupt,
            })
            .collect();
        queued.sort_by_key(|queued| queued.seq);
        self.machine = Machine::new(self.row.clone(), queued, self.policy.clone());
    }

    /// The configuration is read again.
    pub(super) fn reload(&mut self, policy: Policy) {
        self.machine.set_policy(policy.clone());
        // Of which kind the agent is, its child says.
        self.policy = Policy { has_turns: self.policy.has_turns, ..policy };
    }

    pub(super) fn step(&mut self, input: Input) {
        let step = self.machine.step(self.now, input);
        self.take(step);
    }

    fn take(&mut self, step: Step) {
        for effect in step.now {
            // An answer is as good a moment sooner.
            let mark = if matches!(effect, Effect::Reply { .. }) { "" } else { "!" };
            self.told.extend(told::effect(&effect).map(|text| format!("{mark}{text}")));
            self.carry_out(effect);
        }
        let before = self.laws.session.clone();
        for draft in &step.drafts {
            self.told.push(told::draft(draft));
            self.laws.see(draft);
            self.see(&draft.body);
        }
        let session = self.machine.session();
        assert!(step.changed || before == *session, "a change without its row");
        assert_eq!(self.laws.session, *session, "the session is the fold of its events");
        assert_eq!(self.machine.stats().invalid_transitions, 0, "{:?}", self.machine);
        let has_none = self.machine.child == Child::Parked;
        assert_eq!(
            session.parked, has_none,
            "a session is parked without a child: {:?}",
            self.machine
        );
        assert!(!has_none || self.child.is_none(), "a child is left");
        if session.state == State::Ended {
            assert_eq!(self.machine.next_deadline(), None, "an end waits for nothing");
        }
        let row = step.changed.then(|| session.clone());
        self.waiting.push_back(Batch { drafts: step.drafts, row, then: step.then });
        if self.is_prompt {
            self.commit(usize::MAX);
        }
    }

    /// What holds between an event and the child, of which the log knows nothing.
    fn see(&mut self, body: &Body) {
        match body {
            Body::AgentInactive { .. } => {
                assert!(!self.is_silent, "inactive twice, and nothing between");
                self.is_silent = true;
            }
            Body::MessageDispatched { message_id } => {
                let is_deaf = self.orders.iter().any(|order| order == "close stdin");
                assert!(!is_deaf, "{message_id} for a child that hears nothing any more");
            }
            _ => {}
        }
    }

    /// Commits so many steps and does what follows from them.
    pub(super) fn commit(&mut self, steps: usize) {
        if std::mem::replace(&mut self.is_pumping, true) {
            return;
        }
        for _ in 0..steps {
            let Some(batch) = self.waiting.pop_front() else { break };
            batch.drafts.into_iter().for_each(|draft| self.store(draft));
            self.row = batch.row.unwrap_or_else(|| self.row.clone());
            self.ready.extend(batch.then);
            while let Some(effect) = self.ready.pop_front() {
                self.told.extend(told::effect(&effect));
                self.carry_out(effect);
            }
        }
        self.is_pumping = false;
    }

    fn store(&mut self, draft: Draft) {
        let (message, status) = match &draft.body {
            Body::MessageDispatched { message_id } => (message_id, MessageStatus::Dispatched),
            Body::MessageFailed { message_id, .. } => (message_id, MessageStatus::Failed),
            _ => return self.log.push(draft),
        };
        let (known, _) = self.ledger.get_mut(message).expect("only accepted messages have a fate");
        known.status = status;
        self.log.push(draft);
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn { run } if self.machine.wants_child(run) => {
                assert_eq!(self.child, None, "one live child, ever");
                self.child = Some(run);
                self.orders.clear();
                self.prompts.clear();
            }
            Effect::Spawn { run } => self.step(Input::TransportLost { run, detail: "off".into() }),
            Effect::Order(_) => self.orders.extend(told::effect(&effect)),
            Effect::Dispatch { run, message_id } => {
                if self.child == Some(run) {
                    self.prompts.push_back(message_id);
                }
            }
            Effect::Reply { ticket, .. } => {
                assert!(self.unanswered.remove(&ticket.0), "{ticket:?} has no answer due");
            }
            Effect::Delete { ticket } => {
                self.unanswered.remove(&ticket.0);
            }
            Effect::Accept { ticket, message_id, content, interrupt, by } => {
                let digest = digest(&content);
                let accept = AcceptTicket { ticket, message_id, digest, interrupt, by };
                let outcome = self.append(&accept, content);
                self.outcomes.push((accept, outcome));
                if self.is_prompt {
                    self.hear_outcome(0);
                }
            }
            Effect::ReplyKnown { ticket, message_id, digest, otherwise } => {
                let known = self.ledger.get(&message_id).map(|(known, _)| *known);
                self.answer(ticket, known.map_or(Err(otherwise), |known| receipt(known, digest)));
            }
            Effect::ReplyWithdrawn { ticket, message_id } => {
                let status = self.ledger.get(&message_id).map(|(known, _)| known.status);
                assert_ne!(status, Some(MessageStatus::Queued), "{message_id} could be withdrawn");
                self.answer(
                    ticket,
                    match status {
                        None => Err(Refusal::UnknownMessage),
                        Some(MessageStatus::Failed) => Ok(Reply::Done),
                        Some(_) => Err(Refusal::AlreadyDispatched),
                    },
                );
            }
            Effect::ReplySettled { ticket, request_id, .. } => {
                let refusal = self.settled(&request_id);
                self.answer(ticket, Err(refusal));
            }
        }
    }

    fn answer(&mut self, ticket: Ticket, result: Result<Reply, Refusal>) {
        assert!(self.unanswered.remove(&ticket.0), "{ticket:?} has no answer due");
        self.told.push(told::reply(&result));
    }

    fn append(
        &mut self,
        accept: &AcceptTicket,
        content: Vec<ContentBlock>,
    ) -> Result<Appended, StoreError> {
        if self.store_fails {
            return Err(StoreError::Unavailable("the disk is full".into()));
        }
        if let Some((known, _)) = self.ledger.get(&accept.message_id) {
            return Ok(Appended::Known(*known));
        }
        let (message_id, by) = (accept.message_id.clone(), accept.by.clone());
        let body = Body::UserMessage { message_id: message_id.clone(), content, by };
        let draft = Draft { run: self.machine.session().run, ts: self.now, body };
        self.told.push(told::draft(&draft));
        self.log.push(draft);
        let seq = Seq(self.log.len() as u64);
        let known = Receipt { seq, digest: accept.digest, status: MessageStatus::Queued };
        self.ledger.insert(message_id, (known, accept.interrupt));
        Ok(Appended::Stored { head: seq, taken: Vec::new() })
    }

    pub(super) fn hear_outcome(&mut self, place: usize) {
        let (accept, outcome) = self.outcomes.remove(place);
        self.step(Input::Accepted { accept, outcome });
    }

    fn settled(&self, id: &str) -> Refusal {
        let resolution = self.log.iter().find_map(|draft| match &draft.body {
            Body::PermissionResolved { permission_id, outcome, by } if permission_id == id => {
                Some((outcome.clone(), by.clone()))
            }
            _ => None,
        });
        resolution.map_or(Refusal::UnknownRequest("permission"), |(resolution, by)| {
            Refusal::RequestClosed { resolution, by }
        })
    }
}

fn receipt(known: Receipt, digest: ContentDigest) -> Result<Reply, Refusal> {
    match known.digest == digest {
        true => Ok(Reply::Receipt { seq: known.seq, duplicate: true }),
        false => Err(Refusal::MessageConflict),
    }
}
