//! What a registry that comes after a panic has to find out: sessions that lost their actor meanwhile, those that waited
//! for a place, and who still watches. The rest it was handed by the supervisor.

use super::RegistryActor;
use crate::store::{StoreError, Unfinished};
use actix::prelude::*;
use std::time::Duration;

/// How long a log that cannot be read is left alone.
const RETRY: Duration = Duration::from_secs(1);

impl RegistryActor {
    pub(super) fn catch_up(&mut self, ctx: &mut Context<Self>) {
        self.find_unfinished(ctx);
        self.tell_all_watchers_later(ctx);
    }

    fn find_unfinished(&mut self, ctx: &mut Context<Self>) {
        let unfinished = self.around.log.unfinished().into_actor(self);
        ctx.spawn(unfinished.map(|found, registry, ctx| registry.take_up(found, ctx)));
    }

    /// A live session without an actor is rebuilt; one in which messages wait gets its turn under `max_live`.
    fn take_up(&mut self, found: Result<Unfinished, StoreError>, ctx: &mut Context<Self>) {
        let unfinished = match found {
            Ok(unfinished) => unfinished,
            Err(error) => {
                log::error!(error:%; "the registry cannot read which sessions are unfinished; trying again");
                let clock = self.around.clock.clone();
                let retry = async move { clock.sleep(RETRY).await }.into_actor(self);
                ctx.spawn(retry.map(|(), registry, ctx| registry.find_unfinished(ctx)));
                return;
            }
        };
        // Those that are damaged were named at the start, and are named again whenever somebody asks for them.
        for stored in unfinished.sessions {
            let id = stored.session.id;
            if self.sessions.contains_key(&id) {
                continue;
            }
            match stored.session.state.is_live() {
                true => self.wake(id, None, ctx),
                false => self.waiting.push_back(id),
            }
        }
        self.wake_waiting(ctx);
    }

    /// Streams register anew by themselves. A stream that was closed while there was no registry does not, and its
    /// sessions would believe themselves watched for ever.
    fn tell_all_watchers_later(&self, ctx: &mut Context<Self>) {
        let clock = self.around.clock.clone();
        let interval = self.around.config.now().streams.sync_interval;
        let wait = async move { clock.sleep(interval).await }.into_actor(self);
        ctx.spawn(wait.map(|(), registry, _| {
            registry.sessions.keys().for_each(|session| registry.tell_watchers(*session));
        }));
    }
}
