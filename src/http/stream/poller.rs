//! Which of a thread's sockets take more, and which peers went away: one descriptor of the kernel's for all of them, which
//! the thread's executor waits for like for any other.

use rustix::event::{
    Timespec,
    epoll::{self, CreateFlags, EventData, EventFlags},
};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    task::{Context, Poll},
};
use tokio::io::unix::AsyncFd;

/// Events that are taken at once.
const EVENTS: usize = 256;

pub(super) struct Poller {
    epoll: AsyncFd<OwnedFd>,
    events: Vec<epoll::Event>,
}

/// News of a socket.
pub(super) struct Ready {
    pub(super) token: u64,
    /// The peer will not read any more, or says so by closing its side.
    pub(super) is_gone: bool,
}

impl Poller {
    /// Within an executor.
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "what it does not know, that its descriptor stays the same, holds of an OwnedFd"
        )]
        let epoll = AsyncFd::new(epoll)?;
        Ok(Self { epoll, events: Vec::with_capacity(EVENTS) })
    }

    /// Tells of this socket from now on, and at once what is so already, until it is closed. It must be its last
    /// descriptor.
    pub(super) fn add(&self, socket: impl AsFd, token: u64) -> io::Result<()> {
        // What it sends is not read: there is nothing left to be said.
        let flags = EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(self.epoll.get_ref(), socket, EventData::new_u64(token), flags)?)
    }

    /// Adds what happened; more will wake.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, ready: &mut Vec<Ready>) -> io::Result<()> {
        while let Poll::Ready(guard) = self.epoll.poll_read_ready(cx) {
            let mut guard = guard?;
            self.events.clear();
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            epoll::wait(
                self.epoll.get_ref(),
                rustix::buffer::spare_capacity(&mut self.events),
                Some(&now),
            )?;
            if self.events.len() < EVENTS {
                guard.clear_ready();
            }
            let gone = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
            ready.extend(self.events.iter().map(|event| {
                // The kernel packs it.
                let (flags, data) = (event.flags, event.data);
                Ready { token: data.u64(), is_gone: flags.intersects(gone) }
            }));
        }
        Ok(())
    }
}
