//! One reader of a load: its request, its socket, and what it has seen.

use super::super::{scan::Scanner, target::Subscription};
use anyhow::{Context, bail};
use rustix::{event::epoll, fd::OwnedFd};
use socket2::{Domain, Socket, Type};
use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Instant,
};

/// How much of an answer is kept, to be shown if it was not the one that was wanted.
const HEAD: usize = 400;

pub(super) struct Reader {
    socket: TcpStream,
    pub(super) topic: usize,
    /// Empty once it was sent.
    request: Vec<u8>,
    head: Vec<u8>,
    pub(super) scanner: Scanner,
    /// The server may close the stream, as it does with those that read nothing.
    pub(super) may_end: bool,
    pub(super) ended: bool,
}

impl Reader {
    /// Begins to connect and waits for nothing, so that thousands do so at once.
    pub(super) fn open(
        subscription: Subscription,
        topic: usize,
        line: usize,
    ) -> anyhow::Result<Self> {
        let socket = Socket::new(Domain::for_address(subscription.address), Type::STREAM, None)
            .context("no socket; is the limit of open files too low?")?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&subscription.address.into()) {
            Err(error)
                if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
            {
                return Err(error.into());
            }
            _ => {}
        }
        Ok(Self {
            socket: socket.into(),
            topic,
            request: subscription.request,
            head: Vec::new(),
            scanner: Scanner::new(subscription.http, line, subscription.ready),
            may_end: false,
            ended: false,
        })
    }

    pub(super) fn is_ready(&self) -> bool {
        self.scanner.awaited == 0
    }

    /// Its request is still to be sent, once the socket is connected.
    pub(super) fn asks(&self) -> bool {
        !self.request.is_empty()
    }

    pub(super) fn register(&self, epoll: &OwnedFd, place: usize) -> anyhow::Result<()> {
        let interest = if self.asks() { epoll::EventFlags::OUT } else { epoll::EventFlags::IN };
        let data = epoll::EventData::new_u64((place as u64) << 1);
        Ok(epoll::add(epoll, &self.socket, data, interest)?)
    }

    pub(super) fn unregister(&self, epoll: &OwnedFd) -> anyhow::Result<()> {
        Ok(epoll::delete(epoll, &self.socket)?)
    }

    pub(super) fn ask(&mut self, epoll: &OwnedFd, place: usize) -> anyhow::Result<()> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error).context("a reader was not let in");
        }
        // A request is less than any socket takes.
        self.socket.write_all(&self.request)?;
        self.request = Vec::new();
        let data = epoll::EventData::new_u64((place as u64) << 1);
        Ok(epoll::modify(epoll, &self.socket, data, epoll::EventFlags::IN)?)
    }

    /// Reads once; when that was.
    pub(super) fn take(
        &mut self,
        scratch: &mut [u8],
        mut seen: impl FnMut(u64),
    ) -> anyhow::Result<Instant> {
        let length = match self.socket.read(scratch) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Instant::now()),
            Err(_) if self.may_end => 0,
            Err(error) => return Err(error).context("a stream broke"),
        };
        let now = Instant::now();
        if length == 0 {
            self.ended = true;
            if !self.may_end {
                bail!("a stream ended; it began with {}", String::from_utf8_lossy(&self.head));
            }
            self.socket.shutdown(std::net::Shutdown::Both)?;
            return Ok(now);
        }
        let bytes = &scratch[..length];
        let room = HEAD.saturating_sub(self.head.len());
        self.head.extend_from_slice(&bytes[..length.min(room)]);
        self.scanner.feed(bytes, &mut seen);
        Ok(now)
    }
}
