//! A child's output as a stream of batches, with back-pressure: what the session has not taken is not followed by more,
//! so that the pipe fills and the child waits. What the lines mean is not known here.

use crate::{
    clock::Clock,
    domain::{Timestamp, event::OutputStream},
    process::line::{Batch, BatchLimits, LineReader},
};
use actix::Message;
use futures_util::{Stream, stream};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, Take},
    sync::oneshot,
};

/// After the last call at most so much is read: more than any pipe holds by default.
const LAST_BYTES: u64 = 1 << 20;

/// How the output of a child is read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) max_line_bytes: usize,
    pub(super) batch: BatchLimits,
    /// So many batches may be unanswered.
    pub(super) unacked: usize,
    /// True: the child's tree is gone, so that what is in the pipe is all. A pipe that then says nothing for
    /// `grace` is held by a stranger.
    pub(super) last_call: LastCall,
    pub(super) grace: Duration,
    pub(super) clock: Clock,
}

/// Tells all readers of a child that its tree is gone. Shared on one thread.
#[derive(Clone, Debug, Default)]
pub(super) struct LastCall(Rc<Call>);

#[derive(Debug, Default)]
struct Call {
    made: Cell<bool>,
    /// Who waits; in an actor one task for all its readers. It stays from one wait to the next, since there is a wait
    /// for every batch and mostly no call.
    waiting: RefCell<Vec<Waker>>,
}

impl LastCall {
    pub(super) fn call(&self) {
        self.0.made.set(true);
        self.0.waiting.take().into_iter().for_each(Waker::wake);
    }

    fn poll_called(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.0.made.get() {
            return Poll::Ready(());
        }
        let mut waiting = self.0.waiting.borrow_mut();
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// Something of a child's output.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Heard {
    pub(super) stream: OutputStream,
    /// With the lines, what lets the reading go on when it is answered or dropped. None: the end.
    pub(super) lines: Option<(Batch, oneshot::Sender<()>)>,
}

struct Reader<R> {
    reading: Reading,
    lines: LineReader<Take<R>>,
    unacked: VecDeque<oneshot::Receiver<()>>,
    /// After the last call: from then on only what is in the pipe already is read.
    until: Option<Timestamp>,
    closed: bool,
}

/// All of `source`, and then the end.
pub(super) fn listen<R: AsyncRead + Unpin>(
    stream: OutputStream,
    source: R,
    reading: Reading,
) -> impl Stream<Item = Heard> {
    let reader = Reader {
        lines: LineReader::new(source.take(u64::MAX), reading.max_line_bytes),
        reading,
        unacked: VecDeque::new(),
        until: None,
        closed: false,
    };
    // Boxed: the stream has room for it twice, between the batches and while it waits for one.
    stream::unfold(Some(Box::new(reader)), move |reader| async move {
        let mut reader = reader?;
        let lines = reader.next().await;
        crate::fault::point!("transport::stream");
        let rest = lines.is_some().then_some(reader);
        Some((Heard { stream, lines }, rest))
    })
}

impl<R: AsyncRead + Unpin> Reader<R> {
    async fn next(&mut self) -> Option<(Batch, oneshot::Sender<()>)> {
        while self.unacked.len() >= self.reading.unacked {
            if let Some(oldest) = self.unacked.pop_front() {
                // Dropped is as good as answered: then there is nobody to wait for.
                let _ = oldest.await;
            }
        }
        let batch = self.next_batch().await?;
        let (ack, acked) = oneshot::channel();
        self.unacked.push_back(acked);
        Some((batch, ack))
    }

