//! Starting an actor so that whatever becomes of it is reported exactly once and stays its own affair. This is the only
//! place that starts actors, and it decides nothing about what comes after an end.

use actix::{Actor, ActorContext, Addr, ArbiterHandle, Context, dev::ContextFut};
use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{self, Poll},
};

/// How an actor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It stopped of its own will.
    Stopped,
    /// It panicked, at any point of its life; the panic's text.
    Panicked(String),
    /// The arbiter had ended or ended under it.
    ArbiterGone,
}

/// Starts an actor on `arbiter`, with room for `mailbox` messages. `make` runs on the arbiter's thread.
///
/// `on_end` is called exactly once, after the actor and all that it held are dropped, on the arbiter's thread (or, if
/// the arbiter had ended before, on the caller's). By then the mailbox is closed: who sends gets `MailboxError::Closed`.
///
/// A panicked actor is dropped as it is: neither `stopping` nor `stopped` is called on it, and it sees no further
/// message. A panic in the drop of one of its fields is caught; two in one drop end the process, as Rust has it.
pub fn start<A>(
    arbiter: &ArbiterHandle,
    mailbox: usize,
    make: impl FnOnce(&mut Context<A>) -> A + Send + 'static,
    on_end: impl FnOnce(End) + Send + 'static,
) -> Addr<A>
where
    A: Actor<Context = Context<A>>,
{
    let (sender, receiver) = actix::dev::channel::channel(mailbox);
    let reporter = Reporter(Some(on_end));
    arbiter.spawn_fn(move || {
        let made = catch_unwind(AssertUnwindSafe(|| {
            let mut context = Context::with_receiver(receiver);
            let actor = make(&mut context);
            context.into_future(actor)
        }));
        match made {
            Ok(future) => drop(actix::spawn(Watched { future: Some(future), reporter })),
            Err(payload) => reporter.report(End::Panicked(text(payload))),
        }
    });
    Addr::new(sender)
}

/// Reports an end once; if it is dropped without one, the arbiter is gone.
struct Reporter<F: FnOnce(End)>(Option<F>);

impl<F: FnOnce(End)> Reporter<F> {
    fn report(mut self, end: End) {
        self.call(end);
    }

    fn call(&mut self, end: End) {
        if let Some(on_end) = self.0.take() {
            // Who reports an end may be in the drop of a whole arbiter, which must not see a panic.
            let _ = catch_unwind(AssertUnwindSafe(|| on_end(end)));
        }
    }
}

impl<F: FnOnce(End)> Drop for Reporter<F> {
    fn drop(&mut self) {
        self.call(End::ArbiterGone);
    }
}

/// An actor's context, polled so that a panic ends here.
struct Watched<A: Actor<Context = Context<A>>, F: FnOnce(End)> {
    future: Option<ContextFut<A, Context<A>>>,
    reporter: Reporter<F>,
}

// The future is never pinned in place: `ContextFut` is Unpin itself.
impl<A: Actor<Context = Context<A>>, F: FnOnce(End)> Unpin for Watched<A, F> {}

impl<A: Actor<Context = Context<A>>, F: FnOnce(End)> Future for Watched<A, F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(());
        };
        let end = match catch_unwind(AssertUnwindSafe(|| Pin::new(future).poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) => End::Stopped,
            Err(payload) => End::Panicked(text(payload)),
        };
        let end = self.bury().map_or(end, End::Panicked);
        self.reporter.call(end);
        Poll::Ready(())
    }
}

impl<A: Actor<Context = Context<A>>, F: FnOnce(End)> Watched<A, F> {
    /// Drops the actor where no panic is under way; a panic's text, if that made one.
    fn bury(&mut self) -> Option<String> {
        let mut future = self.future.take()?;
        // Without this the context's drop polls a broken actor again: `stopping`, even its queued messages.
        future.ctx().terminate();
        catch_unwind(AssertUnwindSafe(|| drop(future))).err().map(text)
    }
}

impl<A: Actor<Context = Context<A>>, F: FnOnce(End)> Drop for Watched<A, F> {
    fn drop(&mut self) {
        let Some(future) = &mut self.future else {
            return;
        };
        // The arbiter drops a healthy actor: it may say goodbye, as the drop of a plain context would let it.
        let goodbye = catch_unwind(AssertUnwindSafe(|| {
            future.ctx().stop();
            let _ = Pin::new(future).poll(&mut task::Context::from_waker(task::Waker::noop()));
        }));
        let panicked = self.bury();
        let end = goodbye.err().map(text).or(panicked);
        self.reporter.call(end.map_or(End::ArbiterGone, End::Panicked));
    }
}

fn text(payload: Box<dyn Any + Send>) -> String {
    let text = match payload.downcast::<String>() {
        Ok(text) => return *text,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => return (*text).to_owned(),
            Err(payload) => {
                // A payload is anything, its drop included.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
                "a panic without a text"
            }
        },
    };
    text.to_owned()
}

#[cfg(test)]
mod tests;
