//! The socket of a stream that was taken from the HTTP library: chunks go out with one system call each, from the bytes that
//! all streams share. What the kernel does not take at once is kept, and no more.

use super::chunk::Chunk;
use bytes::{Buf, Bytes};
use rustix::net::Shutdown;
use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    os::fd::{AsFd, BorrowedFd},
};

/// The end of a body.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// How much of what a peer sent without being asked is read when we close: bytes that nobody read would make the kernel
/// take our last ones back.
const UNREAD: usize = 64 * 1024;

pub(super) struct Outlet {
    socket: TcpStream,
    /// What is left of a chunk; the peer may have a frame by half.
    rest: Bytes,
}

impl Outlet {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, rest: Bytes::new() }
    }

    /// Writes what is left. How much was taken; whether nothing is left shows [`Outlet::is_clear`].
    pub(super) fn resume(&mut self) -> io::Result<usize> {
        if self.rest.is_empty() {
            return Ok(0);
        }
        let taken = taken_of((&self.socket).write(&self.rest))?;
        self.rest.advance(taken);
        Ok(taken)
    }

    pub(super) fn is_clear(&self) -> bool {
        self.rest.is_empty()
    }

    /// Writes a chunk, where nothing is left from before.
    pub(super) fn send(&mut self, chunk: &Chunk) -> io::Result<usize> {
        let bytes = chunk.framed();
        let taken = taken_of((&self.socket).write(bytes))?;
        // Copied: a peer that stops reading must not keep the memory that all share.
        self.rest = Bytes::copy_from_slice(&bytes[taken..]);
        Ok(taken)
    }

    /// Writes the end of the body.
    pub(super) fn send_last(&mut self) {
        self.rest = Bytes::from_static(LAST_CHUNK);
    }

    /// Closes, so that what was written still arrives.
    pub(super) fn close(&self) {
        let mut unread = [0; 4096];
        let mut socket = &self.socket;
        for _ in 0..UNREAD / unread.len() {
            match socket.read(&mut unread) {
                Ok(1..) => {}
                _ => break,
            }
        }
        // It may be closed already.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
    }
}

impl AsFd for Outlet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// 0 where the socket takes nothing now.
fn taken_of(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(0)
        }
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use std::net::TcpListener;

    #[test]
    fn a_peer_that_takes_nothing_gets_every_byte_once_when_it_does() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut outlet = Outlet::new(socket);
        let content: Vec<u8> = (0..=255).cycle().take(64 * 1024).collect();
        let mut buffer = BytesMut::new();
        let mut chunks = 0;
        while outlet.is_clear() {
            Chunk::begin(&mut buffer);
            buffer.extend_from_slice(&content);
            outlet.send(&Chunk::end(&mut buffer).unwrap()).unwrap();
            chunks += 1;
        }
        assert_eq!(outlet.resume().unwrap(), 0, "it is full");
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all
        });
        while !outlet.is_clear() {
            outlet.resume().unwrap();
        }
        outlet.send_last();
        while !outlet.is_clear() {
            outlet.resume().unwrap();
        }
        outlet.close();
        let chunk = [b"10000\r\n", &content[..], b"\r\n"].concat();
        let expected = [chunk.repeat(chunks), LAST_CHUNK.to_vec()].concat();
        assert!(reader.join().unwrap() == expected);
    }
}
