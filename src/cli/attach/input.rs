//! Everything that an attached person's program waits for, as one thing after the other: the stream, what is typed,
//! signals, the outbox, pages that were asked for. What to do about it is decided elsewhere.

use super::{terminal, unshown::Wanted};
use crate::{
    client::{ClientError, OutboxState, Stream, StreamItem},
    wire::api::EventPage,
};
use futures_util::future::BoxFuture;
use std::{
    io::{self, BufRead},
    time::Duration,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
};

/// A page of older events that is on its way.
pub(super) type Loading = BoxFuture<'static, (Wanted, Result<EventPage, ClientError>)>;

pub(super) enum Happening {
    Item(Box<StreamItem>),
    /// The server said that there is nothing to come back for.
    Over,
    Keys(Vec<u8>),
    Line(String),
    /// Nothing more will be typed.
    TypingEnded,
    Break,
    Leave,
    Resized,
    Failure(String),
    Outbox,
    Older(Wanted, Result<EventPage, ClientError>),
    Tick,
}

pub(super) struct Input {
    pub(super) stream: Stream,
    pub(super) failures: mpsc::UnboundedReceiver<String>,
    pub(super) outbox: watch::Receiver<OutboxState>,
    typing: Typing,
    interrupts: Signal,
    ends: Signal,
    resizes: Signal,
}

enum Typing {
    Keys(mpsc::Receiver<Vec<u8>>),
    Lines(mpsc::Receiver<String>),
}

impl Input {
    /// `keys`: a terminal tells every key; else whole lines are read.
    pub(super) fn new(
        stream: Stream,
        failures: mpsc::UnboundedReceiver<String>,
        outbox: watch::Receiver<OutboxState>,
        keys: bool,
    ) -> io::Result<Self> {
        Ok(Self {
            stream,
            failures,
            outbox,
            typing: if keys { Typing::Keys(terminal::stdin()) } else { Typing::Lines(lines()) },
            interrupts: signal(SignalKind::interrupt())?,
            ends: signal(SignalKind::terminate())?,
            resizes: signal(SignalKind::window_change())?,
        })
    }

    /// `reading`: what is typed is wanted; `tick`: how long until the clock is.
    pub(super) async fn next(
        &mut self,
        reading: bool,
        loading: &mut Option<Loading>,
        tick: Option<Duration>,
    ) -> anyhow::Result<Happening> {
        let older = async {
            match loading {
                Some(loading) => loading.await,
                None => std::future::pending().await,
            }
        };
        let tick = async {
            match tick {
                Some(tick) => tokio::time::sleep(tick).await,
                None => std::future::pending().await,
            }
        };
        let happening = tokio::select! {
            item = self.stream.next() => match item? {
                Some(item) => Happening::Item(Box::new(item)),
                None => Happening::Over,
            },
            typed = self.typing.next(), if reading => typed,
            _ = self.interrupts.recv() => Happening::Break,
            _ = self.ends.recv() => Happening::Leave,
            _ = self.resizes.recv() => Happening::Resized,
            Some(failure) = self.failures.recv() => Happening::Failure(failure),
            Ok(()) = self.outbox.changed() => Happening::Outbox,
            (wanted, page) = older => Happening::Older(wanted, page),
            () = tick => Happening::Tick,
        };
        if matches!(happening, Happening::Older(..)) {
            *loading = None;
        }
        Ok(happening)
    }
}

impl Typing {
    async fn next(&mut self) -> Happening {
        let typed = match self {
            Typing::Keys(keys) => keys.recv().await.map(Happening::Keys),
            Typing::Lines(lines) => lines.recv().await.map(Happening::Line),
        };
        typed.unwrap_or(Happening::TypingEnded)
    }
}

/// Lines from stdin, read by a thread of its own: a read cannot be called off, and leaving must not wait for one.
fn lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    lines
}
