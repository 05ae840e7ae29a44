//! The socket of a stream that was taken from the HTTP library: frames go out as chunks (RFC 9112, section 7.1), each in
//! one system call, from the bytes that all streams share. What the kernel does not take at once is kept, and no more.

use bytes::{Buf, Bytes};
use rustix::net::Shutdown;
use std::{
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::TcpStream,
    os::fd::{AsFd, BorrowedFd},
};

/// The end of a body.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
const LINE_END: &[u8] = b"\r\n";
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
        let mut taken = 0;
        while !self.rest.is_empty() {
            match taken_of((&self.socket).write(&self.rest))? {
                0 => break,
                bytes => {
                    self.rest.advance(bytes);
                    taken += bytes;
                }
            }
        }
        Ok(taken)
    }

    pub(super) fn is_clear(&self) -> bool {
        self.rest.is_empty()
    }

    /// Writes frames as one chunk, where nothing is left from before.
    pub(super) fn send(&mut self, frames: &[u8]) -> io::Result<usize> {
        let mut size = [0; 18];
        let size = chunk_size(frames.len(), &mut size);
        let parts = [size, frames, LINE_END];
        let taken = taken_of((&self.socket).write_vectored(&parts.map(IoSlice::new)))?;
        self.rest = rest(&parts, taken);
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

/// What of `parts` is behind the first `taken` bytes.
fn rest(parts: &[&[u8]], mut taken: usize) -> Bytes {
    let whole: usize = parts.iter().map(|part| part.len()).sum();
    if taken == whole {
        return Bytes::new();
    }
    let mut rest = Vec::with_capacity(whole - taken);
    for part in parts {
        let skipped = taken.min(part.len());
        rest.extend_from_slice(&part[skipped..]);
        taken -= skipped;
    }
    rest.into()
}

/// The line before a chunk.
fn chunk_size(bytes: usize, line: &mut [u8; 18]) -> &[u8] {
    let mut at = line.len() - LINE_END.len();
    line[at..].copy_from_slice(LINE_END);
    let mut left = bytes;
    loop {
        at -= 1;
        line[at] = b"0123456789abcdef"[left % 16];
        left /= 16;
        if left == 0 {
            return &line[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_size_of_a_chunk_is_hexadecimal() {
        for (bytes, line) in [(1, "1\r\n"), (0xabc, "abc\r\n"), (1 << 20, "100000\r\n")] {
            assert_eq!(chunk_size(bytes, &mut [0; 18]), line.as_bytes());
        }
        assert_eq!(chunk_size(usize::MAX, &mut [0; 18]).len(), 18);
    }

    #[test]
    fn what_was_not_taken_is_kept_from_any_byte_on() {
        let parts: [&[u8]; 3] = [b"3\r\n", b"abc", b"\r\n"];
        let whole = b"3\r\nabc\r\n";
        for taken in 0..=whole.len() {
            assert_eq!(rest(&parts, taken), whole[taken..]);
        }
    }

    #[test]
    fn a_peer_that_takes_nothing_gets_every_byte_once_when_it_does() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut outlet = Outlet::new(socket);
        let frames: Vec<u8> = (0..=255).cycle().take(64 * 1024).collect();
        let mut chunks = 0;
        while outlet.is_clear() {
            outlet.send(&frames).unwrap();
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
        let chunk = [b"10000\r\n", &frames[..], b"\r\n"].concat();
        let expected = [chunk.repeat(chunks), LAST_CHUNK.to_vec()].concat();
        assert!(reader.join().unwrap() == expected);
    }
}
