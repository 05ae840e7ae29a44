//! Passing open descriptors over a unix socket, together with the bytes that say what they are for. Nothing is read
//! beyond those bytes, so that the socket can be read in any way afterwards.

use rustix::{
    cmsg_space,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
};
use std::{
    io::{self, IoSlice, IoSliceMut, Read},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};
use tokio::io::Interest;

/// As many as a child's stdio needs.
const COUNT: usize = 3;
/// A message may be so long; the kernel allows 2 MiB for a program's arguments and environment together.
const MAX_BYTES: usize = 4 << 20;

/// Sends `message` and duplicates of `descriptors`.
pub(super) async fn send(
    socket: &mut tokio::net::UnixStream,
    message: &[u8],
    descriptors: [BorrowedFd<'_>; COUNT],
) -> io::Result<()> {
    use tokio::io::AsyncWriteExt;
    let length = u32::try_from(message.len())
        .ok()
        .filter(|_| message.len() <= MAX_BYTES)
        .ok_or_else(|| io::Error::other("arguments and environment are over 4 MiB"))?
        .to_be_bytes();
    let sent = socket
        .async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(COUNT))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
            let flags = SendFlags::NOSIGNAL;
            Ok(sendmsg(socket.as_fd(), &[IoSlice::new(&length)], &mut control, flags)?)
        })
        .await?;
    socket.write_all(&length[sent..]).await?;
    socket.write_all(message).await
}

/// Receives what [`send`] sent; blocks. The descriptors are closed on exec.
pub(super) fn receive(socket: &mut UnixStream) -> io::Result<(Vec<u8>, [OwnedFd; COUNT])> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(COUNT))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let parts = &mut [IoSliceMut::new(&mut length)];
    let received = recvmsg(socket.as_fd(), parts, &mut control, flags)?.bytes;
    if received == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    socket.read_exact(&mut length[received..])?;
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_BYTES {
        return Err(io::Error::other("a message over 4 MiB"));
    }
    let mut message = vec![0; length];
    socket.read_exact(&mut message)?;
    let descriptors = descriptors
        .try_into()
        .map_err(|_| io::Error::other("not as many descriptors as a child's stdio needs"))?;
    Ok((message, descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[tokio::test]
    async fn descriptors_arrive_with_their_message_and_nothing_else_is_read() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut ours = tokio::net::UnixStream::from_std(ours).unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let (spare, _) = io::pipe().unwrap();
        // Longer than the socket holds.
        let message = vec![b'm'; 1 << 20];
        let receiver = tokio::task::spawn_blocking(move || {
            let received = receive(&mut theirs).unwrap();
            let mut rest = [0; 4];
            theirs.read_exact(&mut rest).unwrap();
            (received, rest)
        });
        let sent = [writer.as_fd(), spare.as_fd(), spare.as_fd()];
        send(&mut ours, &message, sent).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut ours, b"rest").await.unwrap();
        drop(writer);
        let ((received, [write, ..]), rest) = receiver.await.unwrap();
        assert!(received == message && rest == *b"rest");
        std::fs::File::from(write).write_all(b"through the pipe").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through the pipe");
    }

    #[test]
    fn an_end_without_a_message_and_a_message_without_descriptors_are_errors() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        drop(ours);
        assert_eq!(receive(&mut theirs).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        ours.write_all(&[0, 0, 0, 1, b'x']).unwrap();
        assert!(receive(&mut theirs).unwrap_err().to_string().contains("descriptors"));
    }
}