    async fn next_batch(&mut self) -> Option<Batch> {
        let Reading { last_call, clock, grace, batch, .. } = &mut self.reading;
        while !self.closed {
            let Some(until) = self.until else {
                tokio::select! {
                    // In this order: output that never pauses must not hide the last call.
                    biased;
                    () = poll_fn(|cx| last_call.poll_called(cx)) => {
                        self.until = Some(clock.now() + *grace);
                        self.lines.source_mut().set_limit(LAST_BYTES);
                    }
                    batch = self.lines.next_batch(*batch) => return batch,
                }
                continue;
            };
            tokio::select! {
                // In this order: what is in the pipe is read, however late.
                biased;
                batch = self.lines.next_batch(*batch) => return batch,
                // Boxed: while the child lives there is no use for the room of a timer.
                () = Box::pin(clock.sleep_until(until)) => {
                    self.closed = true;
                    return self.lines.close();
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use futures_util::{FutureExt, StreamExt};
    use std::{
        pin::{Pin, pin},
        task::{Context, Poll},
    };
    use tokio::io::{AsyncWriteExt, ReadBuf};

    struct Setup {
        reading: Reading,
        last_call: LastCall,
        clock: Clock,
    }

    fn setup() -> Setup {
        let clock = Clock::manual(Timestamp::from_millis(0));
        let last_call = LastCall::default();
        let reading = Reading {
            max_line_bytes: 100,
            batch: BatchLimits { lines: 2, bytes: 100 },
            unacked: 2,
            last_call: last_call.clone(),
            grace: Duration::from_millis(250),
            clock: clock.clone(),
        };
        Setup { reading, last_call, clock }
    }

    fn texts(heard: &Heard) -> Vec<String> {
        let (batch, _) = heard.lines.as_ref().expect("lines, not the end");
        batch.lines().map(|line| String::from_utf8_lossy(line.bytes).into_owned()).collect()
    }

    #[tokio::test]
    async fn no_more_than_the_window_is_read_before_an_answer() {
        let input = b"1\n2\n3\n4\n5\n6\n7\n";
        let mut heard = pin!(listen(OutputStream::Stdout, &input[..], setup().reading));
        let first = heard.next().await.unwrap();
        let second = heard.next().await.unwrap();
        assert_eq!(texts(&first), ["1", "2"]);
        assert_eq!(texts(&second), ["3", "4"]);
        assert!(heard.next().now_or_never().is_none());
        first.lines.unwrap().1.send(()).unwrap();
        let third = heard.next().await.unwrap();
        assert!(heard.next().now_or_never().is_none());
        drop((second, third));
        assert_eq!(texts(&heard.next().await.unwrap()), ["7"]);
        assert!(heard.next().await.unwrap().lines.is_none());
        assert!(heard.next().await.is_none());
    }

    #[tokio::test]
    async fn after_the_last_call_a_silent_pipe_ends_when_the_grace_is_over() {
        let Setup { reading, last_call, clock } = setup();
        let (mut write, read) = tokio::io::duplex(100);
        let mut heard = pin!(listen(OutputStream::Stderr, read, reading));
        write.write_all(b"unfinished").await.unwrap();
        assert!(heard.next().now_or_never().is_none());
        clock.advance(Duration::from_secs(3600));
        assert!(heard.next().now_or_never().is_none(), "it ended without a last call");
        last_call.call();
        let (end, ()) = tokio::join!(heard.next(), async {
            tokio::task::yield_now().await;
            clock.advance(Duration::from_millis(250));
        });
        assert_eq!(texts(&end.unwrap()), ["unfinished"]);
        assert!(heard.next().await.unwrap().lines.is_none());
    }

    #[tokio::test]
    async fn after_the_last_call_a_stranger_cannot_keep_the_pipe_talking() {
        for endless in ["x", "x\n"] {
            let Setup { mut reading, last_call, .. } = setup();
            reading.batch = BatchLimits { lines: 10_000, bytes: 64 * 1024 };
            last_call.call();
            let endless = Endless(endless.bytes().cycle());
            let mut bytes = 0;
            let mut heard = pin!(listen(OutputStream::Stdout, endless, reading));
            while let Some((batch, _)) = heard.next().await.and_then(|heard| heard.lines) {
                bytes += batch.bytes() as u64;
            }
            assert!(bytes > 0 && bytes <= LAST_BYTES + 64 * 1024, "{bytes} bytes");
        }
    }

    struct Endless(std::iter::Cycle<std::str::Bytes<'static>>);

    impl AsyncRead for Endless {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            // Like a pipe, it yields to others now and then.
            let budget = std::task::ready!(tokio::task::coop::poll_proceed(cx));
            budget.made_progress();
            let bytes: Vec<u8> = self.0.by_ref().take(buffer.remaining()).collect();
            buffer.put_slice(&bytes);
            Poll::Ready(Ok(()))
        }
    }
}
