//! While the store does not take a session's events: what is done all the same, what is refused at once, and how much
//! is held at most. What the events say is the machine's, and their order the outbox's.

use super::{Effect, Input, Refusal, Request, SessionActor, StoreError, Ticket, Watchers};
use crate::{domain::content::digest, metrics::Share, session::machine::AcceptTicket, store::Held};
use actix::prelude::*;
use std::time::Duration;

/// How long a store that cannot write is left alone before the next try.
const STORE_RETRY: Duration = Duration::from_millis(500);

/// From so many held events on nothing is taken that people can ask for again and again. What the child says is bounded by
/// the transport, which reads on only when the log has it, and the rungs of a stop and the end of a run are few.
const HELD_EVENTS: usize = 1024;

/// The outbox waits for the store.
pub(super) struct Hold {
    error: StoreError,
    /// The newest, where it was not taken.
    watchers: Option<Watchers>,
    /// How many events wait.
    events: Share,
    _told: Held,
}

impl SessionActor {
    /// The store did not take what is under way.
    pub(super) fn hold(&mut self, error: StoreError, ctx: &mut Context<Self>) {
        if self.outbox.fail() {
            log::error!(session:% = self.id, error:%; "the log cannot be written; trying again until it can");
        }
        let hold = self.held.get_or_insert_with(|| Hold {
            error: error.clone(),
            watchers: None,
            events: Share::new(self.around.metrics.held_events.clone()),
            _told: self.watch.hold(),
        });
        hold.error = error.clone();
        hold.events.set(self.outbox.held() as u64);
        // Whoever sends is not left to wait for the store; what is refused is not sent when it heals.
        for effect in self.outbox.take_accepts() {
            self.refuse_accept(effect, &error, ctx);
        }
        if self.leaving.is_some() && !self.machine.session().state.is_live() {
            // The child is gone, and a shutdown waits for no disk: the next start writes the outcome.
            return ctx.stop();
        }
        let clock = self.around.clock.clone();
        let retry = async move { clock.sleep(STORE_RETRY).await };
        ctx.spawn(retry.into_actor(self).map(|(), actor, ctx| {
            actor.outbox.retry();
            actor.pump(ctx);
        }));
    }

    fn refuse_accept(&mut self, effect: Effect, error: &StoreError, ctx: &mut Context<Self>) {
        if let Effect::Accept { ticket, message_id, content, interrupt, by } = effect {
            let digest = digest(&content);
            let accept = AcceptTicket { ticket, message_id, digest, interrupt, by };
            self.input(Input::Accepted { accept, outcome: Err(error.clone()) }, ctx);
        }
    }

    /// Tells how much waits by now.
    pub(super) fn count_held(&mut self) {
        if let Some(hold) = &mut self.held {
            hold.events.set(self.outbox.held() as u64);
        }
    }

    /// The store took what was held.
    pub(super) fn heal(&mut self, ctx: &mut Context<Self>) {
        let Some(hold) = self.held.take() else { return };
        log::info!(session:% = self.id; "the log has taken what was held");
        if let Some(Watchers { active, suspended }) = hold.watchers {
            self.input(Input::Watchers { active, suspended }, ctx);
        }
    }

    /// What the session is asked while the store takes nothing: what acts on the child is done, a message that is known
    /// is answered, all else is refused and leaves no trace. None where it was answered.
    pub(super) fn while_held(
        &mut self,
        ticket: Ticket,
        request: Request,
        ctx: &mut Context<Self>,
    ) -> Option<Request> {
        let Some(hold) = &self.held else { return Some(request) };
        let otherwise = Refusal::Store(hold.error.clone());
        match request {
            Request::Stop { .. } | Request::Kill => return Some(request),
            Request::Interrupt if self.outbox.held() < HELD_EVENTS => return Some(request),
            Request::Send { message_id, content, .. } => {
                let digest = digest(&content);
                let known = Effect::ReplyKnown { ticket, message_id, digest, otherwise };
                self.carry_out(known, ctx);
            }
            _ => self.reply(ticket, Err(otherwise)),
        }
        None
    }

    /// People who come and go make events too. None where the session hears of it later.
    pub(super) fn watchers_while_held(&mut self, watchers: Watchers) -> Option<Watchers> {
        match &mut self.held {
            Some(hold) if self.outbox.held() >= HELD_EVENTS => {
                hold.watchers = Some(watchers);
                None
            }
            _ => Some(watchers),
        }
    }
}
