//! A child's stdin: a bounded queue and the one future that writes it. A child that does not read, or is dead, is a
//! value here and never holds up anybody.

use crate::{clock::Clock, domain::MessageId};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    io,
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// What is in the queue may have so many bytes together; the longest message is a quarter of it.
const MAX_QUEUED_BYTES: usize = 64 << 20;
/// When stdin is closed, what is queued has so long to get through.
pub(super) const CLOSE_PATIENCE: Duration = Duration::from_millis(500);

/// Whole lines for the child.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) bytes: Vec<u8>,
    /// The message they are, if they are one.
    pub(super) prompt: Option<MessageId>,
}

/// Why something is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The child does not read.
    Full,
    /// The child has closed it, or we have.
    Closed,
}

/// Both ends are the transport's, on its one thread. A channel of tokio's would keep room for 32 writes and their locks
/// for each idle child.
#[derive(Debug)]
struct Shared {
    writes: RefCell<VecDeque<Write>>,
    limit: usize,
    bytes: Cell<usize>,
    /// The way in is there.
    is_open: Cell<bool>,
    /// The way out is there.
    is_served: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Shared {
    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// The queue's way in. Dropping it closes the child's stdin after what is queued.
#[derive(Debug)]
pub(super) struct Stdin(Rc<Shared>);

/// The queue's way out.
#[derive(Debug)]
pub(super) struct Queue(Rc<Shared>);

/// A queue of at most `limit` writes.
pub(super) fn queue(limit: usize) -> (Stdin, Queue) {
    let shared = Rc::new(Shared {
        writes: RefCell::default(),
        limit,
        bytes: Cell::new(0),
        is_open: Cell::new(true),
        is_served: Cell::new(true),
        waker: RefCell::default(),
    });
    (Stdin(shared.clone()), Queue(shared))
}

impl Stdin {
    pub(super) fn write(&self, write: Write) -> Result<(), Refused> {
        let shared = &*self.0;
        if !shared.is_served.get() {
            return Err(Refused::Closed);
        }
        let bytes = shared.bytes.get() + write.bytes.len();
        let mut writes = shared.writes.borrow_mut();
        if bytes > MAX_QUEUED_BYTES || writes.len() >= shared.limit {
            return Err(Refused::Full);
        }
        shared.bytes.set(bytes);
        writes.push_back(write);
        shared.wake();
        Ok(())
    }
}

impl Drop for Stdin {
    fn drop(&mut self) {
        self.0.is_open.set(false);
        self.0.wake();
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.0.is_served.set(false);
    }
}

impl Queue {
    /// None once the way in is gone and everything was taken.
    async fn next(&self) -> Option<Write> {
        poll_fn(|cx| {
            let write = self.0.writes.borrow_mut().pop_front();
            if write.is_some() || !self.0.is_open.get() {
                return Poll::Ready(write);
            }
            // Whoever waits for the close waits in the same task.
            self.0.waker.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await
    }

    async fn closed(&self) {
        poll_fn(|cx| {
            if !self.0.is_open.get() {
                return Poll::Ready(());
            }
            self.0.waker.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Writes to `pipe` until the queue is closed and written, and then closes the pipe; `written` is called for each
    /// message that is in the pipe whole.
    ///
    /// # Errors
    /// The child takes no more, while there was something to be written.
    pub(super) async fn feed(
        self,
        mut pipe: impl AsyncWrite + Unpin,
        clock: &Clock,
        mut written: impl FnMut(MessageId),
    ) -> io::Result<()> {
        let write_all = async {
            while let Some(write) = self.next().await {
                crate::fault::point!("transport::future");
                pipe.write_all(&write.bytes).await?;
                self.0.bytes.set(self.0.bytes.get() - write.bytes.len());
                write.prompt.into_iter().for_each(&mut written);
            }
            Ok(())
        };
        let out_of_patience = async {
            self.closed().await;
            // Boxed: an idle child has no use for the room of a timer.
            Box::pin(clock.sleep(CLOSE_PATIENCE)).await;
        };
        tokio::select! {
            biased;
            result = write_all => result,
            () = out_of_patience => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use futures_util::FutureExt;
    use std::{cell::RefCell, pin::pin};
    use tokio::io::AsyncReadExt;

    fn prompt(id: &str, bytes: &[u8]) -> Write {
        Write { bytes: bytes.to_vec(), prompt: Some(id.parse().unwrap()) }
    }

    fn clock() -> Clock {
        Clock::manual(Timestamp::from_millis(0))
    }

    #[tokio::test]
    async fn a_message_is_written_when_its_last_byte_is_in_the_pipe() {
        let (stdin, queue) = queue(4);
        let (write, mut read) = tokio::io::duplex(4);
        let (clock, done) = (clock(), RefCell::new(Vec::new()));
        let mut feed = pin!(queue.feed(write, &clock, |id| done.borrow_mut().push(id.to_string())));
        stdin.write(prompt("a", b"12345\n")).unwrap();
        stdin.write(prompt("b", b"6\n")).unwrap();
        assert!(feed.as_mut().now_or_never().is_none());
        assert!(done.borrow().is_empty());
        let mut bytes = [0; 4];
        read.read_exact(&mut bytes).await.unwrap();
        assert!(feed.as_mut().now_or_never().is_none());
        assert_eq!(*done.borrow(), ["a", "b"]);
        drop(stdin);
        feed.await.unwrap();
        let mut rest = String::new();
        read.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "5\n6\n");
    }

    #[tokio::test]
    async fn a_queue_has_a_limit_in_writes_and_in_bytes() {
        let (stdin, queue) = queue(2);
        stdin.write(prompt("a", b"a\n")).unwrap();
        stdin.write(prompt("b", b"b\n")).unwrap();
        assert_eq!(stdin.write(prompt("c", b"c\n")), Err(Refused::Full));
        drop(queue);
        assert_eq!(stdin.write(prompt("d", b"d\n")), Err(Refused::Closed));

        let (stdin, queue) = super::queue(4);
        stdin.write(prompt("a", &vec![0; MAX_QUEUED_BYTES])).unwrap();
        assert_eq!(stdin.write(prompt("b", b"b")), Err(Refused::Full));
        let clock = clock();
        let mut feed = pin!(queue.feed(tokio::io::sink(), &clock, |_| ()));
        assert!(feed.as_mut().now_or_never().is_none());
        stdin.write(prompt("b", b"b")).unwrap();
    }

    #[tokio::test]
    async fn a_closed_queue_that_is_stuck_is_given_up_after_some_patience() {
        let (stdin, queue) = queue(4);
        let (write, _read) = tokio::io::duplex(1);
        let clock = clock();
        let mut feed = pin!(queue.feed(write, &clock, |_| ()));
        stdin.write(prompt("a", b"12345\n")).unwrap();
        assert!(feed.as_mut().now_or_never().is_none());
        clock.advance(CLOSE_PATIENCE);
        assert!(feed.as_mut().now_or_never().is_none(), "it was given up though it was open");
        drop(stdin);
        assert!(feed.as_mut().now_or_never().is_none());
        clock.advance(CLOSE_PATIENCE);
        feed.await.unwrap();
    }

    #[tokio::test]
    async fn a_child_that_is_gone_is_an_error_and_no_panic() {
        let (stdin, queue) = queue(4);
        let (write, read) = tokio::io::duplex(1);
        drop(read);
        stdin.write(prompt("a", b"1\n")).unwrap();
        let error = queue.feed(write, &clock(), |_| panic!("written")).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
