//! How a run ends: exit, then the rest of the output, then the rest of the tree, then one last report. It never waits for
//! anything without a limit, and it does not ask why the run ends.

use super::{GUARD_PATIENCE, Happened, Stage, Transport};
use crate::{
    domain::event::{Exit, KilledProcess, TransportFault},
    process::guard::protocol::GuardOrder,
};
use actix::{ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use std::mem;

impl Transport {
    pub(super) fn not_spawned(&mut self, detail: &str, ctx: &mut Context<Self>) {
        self.stage = Stage::Over;
        self.tell(Happened::SpawnFailed { code: TransportFault::Spawn, detail: detail.to_owned() });
        self.reap(ctx, |_, ctx| ctx.stop());
    }

    /// Waits until the guard, which is ending, is no zombie.
    fn reap(&mut self, ctx: &mut Context<Self>, then: fn(&mut Self, &mut Context<Self>)) {
        let (guard, clock) = (self.guard.take(), self.clock.clone());
        let reaped = async move {
            let Some(guard) = guard else { return };
            tokio::select! {
                () = guard.ended() => {}
                // Dropped, it is reaped whenever it ends.
                () = clock.sleep(GUARD_PATIENCE) => {}
            }
        };
        ctx.spawn(reaped.into_actor(self).map(move |(), actor, ctx| {
            actor.reaped = true;
            then(actor, ctx);
        }));
    }

    pub(super) fn exited(
        &mut self,
        exit_code: Option<i32>,
        signal: Option<i32>,
        ctx: &mut Context<Self>,
    ) {
        self.exit = Exit { exit_code, signal, ..Exit::default() };
        self.stdin_closed = true;
        self.stdin = None;
        if self.stage != Stage::Running {
            return;
        }
        self.stage = Stage::Draining;
        if self.open_outputs == 0 {
            self.finish(ctx);
        } else {
            self.after(ctx, self.drain_grace, Self::finish);
        }
    }

    /// Whoever of the tree still holds a pipe has had its time.
    pub(super) fn finish(&mut self, ctx: &mut Context<Self>) {
        if self.stage == Stage::Draining {
            self.stage = Stage::Finishing;
            self.order(GuardOrder::Finish);
            self.after(ctx, GUARD_PATIENCE, Self::guard_lost);
        }
    }

    pub(super) fn finished(&mut self, killed: Vec<KilledProcess>, ctx: &mut Context<Self>) {
        if self.stage < Stage::Flushing {
            self.exit.killed = killed;
            self.flush(ctx);
        }
    }

    fn flush(&mut self, ctx: &mut Context<Self>) {
        self.stage = Stage::Flushing;
        self.orders = None;
        self.last_call.call();
        self.reap(ctx, Self::flushed);
    }

    /// The last report comes when the guard is reaped and all output is reported, whichever is later.
    pub(super) fn flushed(&mut self, ctx: &mut Context<Self>) {
        if self.open_outputs > 0 || !self.reaped || self.stage != Stage::Flushing {
            return;
        }
        self.stage = Stage::Over;
        let exit = Exit { stderr_tail: self.stderr_tail.text(), ..mem::take(&mut self.exit) };
        self.tell(Happened::Exited(exit));
        ctx.stop();
    }

    /// The guard is gone before its time, or does nothing: its work is done without it.
    pub(super) fn guard_lost(&mut self, ctx: &mut Context<Self>) {
        if self.stage >= Stage::Flushing {
            return;
        }
        let Some(guard) = self.guard.take() else {
            return;
        };
        log::warn!(session:% = self.spec.marker.session, run = self.run; "a child's guard is lost");
        let swept = guard.replace().into_actor(self);
        if self.stage == Stage::Launching {
            self.stage = Stage::Over;
            ctx.spawn(swept.map(|(_, guard), actor, ctx| {
                actor.guard = Some(guard);
                actor.not_spawned("the guard did not start the child and was killed", ctx);
            }));
            return;
        }
        self.tell_failed("the guard of the child is lost; the child is killed without it".into());
        ctx.spawn(swept.map(|(killed, guard), actor, ctx| {
            actor.guard = Some(guard);
            let others = killed.into_iter().filter(|killed| Some(killed.pid) != actor.pid);
            actor.finished(others.collect(), ctx);
        }));
    }
}
