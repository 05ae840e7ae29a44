//! A run while it lasts: from the spawn on, lines go from the child to the codec and bytes from the codec to the child.
//! How it ends is not here.

use super::{
    FromGuard, Stage, Transport,
    reading::{self, Reading},
    writing::{self, Refused, Write},
};
use crate::{
    agent::{AgentEvent, Codec, Output},
    domain::{MessageId, event::OutputStream},
    process::{
        Happened, Report,
        child::{LaunchError, Running},
        line::Batch,
    },
};
use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use futures_util::stream;
use std::{io, mem};
use tokio::sync::oneshot;

impl Transport {
    pub(super) fn spawned(
        &mut self,
        spawned: Result<Running, LaunchError>,
        ctx: &mut Context<Self>,
    ) {
        if self.stage != Stage::Launching {
            // The guard was replaced meanwhile: if there was a child, it is gone.
            return;
        }
        let Running { pid, stdin, stdout, stderr, orders, reports } = match spawned {
            Ok(running) => running,
            Err(error) => return self.not_spawned(&error.to_string(), ctx),
        };
        self.stage = Stage::Running;
        self.pid = Some(pid);
        self.tell(Happened::Spawned { pid });
        self.orders = Some(orders);
        mem::take(&mut self.early).into_iter().for_each(|order| self.order(order));
        ctx.add_message_stream(stream::unfold(Some(reports), async |reports| {
            let mut reports = reports?;
            let report = reports.next().await;
            let rest = report.is_some().then_some(reports);
            Some((FromGuard(report), rest))
        }));
        self.open_outputs = 2;
        ctx.add_message_stream(reading::listen(OutputStream::Stdout, stdout, self.reading()));
        ctx.add_message_stream(reading::listen(OutputStream::Stderr, stderr, self.reading()));
        self.open_stdin(stdin, ctx);
        self.with_codec(None, ctx, |codec, out| codec.start(out));
    }

    fn reading(&self) -> Reading {
        Reading {
            max_line_bytes: self.spec.max_line_bytes,
            batch: self.limits.batch,
            unacked: self.limits.unacked,
            last_call: self.last_call.clone(),
            grace: self.drain_grace,
            clock: self.clock.clone(),
        }
    }

    fn open_stdin(&mut self, pipe: tokio::net::unix::pipe::Sender, ctx: &mut Context<Self>) {
        let (stdin, queue) = writing::queue(self.limits.stdin_writes);
        self.stdin = (!self.stdin_closed).then_some(stdin);
        let (run, report, clock) = (self.run, self.report.clone(), self.clock.clone());
        let feed = async move {
            let written = |message_id| {
                report.do_send(Report { run, what: Happened::Written { message_id } });
            };
            queue.feed(pipe, &clock, written).await
        };
        ctx.spawn(feed.into_actor(self).map(|fed, actor, ctx| {
            if let Err(error) = fed {
                actor.stdin_broke(&error, ctx);
            }
        }));
    }

    /// Mostly the child is dead, which its exit tells presently. One that lives on cannot be spoken to.
    fn stdin_broke(&mut self, error: &io::Error, ctx: &mut Context<Self>) {
        log::debug!(session:% = self.spec.marker.session, run = self.run, error:%; "a child's stdin is broken");
        self.stdin = None;
        self.after(ctx, self.drain_grace, |actor, _| {
            if actor.stage == Stage::Running && !actor.stdin_closed {
                actor.tell_failed("the agent closed its stdin and goes on running".into());
            }
        });
    }

    pub(super) fn with_codec(
        &mut self,
        prompt: Option<MessageId>,
        ctx: &mut Context<Self>,
        call: impl FnOnce(&mut dyn Codec, &mut Output),
    ) {
        let mut out = Output::default();
        call(&mut *self.codec, &mut out);
        self.carry_out(out, prompt, None, ctx);
    }

    /// `ack`: of the output that made the codec say this.
    fn carry_out(
        &mut self,
        out: Output,
        prompt: Option<MessageId>,
        ack: Option<oneshot::Sender<()>>,
        ctx: &mut Context<Self>,
    ) {
        // A line that means nothing is a sign of life all the same.
        if !out.events.is_empty() || ack.is_some() {
            self.tell(Happened::Said { events: out.events, ack });
        }
        if out.stdin.is_empty() {
            return;
        }
        let Some(stdin) = &self.stdin else { return };
        match stdin.write(Write { bytes: out.stdin, prompt }) {
            Ok(()) | Err(Refused::Closed) => {}
            Err(Refused::Full) => {
                self.tell_failed(format!(
                    "the agent does not read its stdin: {} writes or 64 MiB wait already",
                    self.limits.stdin_writes
                ));
                self.stdin_closed = true;
                self.stdin = None;
                self.kill(ctx);
            }
        }
    }

    pub(super) fn heard(
        &mut self,
        stream: OutputStream,
        batch: &Batch,
        ack: oneshot::Sender<()>,
        ctx: &mut Context<Self>,
    ) {
        let mut out = Output::default();
        for line in batch.lines() {
            match stream {
                OutputStream::Stdout => self.codec.line(line, &mut out),
                OutputStream::Stderr => {
                    self.stderr_tail.push(line.bytes);
                    out.events.push(AgentEvent::output(stream, line));
                }
            }
        }
        self.carry_out(out, None, Some(ack), ctx);
    }

    pub(super) fn output_ended(&mut self, ctx: &mut Context<Self>) {
        self.open_outputs -= 1;
        match self.stage {
            Stage::Draining if self.open_outputs == 0 => self.finish(ctx),
            Stage::Flushing => self.flushed(ctx),
            _ => {}
        }
    }
}
